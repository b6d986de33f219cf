#!/usr/bin/env bash
# HTMLHeaderTextSplitter of langchain takes each element's own text and then its children's: a word in <b>, <a>, <code>
# or <em> leaves its sentence and stands behind it. "Do <b>not</b> delete it." becomes "Do delete it.", and "not" on
# the next line. With return_each_element=True it is a document of its own. HTMLSemanticPreservingSplitter puts such
# words before the sentence. No word is lost, so a count of words is right. HTMLSectionSplitter keeps the order.
# Hurts: who cuts web pages or a wiki for embeddings: the sentences that carry the stress, the links and the names of
# options are embedded, and handed to a model as a source, without them, and a "not" makes the opposite of a sentence.
# Versions: langchain-text-splitters 1.1.3, beautifulsoup4 4.15.0, lxml 6.1.3, Python 3.11. Seen on 2026-11-29.
# Guess: a paragraph's text in the order in which a reader sees it, as BeautifulSoup's get_text has it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain-text-splitters==1.1.3 beautifulsoup4==4.15.0 lxml==6.1.3

seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
from bs4 import BeautifulSoup
from langchain_text_splitters import HTMLHeaderTextSplitter, HTMLSectionSplitter, HTMLSemanticPreservingSplitter

PAGE = (
    "<html><body><h1>Keys</h1>"
    "<p>Do <b>not</b> delete a key that is in use.</p>"
    "<p>Set <code>timeout</code> to 60 and <code>retries</code> to 5.</p>"
    "</body></html>"
)
LEVELS = [("h1", "title")]
print("get_text:", [part.get_text() for part in BeautifulSoup(PAGE, "lxml").find_all("p")])
for name, splitter in (
    ("HTMLHeaderTextSplitter", HTMLHeaderTextSplitter(LEVELS)),
    ("with return_each_element", HTMLHeaderTextSplitter(LEVELS, return_each_element=True)),
    ("HTMLSemanticPreservingSplitter", HTMLSemanticPreservingSplitter(LEVELS)),
    ("HTMLSectionSplitter", HTMLSectionSplitter(LEVELS)),
):
    texts = [document.page_content for document in splitter.split_text(PAGE)]
    print(f"{name}:", [text for text in texts if text != "Keys"])
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
get_text: ['Do not delete a key that is in use.', 'Set timeout to 60 and retries to 5.']
HTMLHeaderTextSplitter: ['Do delete a key that is in use.  \nnot  \nSet to 60 and to 5.  \ntimeout  \nretries']
with return_each_element: ['Do delete a key that is in use.', 'not', 'Set to 60 and to 5.', 'timeout', 'retries']
HTMLSemanticPreservingSplitter: ['not Do delete a key that is in use. timeout retries Set to 60 and to 5.']
HTMLSectionSplitter: ['Keys \n Do  not  delete a key that is in use. \n Set  timeout  to 60 and  retries  to 5.']
EXPECTED
