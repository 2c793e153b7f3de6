"""What can the ledger do?  One method per command; each ends in durable events, or a refusal.

It asks the pure rules and hands what they decide to the engine room; it must never decide itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Final, Literal

from ledger import actors, codec, erasure, errors, evaluation, governance, rules
from ledger.commands import (
    AssessReview,
    Attach,
    Correct,
    CountClaims,
    Erase,
    Evaluate,
    Register,
    Resubmit,
    Submit,
    Supersede,
)
from ledger.engine import TRIES, Besides, Engine, Held, Request
from ledger.events import (
    Event,
    ExternalRecordRegistered,
    KeyIssued,
    KeyRevoked,
    LogBegun,
    PayloadErased,
)
from ledger.record import ResearchRecord
from ledger.store import (
    Append,
    Artifact,
    Document,
    Erasure,
    GuardConflict,
    Receipt,
    Reservation,
    VersionConflict,
)
from ledger.vocabulary import (
    HANDLE_PREFIX,
    Gate,
    PolicyVersion,
    Scope,
    Visibility,
    new_handle,
    new_record_id,
    now,
)

OPERATOR: Final = "operator"
"""The actor of whatever is done at the command line of the ledger's own machine."""


class Ledger(Engine):
    """The record ledger over a store and the fold of its public view."""

    # ------------------------------------------------------------ records: commands

    async def submit(self, command: Submit, request: Request) -> Receipt:
        """Submit a new record; refuses HandleTaken, SubmittedInTheFuture, ClaimsOutOfOrder."""
        record_id = new_record_id()
        digits = 8
        for _try in range(TRIES):
            handle = command.handle or new_handle(digits)
            event = rules.submit(command, record_id, handle, self._asked(request))
            try:
                return await self._append_new((event,), request)
            except errors.HandleTaken:
                # A random handle that is taken is drawn again, longer; a wanted one is refused.
                if command.handle:
                    raise
                digits += 2
        raise errors.HandleTaken

    async def resubmit(self, record_id: str, command: Resubmit, request: Request) -> Receipt:
        """Submit a new version of the content."""
        return await self._change(
            record_id, request, lambda held, asked: rules.resubmit(held, command, asked)
        )

    async def attach(
        self, record_id: str, command: Attach, size_bytes: int, request: Request
    ) -> Receipt:
        """Attach stored bytes; what is public may from now on be attached by its digest alone."""
        public = command.visibility is Visibility.PUBLIC
        return await self._change(
            record_id,
            request,
            lambda held, asked: rules.attach(held, command, size_bytes, asked),
            Besides(artifacts=(Artifact(command.digest, size_bytes),) if public else ()),
        )

    async def register(self, record_id: str, command: Register, request: Request) -> Receipt:
        """Register the record's DOI; refuses DoiAlreadyRegistered and DoiTaken."""
        return await self._change(
            record_id,
            request,
            lambda held, asked: rules.register(held, command, asked),
            Besides((Reservation("doi", command.value, record_id),)),
        )

    async def assess_review(
        self, record_id: str, command: AssessReview, request: Request
    ) -> Receipt:
        """Record a later review."""
        return await self._change(
            record_id, request, lambda held, asked: rules.assess_review(held, command, asked)
        )

    async def count_claims(self, record_id: str, command: CountClaims, request: Request) -> Receipt:
        """Record later claim counts."""
        return await self._change(
            record_id, request, lambda held, asked: rules.count_claims(held, command, asked)
        )

    async def evaluate(self, record_id: str, command: Evaluate, request: Request) -> Receipt:
        """Append a gate evaluation that agrees with its own evidence."""
        active = await self.activations(command.gate)
        return await self._change(
            record_id,
            request,
            lambda held, asked: evaluation.evaluate(held, command, active, asked),
        )

    async def correct(self, record_id: str, command: Correct, request: Request) -> Receipt:
        """Append a correction; refuses StaleCorrection when a ``from`` is not the current value."""
        return await self._change(
            record_id, request, lambda held, asked: rules.correct(held, command, asked)
        )

    async def supersede(self, record_id: str, command: Supersede, request: Request) -> Receipt:
        """Supersede a record; refuses unknown successors and cycles, also concurrent ones."""
        for _try in range(TRIES):
            chain = await self._successors(command.by, record_id)
            successors = tuple(record.record_id for record in chain)
            decide = partial(_superseding, command, successors)
            others = tuple((r.record_id, r.version) for r in chain if r.record_id != record_id)
            try:
                return await self._change(record_id, request, decide, Besides(guards=others))
            except GuardConflict:
                # A record of the chain moved on while we decided: look at it again.
                for record in chain:
                    self._held.pop(record.record_id, None)
        raise errors.Overloaded

    async def erase(self, position: int, command: Erase, request: Request) -> Receipt:
        """Erase texts from a record's event; refuses EventUnknown, NotErasable, NothingToErase.

        The record is folded anew without them, and everything happens in one transaction.
        """
        record_id = await self._erasable(position)

        async def attempt() -> Receipt:
            stream = await self.store.stream(record_id)
            if request.expected not in (None, len(stream)):
                raise errors.StaleVersion(version=len(stream))
            self._latest = max(self._latest, stream[-1].recorded_at)
            asked = self._asked(request)

            def decided() -> tuple[PayloadErased, bytes, Held]:
                rows = [
                    erasure.Row(row.position, row.originator_version, row.topic, row.state)
                    for row in stream
                ]
                redaction = erasure.redact(rows, position, command)
                events = (
                    codec.decode(record_id, row.version, row.topic, row.body)
                    for row in redaction.rows
                )
                held = self._folded(events)
                fact = erasure.erased(held.record, redaction, command, asked)
                return fact, redaction.row.body, held

            # A record may be long, and all of it is read and folded.
            fact, body, held = await asyncio.to_thread(decided)
            try:
                besides = Besides(erasure=Erasure(position, body))
                return await self._write(held, (fact,), request, besides)
            except VersionConflict as conflict:
                self._held.pop(record_id, None)
                raise errors.StaleVersion from conflict

        return await self._once(request, attempt)

    async def import_stated(self, events: Sequence[Event], source: str) -> Receipt:
        """Append the facts that one source states; refuses SourceAlreadyImported and DoiTaken."""
        first = events[0]
        if await self.store.owner("source", source) is not None:
            raise errors.SourceAlreadyImported
        reserved = [Reservation("source", source, first.originator_id)]
        reserved += [
            Reservation("doi", e.value, first.originator_id)
            for e in events
            if isinstance(e, ExternalRecordRegistered) and e.value is not None
        ]
        for name in reserved[1:]:
            rules.addressable(name.value)
        return await self._append_new(tuple(events), Request(OPERATOR), tuple(reserved))

    async def state(self, record_id: str, decide: Callable[[ResearchRecord], Event]) -> Receipt:
        """Append a fact that a source states to the record as it now is."""
        return await self._change(record_id, Request(OPERATOR), lambda held, _asked: decide(held))

    # ------------------------------------------------------------ the ledger itself

    async def found(self) -> None:
        """Write the first events of a new ledger; does nothing on one that has them."""
        if (await self.in_force()).version == 0:
            await self._govern(governance.founding(OPERATOR, now().date()))

    async def activate_gate(
        self, gate: Gate, on: date, actor: str, label: str | None = None
    ) -> Receipt:
        """Record that a gate went live."""
        in_force = await self.in_force()
        return await self._govern((governance.activate_gate(in_force, gate, on, actor, label),))

    async def adopt_policy(
        self,
        policy: PolicyVersion,
        applies_to: Literal["checked", "stated"],
        reason: str,
        actor: str,
    ) -> Receipt:
        """Put a policy version in force for records of one basis."""
        in_force = await self.in_force()
        return await self._govern(
            (governance.adopt_policy(in_force, policy, applies_to, reason, actor),)
        )

    async def begin_log(
        self, origin: str, before: tuple[str, int, bytes] | None, reason: str, actor: str
    ) -> Receipt:
        """Record that the log is signed as ``origin`` from now on.

        ``before`` is the name, size and root of the last checkpoint under the earlier name.
        """
        stream = await self._events(LogBegun.STREAM)
        return await self._govern(
            (governance.begin_log(len(stream), origin, before, reason, actor),)
        )

    async def issue_key(
        self, holder: str, scopes: tuple[Scope, ...], by: str
    ) -> tuple[str, Receipt]:
        """Issue an API key; returns the key, which cannot be shown again."""
        stream = await self._events(actors.stream(holder))
        key, event = actors.issue_key(holder, scopes, len(stream), by)
        return key, await self._append_key(event, event, revoked=False)

    async def revoke_key(self, holder: str, key_id: str, by: str, reason: str) -> Receipt:
        """Revoke an API key; refuses KeyUnknown and KeyAlreadyRevoked."""
        stream = await self._events(actors.stream(holder))
        issued = {e.key_id: e for e in stream if isinstance(e, KeyIssued)}
        revoked = {e.key_id for e in stream if isinstance(e, KeyRevoked)}
        event = actors.revoke_key(issued, revoked, key_id, by, reason)
        return await self._append_key(event, issued[key_id], revoked=True)

    # ------------------------------------------------------------ queries

    async def resolve(self, address: str) -> str:
        """Return the record id that an id, a handle (with or without prefix) or a DOI names."""
        if not address.isascii():
            # No name in the ledger is: folding case would make one of a long s or a Kelvin sign.
            raise errors.RecordUnknown
        kind, value = named(address)
        record_id = value if kind == "id" else await self.store.owner(kind, value)
        if not record_id:
            raise errors.RecordUnknown
        return record_id

    async def still_holding(self, receipt: Receipt) -> tuple[int, ...]:
        """Return where else on the record a text stood that the erasure of a receipt took away."""
        event = (await self._events(receipt.originator_id, receipt.version - 1))[0]
        return event.also_at if isinstance(event, PayloadErased) else ()

    async def _erasable(self, position: int) -> str:
        """Return the record whose event stands at a position; refuses what holds no texts."""
        reading = self.store.rows(after=position - 1, upto=position, page=1)
        row = await asyncio.to_thread(next, reading, None)
        if row is None:
            raise errors.EventUnknown
        erasure.demand_texts(row.topic)
        return row.originator_id

    async def _successors(self, by: str, until: str) -> list[ResearchRecord]:
        chain: list[ResearchRecord] = []
        following: str | None = by
        while following is not None:
            try:
                record = (await self._hold(following, None)).record
            except errors.RecordUnknown:
                break
            chain.append(record)
            following = record.superseded_by if following != until else None
        return chain

    async def _govern(self, events: Sequence[Event]) -> Receipt:
        append = Append(events=tuple(map(self.mapper.to_stored_event, events)))
        try:
            receipt = await self._commit(append)
        except VersionConflict as conflict:
            raise errors.StaleVersion from conflict
        return receipt

    async def _append_key(self, event: Event, issued: KeyIssued, *, revoked: bool) -> Receipt:
        document = Document(
            actors.VIEW,
            issued.key_digest,
            event.originator_version,
            actors.key_body(issued, revoked=revoked),
        )
        append = Append(events=(self.mapper.to_stored_event(event),), documents=(document,))
        try:
            return await self._commit(append)
        except VersionConflict as conflict:
            raise errors.StaleVersion from conflict


def named(address: str) -> tuple[str, str]:
    """Return what an address is, ``id``, ``handle`` or ``doi``, and how the ledger holds it."""
    if address.startswith("10."):
        return "doi", address.lower()
    if "-" in address:
        return "id", address
    return "handle", HANDLE_PREFIX + address.upper().removeprefix(HANDLE_PREFIX)


def _superseding(
    command: Supersede, successors: tuple[str, ...], held: ResearchRecord, asked: rules.Asked
) -> Event:
    return rules.supersede(held, command, successors, asked)
