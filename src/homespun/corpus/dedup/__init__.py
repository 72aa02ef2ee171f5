"""Which documents repeat others: the same text, or most of the same n-grams.

``sign`` gives every document its keys, row by row and shard by shard; ``pairs`` brings the documents of one key
together, the only step of a corpus in which documents meet; ``resolve`` joins the pairs of all keys into groups, and
says who leaves and which document stands for it.
"""

from homespun.corpus.dedup.pairs import pairs
from homespun.corpus.dedup.resolve import resolve
from homespun.corpus.dedup.settings import Dedup, keys
from homespun.corpus.dedup.sign import sign

__all__ = ["Dedup", "keys", "pairs", "resolve", "sign"]
