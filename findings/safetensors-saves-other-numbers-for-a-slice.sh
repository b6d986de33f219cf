#!/usr/bin/env bash
# save_file of safetensors.numpy writes the memory that an array begins at, not the array: of a matrix cut to its first
# columns, of every second row, of a transposed one, other numbers are saved under the right shape and type. load_file
# gives them back without an error. 0.7.0 saved what it was given. "Tensors need to be contiguous", say the docstrings
# of both, and nothing checks it.
# Hurts: who cuts Matryoshka vectors (`vectors[:, :256]`), samples rows or reduces with PCA before saving: rows are
# pieces of other rows' vectors, each of the right length, and the index is filled with them.
# numpy.ascontiguousarray before saving cures it.
# Versions: safetensors 0.8.0 (0.7.0 is right), numpy 2.4.6, Python 3.11. Seen on 2026-11-28.
# Guess: the array as numpy.save writes it, or a ValueError as the torch side of safetensors raises.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/new"
"$folder/new/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6
python3 -m venv "$folder/old"
"$folder/old/bin/pip" install --quiet safetensors==0.7.0 numpy==2.4.6

cat >"$folder/save.py" <<'PYTHON'
import sys

import numpy
import safetensors
from safetensors.numpy import load_file, save_file

path = sys.argv[1]
vectors = numpy.arange(24, dtype=numpy.float32).reshape(4, 6)
arrays = {
    "whole": vectors,
    "first 3 columns": vectors[:, :3],
    "every second row": vectors[::2],
    "transposed": vectors.T,
    "column by column": numpy.asfortranarray(vectors),
}
print("safetensors", safetensors.__version__)
for name, array in arrays.items():
    save_file({"v": array}, f"{path}/v.safetensors")
    read = load_file(f"{path}/v.safetensors")["v"]
    numpy.save(f"{path}/v.npy", array)
    assert numpy.array_equal(numpy.load(f"{path}/v.npy"), array)
    same = numpy.array_equal(read, array)
    print(f"{name} {read.shape}: {'as saved' if same else f'other numbers, second row {read[1].astype(int).tolist()}'}"
          f"{'' if same else f' for {array[1].astype(int).tolist()}'}")
PYTHON
seen=$("$folder/old/bin/python" "$folder/save.py" "$folder"; "$folder/new/bin/python" "$folder/save.py" "$folder")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
safetensors 0.7.0
whole (4, 6): as saved
first 3 columns (4, 3): as saved
every second row (2, 6): as saved
transposed (6, 4): as saved
column by column (4, 6): as saved
safetensors 0.8.0
whole (4, 6): as saved
first 3 columns (4, 3): other numbers, second row [3, 4, 5] for [6, 7, 8]
every second row (2, 6): other numbers, second row [6, 7, 8, 9, 10, 11] for [12, 13, 14, 15, 16, 17]
transposed (6, 4): other numbers, second row [4, 5, 6, 7] for [1, 7, 13, 19]
column by column (4, 6): other numbers, second row [13, 19, 2, 8, 14, 20] for [6, 7, 8, 9, 10, 11]
EXPECTED
