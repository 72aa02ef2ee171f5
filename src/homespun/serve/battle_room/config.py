"""The section ``[arena]`` of homespun.toml: who takes part, what a session may use, where programs' pages live.

Targets, prices, keys and the database are those of the gateway's sections in the same file. Without a file the
contestants that ship take part.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from homespun.records import Sampling
from homespun.serve.gateway import config as gateway
from homespun.serve.gateway.config import GatewayConfig, Name, Seconds, Section

Origin = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+$", max_length=200)]


class Model(Section):
    """One contestant: a target, and what is told about it."""

    name: Name
    """Name of a target."""
    title: str | None = Field(default=None, max_length=100)
    """Name for people; unless given, the target's."""
    organization: str = Field(default="", max_length=100)
    licence: str = Field(default="", max_length=100)
    weight: float = Field(default=1.0, ge=0, le=1000)
    """How often it is drawn, beside the others; 0: only in named battles and direct chat."""
    newcomer: bool | None = None
    """Whether it is drawn more often; unless given, until it has ``enough`` votes."""


class Limits(Section):
    """What one session, and what all of them, may use."""

    turns: int = Field(default=50, ge=1, le=1000)
    characters_direct: int = Field(default=20_000, ge=100, le=200_000)
    """Characters of one turn in direct chat."""
    characters_battle: int = Field(default=30_000, ge=100, le=200_000)
    """Characters of one turn in battles."""
    code: int = Field(default=120_000, ge=1000, le=200_000)
    """Characters of an edited program."""
    reply: int = Field(default=120_000, ge=1000, le=500_000)
    """Characters of an answer; a longer one is cut there."""
    jobs: int = Field(default=2, ge=1, le=64)
    """Programs that are built or started at once."""
    apps: int = Field(default=12, ge=1, le=500)
    """Apps that are kept open at once; the longest unused is closed."""
    rooms: int = Field(default=2000, ge=1)
    """Sessions in memory at once."""
    generation_seconds: Seconds = 300.0
    """For one answer."""
    run_seconds: Seconds = 240.0
    """For one program, from its turn in the queue until it has ended or its app answers."""
    idle_seconds: Seconds = 600.0
    """How long an app stays open after anybody last looked."""
    interactions: int = Field(default=5000, ge=0)
    """Records of clicks, keys and the like that are kept of one run."""


class Arena(Section):
    """The whole section."""

    model: tuple[Model, ...] = ()
    """Contestants from the targets of this file."""
    shipped: bool = True
    """Whether those that ship take part too."""
    never_meet: tuple[tuple[Name, Name], ...] = ()
    outage: tuple[Name, ...] = ()
    """Contestants that are not drawn at the moment."""
    pairing: Literal["weights", "active"] = "weights"
    """``active``: most draws are the pair whose vote tells most."""
    boost: float = Field(default=2.0, gt=0, le=100)
    """Factor on the weight of a newcomer."""
    enough: int = Field(default=100, ge=0)
    """Votes from which a model is no newcomer any more."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    top_p: float = Field(default=0.95, gt=0, le=1)
    max_tokens: int = Field(default=8192, ge=1, le=32_768)
    jail: Literal["bubblewrap", "gvisor"] = "bubblewrap"
    warm: bool = True
    """Keep a jail waiting for each kind of app, so that Gradio and Streamlit start at once; half a gigabyte."""
    looks: tuple[Seconds | Literal[0], ...] = Field(default=(0, 2.0, 5.0), min_length=1, max_length=10)
    """Seconds after a page has loaded at which our own browser takes its picture; nobody waits for it."""
    apps_pattern: str = "http://{run}.localhost:{port}"
    """Origin of a run's page; one for each run, and none of them the room's own."""
    origins: tuple[Origin, ...] = ()
    """Addresses at which people reach the room, beside the one it listens at."""
    forwarded: bool = False
    """Whether a proxy in front tells the client's address in ``X-Forwarded-For``, and strips it from clients."""
    limits: Limits = Limits()

    @field_validator("apps_pattern")
    @classmethod
    def _one_origin_each(cls, value: str) -> str:
        if not re.fullmatch(r"https?://\{run\}\.[A-Za-z0-9.\-]+(:(\{port\}|\d+))?", value):
            raise ValueError("apps_pattern must be http(s)://{run}.host or http(s)://{run}.host:{port}")
        return value

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [model.name for model in self.model]
        for name in {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two contestants are called {name!r}")
        return self

    @property
    def sampling(self) -> Sampling:
        """How contestants answer unless the session says otherwise."""
        return Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)


class ArenaConfig(Section):
    """What the battle room reads of the file."""

    arena: Arena = Arena()
    gateway: GatewayConfig

    @model_validator(mode="after")
    def _targets_exist(self) -> Self:
        targets = {target.name for target in self.gateway.target}
        for model in self.arena.model:
            if model.name not in targets:
                raise ValueError(f"arena.model: no target is called {model.name!r}")
        return self


def load(path: Path | None = None) -> ArenaConfig:
    """Reads and checks a file; without one, ``homespun.toml`` here if there is one, else what ships.

    Raises:
        ConfigError: the file is not there, no TOML, or says something wrong; one line with the place of it.
    """
    return parse(*gateway.read_file(path, "homespun arena"))


def parse(content: dict[str, Any], where: str = "homespun.toml") -> ArenaConfig:
    """Checks what a file says.

    Raises:
        ConfigError: something is wrong; the first fault, in one line.
    """
    rest = {name: value for name, value in content.items() if name != "arena"}
    served = gateway.parse(rest, where)
    try:
        return ArenaConfig.model_validate({"arena": content.get("arena", {}), "gateway": served})
    except ValidationError as error:
        raise gateway.fault(error, where, "docs/guide/arena.md") from None
