"""What changed between two points: every field, and exactly the events that changed it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import count, pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from given_histories import histories
from given_stores import ADAPTERS
from ledger import errors, governance, past
from ledger.codec import encode, topic_of
from ledger.differing import CAUSES_MAX, Difference, difference
from ledger.events import Event
from ledger.store import Append, Store
from ledger.vocabulary import ArtifactRole, PolicyVersion, moment_text
from projections import public_view, selection
from view_facts import Fact, adopted, attached, corrected, evaluated, submitted, uuid

TICK = timedelta(microseconds=1)
records = count(1_000)


@pytest.fixture(scope="module", params=sorted(ADAPTERS))
def store(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Store]:
    adapter = ADAPTERS[request.param]
    with adapter.open(adapter.create(tmp_path_factory.mktemp("differing"))) as opened:
        yield opened


def append(store: Store, event: Event) -> None:
    row = StoredEvent(event.originator_id, event.originator_version, topic_of(event), encode(event))
    store.append(Append((row,))).result()


def govern(store: Store, fact: Fact) -> None:
    append(store, fact(governance.STREAM, len(store.rows_of(governance.STREAM)) + 1))


def written(store: Store, *facts: Fact) -> str:
    record_id = uuid(next(records))
    for version, fact in enumerate(facts, start=1):
        append(store, fact(record_id, version))
    return record_id


def between(store: Store, record_id: str, **points: object) -> Difference:
    named = {name.rstrip("_"): str(point) for name, point in points.items()}
    return difference(store, public_view, record_id, named)


def at_version(store: Store, record_id: str, version: int) -> dict[str, Any]:
    """Return the document at a version, as the resolver of the past gives it."""
    if version == 0:
        return {}
    seen = past.seen(store, selection, record_id, past.Asked(version=version))
    return {name: value for name, value in seen.document.items() if name != "version"}


def bare(value: Any) -> Any:
    """Return a value without the members that say nothing: null, and what is empty."""
    if isinstance(value, dict):
        kept = {name: bare(each) for name, each in value.items()}
        return {name: each for name, each in kept.items() if each not in (None, [], {})}
    if isinstance(value, list):
        return [bare(each) for each in value]
    return value


def patched(document: dict[str, Any], found: Difference) -> Any:
    """Return a document with changes made to it by their pointers alone."""
    whole = {"": copy.deepcopy(document)}
    for change in found.changes:
        here: Any = whole[""]
        *way, last = [s.replace("~1", "/").replace("~0", "~") for s in change.path.split("/")[1:]]
        for step, following in pairwise([*way, last]):
            if isinstance(here, list):
                here = here[int(step)]
            else:
                here = here.setdefault(step, [] if following.isdigit() else {})
                assert here is not None
        if isinstance(here, list):
            here[int(last) :] = [change.after] if change.kind != "removed" else []
        elif change.kind == "removed":
            del here[last]
        else:
            here[last] = change.after
    return whole[""]


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=histories(), data=st.data())
def test_the_changes_lead_from_the_one_document_to_the_other(
    store: Store, history: tuple[Event, ...], data: st.DataObject
) -> None:
    record_id = uuid(next(records))
    for event in history:
        append(store, event.model_copy(update={"originator_id": record_id}))
    end = data.draw(st.integers(1, len(history)))
    start = data.draw(st.integers(0, end))
    found = between(store, record_id, from_=start, to=end)
    assert (found.before.version, found.after.version, found.events) == (start, end, end - start)
    before, after = at_version(store, record_id, start), at_version(store, record_id, end)
    assert bare(patched(before, found)) == bare(after)
    for change in found.changes:
        assert change.events, change
        for each in change.events:
            assert each["stream"] != record_id or start < each["version"] <= end
    if start == end:
        assert found.changes == ()


def test_each_change_names_the_events_that_made_it(store: Store) -> None:
    record_id = written(
        store,
        submitted(),
        attached(ArtifactRole.REPORT),
        corrected(),
        evaluated(),
    )
    found = between(store, record_id, from_=1)
    by_path = {change.path: change for change in found.changes}
    assert [e["version"] for e in by_path["/artifacts/0"].events or ()] == [2]
    assert [e["type"] for e in by_path["/corrections/count"].events or ()] == ["correction.issued"]
    (evaluation,) = by_path["/evaluations/0"].events or ()
    assert (evaluation["version"], evaluation["type"]) == (4, "gate.evaluated")
    assert by_path["/artifacts/0"].kind == "added"


def test_without_a_first_point_the_submission_is_a_change(store: Store) -> None:
    record_id = written(store, submitted())
    found = between(store, record_id)
    assert found == between(store, record_id, from_=0, to=1)
    title = next(change for change in found.changes if change.path == "/title")
    assert (title.kind, title.before) == ("added", None)
    assert [e["type"] for e in title.events or ()] == ["record.submitted"]
    assert found.before.told == {"version": 0, "position": 0, "recorded_at": None}


def test_a_policy_between_the_points_is_named_as_the_cause(store: Store) -> None:
    govern(store, adopted(PolicyVersion.V1, "checked"))
    record_id = written(store, submitted())
    before = moment_text(store.rows_of(record_id)[-1].recorded_at)
    govern(store, adopted(PolicyVersion.V2, "checked"))
    found = between(store, record_id, from_=before)
    assert found.events == 0
    (policy,) = [change for change in found.changes if change.path == "/policy/version"]
    assert (policy.before, policy.after) == ("v1", "v2")
    (cause,) = policy.events or ()
    assert (cause["stream"], cause["type"]) == ("ledger", "policy.adopted")


def test_moments_and_days_are_points_of_recorded_time(store: Store) -> None:
    record_id = written(store, submitted(), attached(ArtifactRole.REPORT))
    _first, second = store.rows_of(record_id)
    at, just_before = moment_text(second.recorded_at), moment_text(second.recorded_at - TICK)
    assert between(store, record_id, from_=just_before, to=at) == between(store, record_id, from_=1)
    assert between(store, record_id, to=just_before) == between(store, record_id, to=1)
    day = second.recorded_at.date().isoformat()
    assert between(store, record_id, to=day) == between(store, record_id)
    assert between(store, record_id, from_="2020-01-01").before.version == 0


@pytest.mark.parametrize(
    ("points", "refusal"),
    [
        ({"from": "3"}, errors.VersionUnknown),
        ({"to": "9" * 30}, errors.VersionUnknown),
        ({"from": "2", "to": "1"}, errors.InvalidParameter),
        ({"to": "2020-01-01"}, errors.NotYetRecorded),
        ({"to": "2999-01-01"}, errors.MomentInFuture),
        ({"from": "2999-01-01T00:00:00Z"}, errors.MomentInFuture),
        ({"from": "-1"}, errors.InvalidParameter),
        ({"from": ""}, errors.InvalidParameter),
        ({"from": "\u0661"}, errors.InvalidParameter),
        ({"to": "yesterday"}, errors.InvalidParameter),
        ({"to": "2026-07-01T10:00:00"}, errors.InvalidParameter),
    ],
)
def test_points_that_are_none_are_refused(
    store: Store, points: dict[str, str], refusal: type[errors.Refusal]
) -> None:
    record_id = written(store, submitted(), attached(ArtifactRole.REPORT))
    with pytest.raises(refusal):
        difference(store, public_view, record_id, points)


def test_a_stream_that_is_no_record_has_no_differences(store: Store) -> None:
    for name in (governance.STREAM, uuid(1)):
        with pytest.raises(errors.RecordUnknown):
            difference(store, public_view, name, {})


def test_over_very_many_events_changes_are_told_without_their_causes(store: Store) -> None:
    record_id = written(store, submitted(), attached(ArtifactRole.REPORT), evaluated())
    traced = difference(store, public_view, record_id, {}, causes_max=CAUSES_MAX)
    untraced = difference(store, public_view, record_id, {}, causes_max=2)
    assert {change.events for change in untraced.changes} == {None}
    assert [c.path for c in untraced.changes] == [c.path for c in traced.changes]
    json.dumps(traced.told)


def test_a_long_document_is_not_made_anew_for_ever(
    store: Store,
) -> None:
    record_id = written(store, submitted(), attached(ArtifactRole.REPORT), evaluated())
    traced = difference(store, public_view, record_id, {})
    made = 0

    def body(page: Any, in_force: Any) -> bytes:
        nonlocal made
        made += 1
        return public_view.body(page, in_force)

    fold = SimpleNamespace(evolve=public_view.evolve, body=body)
    untraced = difference(store, fold, record_id, {}, bytes_max=2_000)
    # The one after the first event, and the last.
    assert made == 2
    assert {change.events for change in untraced.changes} == {None}
    assert [c.path for c in untraced.changes] == [c.path for c in traced.changes]
