#!/usr/bin/env bash
# semantic-text-splitter over a Hugging Face tokenizer that truncates (most tokenizer.json files of embedding models say
# so, at the model's length): from a capacity of that length on, a text of any length is one chunk. The tokenizer counts
# no further than its limit, so everything seems to fit; one token less, and all is well.
# Hurts: who cuts texts to the very length a model takes ("512 of 512"): one chunk a document, of which the model or the
# vendor reads the first 510 tokens; the rest has no vector, and no error says so. no_truncation() before cures it.
# Versions: semantic-text-splitter 0.33.1, tokenizers 0.23.3, Python 3.11. Seen on 2026-11-28.
# Guess: truncation does not concern a splitter, as padding does not (tried: no effect); or an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet semantic-text-splitter==0.33.1 tokenizers==0.23.3

seen=$("$folder/venv/bin/python" - <<'PYTHON'
from semantic_text_splitter import TextSplitter
from tokenizers import Tokenizer, models, pre_tokenizers, processors

special = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "[PAD]": 3}
vocabulary = special | {f"w{number}": number + 4 for number in range(1000)}
text = " ".join(f"w{number}" for number in range(1000))
tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
)


def play(kind):
    for capacity in (127, 128, 512):
        chunks = TextSplitter.from_huggingface_tokenizer(tokenizer, capacity).chunks(text)
        longest = max(len(chunk.split()) for chunk in chunks)
        print(f"{kind}, capacity {capacity}: {len(chunks)} of 1000 tokens, the longest has {longest}")


play("plain")
tokenizer.enable_truncation(128)
play("truncates at 128")
print("tokens that it counts in the text:", len(tokenizer.encode(text).ids))
tokenizer.no_truncation()
play("truncates no more")
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
plain, capacity 127: 8 of 1000 tokens, the longest has 127
plain, capacity 128: 8 of 1000 tokens, the longest has 128
plain, capacity 512: 2 of 1000 tokens, the longest has 512
truncates at 128, capacity 127: 8 of 1000 tokens, the longest has 127
truncates at 128, capacity 128: 1 of 1000 tokens, the longest has 1000
truncates at 128, capacity 512: 1 of 1000 tokens, the longest has 1000
tokens that it counts in the text: 128
truncates no more, capacity 127: 8 of 1000 tokens, the longest has 127
truncates no more, capacity 128: 8 of 1000 tokens, the longest has 128
truncates no more, capacity 512: 2 of 1000 tokens, the longest has 512
EXPECTED
