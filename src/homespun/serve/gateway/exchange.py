"""One request while it is at work: who asked for what, what was called, and the row that it leaves on the books."""

import hashlib
import time
from typing import Any

import orjson
from sqlalchemy import Connection, select

from homespun.errors import ConfigError
from homespun.serve.gateway import http, schema
from homespun.serve.gateway.chunks import Assembler, replay
from homespun.serve.gateway.endpoints import Endpoint, Writer
from homespun.serve.gateway.gateway import Gateway
from homespun.serve.gateway.http import Pairs, Receive, Scope
from homespun.serve.gateway.kept import Place
from homespun.serve.gateway.routes import Ask
from homespun.serve.gateway.types import NANO, Attempt, Event, GatewayError, Reply, Routed, Usage, new_id
from homespun.serve.store.books import Hold
from homespun.serve.store.keys import Key
from homespun.serve.store.tables import requests

Body = dict[str, Any]


class Exchange:
    """The state of one request. Settled exactly once; what comes after that changes nothing."""

    __slots__ = (
        "ask",
        "attempts",
        "body",
        "budget",
        "cache",
        "claimed",
        "conversation",
        "dial",
        "endpoint",
        "first_byte",
        "gateway",
        "heard",
        "hold",
        "id",
        "key",
        "name",
        "nanodollars",
        "place",
        "problem",
        "routed",
        "sent",
        "settled",
        "started",
        "started_sending",
        "stream",
        "target",
        "time",
        "upstream_body",
        "writer",
    )

    def __init__(self, gateway: Gateway, endpoint: Endpoint) -> None:
        self.gateway, self.endpoint = gateway, endpoint
        self.id, self.time, self.started = new_id("req"), time.time(), time.perf_counter()
        self.key: Key | None = None
        self.name = ""
        self.body: Body = {}
        self.upstream_body: Body = {}
        self.problem: dict[str, str] | None = None
        self.stream = False
        self.dial: str | None = None
        self.target = ""
        self.conversation: str | None = None
        self.hold: Hold | None = None
        self.budget: int | None = None
        self.attempts: list[Attempt] = []
        self.routed: Routed | None = None
        self.ask: Ask | None = None
        self.place: Place | None = None
        self.cache: str | None = None
        self.claimed: str | None = None
        self.sent: list[bytes] | None = None
        self.heard: Assembler | None = None
        self.first_byte: float | None = None
        self.settled = self.started_sending = False
        self.nanodollars = 0
        self.writer: Writer

    # --- what goes back -----------------------------------------------------------------------------------------

    def identity(self) -> Pairs:
        """The header by which a request is found again."""
        return [(b"x-request-id", self.id.encode())]

    def headers(self) -> Pairs:
        """What the client is told of how its answer came about."""
        pairs = self.identity()
        if self.cache is not None:
            pairs.append((b"x-homespun-cache", self.cache.encode()))
        routed = self.routed
        if routed is None:
            return pairs
        pairs.append((b"x-homespun-model", _latin(routed.reply.target)))
        pairs.append((b"x-homespun-route", routed.route.encode()))
        pairs.append((b"x-homespun-tiers", _latin(",".join(routed.tiers))))
        if routed.confidence is not None:
            pairs.append((b"x-homespun-confidence", f"{routed.confidence:.4f}".encode()))
        if routed.low_confidence:
            pairs.append((b"x-homespun-low-confidence", b"true"))
        if self.settled:
            pairs.append((b"x-homespun-cost", f"{self.nanodollars / NANO:.9f}".encode()))
        return pairs

    def hear(self, event: Event) -> None:
        """Notes one event of the answer, where somebody will want to know the whole."""
        if self.heard is not None:
            self.heard.feed(event.json)

    def note(self, data: bytes) -> bytes:
        """Notes bytes that are sent, where a repeated request may want them; returns them."""
        if self.sent is not None:
            self.sent.append(data)
        return data

    # --- the books ----------------------------------------------------------------------------------------------

    def settle(self, status: int, outcome: str, error: str | None = None) -> None:
        """Puts the request on the books with all that was called for it; only the first call counts."""
        if self.settled or self.hold is None:
            return
        self.settled = True
        self.nanodollars = sum(attempt.nanodollars for attempt in self.attempts)
        row = self._row(status, outcome, error)
        routed = self.routed
        decision = None if routed is None or routed.record is None else routed.record
        if decision is not None:
            decision = {"request_id": self.id, "time": self.time, **decision}
        self.gateway.books.settle(self.hold, row, self.attempts, decision)
        self.gateway.telemetry.request(row, self.attempts)
        if routed is not None and self.ask is not None:
            self.gateway.learner.after(row, routed, self._text(), self.ask)

    def _text(self) -> str:
        assert self.routed is not None
        body = self.routed.reply.body
        if body is None:
            return "" if self.heard is None else self.heard.text
        return body["choices"][0]["message"].get("content") or ""

    def _row(self, status: int, outcome: str, error: str | None) -> Body:
        routed, now = self.routed, time.perf_counter()
        used = _sum([attempt.usage for attempt in self.attempts])
        return {
            "id": self.id,
            "time": self.time,
            "worker": self.gateway.worker,
            "key_id": None if self.key is None else self.key.id,
            "team": None if self.key is None else self.key.team,
            "endpoint": self.endpoint.name,
            "model": self.name,
            "target": None if routed is None else routed.reply.target,
            "route": "none" if routed is None else routed.route,
            "tiers": list(dict.fromkeys(attempt.target for attempt in self.attempts)),
            "confidence": None if routed is None else routed.confidence,
            "stream": self.stream,
            "status": status,
            "outcome": outcome,
            "error": error,
            "cache": self.cache,
            "input_tokens": used.input,
            "cached_tokens": used.cached,
            "output_tokens": used.output,
            "estimated": used.estimated,
            "nanodollars": self.nanodollars,
            "reference_nanodollars": None if routed is None else self.gateway.reference(routed, self.upstream_body),
            "seconds": now - self.started,
            "first_byte_seconds": None if self.first_byte is None else self.first_byte - self.started,
            "conversation": self.conversation,
            "router": None if routed is None else routed.router,
        }

    async def release(self) -> None:
        """Gives an unused claim back, so that the same request may be tried again."""
        if self.claimed is not None:
            await self.gateway.kept.fulfil(self.claimed, self.key, None)

    # --- kept answers -------------------------------------------------------------------------------------------

    async def recall(self) -> bool:
        """Whether a kept answer serves; it is then the routed reply."""
        if self.place is None:
            return False
        found = await self.gateway.kept.find(self.place)
        if found is None:
            self.cache = "miss"
            return False
        self.cache = found.how
        body = orjson.loads(found.body)
        usage = bool((self.body.get("stream_options") or {}).get("include_usage"))
        attempt = Attempt(target=found.target or "", purpose="answer", time=self.time, outcome="ok")
        events = replay(body, usage=usage) if self.stream else None
        reply = Reply(found.target or "", attempt, body=body, raw=found.body, events=events)
        self.routed = Routed(reply, "cache", [])
        return True

    async def keep(self, sent: bytes) -> None:
        """Keeps what may be asked for again: the answer in the cache, the bytes under the idempotency key."""
        routed, kept = self.routed, self.gateway.kept
        if self.place is not None and routed is not None and self.cache == "miss" and not routed.low_confidence:
            body = routed.reply.body if self.heard is None else self.heard.body
            await kept.keep(self.place, routed.reply.target, orjson.dumps(body))
        if self.claimed is not None:
            claimed, self.claimed = self.claimed, None
            await kept.fulfil(claimed, self.key, sent)

    async def previous(self) -> str | None:
        """The arm that answered the conversation's last turn."""
        turns = self.upstream_body["messages"]
        if self.conversation is None or not any(turn.get("role") == "assistant" for turn in turns):
            return None
        target = self.gateway.conversations.get(self.conversation)
        if target is None:  # another worker may have answered
            query = (
                select(requests.c.target)
                .where(requests.c.conversation == self.conversation, requests.c.target.is_not(None))
                .order_by(requests.c.time.desc())
                .limit(1)
            )

            def last(connection: Connection) -> str | None:
                return connection.execute(query).scalar()

            target = await self.gateway.database.run(last)
        try:
            return None if target is None else self.gateway.config.find(target).arm_name
        except ConfigError:  # a target that is no longer configured
            return None


async def admit(x: Exchange, scope: Scope, receive: Receive) -> bytes | None:
    """Checks a request and sets aside what it may cost.

    Returns:
        The bytes of the answer, if its idempotency key already got one.

    Raises:
        GatewayError: whatever is wrong with it; nothing was spent.
    """
    gateway, config = x.gateway, x.gateway.config
    x.key = gateway.authenticate(scope)
    if gateway.at_work > config.server.max_waiting:
        raise GatewayError(503, "The gateway is busy.", kind="server_error", code="overloaded", retry_after=1)
    raw = await http.read_body(scope, receive, config.server.max_body)
    schema.depth(raw, config.server.max_depth)
    x.body = body = http.parse(raw)
    x.endpoint.check(body)
    x.name, x.stream = body["model"], bool(body.get("stream"))
    _resolve(x)
    x.upstream_body = x.endpoint.translate(body)
    x.writer = x.endpoint.writer(body)
    x.problem = _problem(x.upstream_body.get("metadata"))
    if (claim := http.header(scope, b"idempotency-key")) is not None:
        if (done := await gateway.kept.claim(claim, x.key, raw, config.timeouts.total)) is not None:
            return done
        x.claimed, x.sent = claim, []
    if x.endpoint.path != "/responses":  # one may rest on what its server remembers
        asked = http.header(scope, b"x-homespun-cache")
        x.place = gateway.kept.place(x.endpoint.name, x.name, x.upstream_body, x.key, asked)
    if x.stream and (x.dial is not None or x.place is not None):
        x.heard = Assembler()
    if x.dial is not None:
        x.conversation = http.header(scope, b"x-homespun-conversation") or _conversation(x)
    await _reserve(x)
    return None


def _resolve(x: Exchange) -> None:
    found = x.gateway.resolve(x.name, x.key)
    if isinstance(found, str):
        x.dial = found
    else:
        x.target = found.name
        if x.endpoint.needs is None or x.endpoint.needs in found.capabilities:
            return
    if x.endpoint.otherwise is not None:
        x.endpoint = x.endpoint.otherwise
    if x.endpoint.needs is not None:
        known = {model["id"] for model in x.gateway.models(x.key)}
        able = [t.name for t in x.gateway.config.target if x.endpoint.needs in t.capabilities and t.name in known]
        what = f"{x.name[:80]!r} does not serve {x.endpoint.name}; ask {', '.join(able) or 'nobody: no target does'}."
        raise GatewayError(400, what, code="model_not_able", param="model")


def _problem(metadata: object) -> dict[str, str] | None:
    if isinstance(metadata, dict) and isinstance(metadata.get("task"), str) and isinstance(metadata.get("id"), str):
        return {"task": metadata["task"], "id": metadata["id"]}
    return None


async def _reserve(x: Exchange) -> None:
    """Sets aside the most that the request can cost; under a limit, an answer without a bound is given one."""
    books, fleet = x.gateway.books, x.gateway.fleet
    limited = books.limited(x.key)
    if x.dial is not None:
        x.ask = _ask_of(x)
        tokens, nanodollars = x.gateway.switchboard.bound(x.ask)
        hold = books.try_reserve(x.key, tokens=tokens, nanodollars=nanodollars)
    else:
        if limited:
            x.upstream_body = fleet.bounded(x.target, x.upstream_body)
        tokens, nanodollars = fleet.bound(x.target, x.upstream_body)
        # Twice as much where it is to be had, so that an answer which was paid for and useless can be asked for again.
        hold = books.try_reserve(x.key, tokens=2 * tokens, nanodollars=2 * nanodollars) if limited else None
        if hold is not None:
            nanodollars *= 2
        else:
            hold = books.try_reserve(x.key, tokens=tokens, nanodollars=nanodollars)
    x.hold = hold or await books.reserve(x.key, tokens=tokens, nanodollars=nanodollars)
    x.budget = nanodollars if limited else None
    books.begin(x.hold, x.id, x.time, {"endpoint": x.endpoint.name, "model": x.name, "stream": x.stream})


def _ask_of(x: Exchange) -> Ask:
    return Ask(
        request_id=x.id,
        body=x.upstream_body,
        stream=x.stream,
        dial=x.dial or "",
        deadline=time.monotonic() + x.gateway.config.timeouts.total,
        key_id=x.key.id if x.key else None,
        conversation=x.conversation,
        previous=None,
        budget=None,
        problem=x.problem,
    )


def _conversation(x: Exchange) -> str | None:
    """What a conversation begins with names it: the first two messages, up to the first of the user, and who asks."""
    opening: list[Any] = []
    for message in x.upstream_body["messages"]:
        opening.append(message.get("content"))
        if message.get("role") == "user":
            break
    content = orjson.dumps([x.key.id if x.key else "", opening])
    return "cnv-" + hashlib.blake2b(content, digest_size=16).hexdigest()


def _sum(usages: list[Usage]) -> Usage:
    if len(usages) == 1:
        return usages[0]
    return Usage(
        input=sum(usage.input for usage in usages),
        cached=sum(usage.cached for usage in usages),
        output=sum(usage.output for usage in usages),
        estimated=any(usage.estimated for usage in usages),
    )


def _latin(text: str) -> bytes:
    return text.encode("ascii", "replace")
