"""Groups of copies: connected components over the pairs of all keys, the earliest document staying for each.

As in FineWeb, being a copy passes on: if A repeats B by one key and B repeats C by another, the three are one group,
and A, the earliest, stays. Keys are joined one after the other into a forest of stars (document to keeper), so that no
more than two numbers per repeated document are held, however many keys found it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from homespun.corpus.dedup.pairs import PAIRS
from homespun.corpus.dedup.settings import Dedup, keys
from homespun.corpus.dedup.words import U64
from homespun.errors import ConfigError, DataError

LEAVING = pa.schema([("document", pa.uint64()), ("keeper", pa.uint64()), ("kind", pa.string()), ("copies", pa.int32())])
"""A document that leaves; the earliest of its group, which stays; "exact" if an earlier document has the same text,
else "near"; and how many documents the group has, those two among them."""


def resolve(pairs: Mapping[str, Path], settings: Dedup) -> pa.Table:
    """Who leaves, and who stays for them.

    Args:
        pairs: For each of `keys` the table of `homespun.corpus.dedup.pairs`.
        settings: As they were.

    Returns:
        Rows of `LEAVING`, sorted by document. Every keeper's group is told by each row that names it.

    Raises:
        ConfigError: the pairs of a key are missing.
        DataError: a table cannot be read.
    """
    missing = [key for key in keys(settings) if key not in pairs]
    if missing:
        raise ConfigError(f"no pairs of {', '.join(missing)}", "resolve", "pairs of every key")
    document = keeper = np.zeros(0, np.uint64)
    exact = np.zeros(0, np.uint64)
    for key in keys(settings):
        first, second = _read(pairs[key])
        if key == "exact":
            exact = second
        document, keeper = _joined(np.concatenate((document, second)), np.concatenate((keeper, first)))
    stars, size = np.unique(keeper, return_counts=True)
    copies = size[np.searchsorted(stars, keeper)] + 1
    kind = np.where(np.isin(document, exact), "exact", "near")
    columns = [pa.array(document), pa.array(keeper), pa.array(kind, pa.string()), pa.array(copies.astype(np.int32))]
    return pa.table(columns, schema=LEAVING)


def _joined(left: U64, right: U64) -> tuple[U64, U64]:
    """Every document of a component but its smallest, sorted, beside that."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(left):
        return left, right
    nodes, places = np.unique(np.concatenate((left, right)), return_inverse=True)
    ends: NDArray[np.int64] = places.reshape(2, -1)
    ones = np.ones(len(left), np.bool_)
    graph = coo_array((ones, (ends[0], ends[1])), shape=(len(nodes), len(nodes)))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    keeper = nodes[first][label]
    leaves = keeper != nodes
    return nodes[leaves], keeper[leaves]


def _read(path: Path) -> tuple[U64, U64]:
    try:
        table = pq.read_table(path, columns=PAIRS.names, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{error}", str(path), "finding the pairs again") from error
    return table["first"].to_numpy(), table["second"].to_numpy()
