"""Heads that give a document a score: what they see (embedders), what they are, how they learn from labels."""

from homespun.corpus.heads.embedder import Embedder, Passages
from homespun.corpus.heads.hashed import HashedNgrams
from homespun.corpus.heads.head import About, Head, load_head, save_head

__all__ = ["About", "Embedder", "HashedNgrams", "Head", "Passages", "load_head", "save_head"]
