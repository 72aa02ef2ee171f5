"""Prometheus' text format, written by its own client library from counts that are kept elsewhere."""

from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from homespun.serve.gateway.telemetry.metrics import METRICS, SECONDS, Labels, Metric, Tally

Gauges = Mapping[str, Mapping[Labels, float]]


class _Collected(Collector):
    def __init__(self, tally: Tally, gauges: Gauges) -> None:
        self._tally, self._gauges = tally, gauges

    def collect(self) -> Iterator[Family]:
        for metric in METRICS:
            if metric.kind == "counter":
                counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
                for labels, value in self._tally.counts[metric.name].items():
                    counter.add_metric(_text(labels), value / metric.scale)
                yield counter
            elif metric.kind == "histogram":
                yield self._histogram(metric)
            else:
                gauge = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
                for labels, value in self._gauges.get(metric.name, {}).items():
                    gauge.add_metric(_text(labels), value)
                yield gauge

    def _histogram(self, metric: Metric) -> HistogramMetricFamily:
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        bounds = [*(str(bound) for bound in SECONDS), "+Inf"]
        for labels, cells in self._tally.times[metric.name].items():
            family.add_metric(_text(labels), list(zip(bounds, accumulate(cells[:-1]), strict=True)), cells[-1])
        return family


def expose(tally: Tally, gauges: Gauges) -> bytes:
    """All metrics in the text format of version 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(tally, gauges))
    return generate_latest(registry)


def _text(labels: Labels) -> list[str]:
    return [str(label) for label in labels]
