"""What is in the ledger after a drill, held against what the clients were told.

Reads the log and the views through the ledger's own store, refolds every view and compares it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from clients import Acknowledged, Kept

from ledger.service import Service
from ledger.settings import Settings
from ledger.store import LogRow
from ledger.worker import Poison
from projections import ROLL_CALL, public_view


@dataclass
class Found:
    """The log, by the mark that each append carried, and everything that is not as it should be."""

    rows: list[LogRow] = field(default_factory=list)
    marked: Counter[str] = field(default_factory=Counter)
    """How many events carry an idempotency key as their correlation id: one append, one event."""
    double_winners: int = 0
    """How many acknowledgements name a version of a record that another one names too."""
    views: dict[str, str] = field(default_factory=dict)
    """Each view that is the same after folding the log anew, and what was compared."""
    faults: list[str] = field(default_factory=list)

    def counted(self, acknowledged: list[Acknowledged]) -> tuple[int, int, int, int]:
        """Return how many were acknowledged, found, found again, and not found."""
        events = [self.marked[one.key] for one in acknowledged]
        there = sum(1 for count in events if count)
        return len(events), there, sum(events) - there, len(events) - there


def looked_at(settings: Settings, kept: Kept) -> Found:
    """Read everything, compare, refold, compare again."""
    found = Found()
    with Service(settings) as service:
        rows = found.rows = list(service.store.rows())
        _log(rows, found)
        _acknowledged({row.position: row for row in rows}, kept, found)
        service.projector.catch_up()
        before = {name: _view(service, name) for name in ROLL_CALL}
        for name in ROLL_CALL:
            try:
                service.projector.rebuild(name)
            except Poison as poison:
                found.faults.append(f"the view {name} cannot be folded: {poison}")
                continue
            after = _view(service, name)
            if before[name] == after:
                found.views[name] = f"{len(after)} rows, sha256 {_digest(after)[:12]}"
            else:
                wrong = len(set(before[name]) ^ set(after))
                found.faults.append(f"the view {name} differs from the fold in {wrong} rows")
    return found


def _log(rows: list[LogRow], found: Found) -> None:
    if [row.position for row in rows] != list(range(1, len(rows) + 1)):
        found.faults.append("the positions are not dense from 1")
    if any(later.recorded_at <= earlier.recorded_at for earlier, later in pairwise(rows)):
        found.faults.append("recorded_at does not increase with the position")
    reached: Counter[str] = Counter()
    for row in rows:
        reached[row.originator_id] += 1
        if row.originator_version != reached[row.originator_id]:
            found.faults.append(
                f"{row.originator_id} has version {row.originator_version} at position "
                f"{row.position}, where {reached[row.originator_id]} comes next"
            )
        if mark := json.loads(row.state).get("correlation_id"):
            found.marked[mark] += 1


def _acknowledged(rows: dict[int, LogRow], kept: Kept, found: Found) -> None:
    for one in kept.acknowledged:
        row = rows.get(one.position)
        if row is None:
            found.faults.append(f"acknowledged, and no event there: {one}")
        elif (row.originator_id, row.originator_version) != (one.record, one.version):
            found.faults.append(f"acknowledged, and another event is there: {one}")
        elif json.loads(row.state)["correlation_id"] != one.key:
            found.faults.append(f"acknowledged, and the event has another mark: {one}")
    winners = Counter((one.record, one.version) for one in kept.acknowledged)
    found.double_winners = sum(count - 1 for count in winners.values())
    told = Counter(one.key for one in kept.acknowledged)
    found.faults += [f"refused, and yet carried out: {k}" for k in kept.refused if found.marked[k]]
    # Every client brought its last append to an end: nothing else may have been written.
    found.faults += [f"carried out, and never answered: {k}" for k in found.marked if not told[k]]


def _view(service: Service, name: str) -> list[tuple[Any, ...]]:
    """Return everything that a view holds, in an order that does not depend on how it came."""
    if name == public_view.NAME:
        documents = service.store.documents(name)
        return [(d.id, d.version, d.position, d.recorded_at, d.body) for d in documents]
    held: list[tuple[Any, ...]] = []
    for table in ROLL_CALL[name].TABLES:
        select = f"SELECT {', '.join(table.fields)} FROM {table.name}"  # noqa: S608 - names of our own
        with service.views.reading() as reader:
            held += [(table.name, *row) for row in reader.execute(select)]
    return sorted(held, key=repr)


def _digest(rows: list[tuple[Any, ...]]) -> str:
    return hashlib.sha256(repr(rows).encode()).hexdigest()
