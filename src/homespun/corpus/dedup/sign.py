"""A document's keys: the hash of its text, and the bands of its MinHash signature. Each row by itself."""

import unicodedata
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from homespun.corpus.dedup.minhash import bands, shingles, signatures
from homespun.corpus.dedup.settings import Dedup, keys
from homespun.corpus.dedup.words import U64, joined, words
from homespun.corpus.documents import Batch
from homespun.errors import DataError

READ, HASHED = 1 << 16, 1 << 19
"""Characters whose words are found at a time, and whose signatures are: what is worked on stays in near caches."""
DIGEST = pa.binary(16)
_BLANKS = b" \t\n\r\v\f"
_WIDER_BLANKS = "\x85\xa0\u2028\u2029\u202f\u3000"


def schema(settings: Dedup) -> pa.Schema:
    """Of `sign`'s table."""
    kinds = {"exact": DIGEST}
    fields = [pa.field(key, kinds.get(key, pa.uint64())) for key in keys(settings)]
    if settings.minhash and settings.verify is not None:
        fields.append(pa.field("signature", pa.binary(settings.hashes * 4)))
    return pa.schema(fields)


def sign(batch: Batch, settings: Dedup) -> pa.Table:
    """Keys of each document.

    Args:
        batch: Documents; ``text`` is read, and ``lang`` where near copies are looked for by language.
        settings: Which keys, and how.

    Returns:
        A row for each document: ``exact`` (BLAKE2b of the text without white space, in Unicode's composed form);
        ``band_00`` and so on, null for documents with fewer words than a shingle; ``signature`` (the minima,
        little-endian, band after band) only where pairs are to be verified. A null text has no keys.

    Raises:
        DataError: a text is not UTF-8.
    """
    try:
        texts: list[str | None] = batch["text"].to_pylist()
    except UnicodeDecodeError as error:
        raise DataError(
            f"a text is not UTF-8 ({error.reason})", "column text", "reading it by homespun corpus"
        ) from error
    columns: dict[str, Any] = {}
    if settings.exact:
        columns["exact"] = pa.array([None if text is None else digest(text) for text in texts], DIGEST)
    if settings.minhash:
        columns |= _minhash([text or "" for text in texts], _salt(batch, settings), settings)
    return pa.table(columns, schema=schema(settings))


def digest(text: str) -> bytes:
    """16 bytes that stand for a text, whatever its white space and its composition of accents.

    BLAKE2b, since a text that someone else wrote must not be able to pass for another.
    """
    if text.isascii():
        return blake2b(text.encode().translate(None, _BLANKS), digest_size=16).digest()
    for blank in _WIDER_BLANKS:
        text = text.replace(blank, "")
    plain = unicodedata.normalize("NFC", text).encode().translate(None, _BLANKS)
    return blake2b(plain, digest_size=16).digest()


def _salt(batch: Batch, settings: Dedup) -> U64:
    """A number for each document's language, equal in every process; all 0 if languages are not kept apart."""
    if not settings.per_language:
        return np.zeros(len(batch), np.uint64)
    coded = batch["lang"].combine_chunks().dictionary_encode(null_encoding="encode")
    names = [b"\0" if name is None else str(name).encode() for name in coded.dictionary.to_pylist()]
    numbers = [int.from_bytes(blake2b(name, digest_size=8).digest(), "little") for name in names]
    return np.array(numbers, np.uint64)[coded.indices.to_numpy(zero_copy_only=False)]


def _minhash(texts: Sequence[str], salt: U64, settings: Dedup) -> dict[str, Any]:
    """Columns of bands, and of signatures if asked for."""
    count = len(texts)
    minima = np.zeros((settings.hashes, count), np.uint32)
    present = np.zeros(count, np.bool_)
    for start, stop in _blocks(texts, HASHED):
        block = texts[start:stop]
        read = [words(block[begin:end], settings.seed) for begin, end in _blocks(block, READ)]
        part = shingles(joined(read), settings.ngram, settings.seed)
        rows = start + part.rows
        present[rows] = True
        minima[:, rows] = signatures(part, settings.hashes, settings.seed)
    found = bands(minima, settings.rows, settings.seed, salt)
    null = ~present
    columns = {f"band_{band:02d}": pa.array(values, mask=null) for band, values in enumerate(found)}
    if settings.verify is not None:
        each = minima.T.astype("<u4")
        said = [row.tobytes() if there else None for row, there in zip(each, present, strict=True)]
        columns["signature"] = pa.array(said, pa.binary(settings.hashes * 4))
    return columns


def _blocks(texts: Sequence[str], most: int) -> Iterator[tuple[int, int]]:
    """Runs of texts of up to ``most`` characters; a longer text is alone."""
    start = characters = 0
    for at, text in enumerate(texts):
        if at > start and characters + len(text) > most:
            yield start, at
            start, characters = at, 0
        characters += len(text)
    if start < len(texts):
        yield start, len(texts)
