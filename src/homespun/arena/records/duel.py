"""What all published shapes tell of: one session, its sides, their programs as they ran, and the vote.

Every shape is a pair of functions, to it and from it; reading what was written gives the same duel back, up to what the
shape has no place for (each module says what). Rows come from outside: whatever is in them is checked.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, cast

from pydantic import Field, ValidationError

from homespun.errors import DataError
from homespun.records import Record

Mode = Literal["battle", "named", "direct"]
Winner = Literal["a", "b", "tie", "both_bad"]
ASPECTS = ("correctness", "efficiency", "explainability", "maintainability", "ui_ux_design")
Row = dict[str, Any]


class Message(Record):
    """One turn's half."""

    role: Literal["user", "assistant"]
    text: str
    started: float | None = None
    ended: float | None = None
    """When a reply was generated."""


class Interaction(Record):
    """What a user did in a running app."""

    time: float
    type: str
    payload: dict[str, Any] = Field(default_factory=dict[str, Any])


class Run(Record):
    """One run of one program."""

    turn: int = Field(default=1, ge=0)
    number: int = Field(default=1, ge=0)
    """Which run of its side it was."""
    edit: int = Field(default=0, ge=0)
    """0: the model's own program."""
    environment: str | None = None
    language: str | None = None
    code: str = ""
    python: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    """Packages, with their versions as they were given."""
    stdout: str = ""
    stderr: str = ""
    ok: bool | None = None
    screenshot: str | None = None
    """PNG in base64."""
    interactions: tuple[Interaction, ...] = ()


class Side(Record):
    """One model's part."""

    model: str
    conversation: str
    messages: tuple[Message, ...] = ()
    runs: tuple[Run, ...] = ()


class Judgement(Record):
    """A vote."""

    winner: Winner
    time: float | None = None
    aspects: dict[str, Winner] = Field(default_factory=dict[str, Winner])
    reason: str | None = None
    voter: str | None = None
    id: str | None = None
    void: bool = False
    topic: str | None = None
    natural_language: str | None = None
    propensity: float | None = None
    covariates: dict[str, float | None] = Field(default_factory=dict[str, float | None])


class Duel(Record):
    """One session."""

    session: str
    mode: Mode = "battle"
    created: float = 0.0
    environment: str = "auto"
    """As asked for."""
    system_prompt: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    a: Side
    b: Side | None = None
    vote: Judgement | None = None

    @property
    def instruction(self) -> str:
        """What the user asked for, all turns."""
        sides = [side for side in (self.a, self.b) if side is not None]
        longest = max(sides, key=lambda side: sum(message.role == "user" for message in side.messages))
        return "\n\n".join(message.text for message in longest.messages if message.role == "user")

    def side(self, name: str) -> Side:
        """Side ``a`` or ``b``.

        Raises:
            DataError: direct chat has no second side.
        """
        found = self.a if name == "a" else self.b
        if found is None:
            raise DataError("has one side only", f"session {self.session[:60]}", "battles only")
        return found


MODES: dict[Mode, str] = {"battle": "battle_anony", "named": "battle_named", "direct": "direct"}
ENVIRONMENTS = {
    "auto": "Auto", "react": "React", "vue": "Vue", "core_web": "HTML", "gradio": "Gradio", "streamlit": "Streamlit",
    "pygame": "PyGame", "mermaid": "Mermaid",
}  # fmt: skip
RUNNERS = {
    "python": "Python Runner", "javascript": "Javascript Runner", "c": "C Runner", "c++": "C++ Runner",
    "java": "Java Runner", "go": "Golang Runner", "rust": "Rust Runner", "typescript": "Javascript Runner",
}  # fmt: skip
_OURS = {their.lower(): our for our, their in ENVIRONMENTS.items()}
_LANGUAGES = {
    "cpp": "c++",
    "golang": "go",
    "js": "javascript",
    "ts": "typescript",
    "py": "python",
    "mermaid": "markdown",
}
_WINNERS: dict[str, Winner] = {
    "vote_model_a": "a", "vote_left": "a", "leftvote": "a", "left": "a", "model_a": "a", "a": "a",
    "vote_model_b": "b", "vote_right": "b", "rightvote": "b", "right": "b", "model_b": "b", "b": "b",
    "vote_tie": "tie", "tievote": "tie", "tie": "tie",
    "vote_both_bad": "both_bad", "bothbad_vote": "both_bad", "both_bad": "both_bad", "bothbad": "both_bad",
}  # fmt: skip


def winner_of(text: object) -> Winner | None:
    """A vote in any of the published words."""
    return _WINNERS.get(text.lower()) if isinstance(text, str) else None


def their_environment(environment: str | None, language: str | None) -> str | None:
    """The name that BigCodeArena's code gives an environment; its interpreter is one runner for each language."""
    if environment == "interpreter":
        return RUNNERS.get(language or "python", "Python Runner")
    return ENVIRONMENTS.get(environment, environment) if environment is not None else None


def our_environment(name: object) -> str | None:
    """The reverse."""
    if not isinstance(name, str) or not name:
        return None
    if name.lower().endswith(("runner", "interpreter")):
        return "interpreter"
    return _OURS.get(name.lower(), name)


def our_language(name: object) -> str | None:
    """A programming language in our words."""
    return _LANGUAGES.get(name.lower(), name.lower()) if isinstance(name, str) and name else None


def iso(seconds: float) -> str:
    """A time as ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def seconds(value: object) -> float:
    """A time in ISO 8601 or seconds; 0 where it is none."""
    try:
        if isinstance(value, int | float):
            return float(value)
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return 0.0
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp(), 6)


def mapping(value: object) -> Row:
    """A JSON object, or an empty one."""
    return cast("Row", value) if isinstance(value, dict) else {}


def listing(value: object) -> list[Any]:
    """A JSON array, or an empty one."""
    return list(cast("list[Any]", value)) if isinstance(value, list | tuple) else []


def text(value: object) -> str:
    """A text, or an empty one."""
    return value if isinstance(value, str) else ""


def number(value: object, default: int = 0) -> int:
    """A whole number that isn't negative, or the default."""
    return max(0, int(value)) if isinstance(value, int | float) and value == value else default


def build(where: str, fields: Mapping[str, Any]) -> Duel:
    """A duel of a row's parts.

    Raises:
        DataError: it is none; the text names the field.
    """
    try:
        return Duel.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{place}: {first['msg']}", where, "a row in the shape of its format") from None
