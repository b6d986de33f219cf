#!/usr/bin/env bash
# normalize of scikit-learn adds the squares of a float16 vector up in float16, which ends at 65504. A vector longer
# than 255.9 has the norm inf and becomes a vector of zeros; one shorter than about 0.01 is taken for zeros and left as
# it is. No error, no warning. Normalizer does the same. float32 and cosine_similarity of the same vectors are right.
# Hurts: who keeps vectors in float16 and normalizes them before a search by inner product: of a corpus with longer and
# shorter vectors the longer ones become zeros, and int8 vectors of a vendor, kept as float16, all do.
# Versions: scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1, Python 3.11. Seen on 2026-11-29.
# Guess: vectors of length 1 for each but a vector of zeros, or an error; StandardScaler adds up in float64.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1

seen=$("$folder/venv/bin/python" - 2>"$folder/log" <<'PYTHON'
import warnings

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import Normalizer, normalize

vectors = np.random.default_rng(0).normal(size=(3, 768))
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)


def length(rows):
    return " ".join(f"{number:.3f}" for number in np.linalg.norm(np.asarray(rows, "float64"), axis=1))


with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for scale in (0.002, 0.005, 0.02, 1, 100, 250, 260, 1000):
        half = (vectors * scale).astype("float16")
        single = half.astype("float32")
        print(f"length {scale}: float16 {length(normalize(half))}, float32 {length(normalize(single))}")
    bytes_ = np.random.default_rng(1).integers(-128, 128, size=(3, 1024)).astype("float16")
    print(f"int8 vectors kept as float16, normalize: {length(normalize(bytes_))}")
    print(f"int8 vectors kept as float16, Normalizer: {length(Normalizer().fit_transform(bytes_))}")
    print(f"int8 vectors kept as float16, norms: {normalize(bytes_, return_norm=True)[1].tolist()}")
    print(f"int8 vectors kept as float16, cosine with itself: {np.diag(cosine_similarity(bytes_)).round(2).tolist()}")
print(f"warnings: {len(said)}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
length 0.002: float16 0.002 0.002 0.002, float32 1.000 1.000 1.000
length 0.005: float16 0.005 0.005 0.005, float32 1.000 1.000 1.000
length 0.02: float16 1.000 1.000 1.000, float32 1.000 1.000 1.000
length 1: float16 1.000 1.000 1.000, float32 1.000 1.000 1.000
length 100: float16 1.000 1.000 1.000, float32 1.000 1.000 1.000
length 250: float16 1.000 1.000 1.000, float32 1.000 1.000 1.000
length 260: float16 0.000 0.000 0.000, float32 1.000 1.000 1.000
length 1000: float16 0.000 0.000 0.000, float32 1.000 1.000 1.000
int8 vectors kept as float16, normalize: 0.000 0.000 0.000
int8 vectors kept as float16, Normalizer: 0.000 0.000 0.000
int8 vectors kept as float16, norms: [inf, inf, inf]
int8 vectors kept as float16, cosine with itself: [1.0, 1.0, 1.0]
warnings: 0
EXPECTED
