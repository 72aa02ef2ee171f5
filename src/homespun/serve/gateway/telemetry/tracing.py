"""OpenTelemetry's GenAI conventions, exported by OTLP over HTTP from threads of its own.

Names: gen_ai.client.operation.duration, gen_ai.client.token.usage and gen_ai.client.operation.time_to_first_chunk;
spans are called ``{operation} {model}`` (OpenTelemetry semantic conventions for generative AI, status "development").
A request only leaves its row in a bounded queue, and nothing waits for a collector that is slow or gone: what is over
is dropped and counted. Metrics take in every request; spans, which cost more, are made for so many requests a second,
lest they take the interpreter from those that serve. Prompts and answers are in spans only where the settings say so.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from homespun.serve.gateway.config import GatewayConfig, Target
from homespun.serve.gateway.types import NANO, Attempt

Row = Mapping[str, Any]
QUEUE = 10_000
"""Requests that may wait for export."""
EVERY_SECONDS = 0.5
SPANS_PER_SECOND = 200
"""Requests that get spans; of the others only metrics are kept."""
EXPORT_SECONDS = 5
"""An export may take this long, and then it has failed."""
CLOSE_SECONDS = 2
OPERATIONS = {"chat": "chat", "messages": "chat", "responses": "chat", "embeddings": "embeddings"}
PROVIDERS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.mistral.ai": "mistral_ai",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai",
    "api.perplexity.ai": "perplexity",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "openai.azure.com": "azure.ai.openai",
    "amazonaws.com": "aws.bedrock",
}
"""Well-known names of gen_ai.provider.name by host or its end."""
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Bounds that the conventions advise."""
INSTRUMENTS = {
    "gen_ai.client.token.usage": ("{token}", "Tokens used.", TOKENS),
    "gen_ai.client.operation.duration": ("s", "Duration of one call of a model.", SECONDS),
    "gen_ai.client.operation.time_to_first_chunk": ("s", "Time until a call's first chunk.", SECONDS),
}


def provider_of(target: Target) -> str:
    """Value of gen_ai.provider.name."""
    host = urlsplit(target.url or "").hostname or ""
    for known, name in PROVIDERS.items():
        if host == known or host.endswith("." + known):
            return name
    return host or f"homespun.{target.kind}"


class Tracing:
    """Spans and metrics of one worker on their way to a collector.

    Args:
        config: The settings; ``telemetry.otlp`` must be set.
        worker: This worker's name, for ``service.instance.id``.
    """

    def __init__(self, config: GatewayConfig, worker: str) -> None:
        base = (config.telemetry.otlp or "").rstrip("/")
        self._content = config.telemetry.content
        self._targets = {t.name: (t.model, provider_of(t)) for t in config.target}
        resource = Resource.create({"service.name": "homespun-gateway", "service.instance.id": worker})
        self._spans = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{base}/v1/traces", timeout=EXPORT_SECONDS)
        self._spans.add_span_processor(BatchSpanProcessor(exporter))
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(endpoint=f"{base}/v1/metrics", timeout=EXPORT_SECONDS)
        )
        self._metrics = MeterProvider([reader], resource=resource, views=_views(), shutdown_on_exit=False)
        self._tracer = self._spans.get_tracer("homespun.gateway")
        meter = self._metrics.get_meter("homespun.gateway")
        self._tokens, self._duration, self._first_chunk = (
            meter.create_histogram(name, unit=unit, description=what) for name, (unit, what, _) in INSTRUMENTS.items()
        )
        self._queue: deque[tuple[Row, Sequence[Attempt], Mapping[str, Any]]] = deque()
        self.dropped = 0
        """Requests that found the queue full or more spans made than allowed."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="homespun-otlp", daemon=True)
        self._thread.start()

    def offer(self, row: Row, attempts: Sequence[Attempt], extra: Mapping[str, Any]) -> None:
        """Leaves a finished request for export, or counts it as dropped."""
        if len(self._queue) >= QUEUE:
            self.dropped += 1
        else:
            self._queue.append((row, attempts, extra if self._content else _without_content(extra)))

    def _work(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self._drain()
        self._drain()

    def _drain(self) -> None:
        spans = int(SPANS_PER_SECOND * EVERY_SECONDS)
        while self._queue:
            row, attempts, extra = self._queue.popleft()
            operation = OPERATIONS.get(str(row["endpoint"]), str(row["endpoint"]))
            described = [(attempt, self._of_attempt(attempt, operation)) for attempt in attempts]
            for attempt, attributes in described:
                self._measure(attempt, attributes)
            if (spans := spans - 1) >= 0:
                self._trace(row, described, operation, extra)
            else:
                self.dropped += 1

    def _trace(self, row: Row, described: Sequence[tuple[Attempt, dict[str, str]]], operation: str, extra: Row) -> None:
        start = float(row["time"])
        span = self._tracer.start_span(
            f"{operation} {row['model']}", kind=SpanKind.SERVER, start_time=_ns(start),
            attributes=_of_request(row, operation, extra),
        )  # fmt: skip
        if row["outcome"] != "ok":
            _fail(span, str(row["outcome"]))
        context = set_span_in_context(span)
        for attempt, attributes in described:
            child = self._tracer.start_span(
                f"{operation} {attributes['gen_ai.request.model']}", context, SpanKind.CLIENT,
                {**attributes, **_used(attempt), "homespun.purpose": attempt.purpose}, start_time=_ns(attempt.time),
            )  # fmt: skip
            if attempt.outcome != "ok":
                _fail(child, str(attempt.status or attempt.outcome))
            child.end(_ns(attempt.time + attempt.seconds))
        span.end(_ns(start + float(row["seconds"])))

    def _measure(self, attempt: Attempt, attributes: dict[str, str]) -> None:
        failed = {} if attempt.outcome == "ok" else {"error.type": str(attempt.status or attempt.outcome)}
        self._duration.record(attempt.seconds, attributes | failed)
        if attempt.first_byte_seconds is not None:
            self._first_chunk.record(attempt.first_byte_seconds, attributes | failed)
        for kind, number in (("input", attempt.usage.input), ("output", attempt.usage.output)):
            if number:
                self._tokens.record(number, attributes | {"gen_ai.token.type": kind})

    def _of_attempt(self, attempt: Attempt, operation: str) -> dict[str, str]:
        model, provider = self._targets.get(attempt.target, (attempt.target, "homespun"))
        return {
            "gen_ai.operation.name": operation if attempt.purpose != "embedding" else "embeddings",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.response.model": model,
        }

    def close(self) -> None:
        """Sends what waits, for at most `CLOSE_SECONDS` in all."""
        deadline = time.monotonic() + CLOSE_SECONDS
        self._stop.set()
        self._thread.join(CLOSE_SECONDS / 2)
        ending = [threading.Thread(target=end, daemon=True) for end in (self._spans.shutdown, self._metrics.shutdown)]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join(max(0.0, deadline - time.monotonic()))


def _views() -> list[View]:
    return [
        View(Histogram, instrument_name=name, aggregation=ExplicitBucketHistogramAggregation(bounds))
        for name, (_, _, bounds) in INSTRUMENTS.items()
    ]


def _of_request(row: Row, operation: str, extra: Row) -> dict[str, Any]:
    known: dict[str, Any] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "homespun",
        "gen_ai.request.model": row["model"],
        "gen_ai.response.model": row["target"],
        "gen_ai.response.id": row["id"],
        "gen_ai.usage.input_tokens": row["input_tokens"],
        "gen_ai.usage.output_tokens": row["output_tokens"],
        "gen_ai.conversation.id": row.get("conversation"),
        "http.response.status_code": row["status"],
        "homespun.route": row["route"],
        "homespun.tiers": list(row["tiers"]),
        "homespun.confidence": row.get("confidence"),
        "homespun.dollars": row["nanodollars"] / NANO,
        "homespun.cache": row.get("cache"),
        "homespun.router": row.get("router"),
        **extra,
    }
    return {name: value for name, value in known.items() if value is not None}


def _used(attempt: Attempt) -> dict[str, Any]:
    used: dict[str, Any] = {
        "gen_ai.usage.input_tokens": attempt.usage.input,
        "gen_ai.usage.output_tokens": attempt.usage.output,
        "gen_ai.usage.cache_read.input_tokens": attempt.usage.cached,
        "homespun.dollars": attempt.nanodollars / NANO,
    }
    return used if attempt.status is None else used | {"http.response.status_code": attempt.status}


def _without_content(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in extra.items() if not name.endswith(".messages")}


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _ns(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
