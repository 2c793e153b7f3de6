"""The past is the fold of a prefix of the log, by recorded time, and of a selection of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, pairwise
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from given import GATES
from given_histories import histories
from given_stores import ADAPTERS
from ledger import errors, governance, past
from ledger.codec import decode, encode, topic_of
from ledger.events import Event
from ledger.in_force import InForce
from ledger.store import Append, LogRow, Store
from ledger.vocabulary import Gate, PolicyVersion, moment_text, now
from projections import public_view, selection
from projections.findings import examined
from projections.folded import Folded, Logged
from view_facts import FOUNDED, adopted, live, uuid

TICK = timedelta(microseconds=1)
FIRST_DAY, LAST_DAY = date(2026, 5, 1), date(2026, 7, 9)
records = count(1_000)

days = st.dates(FIRST_DAY, LAST_DAY)
moments = st.datetimes(
    datetime.combine(FIRST_DAY, time.min), datetime.combine(LAST_DAY, time.max)
).map(lambda naive: naive.replace(tzinfo=UTC))
governing = st.one_of(
    st.builds(adopted, st.sampled_from(PolicyVersion), st.sampled_from(["checked", "stated"])),
    st.builds(live, st.sampled_from(Gate), days),
)


@dataclass(frozen=True)
class Written:
    """A record in a real log, and the facts of the ledger itself around it."""

    store: Store
    record_id: str
    events: tuple[Event, ...]
    rows: list[LogRow]
    ledger: list[tuple[LogRow, Event]]

    def in_force(self, position: int, as_of: datetime | None = None) -> InForce:
        facts = InForce()
        for row, event in self.ledger:
            if row.position > position:
                continue
            if as_of is None or since(event, row) <= as_of:
                facts = facts.after(event)
        return facts

    def seen(self, **asked: object) -> past.Seen:
        question = past.asked({name: str(value) for name, value in asked.items()})
        assert question is not None
        return past.seen(self.store, selection, self.record_id, question)

    def body(self, versions: int, position: int) -> bytes:
        """Return what was written with the append of that version, folded as it was then."""
        page = public_view.folded(self.events[:versions])
        return public_view.body(page, self.in_force(position))

    @property
    def head(self) -> int:
        return self.store.head()


def since(event: Event, row: LogRow) -> datetime:
    """Return since when a fact holds, read off its body and not by the code under test."""
    told = event.model_dump()
    for name, given_time in told.items():
        if name in {"submitted_on", "registered_on", "assessed_on", "counted_on", "evaluated_at",
                    "effective_on", "activated_on"} and given_time:  # fmt: skip
            if isinstance(given_time, datetime):
                return given_time
            return datetime(given_time.year, given_time.month, given_time.day, tzinfo=UTC)
    return row.recorded_at


@pytest.fixture(scope="module", params=sorted(ADAPTERS))
def store(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Store]:
    adapter = ADAPTERS[request.param]
    with adapter.open(adapter.create(tmp_path_factory.mktemp("past"))) as opened:
        yield opened


def append(store: Store, event: Event) -> None:
    row = StoredEvent(event.originator_id, event.originator_version, topic_of(event), encode(event))
    store.append(Append((row,))).result()


@st.composite
def plans(draw: st.DrawFn) -> list[Any]:
    """Draw a record's events with times of their own, and facts of the ledger among them."""
    plan: list[Any] = []
    for event in draw(histories()):
        plan += [None] * draw(st.sampled_from([0, 0, 1, 2]))
        name = type(event).EFFECTIVE
        if name is None or getattr(event, name) is None:
            plan.append(event)
            continue
        told = draw(moments if isinstance(getattr(event, name), datetime) else days)
        plan.append(event.model_copy(update={name: told}))
    return [draw(governing) if step is None else step for step in plan]


def written(store: Store, plan: Sequence[Any]) -> Written:
    """Put a plan into the log, as a record of its own."""
    record_id, events = uuid(next(records)), []
    for step in plan:
        if isinstance(step, Event):
            events.append(step.model_copy(update={"originator_id": record_id}))
            append(store, events[-1])
        else:
            append(store, step(governance.STREAM, len(store.rows_of(governance.STREAM)) + 1))
    rows = store.rows_of(record_id)
    ledger = [(row, decode(row.originator_id, row.originator_version, row.topic, row.state))
              for row in store.rows_of(governance.STREAM)]  # fmt: skip
    return Written(store, record_id, tuple(events), rows, ledger)


thorough = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@thorough
@given(plans())
def test_a_version_is_the_fold_of_its_prefix(store: Store, plan: list[Any]) -> None:
    log = written(store, plan)
    for row in log.rows:
        seen = log.seen(version=row.originator_version)
        assert seen.body == log.body(row.originator_version, row.position)
        assert seen.last.position == row.position
        assert seen.settled


@thorough
@given(plans(), st.data())
def test_a_recorded_moment_is_the_fold_of_what_was_recorded_by_then(
    store: Store, plan: list[Any], data: st.DataObject
) -> None:
    log = written(store, plan)
    places = list(store.rows(log.rows[0].position - 1))
    for row in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=8)):
        versions = sum(one.position <= row.position for one in log.rows)
        seen = log.seen(recorded_at=moment_text(row.recorded_at))
        assert seen.body == log.body(versions, row.position)
        assert seen.settled
        if row.position > log.rows[0].position:
            before = sum(one.position < row.position for one in log.rows)
            just_before = log.seen(recorded_at=moment_text(row.recorded_at - TICK))
            assert just_before.body == log.body(before, row.position - 1)


@thorough
@given(plans(), moments | days)
def test_an_effective_moment_counts_what_had_taken_effect(
    store: Store, plan: list[Any], at: datetime | date
) -> None:
    log = written(store, plan)
    if isinstance(at, datetime):
        told, end = moment_text(at), at
    else:
        told, end = at.isoformat(), datetime.combine(at, time.max, UTC)
    pairs = list(zip(log.events, log.rows, strict=True))
    counted = [event for event, row in pairs if since(event, row) <= end]
    if counted[:1] != [log.events[0]]:
        with pytest.raises(errors.NotYetInEffect) as refused:
            log.seen(as_of=told)
        first = since(log.events[0], log.rows[0])
        assert refused.value.context == {"first": moment_text(first)}
        return
    seen = log.seen(as_of=told)
    page = selection.folded(counted)
    assert seen.body == public_view.body(page, log.in_force(log.head, end))
    assert [e.event for e in seen.counted] == counted
    assert seen.told["not_in_effect"] == [
        e.originator_version for e in log.events if e not in counted
    ]
    assert not seen.settled


@thorough
@given(plans())
def test_as_of_now_is_what_is_shown_now(store: Store, plan: list[Any]) -> None:
    log = written(store, plan)
    present = moment_text(now())
    assert not log.seen(recorded_at=present).settled
    assert log.seen(as_of=present).body == log.body(len(log.events), log.head)
    assert log.seen(as_of=present, recorded_at=present).body == log.body(len(log.events), log.head)


@thorough
@given(plans(), st.lists(days, min_size=2, max_size=4, unique=True).map(sorted))
def test_more_is_known_later_and_more_has_taken_effect_later(
    store: Store, plan: list[Any], on: list[date]
) -> None:
    log = written(store, plan)
    known = [log.seen(recorded_at=moment_text(row.recorded_at)).known for row in log.rows]
    assert all(less == more[: len(less)] for less, more in pairwise(known))
    counted = []
    for day in on:
        for row in log.rows:
            try:
                seen = log.seen(as_of=day, recorded_at=moment_text(row.recorded_at))
            except errors.NotYetInEffect:
                continue
            counted.append((day, row.position, {e.position for e in seen.counted}))
            # What counts never depends on what was recorded after what was known.
            assert seen.body == log.seen(as_of=day, version=row.originator_version).body
    for day, position, fewer in counted:
        for other_day, other_position, more in counted:
            if day <= other_day and position <= other_position:
                assert fewer <= more


@thorough
@given(histories())
def test_a_selection_of_everything_is_the_page(events: tuple[Event, ...]) -> None:
    assert selection.folded(events) == public_view.folded(events)


@thorough
@given(histories(), st.data())
def test_every_selection_has_a_document_and_findings(
    events: tuple[Event, ...], data: st.DataObject
) -> None:
    chosen = [events[0], *(event for event in events[1:] if data.draw(st.booleans()))]
    in_force = InForce(gates=GATES)
    document = public_view.document(selection.folded(chosen), in_force)
    assert document["version"] == chosen[-1].originator_version
    entries = tuple(Logged(e.originator_version, FOUNDED, e) for e in chosen)
    record = Folded(events[0].originator_id, entries, document, in_force)
    versions = {event.originator_version for event in chosen}
    for found in examined(record):
        assert found.version == found.position
        assert found.version in versions
