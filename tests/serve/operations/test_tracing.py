"""OpenTelemetry against a receiver in process: names, attributes, no content unasked, and no harm from a dead one."""

import gzip
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from homespun.serve.gateway.config import GatewayConfig
from homespun.serve.gateway.telemetry import Telemetry
from homespun.serve.gateway.telemetry.tracing import QUEUE, SPANS_PER_SECOND
from homespun.serve.gateway.types import Attempt, Usage

pytestmark = pytest.mark.slow
SECRET = "the question of a client"


class Receiver(ThreadingHTTPServer):
    """Takes OTLP over HTTP and keeps it."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.metrics: dict[str, Any] = {}
        super().__init__(("127.0.0.1", 0), _Handler)
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
        if self.path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        elif self.path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    self.server.metrics |= {metric.name: metric for metric in scope.metrics}
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.shutdown()
    made.thread.join()
    made.server_close()


def config(url: str | None, content: bool = False) -> GatewayConfig:
    target = {"name": "small", "url": "https://api.openai.com/v1", "model": "gpt-4o-mini"}
    return GatewayConfig.model_validate({"target": [target], "telemetry": {"otlp": url, "content": content}})


ROW: dict[str, Any] = {
    "id": "req-1", "time": 1_700_000_000.0, "endpoint": "chat", "model": "homespun/auto", "target": "small",
    "route": "cascade", "outcome": "ok", "status": 200, "tiers": ["small"], "seconds": 0.75, "first_byte_seconds": 0.1,
    "cache": None, "nanodollars": 1500, "reference_nanodollars": 70, "input_tokens": 10, "output_tokens": 5,
    "conversation": "c-1", "confidence": 0.8, "router": None,
}  # fmt: skip
ANSWER = Attempt("small", "answer", 1_700_000_000.0, outcome="ok", status=200, usage=Usage(10, 4, 5), nanodollars=1500,
                 seconds=0.5, first_byte_seconds=0.125)  # fmt: skip
FAILED = Attempt("small", "answer", 1_700_000_000.0, outcome="error", status=503, error=SECRET, seconds=0.25)
CONTENT = {"gen_ai__response__finish_reasons": ["stop"], "gen_ai__input__messages": SECRET}


def attributes(thing: Any) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        kind = value.WhichOneof("value")
        return [plain(v) for v in value.array_value.values] if kind == "array_value" else getattr(value, kind)

    return {pair.key: plain(pair.value) for pair in thing.attributes}


def export(receiver: Receiver, folder: Path, *, content: bool = False) -> None:
    telemetry = Telemetry(config(receiver.url, content), folder, "w1")
    telemetry.request(ROW, [FAILED, ANSWER], **CONTENT)
    telemetry.close()


def test_spans_follow_the_conventions(receiver: Receiver, tmp_path: Path) -> None:
    export(receiver, tmp_path)
    server, failed, answer = sorted(receiver.spans, key=lambda span: (span.kind, span.name, span.end_time_unix_nano))
    assert (server.name, answer.name) == ("chat homespun/auto", "chat gpt-4o-mini")
    assert {failed.parent_span_id, answer.parent_span_id} == {server.span_id}
    assert server.end_time_unix_nano - server.start_time_unix_nano == pytest.approx(750_000_000, abs=1000)
    told = attributes(answer)
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "openai"
    assert told["gen_ai.request.model"] == told["gen_ai.response.model"] == "gpt-4o-mini"
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (10, 5)
    assert attributes(server)["gen_ai.response.finish_reasons"] == ["stop"]
    assert attributes(failed)["error.type"] == "503"
    assert failed.status.code == 2


def test_metrics_follow_the_conventions(receiver: Receiver, tmp_path: Path) -> None:
    export(receiver, tmp_path)
    points = {
        name: {tuple(sorted(attributes(p).items())): p for p in metric.histogram.data_points}
        for name, metric in receiver.metrics.items()
    }
    common = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini", "gen_ai.response.model": "gpt-4o-mini",
    }  # fmt: skip

    def point(name: str, **more: str) -> Any:
        wanted = common | {key.replace("_", "."): value for key, value in more.items()}
        return points[name][tuple(sorted(wanted.items()))]

    assert point("gen_ai.client.operation.duration").sum == 0.5
    assert point("gen_ai.client.operation.duration", error_type="503").sum == 0.25
    assert point("gen_ai.client.operation.time_to_first_chunk").sum == 0.125
    usage = points["gen_ai.client.token.usage"]
    kinds = {dict(key)["gen_ai.token.type"]: p.sum for key, p in usage.items()}
    assert kinds == {"input": 10, "output": 5}
    assert {name: receiver.metrics[name].unit for name in points} == {
        "gen_ai.client.operation.duration": "s",
        "gen_ai.client.operation.time_to_first_chunk": "s",
        "gen_ai.client.token.usage": "{token}",
    }


@pytest.mark.parametrize("asked", [False, True])
def test_content_goes_out_only_where_asked_for(receiver: Receiver, tmp_path: Path, asked: bool) -> None:
    export(receiver, tmp_path, content=asked)
    told = [attributes(span) for span in receiver.spans]
    assert any(SECRET in str(values) for values in told) == asked
    assert not any("503" in str(v.get("error.type")) and SECRET in str(v) for v in told)


def test_a_dead_collector_holds_nobody_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry(config("http://127.0.0.1:9"), tmp_path, "w1")
    for _ in range(2 * QUEUE):
        telemetry.request(ROW, [])
    begun = time.monotonic()
    telemetry.close()
    assert time.monotonic() - begun < 30  # a hang would be one of minutes
    assert f'homespun_requests_total{{outcome="ok",route="cascade",target="small"}} {2 * QUEUE:.1f}' in (
        Telemetry(config(None), tmp_path, "w2").exposition().decode()
    )


def test_spans_beyond_the_rate_are_counted_as_dropped(receiver: Receiver, tmp_path: Path) -> None:
    telemetry = Telemetry(config(receiver.url), tmp_path, "w1")
    for _ in range(3 * SPANS_PER_SECOND):
        telemetry.request(ROW, [])
    tracing = telemetry._tracing
    telemetry.close()
    assert tracing is not None
    assert tracing.dropped > 0
    assert len(receiver.spans) + tracing.dropped == 3 * SPANS_PER_SECOND


def test_nothing_of_it_is_loaded_unless_asked_for(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = (
        "import sys; from pathlib import Path; from homespun.serve.gateway.telemetry import Telemetry\n"
        "from homespun.serve.gateway.config import GatewayConfig\n"
        "Telemetry(GatewayConfig(), Path(sys.argv[1]), 'w').close()\n"
        "print(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
