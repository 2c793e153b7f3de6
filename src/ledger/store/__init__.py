"""How is a fact made durable?  The port that every store adapter fulfils: SQLite, PostgreSQL.

An adapter is also a recorder of the ``eventsourcing`` library (``ApplicationRecorder``), so that
the engine's repository and notification log work on it.  Beyond that interface it takes whole
*appends*: events together with everything that must be true in the same transaction.

What every adapter promises:

- one total order: ``position`` is dense from 1 and assigned under the ordering lock;
- ``recorded_at`` is set by the writer and strictly increases with ``position``;
- an append happens wholly or not at all, and never fails its neighbours in a batch;
- stored bytes are written once: nothing updates or deletes an event, but for an ordered erasure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from eventsourcing.persistence import StoredEvent

from ledger.store.raw import Raw
from ledger.store.tree import Tree


@dataclass(frozen=True, slots=True)
class Document:
    """A row of a view that is written with the append: the current document as stored bytes."""

    view: str
    id: str
    version: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Reservation:
    """A name that one stream holds alone: ``kind`` is handle, doi or source."""

    kind: str
    value: str
    owner: str


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's name for one request, per actor, with the fingerprint of what it asked."""

    actor: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """Bytes that an append makes public, kept elsewhere."""

    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """The body that takes the place of the one at ``position``, whose salt becomes empty."""

    position: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """Everything that one request wants to become true, all or nothing.

    ``guards`` name streams that must still be at a version when the append is written: reads on
    which the decision rested.  The events' own streams are guarded by their versions anyway.
    An ``erasure`` needs the ``payload.erased`` that names it as the append's only event.
    """

    events: tuple[StoredEvent, ...]
    documents: tuple[Document, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    guards: tuple[tuple[str, int], ...] = ()
    idempotency: IdempotencyKey | None = None
    artifacts: tuple[Artifact, ...] = ()
    erasure: Erasure | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the ledger answers for an append: where its last event stands, and since when."""

    originator_id: str
    version: int
    position: int
    recorded_at: datetime
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class FactRow:
    """A stored fact with its place in the log: what folding needs of a row, and no more."""

    position: int
    recorded_at: datetime
    originator_id: str
    originator_version: int
    topic: str
    state: bytes


@dataclass(frozen=True, slots=True)
class LogRow(FactRow):
    """One whole row of the log, as stored.

    ``payload_commitment`` is the SHA-256 that binds ``salt`` and ``state``; an erased row has an
    empty salt.
    """

    salt: bytes
    payload_commitment: bytes


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as stored, with where in the log it was written."""

    id: str
    version: int
    position: int
    recorded_at: datetime
    body: bytes


class VersionConflict(Exception):
    """A stream is not at the version that the append was decided on."""


class GuardConflict(Exception):
    """A guarded stream has moved on since the decision."""


class ReservationConflict(Exception):
    """A reserved name belongs to another stream."""

    def __init__(self, reservation: Reservation, owner: str) -> None:
        """Keep what was asked for and who holds it."""
        super().__init__(f"{reservation.kind} {reservation.value} belongs to {owner}")
        self.reservation = reservation
        self.owner = owner


class KeyConflict(Exception):
    """The idempotency key was used before with another fingerprint."""


class QueueFull(Exception):
    """The writer's queue is at its bound."""


class Observer(Protocol):
    """Who is told of each batch, in the writer's thread."""

    def committed(self, appends: int, seconds: float, waited: Sequence[float]) -> None:
        """Hear of a batch: its size, its duration, and how long each append took in all."""


class Store(Protocol):
    """The port.  Reads for doors are coroutines; bulk reads for replay are plain iterators.

    Every method refuses StoreUnavailable while the database is away.
    """

    @property
    def tree(self) -> Tree:
        """The Merkle tree over the log."""

    @property
    def raw(self) -> Raw:
        """Rows as tuples, for whoever makes lines of very many."""

    @property
    def waiting(self) -> int:
        """How many appends wait for the writer now."""

    def check(self) -> None:
        """Refuse StoreUnavailable, NotInitialised or WrongSchema unless all is well."""

    def reading_here(self) -> AbstractAsyncContextManager[None]:
        """Let the coroutines below share what they can on the running loop, while inside."""

    def append(self, append: Append) -> Future[Receipt]:
        """Queue an append; the future gives its receipt or one of the conflicts above.

        Raises QueueFull at once when the queue is at its bound.  Cancelling the future cancels
        nothing: a queued append is carried out.
        """

    async def document(self, view: str, id_: str) -> StoredDocument | None:
        """Return the current document of a view, or None."""

    async def documents_of(self, view: str, ids: Sequence[str]) -> dict[str, StoredDocument]:
        """Return the current documents of a view by id; those that are not there are left out."""

    async def owners_of(self, kind: str, values: Sequence[str]) -> dict[str, str]:
        """Return which streams hold reserved names, by name; free names are left out."""

    async def artifact(self, digest: str) -> int | None:
        """Return the size in bytes of an artifact that is public, or None."""

    async def owner(self, kind: str, value: str) -> str | None:
        """Return the stream that holds a reserved name, or None."""

    async def answered(self, idempotency: IdempotencyKey) -> Receipt | None:
        """Return the receipt that this key was answered with, or None; raises KeyConflict.

        A key that is older than the store was told to keep keys counts as unknown.
        """

    async def stream(
        self, originator_id: str, after: int = 0, limit: int | None = None
    ) -> list[LogRow]:
        """Return the rows of one stream with a version above ``after``, in order."""

    async def position(self) -> int:
        """Return the position of the last event, 0 for an empty log."""

    def head(self) -> int:
        """Return the position of the last event, 0 for an empty log, to any thread."""

    def rows_of(self, originator_id: str, after: int = 0) -> list[LogRow]:
        """Return the rows of one stream with a version above ``after``, to any thread."""

    def rows(self, after: int = 0, upto: int | None = None, page: int = 1_000) -> Iterator[LogRow]:
        """Yield the log in order from position ``after`` + 1, reading ``page`` rows at a time."""

    def rows_by_stream(self, upto: int, page: int = 1_000) -> Iterator[FactRow]:
        """Yield the facts up to position ``upto``, stream by stream, each in order."""

    def replace_documents(self, view: str, fresh: Iterable[StoredDocument], upto: int) -> None:
        """Swap a whole view for freshly folded documents, in one transaction.

        ``fresh`` was folded from the log up to position ``upto``; documents of streams that have
        later events are left as the live appends wrote them.
        """

    def documents(self, view: str) -> Iterator[StoredDocument]:
        """Yield every document of a view in order of id."""

    def subscribe_commits(self, wake: Callable[[int], None]) -> None:
        """Call ``wake(position)`` after each commit, of this process at least; it must be quick."""

    def close(self) -> None:
        """Finish what is queued, then let go of the database."""

    def __enter__(self) -> Self:
        """Return the store."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the store."""


def stored(rows: Sequence[FactRow]) -> list[StoredEvent]:
    """Return rows as the library's stored events."""
    return [StoredEvent(r.originator_id, r.originator_version, r.topic, r.state) for r in rows]
