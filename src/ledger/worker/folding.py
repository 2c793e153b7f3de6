"""How is a whole log folded quickly?  Record by record, on every core, for all views in one pass.

A record's rows depend on nothing but its own events and the facts in force, so records may be
folded anywhere and in any order.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from ledger import errors
from ledger.in_force import InForce
from ledger.store import FactRow, StoredDocument
from ledger.worker.history import TOGETHER, History, Poison
from projections import ROLL_CALL, public_view
from projections.table import Rows

CHUNK: Final = 500
"""Records that are folded, handed over and written together."""
ALONE_MAX: Final = 20_000
"""Up to so many events, starting other processes would take longer than folding."""

NICENESS: Final = 10
"""How far the processes that help stand back where others of the ledger want the processor."""
GC_THRESHOLDS: Final = (100_000, 20, 50)
"""Folding makes and drops many small objects, and hardly any cycles."""

Stream = Sequence[FactRow]
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Made:
    """What one record adds to the views: its rows by view, and its document if that was asked."""

    place: int
    events: int
    rows: Mapping[str, Rows]
    document: StoredDocument | None


def made(streams: Iterable[Stream], wanted: Mapping[str, Any], in_force: InForce) -> Iterator[Made]:
    """Fold records for the wanted views, in their order; raises Poison."""
    stream = iter(streams)
    while some := list(islice(stream, TOGETHER)):
        yield from _made_together(some, wanted, in_force)


def _made_together(
    streams: Sequence[Stream], wanted: Mapping[str, Any], in_force: InForce
) -> Iterator[Made]:
    histories = [_history(stream) for stream in streams]

    def each(step: Callable[[S], T], given: Iterable[S]) -> list[T]:
        return [_told(step, *pair) for pair in zip(given, streams, strict=True)]

    bodies: Sequence[bytes | None] = [None] * len(streams)
    if public_view.NAME in wanted:
        bodies = each(lambda history: public_view.encoded(history.document(in_force)), histories)
    listed = {name: wanted[name].rows for name in wanted if name != public_view.NAME}
    folded = each(lambda history: history.folded(in_force), histories) if listed else []
    rows: dict[str, list[Rows]] = {name: each(of, folded) for name, of in listed.items()}
    for number, (stream, body) in enumerate(zip(streams, bodies, strict=True)):
        document = None if body is None else _document(stream[-1], body)
        its = {name: column[number] for name, column in rows.items()}
        yield Made(stream[0].position, len(stream), its, document)


def _history(stream: Stream) -> History:
    history = History()
    for row in stream:
        history.add(row)
    return history


def _told(step: Callable[[S], T], given: S, stream: Stream) -> T:
    """Take a step with a record; where that fails, its last event is named."""
    try:
        return step(given)
    except Exception as trouble:
        raise Poison(stream[-1], trouble) from trouble


def _document(last: FactRow, body: bytes) -> StoredDocument:
    return StoredDocument(
        id=last.originator_id,
        version=last.originator_version,
        position=last.position,
        recorded_at=last.recorded_at,
        body=body,
    )


def fold(
    streams: Iterator[Stream], events: int, wanted: Mapping[str, Any], in_force: InForce
) -> Iterator[list[Made]]:
    """Yield what the records make, some at a time, in order of place; raises Poison.

    Other processes help with a long log; they know the projections by name alone.  Raises
    StoreUnavailable when one of them dies.
    """
    known = all(ROLL_CALL.get(name) is projection for name, projection in wanted.items())
    if events > ALONE_MAX and known:
        yield from _by_many(streams, wanted, in_force)
        return
    while chunk := list(made(islice(streams, CHUNK), wanted, in_force)):
        yield _in_order(chunk)


def _in_order(found: Iterable[Made]) -> list[Made]:
    # Search indexes take rows several times faster that way.
    return sorted(found, key=lambda one: one.place)


def _by_many(
    streams: Iterator[Stream], wanted: Mapping[str, Any], in_force: InForce
) -> Iterator[list[Made]]:
    hands = len(os.sched_getaffinity(0))
    names = tuple(wanted)
    # Spawned, because this process has threads and connections that a fork would tear.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(hands, mp_context=context, initializer=_stand_back)
    under_way: deque[tuple[list[Stream], Future[list[Made] | None]]] = deque()

    def give() -> None:
        if chunk := list(islice(streams, CHUNK)):
            rows = [[_plain(row) for row in stream] for stream in chunk]
            under_way.append((chunk, pool.submit(_made_elsewhere, rows, names, in_force)))

    try:
        for _place in range(2 * hands):
            give()
        while under_way:
            chunk, future = under_way.popleft()
            found = future.result()
            give()
            # What another process could not fold is folded here, where its trouble can be told.
            yield found or _in_order(made(chunk, wanted, in_force))
    except BrokenProcessPool as trouble:
        message = "A process that helped to fold the log was ended; the views are as they were."
        raise errors.StoreUnavailable(message) from trouble
    finally:
        pool.shutdown(cancel_futures=True)


def _stand_back() -> None:
    """Make ready a process of the pool."""
    os.nice(NICENESS)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _plain(row: FactRow) -> tuple[Any, ...]:
    """Return a row as another process is sent it, which is three times as fast as the object."""
    return (
        row.position,
        row.recorded_at,
        row.originator_id,
        row.originator_version,
        row.topic,
        row.state,
    )


def _made_elsewhere(
    rows: list[list[tuple[Any, ...]]], names: tuple[str, ...], in_force: InForce
) -> list[Made] | None:
    """Fold in a process of the pool; None if it cannot be done."""
    wanted = {name: ROLL_CALL[name] for name in names}
    streams = ([FactRow(*row) for row in stream] for stream in rows)
    try:
        return _in_order(made(streams, wanted, in_force))
    except Poison:
        return None
