"""`homespun corpus train-head`: labels in, a head out that scores documents, with what it is worth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from homespun.cli.output import Dry, Json, progress, say, show_json, show_plan, show_rows
from homespun.errors import ConfigError, DataError

if TYPE_CHECKING:
    from homespun.corpus.heads.embedder import Embedder
    from homespun.corpus.heads.training import Labels

COLUMNS = {"measure": "", "value": ".4f", "low": ".4f", "high": ".4f"}


def train_head(
    labels: Annotated[Path, Parameter(name="LABELS")],
    /,
    *,
    kind: Literal["quality", "toxicity"],
    out: Path,
    embedder: Literal["hashed", "minilm", "xlm-r"] = "hashed",
    encoder: Path | None = None,
    shape: Literal["published", "linear"] | None = None,
    threshold: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    licence: str = "",
    seed: int = 0,
    dry: Dry = False,
    as_json: Json = False,
) -> None:
    """Train the head that gives documents a quality or a toxicity, and measure it on labels it never saw.

    Args:
        labels: Table with text and label (1: good, or toxic), perhaps lang, and group (its rows stay together).
        kind: quality reads a document's first chunk, toxicity the worst of all.
        out: The head's file, say quality.npz.
        embedder: What it sees: hashed n-grams (any language, fast), minilm, or xlm-r as in Apertus.
        encoder: Folder of XLM-R as save_pretrained writes it, for xlm-r.
        shape: published (two layers) or linear; default: linear for hashed, published else.
        threshold: Thresholds to keep in the file, as de=0.9977.
        licence: SPDX expression of the labels, kept in the file.
        seed: Of the split and the training.
        dry: Only say what would be done.
        as_json: Print one JSON object.
    """
    from dataclasses import asdict

    from homespun.corpus.heads.head import save_head
    from homespun.corpus.heads.training import Training, train

    seen = _embedder(embedder, kind, encoder)
    training = Training(kind=kind, shape=shape or ("linear" if embedder == "hashed" else "published"), seed=seed)
    settled = dict(_threshold(text) for text in threshold)
    if dry:
        config = {"embedder": dict(seen.spec), "training": asdict(training), "thresholds": settled, "licence": licence}
        show_plan(config, {"labels": labels, "encoder": encoder})
        return
    if out.suffix != ".npz":
        raise ConfigError(f"unknown suffix {out.suffix!r}", "--out", "a name that ends in .npz")
    read = _labels(labels, licence)
    with progress("training") as advance:
        advance(0, 1)
        head = train(read, seen, training, settled)
        advance(1, 1)
    save_head(out, head)
    measures = {name: found.model_dump() for name, found in head.about.held_out.items()}
    if as_json:
        show_json({"head": str(out), "labels": len(read.texts), "held_out": measures, "training": head.about.training})
        return
    title = f"{len(read.texts):,} labels, measured on those held out, 95 % intervals"
    show_rows([{"measure": name, **found} for name, found in measures.items()], COLUMNS, title=title)
    say(f"head: {out}")


def _embedder(name: str, kind: str, encoder: Path | None) -> "Embedder":
    from homespun.corpus.heads.encoders import MiniLM, XlmR
    from homespun.corpus.heads.hashed import HashedNgrams

    if (name == "xlm-r") != (encoder is not None):
        raise ConfigError("xlm-r and --encoder go together", "--encoder", "the folder of XLM-R, for xlm-r alone")
    if name == "hashed":
        return HashedNgrams(lower=kind == "toxicity")
    return MiniLM() if encoder is None else XlmR(folder=encoder)


def _labels(path: Path, licence: str) -> "Labels":
    import numpy as np
    import polars as pl

    from homespun.corpus.heads.training import Labels
    from homespun.runs.tables import read_table, sha256

    table = read_table(path, {"text": "text", "label": "boolean"}, {"lang": "text", "group": "text"})
    langs: Any = table["lang"].drop_nulls().unique().sort().to_list() if "lang" in table.columns else []
    label = table["label"].cast(pl.Int64).to_numpy().astype(np.int64)
    groups = None
    if "group" in table.columns:
        if table["group"].null_count():
            raise DataError("some rows have no group", str(path), "a group for each row, or no such column")
        groups = table["group"].to_list()
    return Labels(table["text"].to_list(), label, tuple(langs), sha256(path), licence, groups)


def _threshold(text: str) -> tuple[str, float]:
    lang, found, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not found or not lang or not 0 <= value <= 1:
        raise ConfigError(f"cannot read {text!r}", "--threshold", "de=0.9977")
    return lang, value
