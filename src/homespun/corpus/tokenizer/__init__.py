"""Tokenizers: byte-level BPE, plain and parity-aware, and how evenly they serve languages."""

from homespun.corpus.tokenizer.fairness import Fairness, Parallel, gini, measure, parallel
from homespun.corpus.tokenizer.files import Bpe, read, save
from homespun.corpus.tokenizer.merges import Parity
from homespun.corpus.tokenizer.specials import CONTROL, MARKERS, SPECIALS
from homespun.corpus.tokenizer.train import Trained, train_bpe, train_parity

__all__ = [
    "CONTROL",
    "MARKERS",
    "SPECIALS",
    "Bpe",
    "Fairness",
    "Parallel",
    "Parity",
    "Trained",
    "gini",
    "measure",
    "parallel",
    "read",
    "save",
    "train_bpe",
    "train_parity",
]
