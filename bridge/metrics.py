"""The figures of /metrics, in the text format of Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from bridge.http import FORBIDDEN, Page

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

    from prometheus_client import Metric

    from bridge.http import Call
    from bridge.hub import Hub

PREFIX = "p2p_bridge_"


class Metrics:
    """A route of the HTTP port. `public` shows them to others than this machine."""

    def __init__(self, hub: Hub, turned_away: Callable[[], int], *, public: bool) -> None:
        self._hub = hub
        self._turned_away = turned_away
        self._public = public
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def page(self, call: Call) -> Page:
        if not (self._public or call.local):
            return FORBIDDEN
        return Page(generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4)

    def collect(self) -> Iterator[Metric]:
        """For the registry: the figures of this moment; those of the store are some seconds old."""
        hub, counts, stats, away = self._hub, self._hub.counts, self._hub.stats, self._turned_away
        yield _counters("messages", "Messages of clients, by kind.", "kind", counts.heard)
        yield _counters("refusals", "Requests refused, by code.", "code", counts.refused)
        yield _counters("connections", "Connections made, by way.", "way", counts.arrived)
        yield _counters("ends", "Connections that the bridge ended, by reason.", "reason", counts.ended)
        yield CounterMetricFamily(PREFIX + "turned_away", "TCP connections cut off before they opened.", value=away())
        yield CounterMetricFamily(PREFIX + "received_bytes", "Bytes of clients.", value=counts.bytes_in)
        yield CounterMetricFamily(PREFIX + "sent_bytes", "Bytes for clients.", value=counts.bytes_out)
        yield CounterMetricFamily(PREFIX + "delivered_blobs", "Blobs pushed to readers.", value=counts.delivered)
        yield _gauge("connected", "Clients connected now.", len(hub))
        yield _gauge("read_queues", "Queues somebody reads now.", hub.watched)
        yield _gauge("places", "Meeting places open now.", len(hub.meetings))
        yield _gauge("requests_under_way", "Requests not answered yet.", hub.under_way)
        yield _gauge("pending_bytes", "Bytes of requests that the store has not answered.", hub.pool.bytes)
        yield _gauge("partial_bytes", "Bytes of frames that have begun and not ended.", hub.partial)
        yield _gauge("queues", "Queues kept.", stats.queues)
        yield _gauge("blobs", "Blobs kept.", stats.blobs)
        yield _gauge("blob_bytes", "Bytes of the blobs kept.", stats.bytes)
        yield _gauge("accounts", "Accounts kept.", stats.accounts)
        yield _gauge("oldest_blob_timestamp_seconds", "When the oldest blob came; 0: none.", stats.oldest_ms / 1_000)


def _counters(name: str, about: str, label: str, counted: Counter[str]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, about, labels=[label])
    for value, count in sorted(counted.items()):
        family.add_metric([value], count)
    return family


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, about, value=value)
