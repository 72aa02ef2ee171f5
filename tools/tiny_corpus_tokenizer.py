"""Writes src/homespun/data/corpus/tokenizer: byte-level BPE of 8,192 tokens from the texts of `tiny`.

python tools/tiny_corpus_tokenizer.py           # after tools/tiny_corpus.py; the same texts give the same bytes
"""

from pathlib import Path

import polars as pl
import tiny_corpus_notice

from homespun.corpus.tokenizer import Bpe, save, train_bpe

FOLDER = Path(__file__).resolve().parents[1] / "src" / "homespun" / "data" / "corpus"
FILES = ("help", "declarations", "drama")
"""Not the desktop's pages, which are share-alike."""


def main() -> None:
    """Trains and saves."""
    texts = [
        text
        for name in FILES
        for text in pl.read_parquet(FOLDER / f"{name}.parquet")["text"].unique(maintain_order=True)
    ]
    save(train_bpe(texts, Bpe(vocab=8192)), FOLDER / "tokenizer")
    tiny_corpus_notice.renew_tokenizer(FOLDER)


if __name__ == "__main__":
    main()
