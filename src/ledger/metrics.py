"""What is counted?  Every metric of one process, in a registry of its own.

The rooms that are measured know nothing of this one: they are handed its methods, or are asked for
their figures when somebody reads the metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

COUNTED_TOGETHER: Final = 100
"""Answers of one kind that are gathered before they are counted, if nobody reads before."""

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)


# When each count began is not worth a line of its own.
disable_created_metrics()  # type: ignore[no-untyped-call]


class _Answered:
    """Answers of one kind: gathered one by one, counted many at a time, which costs far less."""

    def __init__(self, requests: Counter, seconds: Histogram) -> None:
        self._requests = requests
        self._seconds = seconds
        self._waiting: list[float] = []

    def note(self, seconds: float) -> None:
        """Note how long one answer took."""
        self._waiting.append(seconds)
        if len(self._waiting) >= COUNTED_TOGETHER:
            self.count()

    def count(self) -> None:
        """Count what has been noted."""
        waiting, self._waiting = self._waiting, []
        self._requests.inc(len(waiting))
        for seconds in waiting:
            self._seconds.observe(seconds)


class Metrics:
    """The metrics of one process; docs/operating.md says which to watch."""

    def __init__(self, version: str) -> None:
        """Begin every count at nought; ``version`` is that of the program."""
        self.registry = registry = CollectorRegistry()
        self.append_s = Histogram(
            "ledger_append_seconds",
            "From an append's place in the queue to its answer.",
            registry=registry,
            buckets=_SECONDS,
        )
        self.batch = Histogram(
            "ledger_batch_appends",
            "Appends that were carried out in one transaction.",
            registry=registry,
            buckets=_SIZES,
        )
        self.commit_s = Histogram(
            "ledger_commit_seconds",
            "One transaction of the writer, from its beginning to its commit.",
            registry=registry,
            buckets=_SECONDS,
        )
        self.queue_depth = Gauge(
            "ledger_queue_depth", "Appends that wait for the writer now.", registry=registry
        )
        self.queue_max = Gauge(
            "ledger_queue_max", "Appends that may wait: LEDGER_QUEUE_MAX.", registry=registry
        )
        self.refusals = Counter(
            "ledger_refusals", "Requests that were refused, by code.", ["code"], registry=registry
        )
        self.requests = Counter(
            "ledger_requests",
            "Requests that were answered, by method, route and status.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.request_s = Histogram(
            "ledger_request_seconds",
            "From a request's head to the end of its answer, by method and route.",
            ["method", "route"],
            registry=registry,
            buckets=_SECONDS,
        )
        self.store_up = Gauge(
            "ledger_store_up", "1 if the store answers, else 0.", registry=registry
        )
        self.position = Gauge(
            "ledger_log_position", "The position of the last event.", registry=registry
        )
        self.leader = Gauge(
            "ledger_projector_leader",
            "1 if this process keeps the views up to date, else 0.",
            registry=registry,
        )
        views = ["view"]
        self.view_position = Gauge(
            "ledger_view_position", "The position a view has reached.", views, registry=registry
        )
        self.view_lag = Gauge(
            "ledger_view_lag_events", "Events that a view is behind.", views, registry=registry
        )
        self.view_lag_s = Gauge(
            "ledger_view_lag_seconds",
            "The age of the first event that a view does not hold yet, 0 if it holds all.",
            views,
            registry=registry,
        )
        self.view_stopped = Gauge(
            "ledger_view_stopped",
            "1 if an event stopped the view, which /readyz names, else 0.",
            views,
            registry=registry,
        )
        self.tree_size = Gauge(
            "ledger_tree_size", "Events that the Merkle tree holds.", registry=registry
        )
        self.published_size = Gauge(
            "ledger_published_size", "Events that a checkpoint covers.", registry=registry
        )
        self.merge_delay_s = Gauge(
            "ledger_merge_delay_seconds",
            "The age of the oldest event that no checkpoint covers, 0 if all are covered.",
            registry=registry,
        )
        self.cosignatures = Gauge(
            "ledger_checkpoint_cosignatures",
            "Witnesses that cosigned the latest checkpoint.",
            registry=registry,
        )
        self.witness_troubles = Gauge(
            "ledger_witness_troubles",
            "Witnesses that this process asked last without getting a cosignature.",
            registry=registry,
        )
        self.log_stopped = Gauge(
            "ledger_log_stopped",
            "1 if the log publishes nothing, and /readyz says why, else 0.",
            registry=registry,
        )
        self.audit_passed = Gauge(
            "ledger_audit_passed",
            "1 if the last audit found nothing, 0 if it did, -1 if there was none.",
            registry=registry,
        )
        Gauge("ledger_build_info", "The program's version.", ["version"], registry=registry).labels(
            version
        ).set(1)
        ProcessCollector(registry=registry)
        self._answered: dict[tuple[str, str, int], _Answered] = {}

    def committed(self, appends: int, seconds: float, waited: Sequence[float]) -> None:
        """Note a batch of the writer: how many appends, how long it took, how long each waited."""
        self.batch.observe(appends)
        self.commit_s.observe(seconds)
        for each in waited:
            self.append_s.observe(each)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note an answer to a request; ``route`` is a template, never a path."""
        kind = self._answered.get((method, route, status))
        if kind is None:
            kind = self._answered[method, route, status] = _Answered(
                self.requests.labels(method, route, str(status)),
                self.request_s.labels(method, route),
            )
        kind.note(seconds)

    def refused(self, code: str) -> None:
        """Note a refusal."""
        self.refusals.labels(code).inc()

    def log_told(self, told: Mapping[str, Any]) -> None:
        """Note how the signed log stands, as its status tells."""
        signed, audit = told["published"], told["audit"]
        self.tree_size.set(told["size"])
        self.published_size.set(signed["size"] if signed else 0)
        self.merge_delay_s.set(told["merge_delay_s"])
        self.cosignatures.set(len(signed["cosigned_by"]) if signed else 0)
        self.witness_troubles.set(len(told["witnesses"]))
        self.log_stopped.set(told["trouble"] is not None)
        self.audit_passed.set(-1 if audit is None else not audit.get("trouble"))

    def text(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        for kind in self._answered.values():
            kind.count()
        return generate_latest(self.registry)
