"""How does a decision become durable?  The engine room: load, fold, hand over, remember.

Built on the ``eventsourcing`` library's application, with our own recorder and mapper.  It knows no
rule of the trade and no projection: the fold that makes the public view is handed in.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol, cast

from eventsourcing.application import Application
from eventsourcing.persistence import ApplicationRecorder, Mapper, StoredEvent

from ledger import actors, codec, errors, governance, rules
from ledger.arrivals import Arrivals
from ledger.content import Facts
from ledger.events import Event, PayloadErased, RecordSubmitted
from ledger.in_force import Activation, InForce
from ledger.keys import Keys
from ledger.record import ResearchRecord, evolve
from ledger.store import (
    Append,
    Artifact,
    Document,
    Erasure,
    GuardConflict,
    IdempotencyKey,
    KeyConflict,
    QueueFull,
    Receipt,
    Reservation,
    ReservationConflict,
    Store,
    VersionConflict,
)
from ledger.vocabulary import Gate, now

HELD_RECORDS: Final = 250
"""Records kept decoded: enough for those being worked on, few enough for the processor's caches."""
TRIES: Final = 5


class ViewFold(Protocol):
    """The fold of a record's public view, as a projection offers it."""

    NAME: str

    def evolve(self, page: Any | None, event: Event, facts: Facts | None = None) -> Any:
        """Return the page after one more event, which leads to ``facts``."""

    def body(self, page: Any, in_force: InForce) -> bytes:
        """Return the document to store."""


class LedgerMapper(Mapper[str]):
    """The engine's mapper over our own codec: explicit type names, bytes written once."""

    def __init__(self) -> None:
        """Need no transcoder, compressor or cipher."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Return the row of an event."""
        event = cast("Event", domain_event)
        return StoredEvent(
            event.originator_id,
            event.originator_version,
            codec.topic_of(event),
            codec.encode(event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Return the event of a row; raises UnreadableEvent."""
        return codec.decode(
            str(stored_event.originator_id),
            stored_event.originator_version,
            stored_event.topic,
            stored_event.state,
        )


@dataclass(frozen=True, slots=True)
class Held:
    """A record and its page at one version; a prefix of a stream never changes, nor can this."""

    record: ResearchRecord
    page: Any


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, under which idempotency key, and which version of the record they saw.

    ``holder`` is set when they came with an API key: nothing is appended once it is revoked.
    """

    actor: str
    idempotency: IdempotencyKey | None = None
    expected: int | None = None
    holder: actors.KeyHolder | None = None


@dataclass(frozen=True, slots=True)
class Besides:
    """What an append holds besides its events: names, streams it rests on, bytes, an erasure."""

    reservations: tuple[Reservation, ...] = ()
    guards: tuple[tuple[str, int], ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    erasure: Erasure | None = None


NOTHING_BESIDES: Final = Besides()


class Engine(Application[str]):
    """The engine over a store and the fold of its public view."""

    name = "ledger"

    def __init__(self, store: Store, view: ViewFold) -> None:
        """Work on an opened store; the caller closes it."""
        self.store = store
        self.view = view
        self.keys = Keys(store, self._events)
        self.may_append: Callable[[], None] = lambda: None
        """Refuses while nothing at all may be appended; whoever knows of a reason sets it."""
        self._latest = datetime.min.replace(tzinfo=UTC)
        """The latest moment that the log is known to have recorded."""
        self._arrivals: Arrivals[Receipt] | None = None
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._in_flight: set[tuple[str, str]] = set()
        self._in_force = InForce()
        # The engine's own factory only assembles its event store; recorder and mapper are ours.
        super().__init__(env={"PERSISTENCE_MODULE": "eventsourcing.popo"})

    def construct_mapper(self) -> Mapper[str]:
        """Return our mapper."""
        return LedgerMapper()

    def construct_recorder(self) -> ApplicationRecorder:
        """Return the store, which is a recorder of the engine."""
        return cast("ApplicationRecorder", self.store)

    async def in_force(self) -> InForce:
        """Return the gates and policies in force, whichever process put them there."""
        in_force = self._in_force
        for event in await self._events(governance.STREAM, in_force.version):
            in_force = in_force.after(event)
        self._in_force = in_force
        return in_force

    async def activations(self, gate: Gate) -> Mapping[Gate, Activation]:
        """Return the gates that were activated, ``gate`` among them if it was at all.

        An activation is never taken back, so one that is remembered will do.
        """
        remembered = self._in_force.gates
        return remembered if gate in remembered else (await self.in_force()).gates

    async def handle(self, record_id: str) -> str:
        """Return the handle of a record; refuses RecordUnknown."""
        held = self._held.get(record_id) or await self._hold(record_id, None)
        return held.record.handle

    # ------------------------------------------------------------ how an append is made

    def _asked(self, request: Request) -> rules.Asked:
        # A clock that was set back does not undo what the log has recorded since.
        return rules.Asked(request.actor, max(now(), self._latest))

    async def _events(self, stream: str, after: int = 0) -> list[Event]:
        rows = await self.store.stream(stream, after)
        if rows:
            self._latest = max(self._latest, rows[-1].recorded_at)
        return [codec.decode(r.originator_id, r.originator_version, r.topic, r.state) for r in rows]

    async def _hold(self, record_id: str, version: int | None) -> Held:
        """Return the record at its newest version, from memory when that is the version named."""
        held = self._held.get(record_id)
        if held is None or version is None or held.record.version != version:
            events = await self._events(record_id, held.record.version if held else 0)
            if held is not None and any(isinstance(event, PayloadErased) for event in events):
                # What is held may be what was erased.
                held, events = None, await self._events(record_id)
            held = self._keep(self._folded(events, held))
        if version is not None and held.record.version != version:
            raise errors.StaleVersion(version=held.record.version)
        return held

    def _folded(self, events: Iterable[Event], held: Held | None = None) -> Held:
        """Return what a record's events make of what is held; refuses RecordUnknown for none."""
        record, page = (held.record, held.page) if held else (None, None)
        for event in events:
            if record is None and not isinstance(event, RecordSubmitted):
                raise errors.RecordUnknown
            record = evolve(record, event)
            page = self.view.evolve(page, event, record.facts)
        if record is None:
            raise errors.RecordUnknown
        return Held(record, page)

    def _keep(self, held: Held) -> Held:
        self._held[held.record.record_id] = held
        self._held.move_to_end(held.record.record_id)
        while len(self._held) > HELD_RECORDS:
            self._held.popitem(last=False)
        return held

    async def _change(
        self,
        record_id: str,
        request: Request,
        decide: Callable[[ResearchRecord, rules.Asked], Event],
        besides: Besides = NOTHING_BESIDES,
    ) -> Receipt:
        async def attempt() -> Receipt:
            held = await self._hold(record_id, request.expected)
            event = decide(held.record, self._asked(request))
            try:
                return await self._write(held, (event,), request, besides)
            except VersionConflict as conflict:
                self._held.pop(record_id, None)
                raise errors.StaleVersion from conflict

        return await self._once(request, attempt)

    async def _append_new(
        self,
        events: tuple[Event, ...],
        request: Request,
        reservations: tuple[Reservation, ...] = (),
    ) -> Receipt:
        first = cast("RecordSubmitted", events[0])
        handle = Reservation("handle", first.handle, first.originator_id)
        besides = Besides((handle, *reservations))

        async def attempt() -> Receipt:
            try:
                return await self._write(None, events, request, besides)
            except VersionConflict as conflict:
                raise errors.RecordExists from conflict

        return await self._once(request, attempt)

    async def _write(
        self,
        held: Held | None,
        events: tuple[Event, ...],
        request: Request,
        besides: Besides,
    ) -> Receipt:
        record, page = (held.record, held.page) if held else (None, None)
        for event in events:
            record = evolve(record, event)
            page = self.view.evolve(page, event, record.facts)
        after = Held(cast("ResearchRecord", record), page)
        key = after.record.record_id
        holder = request.holder
        for _try in range(TRIES):
            # What is remembered will do: the guard refuses the append if it no longer holds.
            in_force = self._in_force if self._in_force.version else await self.in_force()
            view = Document(
                self.view.NAME, key, after.record.version, self.view.body(page, in_force)
            )
            append = Append(
                events=tuple(map(self.mapper.to_stored_event, events)),
                documents=(view,),
                reservations=besides.reservations,
                guards=((governance.STREAM, in_force.version), *_guarding(holder), *besides.guards),
                idempotency=request.idempotency,
                artifacts=besides.artifacts,
                erasure=besides.erasure,
            )
            try:
                receipt = await self._commit(append)
            except GuardConflict:
                # What is in force changed while we decided, so that the view is derived again under
                # it; or the actor's keys did, and it is seen whether this one still holds.
                before = (in_force, holder)
                holder = await self.keys.confirmed(holder) if holder else None
                if (await self.in_force(), holder) == before:
                    raise
                continue
            if not receipt.replayed:
                self._keep(after)
            return receipt
        raise errors.Overloaded

    async def _commit(self, append: Append) -> Receipt:
        """Hand an append to the store; a caller that goes away does not take the append with it."""
        self.may_append()
        try:
            receipt = await self._here().wait_for(self.store.append(append))
        except QueueFull as full:
            raise errors.Overloaded from full
        except KeyConflict as reused:
            raise errors.IdempotencyKeyReused from reused
        except ReservationConflict as taken:
            refusal = {
                "handle": errors.HandleTaken,
                "doi": errors.DoiTaken,
                "source": errors.SourceAlreadyImported,
            }[taken.reservation.kind]
            raise refusal(held_by=taken.owner) from taken
        self._latest = max(self._latest, receipt.recorded_at)
        return receipt

    def _here(self) -> Arrivals[Receipt]:
        """Return what takes answers to the running loop: of a server, always the same."""
        loop, arrivals = asyncio.get_running_loop(), self._arrivals
        if arrivals is None or arrivals.loop is not loop:
            arrivals = self._arrivals = Arrivals(loop)
        return arrivals

    async def _once(self, request: Request, attempt: Callable[[], Awaitable[Receipt]]) -> Receipt:
        """Make an attempt; a retry gets the first answer, a twin in flight is refused.

        The store looks the key up in the transaction that writes, so only a refused attempt has to
        ask: a retry meets the very world that its first try made, and would be refused for that.
        """
        key = request.idempotency
        if key is None:
            return await attempt()
        name = (key.actor, key.key)
        if name in self._in_flight:
            raise errors.RequestInFlight
        self._in_flight.add(name)
        try:
            return await attempt()
        except errors.Refusal:
            answered = await self._answered(key)
            if answered is None:
                raise
            return answered
        finally:
            self._in_flight.discard(name)

    async def _answered(self, key: IdempotencyKey) -> Receipt | None:
        try:
            return await self.store.answered(key)
        except KeyConflict as reused:
            raise errors.IdempotencyKeyReused from reused


def _guarding(holder: actors.KeyHolder | None) -> tuple[tuple[str, int], ...]:
    return ((actors.stream(holder.actor), holder.version),) if holder else ()
