"""How are views made anew?  The whole log is folded beside the live views, then swapped in.

Readers see the old views until the swap, and never a half of a new one; appends go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from operator import attrgetter
from typing import Any, Final

from ledger import actors
from ledger.codec import decode
from ledger.events import KeyIssued, KeyRevoked
from ledger.in_force import InForce
from ledger.store import FactRow, Store, StoredDocument
from ledger.worker.folding import Made, fold
from ledger.worker.history import Histories, Progress, Reader, is_ledgers_own
from ledger.worker.pace import Pace
from projections import public_view
from projections.table import Checkpoint
from projections.views import Fresh, Views

BATCH: Final = 1_000
UNDECIDED: Final = -1
"""The version of the facts in force while documents are being swapped: that of no ledger."""


class FactsChanged(Exception):
    """Other gates or policies have come into force while the log was being folded."""


def rebuild(
    store: Store, views: Views, wanted: Mapping[str, Any], progress: Progress, pace: Pace
) -> None:
    """Make the wanted views anew; raises Poison, Overtaken and whatever stops the databases.

    When other facts come into force on the way, all of it is done again under them.
    """
    while True:
        try:
            _once(store, views, wanted, progress, pace)
        except FactsChanged:
            continue
        return


def _once(
    store: Store, views: Views, wanted: Mapping[str, Any], progress: Progress, pace: Pace
) -> None:
    reader = Reader(store)
    upto = reader.position()
    in_force = reader.in_force(upto)
    with ExitStack() as undoing:
        fresh = {
            name: views.fresh(projection)
            for name, projection in wanted.items()
            if name != public_view.NAME
        }
        for one in fresh.values():
            undoing.callback(one.discard)
        own = list[FactRow]()
        streams = pace.over(of_records(reader.streams(upto), own))
        made = pace.over(fold(streams, upto, wanted, in_force))

        def documents() -> Iterator[StoredDocument]:
            yield from _filled(made, fresh, upto, progress)
            if reader.in_force(reader.position()).version != in_force.version:
                raise FactsChanged
            # Whoever finds this mark, because we came to grief, derives the documents again.
            views.move(public_view.NAME, Checkpoint(0, UNDECIDED))

        if public_view.NAME in wanted:
            store.replace_documents(public_view.NAME, documents(), upto)
            store.replace_documents(actors.VIEW, keys_of(own), upto)
            views.move(public_view.NAME, Checkpoint(upto, in_force.version))
        else:
            for _document in _filled(made, fresh, upto, progress):
                pass
        for one in fresh.values():
            one.index()
            _swap(reader, one, upto, in_force)


def write_documents(store: Store) -> None:
    """Fold the whole log into the documents that appends write, without any other view.

    For a log that was restored: until then it has none.  Raises Poison.
    """
    reader, own = Reader(store), list[FactRow]()
    upto = reader.position()
    streams = of_records(reader.streams(upto), own)
    made = fold(streams, upto, {public_view.NAME: public_view}, reader.in_force(upto))
    fresh = (one.document for some in made for one in some if one.document is not None)
    store.replace_documents(public_view.NAME, fresh, upto)
    store.replace_documents(actors.VIEW, keys_of(own), upto)


def _filled(
    made: Iterator[list[Made]], fresh: Mapping[str, Fresh], upto: int, progress: Progress
) -> Iterator[StoredDocument]:
    """Fill the fresh tables and yield the documents on the way."""
    done = 0
    for some in made:
        for name, one in fresh.items():
            one.fill([record.rows[name] for record in some])
        for record in some:
            done += record.events
            if record.document is not None:
                yield record.document
        progress(min(done, upto), upto)
    progress(upto, upto)


def _swap(reader: Reader, fresh: Fresh, upto: int, in_force: InForce) -> None:
    histories = Histories(reader)
    while not fresh.swap(Checkpoint(upto, in_force.version)):
        # The live view went on meanwhile: take in what it has, and try again.
        rows = reader.batch(upto, BATCH)
        upto = rows[-1].position
        if reader.in_force(upto).version != in_force.version:
            raise FactsChanged
        fresh.put(histories.touched(rows, in_force))


def of_records(streams: Iterator[list[FactRow]], own: list[FactRow]) -> Iterator[list[FactRow]]:
    """Yield the streams of records; the rows of the ledger's own streams are put into ``own``."""
    for stream in streams:
        if is_ledgers_own(stream[0]):
            own.extend(stream)
        else:
            yield stream


def keys_of(own: Iterable[FactRow]) -> Iterator[StoredDocument]:
    """Yield the state of every API key, as the appends wrote it."""
    issued: dict[str, KeyIssued] = {}
    found: dict[str, StoredDocument] = {}
    for row in sorted(own, key=attrgetter("position")):
        event = decode(row.originator_id, row.originator_version, row.topic, row.state)
        if isinstance(event, KeyIssued):
            issued[event.key_digest] = event
        elif not isinstance(event, KeyRevoked):
            continue
        revoked = isinstance(event, KeyRevoked)
        found[event.key_digest] = StoredDocument(
            id=event.key_digest,
            version=row.originator_version,
            position=row.position,
            recorded_at=row.recorded_at,
            body=actors.key_body(issued[event.key_digest], revoked=revoked),
        )
    yield from found.values()
