"""homespun.toml: what the gateway serves, from where, to whom. Read whole, checked whole, or refused with one line.

Secrets are not in it: a target names the environment variables that hold its keys. Without a file the gateway serves
what ships: ``local:smollm2`` and the recorded models.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from homespun.errors import ConfigError

AUTO = ("auto", "quality", "balanced", "economy")
"""``homespun/…`` names; ``auto`` is the dial set in the file."""
SHIPPED_STRONGEST = "recorded:gpt-4/ltm"
"""The best single pair of the recorded answers (docs/papers/emafusion.md)."""
Capability = Literal["tools", "json", "vision", "audio", "embeddings", "responses", "logprobs"]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\s\x00-\x1f\x7f]+$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Section(BaseModel):
    """Base: frozen, unknown settings are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Timeouts(Section):
    """Seconds that a call may take."""

    connect: Seconds = 5.0
    """Until the connection stands, TLS included."""
    first_token: Seconds = 30.0
    """Until the first byte of the answer."""
    idle: Seconds = 60.0
    """Between two chunks of a stream."""
    total: Seconds = 300.0
    """For everything: all attempts, pauses and fallbacks."""


class Retries(Section):
    """How a failing upstream is treated."""

    attempts: int = Field(default=3, ge=1, le=10)
    """Calls of one target at most, the first included."""
    base: Seconds = 0.25
    """Longest pause before the second attempt; doubles (full jitter)."""
    cap: Seconds = 8.0
    """Longest pause, unless ``Retry-After`` asks for more and the deadline allows it."""
    breaker_failures: int = Field(default=5, ge=1)
    """Failures in a row that open a target's breaker."""
    breaker_seconds: Seconds = 15.0
    """How long it stays open before one call may try."""
    key_seconds: Seconds = 300.0
    """How long a key that was refused (401, 403) is benched."""


class Price(Section):
    """Dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    """``None``: as input."""
    reasoning: float | None = Field(default=None, ge=0)
    """``None``: as output."""


class Target(Section):
    """One model at one place; what a route is made of."""

    name: Name
    """The id that clients and other settings use."""
    kind: Literal["openai", "local", "recorded", "scripted"] = "openai"
    url: str | None = None
    """Base URL up to and including ``/v1``; only for ``openai``."""
    model: str
    """The model's name there; ``smollm2``, ``gpt-4`` or a script for the other kinds."""
    strategy: str | None = None
    """Strategy whose recorded answers a ``recorded`` target gives."""
    arm: str | None = None
    """Name under which a fitted router knows this target; its name unless given."""
    key_env: tuple[str, ...] = ()
    """Environment variables that hold keys; several are used in turn."""
    price: Price | None = None
    """Unless given, the dated price table is asked for ``model``."""
    capabilities: frozenset[Capability] = frozenset({"tools", "json"})
    context: int = Field(default=128_000, ge=1)
    """Tokens of prompt and answer together."""
    max_output: int = Field(default=4096, ge=1)
    """Tokens that are asked for at most where a budget needs a bound and the client sets none."""
    fallbacks: tuple[Name, ...] = ()
    """Targets to call instead, in order, when this one fails."""
    private: bool = False
    """Whether the URL may lead to a private or loopback address."""
    ca_file: Path | None = None
    """Certificate authority to trust beside the system's."""
    timeouts: Timeouts | None = None
    headers: dict[str, str] = {}
    """Sent with every call; no secrets, which belong in the environment."""

    @field_validator("key_env", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        if self.name.startswith("homespun/"):
            raise ValueError(f"target {self.name!r}: names that start with homespun/ are taken")
        if self.kind == "openai" and not re.match(r"https?://[^\s/@?#]+(:\d+)?(/[^\s?#]*)?$", self.url or ""):
            raise ValueError(f"target {self.name!r}: url must be http(s)://host[:port]/v1, without password or query")
        if self.kind != "openai" and (self.url or self.key_env):
            raise ValueError(f"target {self.name!r}: url and key_env belong to kind 'openai'")
        if self.kind == "recorded" and not self.strategy:
            raise ValueError(f"target {self.name!r}: a recorded target needs a strategy")
        return self

    @property
    def arm_name(self) -> str:
        """Name of the router's arm."""
        return self.arm or self.name


class Server(Section):
    """Where and how it listens."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    workers: int = Field(default=1, ge=1, le=64)
    database: str = "sqlite:///.homespun/homespun.db"
    """SQLAlchemy URL: SQLite or PostgreSQL. A password belongs in ``database_env``."""
    database_env: str | None = None
    """Environment variable that holds the URL instead."""
    state: Path = Path(".homespun")
    """Folder of journals and fitted routers."""
    max_body: int = Field(default=8 * 2**20, ge=1024)
    """Bytes of a request."""
    max_depth: int = Field(default=64, ge=4, le=200)
    """Nesting of a request's JSON."""
    max_waiting: int = Field(default=2000, ge=1)
    """Requests at work per worker; more are answered 503."""
    drain: Seconds = 30.0
    """Seconds that running requests get after a stop is asked for."""


class Auto(Section):
    """The models ``homespun/…``."""

    tiers: tuple[Name, ...] = ()
    """Targets among which to choose; empty: all that speak chat."""
    router: Path | None = None
    """Folder of a fitted router (`homespun route fit`); none: cheap before dear, judged."""
    mode: Literal["single", "cascade", "fuse"] = "cascade"
    dial: Literal["quality", "balanced", "economy"] = "balanced"
    """What ``homespun/auto`` means."""
    strongest: Name | None = None
    """Target that savings are told against; unless given, the tier with the dearest tokens."""
    verifier: Name | None = None
    """Target that judges answers (J4); best from another family than the tiers."""
    samples: int = Field(default=0, ge=0, le=8)
    """Extra samples of a cheap tier for agreement (J2); 0: none."""
    accept: float = Field(default=0.7, ge=0, le=1)
    """Confidence that accepts an answer where no threshold was fitted."""
    max_tiers: int = Field(default=3, ge=1, le=5)
    stream_below: float = Field(default=0.05, ge=0, le=1)
    """A cascade streams its first tier only where the chance of going on is below this; else it is buffered."""
    delta: float = Field(default=0.03, ge=0)
    """Utility that another arm must gain before a conversation changes its arm."""
    safety_sensitive: bool = False
    """Never explore."""


class Cache(Section):
    """Answers that are kept."""

    exact: bool = False
    ttl: Seconds = 3600.0
    semantic: float | None = Field(default=None, gt=0, le=1)
    """Least cosine similarity for a hit; none: off."""
    scope: Literal["key", "team", "all"] = "key"
    max_bytes: int = Field(default=2**20, ge=1024)
    """Bytes of one answer."""


class Learning(Section):
    """The loop that improves the router; see docs/guide/learning.md."""

    enabled: bool = False
    keep_prompts: bool = False
    """Keep the text of routed prompts, so that the predictor can be fitted anew; off: only numbers are kept."""
    shadow: float = Field(default=0.0, ge=0, le=0.1)
    """Share of routed requests that are asked of another tier and the strongest as well."""
    shadow_dollars: float = Field(default=1.0, ge=0)
    """Most dollars a day for shadow traffic."""
    explore: float = Field(default=0.05, ge=0, le=0.2)
    """ε: Thompson sampling among arms within this of the best expected quality."""
    every: int = Field(default=500, ge=50)
    """New labels between two refits."""
    canary: float = Field(default=0.05, gt=0, le=0.5)
    """Share of traffic that a promoted router gets at first."""
    canary_labels: int = Field(default=100, ge=10)
    """Labels on the canary before it is judged."""


class Telemetry(Section):
    """What is told to whom."""

    otlp: str | None = None
    """Endpoint of an OpenTelemetry collector, ``http://host:4318``."""
    content: bool = False
    """Log prompts and answers. Off unless asked for."""


class GatewayConfig(Section):
    """The whole file."""

    server: Server = Server()
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    target: tuple[Target, ...] = ()
    alias: dict[Name, Name] = {}
    auto: Auto = Auto()
    cache: Cache = Cache()
    learning: Learning = Learning()
    telemetry: Telemetry = Telemetry()
    arena: dict[str, Any] = {}
    """The battle room's section, which checks it itself (`homespun.serve.battle_room.config`)."""

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [target.name for target in self.target]
        for name in {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two targets are called {name!r}")
        for alias in self.alias:
            if alias in names or alias.startswith("homespun/"):
                raise ValueError(f"alias {alias!r} is the name of a model")
        self._refer("alias", self.alias.values(), names)
        self._refer("auto.tiers", self.auto.tiers, names)
        for setting in ("verifier", "strongest"):
            name = getattr(self.auto, setting)
            self._refer(f"auto.{setting}", [name] if name else [], names)
        for target in self.target:
            self._refer(f"target {target.name!r}, fallbacks", target.fallbacks, names)
        return self

    @staticmethod
    def _refer(where: str, used: Any, names: Sequence[str]) -> None:
        for name in used:
            if name not in names:
                close = difflib.get_close_matches(name, names, n=3) or list(names[:5])
                raise ValueError(f"{where}: no target is called {name!r}; there are {', '.join(close) or 'none'}")

    def find(self, name: str) -> Target:
        """The target of that name or alias.

        Raises:
            ConfigError: there is none.
        """
        wanted = self.alias.get(name, name)
        for target in self.target:
            if target.name == wanted:
                return target
        close = difflib.get_close_matches(name, [t.name for t in self.target], n=3)
        raise ConfigError(f"no model {name[:80]!r}", "targets", ", ".join(close) or "GET /v1/models")

    def tiers(self) -> tuple[Target, ...]:
        """Targets of the ``homespun/…`` models, in the order of the file."""
        chosen = self.auto.tiers or tuple(t.name for t in self.target if "embeddings" not in t.capabilities)
        return tuple(self.find(name) for name in chosen)

    def database_url(self) -> str:
        """The URL of the database, from the environment where the file says so.

        Raises:
            ConfigError: the variable is not set.
        """
        if self.server.database_env is None:
            return self.server.database
        if not (url := os.environ.get(self.server.database_env)):
            raise ConfigError("is not set", f"${self.server.database_env}", "a database URL in it")
        return url


def built_in() -> tuple[Target, ...]:
    """The targets that need no key and no network: the small local model, and every recorded (model, strategy)."""
    from homespun.models.recorded import EXEMPLAR_TOKENS, RECORDED_MODELS

    local = Target(
        name="local:smollm2", kind="local", model="smollm2", capabilities=frozenset(), context=4096, max_output=512,
        price=Price(input=0, output=0),
    )  # fmt: skip
    recorded = [
        Target(
            name=f"recorded:{model}/{strategy}", kind="recorded", model=model, strategy=strategy,
            arm=f"{model}/{strategy}", capabilities=frozenset(), context=8192,
        )
        for model in RECORDED_MODELS
        for strategy in EXEMPLAR_TOKENS
    ]  # fmt: skip
    return (local, *recorded)


def load(path: Path | None = None) -> GatewayConfig:
    """Reads and checks a file; without one, ``homespun.toml`` here if there is one, else what ships.

    Raises:
        ConfigError: the file is not there, no TOML, or says something wrong; one line with the place of it.
    """
    return parse(*read_file(path, "homespun serve"))


def read_file(path: Path | None, command: str) -> tuple[dict[str, Any], str]:
    """What a file says, unchecked, and how it is called; without one, that of ``homespun.toml`` here, or nothing.

    Args:
        path: The file.
        command: What reads it, for the hint.

    Raises:
        ConfigError: the file is not there, or no TOML.
    """
    if path is None:
        here = Path("homespun.toml")
        if not here.is_file():
            return {}, str(here)
        path = here
    try:
        return tomllib.loads(path.read_text()), str(path)
    except OSError as error:
        raise ConfigError(error.strerror or "cannot be read", str(path), f"{command} --config FILE") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"no TOML: {error}", str(path), "toml.io tells how it is written") from None


def parse(content: dict[str, Any], where: str = "homespun.toml") -> GatewayConfig:
    """Checks what a file says. A file without targets gets those that ship.

    Raises:
        ConfigError: something is wrong; the first fault, in one line.
    """
    try:
        config = GatewayConfig.model_validate(content if content.get("target") else _completed(content))
    except ValidationError as error:
        raise fault(error, where, "docs/guide/gateway.md") from None
    return config


def fault(error: ValidationError, where: str, guide: str) -> ConfigError:
    """The first of the faults in a file, in one line, and how many more there are.

    Args:
        error: All of them.
        where: The file.
        guide: Page of the docs that tells what may stand there.
    """
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        what = f"unknown setting {place.rpartition('.')[2]!r}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return ConfigError(f"{what}{more}", f"{where}: {place}" if place else where, guide)


def _completed(content: dict[str, Any]) -> dict[str, Any]:
    """Settings without targets, with those that ship."""
    auto = content.get("auto", {})
    if isinstance(auto, dict):
        auto = {"strongest": SHIPPED_STRONGEST, **auto}
    return content | {"target": [target.model_dump() for target in built_in()], "auto": auto}
