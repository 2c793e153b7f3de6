"""How do views keep up apart from any server?  ``ledger project``, and what it tells of itself."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Final

import typer
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ledger import errors, logs, service, vocabulary
from ledger.cli import console, given
from ledger.settings import LogFormat, ProjectorPlace
from projections.views import ViewsBusy, ViewsClosed, ViewsDamaged, ViewsUnavailable

GC_THRESHOLDS: Final = (20_000, 20, 50)
"""Allocations before a young collection, and collections of one age before the next."""
AWAY: Final = (errors.Unavailable, ViewsBusy, ViewsClosed, ViewsDamaged, ViewsUnavailable, OSError)
STEP_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)

# When each count began is not worth a line of its own.
disable_created_metrics()  # type: ignore[no-untyped-call]


def project(
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help="Serve metrics for Prometheus there; 0 takes any free port.",
            show_default=False,
        ),
    ] = None,
    metrics_host: Annotated[
        str, typer.Option(help="The address to serve metrics on.")
    ] = "127.0.0.1",
) -> None:
    """Keep the views up to date until Ctrl-C; of any number that run, one works."""
    settings = given.settings()
    logs.set_up(as_json=settings.log_format is LogFormat.JSON, access=False)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    alone = settings.model_copy(update={"projector": ProjectorPlace.APART})
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), service.Service(alone) as opened:
        if metrics_port is not None:
            _serve_metrics(opened, metrics_host, metrics_port)
        opened.projector.start(yielding=0.0)
        opened.log.start(yielding=0.0)
        console.say(f"Keeping the views of {settings.database_shown} up to date (Ctrl-C stops it)")
        threading.Event().wait()


def _serve_metrics(opened: service.Service, host: str, port: int) -> None:
    registry = CollectorRegistry()
    events = Counter(
        "ledger_projected_events", "Events that the views have taken in.", registry=registry
    )
    seconds = Histogram(
        "ledger_projection_seconds",
        "One step of the views: a batch of events, or a fold of the whole log.",
        registry=registry,
        buckets=STEP_S,
    )

    def projected(count: int, took_s: float) -> None:
        events.inc(count)
        seconds.observe(took_s)

    opened.projector.projected = projected
    registry.register(_Views(opened))
    try:
        server, _thread = start_http_server(port, host, registry)
    except OSError as trouble:
        console.fail(f"Cannot serve metrics on {host} port {port}: {trouble.strerror or trouble}.")
    console.say(f"Serving metrics at http://{host}:{server.server_port}/metrics")


class _Views(Collector):
    """How the views stand, asked for whenever somebody reads the metrics."""

    def __init__(self, opened: service.Service) -> None:
        self._opened = opened

    def collect(self) -> Iterator[Metric]:
        """Yield the same figures as a server does; what cannot be asked now is left out."""
        leader = "1 if this process keeps the views up to date, else 0."
        up = "1 if the databases answer, else 0."
        try:
            told = list(self._views())
            leads = self._opened.views.leads()
        except AWAY:
            yield GaugeMetricFamily("ledger_store_up", up, 0)
            yield GaugeMetricFamily("ledger_projector_leader", leader, 0)
            return
        yield GaugeMetricFamily("ledger_store_up", up, 1)
        yield GaugeMetricFamily("ledger_projector_leader", leader, leads)
        yield from told

    def describe(self) -> list[Metric]:
        """Return nothing: the databases may be away when this is registered."""
        return []

    def _views(self) -> Iterator[Metric]:
        self._opened.projector.look()
        position = GaugeMetricFamily(
            "ledger_view_position", "The position a view has reached.", labels=["view"]
        )
        lag = GaugeMetricFamily(
            "ledger_view_lag_events", "Events that a view is behind.", labels=["view"]
        )
        age = GaugeMetricFamily(
            "ledger_view_lag_seconds",
            "The age of the first event that a view does not hold yet, 0 if it holds all.",
            labels=["view"],
        )
        stopped = GaugeMetricFamily(
            "ledger_view_stopped", "1 if an event stopped the view, else 0.", labels=["view"]
        )
        for view, standing in self._opened.projector.status().items():
            position.add_metric([view], standing["position"])
            lag.add_metric([view], standing["lag"])
            age.add_metric([view], self._age(standing["position"]))
            stopped.add_metric([view], standing["error"] is not None)
        yield from (position, lag, age, stopped)

    def _age(self, position: int) -> float:
        for row in self._opened.store.rows(after=position, upto=position + 1, page=1):
            return max(0.0, (vocabulary.now() - row.recorded_at).total_seconds())
        return 0.0
