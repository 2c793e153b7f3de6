"""What would another policy show?  Every record folded twice: under what is in force, and under it.

It only tells: nothing is written, and no policy is adopted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from ledger.in_force import InForce
from ledger.store import FactRow, Store
from ledger.vocabulary import PolicyVersion
from ledger.worker.history import History, Poison, Progress, Reader
from ledger.worker.rebuilding import of_records

BASES: Final = ("checked", "stated")
TOLD_EVERY: Final = 500
"""Records between two words on how far it is."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What would change on a record: ``field`` is tier, level or verdict."""

    record_id: str
    handle: str
    field: str
    now: str
    then: str


def under(in_force: InForce, policy: PolicyVersion) -> InForce:
    """Return the facts in force with a policy adopted for the records of every basis."""
    policies = dict.fromkeys(BASES, policy)
    return replace(in_force, version=in_force.version + 1, policies=policies)


def shifts(
    store: Store,
    policy: PolicyVersion,
    progress: Progress,
    *,
    upto: int | None = None,
    record_id: str | None = None,
) -> Iterator[Shift]:
    """Yield what a policy would change, as of a position, in all records or in one; raises Poison.

    What stands against it is the policy that was in force at that position.
    """
    reader = Reader(store)
    last = reader.position() if upto is None else upto
    now = reader.in_force(last)
    then = under(now, policy)
    streams = of_records(reader.streams(last), [])
    if record_id is not None:
        rows: list[FactRow] = [row for row in store.rows_of(record_id) if row.position <= last]
        streams = iter([rows] if rows else [])
    done = 0
    for number, stream in enumerate(streams):
        yield from _shifts_of(stream, now, then)
        done += len(stream)
        if number % TOLD_EVERY == 0:
            progress(min(done, last), last)
    progress(last, last)


def _shifts_of(stream: list[FactRow], now: InForce, then: InForce) -> Iterator[Shift]:
    history = History()
    for row in stream:
        history.add(row)
    try:
        documents = history.document(now), history.document(then)
    except Exception as trouble:
        raise Poison(stream[-1], trouble) from trouble
    before, after = map(_judged, documents)
    for name, value in before.items():
        if value != after[name]:
            shown = documents[0]
            yield Shift(shown["record_id"], shown["handle"], name, value, after[name])


def _judged(document: dict[str, Any]) -> dict[str, str]:
    """Return what a policy decides on a record."""
    return {
        "tier": document["tier"]["tier"],
        "level": str(document["level"]["level"]),
        "verdict": document["verdict"]["status"],
    }
