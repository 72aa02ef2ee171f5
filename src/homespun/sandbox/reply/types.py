"""What reading a reply gives: a program, or the reason why there is none."""

from typing import Literal

from pydantic import Field

from homespun.records import Record

Language = Literal["python", "javascript", "typescript", "html", "c", "c++", "java", "go", "rust", "markdown"]
Environment = Literal["react", "vue", "core_web", "gradio", "streamlit", "pygame", "mermaid", "interpreter"]
Asked = Literal["auto", "react", "vue", "core_web", "gradio", "streamlit", "pygame", "mermaid", "interpreter"]
Variant = Literal["imports", "install"]
Kind = Literal["python", "npm"]
Source = Literal["import", "url", "comment", "install", "edit"]


class Dependency(Record):
    """One package that a program needs, from PyPI (``python``) or the npm registry (``npm``).

    A Python name is in PEP 503's form; ``version`` is as it was written: operators first for Python
    (``==1.26.4``), ``@`` first for npm (``@18.2.0``), ``latest`` where none was given. ``source`` is the
    strongest place that named it.
    """

    kind: Kind
    name: str
    version: str = "latest"
    extras: tuple[str, ...] = ()
    source: Source = "import"


class Dropped(Record):
    """Something in the reply that was left out, and why."""

    what: str
    why: str


class Taken(Record):
    """Which fenced block the program is: its number from 1, its first line from 1, its tag as written.

    Block 0 means that the text had no fence and is the program as a whole.
    """

    index: int = Field(ge=0)
    line: int = Field(ge=1)
    tag: str
    closed: bool = True


class Found(Record):
    """A program, told apart from the talk around it. Nothing in it has been executed."""

    code: str
    filename: str
    language: Language
    environment: Environment
    dependencies: tuple[Dependency, ...] = ()
    installs: tuple[str, ...] = ()
    reasons: dict[str, str] = Field(default_factory=dict[str, str])
    taken: Taken
    dropped: tuple[Dropped, ...] = ()


class NoProgram(Record):
    """The reply holds nothing that could be run, and why."""

    reason: str
    dropped: tuple[Dropped, ...] = ()
