#!/usr/bin/env bash
# Rows that are written past the end of a zarr array are dropped: array[10:20] = ten rows, of an array of 15, keeps five
# and says nothing; array[15:25] keeps none. Of the same assignment h5py and numpy make an error of shapes; zarr raises
# for too few rows, not for too many.
# Hurts: who makes an array for the rows that a query counted and writes batch after batch at offset:offset + n, while
# rows came in between, or answers are more than rows: paid vectors are gone, and reading the same slice back gives five
# rows without an error. array.append grows the array, and so does resize before writing.
# Versions: zarr 3.1.6, h5py 3.16.0, numpy 2.4.6, Python 3.11. Seen on 2026-11-29.
# Guess: ValueError or IndexError, as numpy and h5py have it for the same assignment.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet zarr==3.1.6 h5py==3.16.0 numpy==2.4.6

seen=$(cd "$folder" && venv/bin/python -W ignore - 2>"$folder/log" <<'PYTHON'
import h5py
import numpy as np
import zarr

makers = {
    "numpy": lambda: np.zeros((15, 4), "f4"),
    "h5py": lambda: h5py.File("v.h5", "w").create_dataset("v", (15, 4), "f4"),
    "zarr": lambda: zarr.create_array("v.zarr", shape=(15, 4), chunks=(5, 4), dtype="f4", overwrite=True),
}
writes = {"rows 10 to 19": (10, 20, 10), "rows 15 to 24": (15, 25, 10), "3 rows for 5": (0, 5, 3)}
for write, (begin, end, rows) in writes.items():
    for maker, make in makers.items():
        array = make()
        try:
            array[begin:end] = np.ones((rows, 4), "f4")
            said = "no error"
        except (TypeError, ValueError) as error:
            said = type(error).__name__
        print(f"{write}, {maker}: {said}, {int(array[:].sum() / 4)} rows stored of {rows}")
array = makers["zarr"]()
array[10:20] = np.ones((10, 4), "f4")
print(f"rows 10 to 19, zarr, read back: {array[10:20].shape[0]} rows")
array = makers["zarr"]()
array.append(np.ones((10, 4), "f4"))
print(f"10 rows appended, zarr: {array.shape[0]} rows, {int(array[:].sum() / 4)} stored of 10")
array = makers["zarr"]()
array.resize((20, 4))
array[10:20] = np.ones((10, 4), "f4")
print(f"rows 10 to 19 after resize, zarr: {array.shape[0]} rows, {int(array[:].sum() / 4)} stored of 10")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
rows 10 to 19, numpy: ValueError, 0 rows stored of 10
rows 10 to 19, h5py: TypeError, 0 rows stored of 10
rows 10 to 19, zarr: no error, 5 rows stored of 10
rows 15 to 24, numpy: ValueError, 0 rows stored of 10
rows 15 to 24, h5py: TypeError, 0 rows stored of 10
rows 15 to 24, zarr: no error, 0 rows stored of 10
3 rows for 5, numpy: ValueError, 0 rows stored of 3
3 rows for 5, h5py: TypeError, 0 rows stored of 3
3 rows for 5, zarr: ValueError, 0 rows stored of 3
rows 10 to 19, zarr, read back: 5 rows
10 rows appended, zarr: 25 rows, 10 stored of 10
rows 10 to 19 after resize, zarr: 20 rows, 10 stored of 10
EXPECTED
