"""A small corpus of several kinds of files, with everything in it that a pipeline has to find."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homespun.corpus.dedup import Dedup
from homespun.corpus.filters.cut import Cut
from homespun.corpus.filters.language import Language
from homespun.corpus.filters.pii import Pii
from homespun.corpus.filters.sample import Sample
from homespun.corpus.plan import Corpus
from homespun.corpus.read.source import Limits, Source

STORY = (
    "the river runs slowly past old houses where people keep their boats and talk about the weather while children "
    "play near the water with small dogs that bark at every passing cart full of apples bread cheese and wine from "
    "villages behind the hills which nobody has ever painted although many have tried in spring summer autumn winter"
)
WORDS = STORY.split()


def text(rng: np.random.Generator, count: int = 80) -> str:
    """English words in no order."""
    return " ".join(WORDS[at] for at in rng.integers(0, len(WORDS), count))


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parquet, JSON lines and text: 240 documents and more."""
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(0)
    texts = [text(rng) for _ in range(150)]
    rows = [
        {"id": f"p{at}", "text": each, "url": f"https://site{at % 7}.example/{at}"} for at, each in enumerate(texts)
    ]
    pl.DataFrame(rows).write_parquet(folder / "a.parquet", row_group_size=40)
    lines = [{"id": f"j{at}", "text": text(rng)} for at in range(60)]
    lines += [{"id": "copy", "text": texts[3]}, {"id": "near", "text": texts[5].replace("river", "stream", 1)}]
    lines += [{"id": "mail", "text": text(rng) + " Write to ann.lee@mail.org or to 8.8.8.8 at once."}]
    lines += [{"id": "short", "text": "12345 67890 !!"}, {"id": "none"}]
    content = "\n".join(map(json.dumps, lines)) + "\nthis is no JSON\n"
    (folder / "b.jsonl").write_text(content)
    (folder / "c").mkdir()
    for at in range(20):
        (folder / "c" / f"{at:02d}.txt").write_text(text(rng, 120))
    return folder


@pytest.fixture
def recipe(inputs: Path) -> Callable[..., Corpus]:
    """The recipe over them, with changes."""

    def made(**changes: object) -> Corpus:
        settings: dict[str, object] = {
            "name": "small",
            "sources": (
                Source(name="table", paths=(inputs / "a.parquet",)),
                Source(name="lines", paths=(inputs / "b.jsonl",)),
                Source(name="files", paths=(inputs / "c",), columns=(("text", "text"),)),
            ),
            "gather": (Language(),),
            "dedup": Dedup(),
            "cuts": (Cut(column="quality", keep="highest", fraction=0.9),),
            "refine": (Sample(fraction=0.9), Pii()),
            "limits": Limits(slice_bytes=20_000, batch_documents=16),
        }
        return Corpus(**(settings | changes))  # type: ignore[arg-type]

    return made
