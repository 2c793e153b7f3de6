"""Whatever the rules let through, the record, its page and the stored bytes agree on it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from given import GATES
from given_histories import histories
from ledger.codec import decode, encode, topic_of
from ledger.events import Event
from ledger.in_force import InForce
from ledger.record import ResearchRecord, evolve, project
from ledger.vocabulary import PolicyVersion
from projections import public_view

IN_FORCE = InForce(version=2, gates=GATES)

thorough = settings(
    max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@thorough
@given(histories())
def test_versions_are_dense_and_what_is_stored_is_read_back(events: tuple[Event, ...]) -> None:
    assert [event.originator_version for event in events] == list(range(1, len(events) + 1))
    for event in events:
        stream, version = event.originator_id, event.originator_version
        assert decode(stream, version, topic_of(event), encode(event)) == event


@thorough
@given(histories())
def test_folding_a_prefix_is_folding_step_by_step(events: tuple[Event, ...]) -> None:
    record: ResearchRecord | None = None
    page: public_view.Page | None = None
    for upto, event in enumerate(events, 1):
        record, page = evolve(record, event), public_view.evolve(page, event)
        assert record == project(None, events[:upto])
        assert page == public_view.folded(events[:upto])


@thorough
@given(histories())
def test_the_record_and_its_page_agree(events: tuple[Event, ...]) -> None:
    record, page = project(None, events), public_view.folded(events)
    assert record is not None
    assert record.facts == page.facts
    assert (record.record_id, record.handle) == (page.record_id, page.handle)
    assert (record.version, len(record.submissions)) == (page.version, page.submission)
    assert record.current.digest == page.content_digest
    assert record.current.submitted_on == page.facts.submitted_on
    assert record.superseded_by == page.superseded_by
    assert record.registered == (page.registration is not None)
    assert record.in_doubt == (page.standing != "clear")
    assert list(record.evaluations) == [e.evaluation_id for e in page.evaluations]
    assert list(record.corrections) == [c.correction_id for c in page.corrections]


@thorough
@given(histories(), st.sampled_from(PolicyVersion))
def test_a_page_is_the_same_bytes_whenever_it_is_made(
    events: tuple[Event, ...], policy: PolicyVersion
) -> None:
    in_force = InForce(gates=GATES, policies={"checked": policy, "stated": policy})
    read_back = [
        decode(e.originator_id, e.originator_version, topic_of(e), encode(e)) for e in events
    ]
    body = public_view.body(public_view.folded(events), in_force)
    assert body == public_view.body(public_view.folded(read_back), in_force)
    shown = json.loads(body, parse_constant=_refuse_constant)
    assert shown == public_view.fold(events, in_force)
    assert body == json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()
    assert shown["version"] == len(events)
    assert not any(isinstance(value, float) for value in _values(shown))


def _refuse_constant(name: str) -> None:
    raise AssertionError(name)


def _values(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in _values(value)]
    if isinstance(tree, list):
        return [leaf for value in tree for leaf in _values(value)]
    return [tree]


@thorough
@given(histories())
def test_a_settled_verdict_has_its_evidence_attached(events: tuple[Event, ...]) -> None:
    shown = public_view.fold(events, IN_FORCE)
    verdict = shown["verdict"]
    if verdict["status"] == "UNVERIFIED":
        assert verdict["evaluation_id"] is None
        return
    (by,) = [e for e in shown["evaluations"] if e["evaluation_id"] == verdict["evaluation_id"]]
    assert (by["state"], by["gate"]) == ("counting", verdict["decided_by"])
    assert by["submission"] == shown["submission"]["number"]
    if by["basis"] == "checked":
        assert by["gate"] == verdict["gate"]
        assert by["evidence"] is not None
        attached = {a["digest"] for a in shown["artifacts"]}
        rests_on = {v for k, v in by["evidence"].items() if k.endswith("digest")}
        assert rests_on <= attached


@thorough
@given(histories())
def test_no_evaluation_is_older_than_its_submission(events: tuple[Event, ...]) -> None:
    record, page = project(None, events), public_view.folded(events)
    assert record is not None
    for evaluation in page.evaluations:
        day = record.submissions[evaluation.subject.submission - 1].submitted_on
        if day is not None and evaluation.evaluated_at is not None:
            assert evaluation.evaluated_at.date() >= day


@thorough
@given(histories())
def test_history_only_grows(events: tuple[Event, ...]) -> None:
    for upto in range(2, len(events)):
        before = public_view.fold(events[:upto], IN_FORCE)
        after = public_view.fold(events[: upto + 1], IN_FORCE)
        ids = [e["evaluation_id"] for e in before["evaluations"]]
        assert [e["evaluation_id"] for e in after["evaluations"]][: len(ids)] == ids
        assert after["artifacts"][: len(before["artifacts"])] == before["artifacts"]
        assert after["corrections"]["count"] >= before["corrections"]["count"]


def test_histories_reach_every_kind_of_event() -> None:
    """The strategy is no use if it never gets far: each kind of fact must turn up in it."""
    missing = {
        "record.resubmitted",
        "external-record.registered",
        "review.assessed",
        "claims.counted",
        "record.superseded",
        "UNVERIFIED",
        "VERIFIED",
        "FALSIFIED",
        "counting",
        "stale",
        "withdrawn",
        "retracted",
        "clear",
    }

    def was_the_last(events: tuple[Event, ...]) -> bool:
        missing.difference_update(event.TYPE for event in events)
        shown = public_view.fold(events, IN_FORCE)
        missing.difference_update(e["state"] for e in shown["evaluations"])
        missing.difference_update({shown["verdict"]["status"], shown["corrections"]["standing"]})
        return not missing

    # The rarest turns up in every fiftieth history or so: it ends long before the last.
    looked = settings(max_examples=3_000, database=None, phases=[Phase.generate])
    with contextlib.suppress(NoSuchExample):
        find(histories(), was_the_last, settings=looked)
    assert not missing
