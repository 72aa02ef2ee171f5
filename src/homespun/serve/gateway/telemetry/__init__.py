"""What the gateway tells of itself: Prometheus always, OpenTelemetry where a collector is named.

There is no access log: a line per request would say less than the table ``requests`` does, cost more than the request
itself, and could leak. What failed is in the ordinary log.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homespun.serve.gateway.config import GatewayConfig
from homespun.serve.gateway.telemetry.gauges import GaugeRows, breakers, from_database, merged
from homespun.serve.gateway.telemetry.metrics import DROPPED, IN_FLIGHT, WORKERS, Tally
from homespun.serve.gateway.telemetry.snapshots import Snapshots
from homespun.serve.gateway.types import Attempt

if TYPE_CHECKING:
    from homespun.serve.gateway.telemetry.tracing import Tracing

__all__ = ["Telemetry"]

log = logging.getLogger("homespun.telemetry")
WRITE_SECONDS = 1.0
"""Between two writings of this worker's counts."""
LOOK_SECONDS = 2.0
"""Between two looks at the breakers."""
READ_SECONDS = 15.0
"""Between two readings of gauges from the database."""


class Telemetry:
    """Counts of one worker, summed with those of the others when asked.

    Args:
        config: The settings.
        state: Folder of the state; the counts lie in ``metrics`` inside.
        worker: This worker's name, unique on the machine.
    """

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, config: GatewayConfig, state: Path, worker: str) -> None:
        self._tally = Tally()
        self._snapshots = Snapshots(state / "metrics", worker)
        self._snapshots.inherit(self._tally)
        self._gateway: Any = None
        self._stored: GaugeRows = {}
        self._breakers: GaugeRows = {}
        self._stop = threading.Event()
        self._tracing = _tracing(config, worker)
        self._thread = threading.Thread(target=self._work, name="homespun-metrics", daemon=True)
        self._thread.start()

    def watch(self, gateway: Any) -> None:
        """Reads gauges from a gateway: its ``at_work``, ``fleet.health()`` and ``database``; call it in its loop."""
        self._gateway = gateway
        self._look()

    def _look(self) -> None:
        """Takes down the breakers' states every now and then, in the loop to which they belong."""
        if not self._stop.is_set():
            self._breakers = breakers(self._gateway.fleet.health())
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def request(self, row: Mapping[str, Any], attempts: Sequence[Attempt], **extra: Any) -> None:
        """Counts a finished request; call it once for each, from the worker's event loop.

        Args:
            row: Its row of the table ``requests``.
            attempts: Every call that was made for it.
            extra: More attributes of its span, dots written as double underscores, such as
                ``gen_ai__response__finish_reasons``. Those that end in ``messages`` are content, and go out only
                where ``telemetry.content`` asks for it.
        """
        self._tally.request(row, attempts)
        if self._tracing is not None:
            named = {name.replace("__", "."): value for name, value in extra.items()}
            self._tracing.offer(row, attempts, named)

    def exposition(self) -> bytes:
        """All workers' metrics in Prometheus' text format."""
        from homespun.serve.gateway.telemetry.exposition import expose

        mine = self._dump()
        self._snapshots.write(mine)  # so that no worker ever tells less than was told before
        everyone = [mine, *self._snapshots.others()]
        total = Tally()
        for part in everyone:
            total.add(part)
        return expose(total, merged(part["gauges"] for part in everyone))

    def close(self) -> None:
        """Writes the last counts and lets go."""
        self._stop.set()
        self._thread.join(2 * WRITE_SECONDS)
        if self._tracing is not None:
            self._tracing.close()
        self._snapshots.write({**self._tally.dump(), "gauges": {}})
        self._snapshots.close()

    def _dump(self) -> dict[str, Any]:
        gauges = {name: [[list(k), v] for k, v in rows.items()] for name, rows in self._gauges().items()}
        return {**self._tally.dump(), "gauges": gauges}

    def _gauges(self) -> GaugeRows:
        gauges: GaugeRows = {WORKERS.name: {(): 1.0}, **self._stored}
        if self._tracing is not None:
            gauges[DROPPED.name] = {(): float(self._tracing.dropped)}
        if self._gateway is not None:
            gauges[IN_FLIGHT.name] = {(): float(self._gateway.at_work)}
            gauges |= self._breakers
        return gauges

    def _work(self) -> None:
        waited = READ_SECONDS
        while not self._stop.wait(WRITE_SECONDS):
            waited += WRITE_SECONDS
            try:
                if waited >= READ_SECONDS and self._gateway is not None:
                    self._stored, waited = self._gateway.database.run_now(from_database, read_only=True), 0.0
                self._snapshots.write(self._dump())
            except Exception as error:  # numbers that are missing must not end the numbers that can be had
                log.warning("metrics: %s", type(error).__name__)
                waited = 0.0


def _tracing(config: GatewayConfig, worker: str) -> "Tracing | None":
    if config.telemetry.otlp is None:
        return None
    from homespun.serve.gateway.telemetry.tracing import Tracing

    return Tracing(config, worker)
