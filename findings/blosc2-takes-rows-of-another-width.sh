#!/usr/bin/env bash
# An assignment to a slice of a blosc2 array does not look at the shape of the value, only at whether there are numbers
# enough: five vectors of 8 numbers, put where five of 4 belong, fill the rows one after the other, so that row 1 is the
# second half of vector 0, and the last two vectors are lost. A width of 5 shifts each row by one more number. No error.
# Too few numbers do raise RuntimeError. numpy and h5py refuse the same assignment; zarr cuts each vector at its end.
# Hurts: who writes vectors batch after batch into one array while the model, or its "dimensions", was changed between:
# each row has the right length and belongs to another text.
# Versions: blosc2 4.14.1, h5py 3.16.0, zarr 3.1.6, numpy 2.4.6, Python 3.11. Seen on 2026-11-29.
# Guess: ValueError, as numpy has it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet blosc2==4.14.1 h5py==3.16.0 zarr==3.1.6 numpy==2.4.6

seen=$(cd "$folder" && venv/bin/python -W ignore - 2>"$folder/log" <<'PYTHON'
import blosc2
import h5py
import numpy as np
import zarr

makers = {
    "numpy": lambda: np.zeros((10, 4), "f4"),
    "h5py": lambda: h5py.File("v.h5", "w").create_dataset("v", (10, 4), "f4"),
    "zarr": lambda: zarr.create_array("v.zarr", shape=(10, 4), chunks=(5, 4), dtype="f4", overwrite=True),
    "blosc2": lambda: blosc2.zeros((10, 4), dtype="f4", chunks=(5, 4), blocks=(5, 4)),
}
for width in (4, 3, 5, 8):
    # The number before the point tells the text, the one behind it the place in the vector.
    vectors = (np.arange(5)[:, None] + np.arange(1, width + 1) / 10).astype("f4")
    for maker, make in makers.items():
        array = make()
        try:
            array[0:5] = vectors
        except (RuntimeError, TypeError, ValueError) as error:
            print(f"5 vectors of {width} into 5 rows of 4, {maker}: {type(error).__name__}")
            continue
        print(f"5 vectors of {width} into 5 rows of 4, {maker}: no error")
        for row in array[0:5] if maker in ("blosc2", "zarr") else ():
            print("  " + " ".join(f"{number:.1f}" for number in row))
for name, rows in (("a list of lists", vectors.tolist()), ("a blosc2 array", blosc2.asarray(vectors))):
    array = makers["blosc2"]()
    array[0:5] = rows
    print(f"5 vectors of 8 into 5 rows of 4, {name}: row 1 is " + " ".join(f"{number:.1f}" for number in array[1]))
array = makers["blosc2"]()
array[3] = vectors[0]
print("one vector of 8 into one row of 4: row 3 is " + " ".join(f"{number:.1f}" for number in array[3]))
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
5 vectors of 4 into 5 rows of 4, numpy: no error
5 vectors of 4 into 5 rows of 4, h5py: no error
5 vectors of 4 into 5 rows of 4, zarr: no error
  0.1 0.2 0.3 0.4
  1.1 1.2 1.3 1.4
  2.1 2.2 2.3 2.4
  3.1 3.2 3.3 3.4
  4.1 4.2 4.3 4.4
5 vectors of 4 into 5 rows of 4, blosc2: no error
  0.1 0.2 0.3 0.4
  1.1 1.2 1.3 1.4
  2.1 2.2 2.3 2.4
  3.1 3.2 3.3 3.4
  4.1 4.2 4.3 4.4
5 vectors of 3 into 5 rows of 4, numpy: ValueError
5 vectors of 3 into 5 rows of 4, h5py: TypeError
5 vectors of 3 into 5 rows of 4, zarr: ValueError
5 vectors of 3 into 5 rows of 4, blosc2: RuntimeError
5 vectors of 5 into 5 rows of 4, numpy: ValueError
5 vectors of 5 into 5 rows of 4, h5py: TypeError
5 vectors of 5 into 5 rows of 4, zarr: no error
  0.1 0.2 0.3 0.4
  1.1 1.2 1.3 1.4
  2.1 2.2 2.3 2.4
  3.1 3.2 3.3 3.4
  4.1 4.2 4.3 4.4
5 vectors of 5 into 5 rows of 4, blosc2: no error
  0.1 0.2 0.3 0.4
  0.5 1.1 1.2 1.3
  1.4 1.5 2.1 2.2
  2.3 2.4 2.5 3.1
  3.2 3.3 3.4 3.5
5 vectors of 8 into 5 rows of 4, numpy: ValueError
5 vectors of 8 into 5 rows of 4, h5py: TypeError
5 vectors of 8 into 5 rows of 4, zarr: no error
  0.1 0.2 0.3 0.4
  1.1 1.2 1.3 1.4
  2.1 2.2 2.3 2.4
  3.1 3.2 3.3 3.4
  4.1 4.2 4.3 4.4
5 vectors of 8 into 5 rows of 4, blosc2: no error
  0.1 0.2 0.3 0.4
  0.5 0.6 0.7 0.8
  1.1 1.2 1.3 1.4
  1.5 1.6 1.7 1.8
  2.1 2.2 2.3 2.4
5 vectors of 8 into 5 rows of 4, a list of lists: row 1 is 0.5 0.6 0.7 0.8
5 vectors of 8 into 5 rows of 4, a blosc2 array: row 1 is 0.5 0.6 0.7 0.8
one vector of 8 into one row of 4: row 3 is 0.1 0.2 0.3 0.4
EXPECTED
