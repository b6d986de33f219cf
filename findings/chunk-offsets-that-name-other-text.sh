#!/usr/bin/env bash
# Offsets of chunks name other text. langchain's CharacterTextSplitter with add_start_index joins its parts with one
# separator, whatever stood there; where the result is not found in the text, start_index is -1, without an error.
# chonkie's TokenChunker over words drops the space between two chunks, counts on, and is one character further off
# with every chunk.
# Hurts: who stores chunks as places in the document (to keep texts once, to highlight a hit): the place of a vector is
# another text, and an edit is taken for a change of all chunks after it.
# Versions: langchain-text-splitters 1.1.3, chonkie 1.7.0, Python 3.11. Seen on 2026-11-28.
# Guess: text[start:start + len(chunk)] is the chunk, as with RecursiveCharacterTextSplitter and SentenceChunker.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain-text-splitters==1.1.3 chonkie==1.7.0

seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
from chonkie import SentenceChunker, TokenChunker
from langchain_text_splitters import CharacterTextSplitter, RecursiveCharacterTextSplitter


def play(name, text, chunks):
    right = sum(text[start : start + len(chunk)] == chunk for start, chunk in chunks)
    places = [start for start, _ in chunks]
    print(f"{name}: {len(chunks)} chunks, {right} stand where they say; places from {places[0]} to {places[-1]}")


LIST = "\n".join(f"  - item {number}\n      of the list, with words that are its own: w{number}" for number in range(40))
for kind, options in ((RecursiveCharacterTextSplitter, {}), (CharacterTextSplitter, {"separator": " "})):
    splitter = kind(chunk_size=200, chunk_overlap=0, add_start_index=True, **options)
    cut = splitter.create_documents([LIST])
    play(kind.__name__, LIST, [(each.metadata["start_index"], each.page_content) for each in cut])
TEXT = " ".join(f"Sentence number {number} tells about Riga." for number in range(100))
for chunker in (SentenceChunker(tokenizer="word", chunk_size=20), TokenChunker(tokenizer="word", chunk_size=20, chunk_overlap=0)):
    play(type(chunker).__name__, TEXT, [(each.start_index, each.text) for each in chunker.chunk(TEXT)])
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
RecursiveCharacterTextSplitter: 14 chunks, 14 stand where they say; places from 2 to 2494
CharacterTextSplitter: 12 chunks, 0 stand where they say; places from -1 to -1
SentenceChunker: 50 chunks, 50 stand where they say; places from 0 to 3616
TokenChunker: 30 chunks, 1 stand where they say; places from 0 to 3538
EXPECTED
