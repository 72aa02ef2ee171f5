"""Files into documents: WARC, WET, Parquet, JSON lines and plain text, however hostile they are."""

from homespun.corpus.read.settings import KINDS, MAPPED, Kind, Limits, Slice, Source, Split
from homespun.corpus.read.source import read, slices

__all__ = ["KINDS", "MAPPED", "Kind", "Limits", "Slice", "Source", "Split", "read", "slices"]
