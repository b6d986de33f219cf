#!/usr/bin/env bash
# The mean of float16 vectors over axis 0 in blosc2 comes from a sum that is float16 too. float16 has no 2049 after
# 2048, and no 4097 or 4098 after 4096: the sum of a chunk stops there, and the mean of 20000 numbers around 1 is 0.20.
# No error, no warning; what comes out depends on how the array was cut into chunks, which blosc2 chooses by itself
# where none are given. numpy, which the help of mean names as its reference, has the right mean of the same vectors.
# dtype="float32" helps.
# Hurts: who keeps vectors in float16 and makes centroids, the vector of a document or the one to subtract from all:
# each number is plausible, and too near to zero.
# Versions: blosc2 4.14.1, numpy 2.4.6, Python 3.11. Seen on 2026-11-29.
# Guess: numpy's mean: right to three digits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet blosc2==4.14.1 numpy==2.4.6

seen=$("$folder/venv/bin/python" - 2>"$folder/log" <<'PYTHON'
import warnings

import blosc2
import numpy as np

noise = np.random.default_rng(0).normal(size=(20000, 8)) * 0.05


def show(numbers):
    return f"{float(np.min(numbers)):.2f} to {float(np.max(numbers)):.2f}"


with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for center in (1, 0.3, 0.04):
        vectors = (center + noise).astype("float16")
        print(f"around {center}, numpy: {show(vectors.mean(axis=0))}")
        for rows in (1000, 5000, 20000):
            array = blosc2.asarray(vectors, chunks=(rows, 8), blocks=(rows, 8))
            print(f"around {center}, blosc2, chunks of {rows}: {show(array.mean(axis=0))}")
        print(f"around {center}, blosc2, dtype float32: {show(array.mean(axis=0, dtype='float32'))}")
print(f"warnings: {len(said)}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
around 1, numpy: 1.00 to 1.00
around 1, blosc2, chunks of 1000: 1.00 to 1.00
around 1, blosc2, chunks of 5000: 0.82 to 0.82
around 1, blosc2, chunks of 20000: 0.20 to 0.20
around 1, blosc2, dtype float32: 1.00 to 1.00
around 0.3, numpy: 0.30 to 0.30
around 0.3, blosc2, chunks of 1000: 0.29 to 0.30
around 0.3, blosc2, chunks of 5000: 0.20 to 0.20
around 0.3, blosc2, chunks of 20000: 0.05 to 0.05
around 0.3, blosc2, dtype float32: 0.30 to 0.30
around 0.04, numpy: 0.04 to 0.04
around 0.04, blosc2, chunks of 1000: 0.04 to 0.04
around 0.04, blosc2, chunks of 5000: 0.04 to 0.04
around 0.04, blosc2, chunks of 20000: 0.02 to 0.02
around 0.04, blosc2, dtype float32: 0.04 to 0.04
warnings: 0
EXPECTED
