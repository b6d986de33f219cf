#!/usr/bin/env bash
# semantic-text-splitter: an overlap shorter than a sentence is no overlap at all, without a word; with one character
# more each chunk repeats a whole sentence, and there are twice as many chunks.
# Hurts: who cuts texts for embeddings with "10 % overlap": chunks share nothing, or twice the tokens are paid.
# Version: semantic-text-splitter 0.33.1, Python 3.11. Seen on 2026-11-27.
# Guess: neighbours share about as many characters as `overlap` says, cut at words where a sentence is too long.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet semantic-text-splitter==0.33.1

seen=$("$folder/venv/bin/python" - <<'PYTHON'
from semantic_text_splitter import TextSplitter

text = " ".join(f"Sentence number {n} tells a little about the city of Riga and the sea." for n in range(100))
for overlap in (0, 20, 60, 69, 199):
    chunks = TextSplitter(200, overlap=overlap).chunk_indices(text)
    shared = [max(0, at + len(chunk) - after) for (at, chunk), (after, _) in zip(chunks, chunks[1:])]
    print(f"overlap {overlap} of 200: {len(chunks)} chunks, {sum(map(bool, shared))} share text, {max(shared)} at most")
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
overlap 0 of 200: 50 chunks, 0 share text, 0 at most
overlap 20 of 200: 50 chunks, 0 share text, 0 at most
overlap 60 of 200: 50 chunks, 0 share text, 0 at most
overlap 69 of 200: 99 chunks, 98 share text, 69 at most
overlap 199 of 200: 99 chunks, 98 share text, 69 at most
EXPECTED
