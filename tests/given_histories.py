"""Histories of a record that the rules let through, drawn at random: as long as they are odd."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from field_values import VALUES, lines
from given import GATES, NOW
from ledger.commands import Command
from ledger.content import PublicField
from ledger.errors import Refusal
from ledger.events import Event
from ledger.record import ResearchRecord, evolve, project
from ledger.vocabulary import Gate, Nature, Outcome, Status
from view_facts import OTHER, PAGE, RECORD, Fact, evaluated, imported, red_team, submitted
from wishes import (
    CASE,
    CONTENT,
    PROOF,
    RESULTS,
    SCRIPT,
    assess,
    attach,
    attacks,
    correct,
    count,
    decide,
    evaluate,
    lean,
    register,
    resubmit,
    sandbox,
    submit,
    supersede,
    withdraw,
)

ROLES = {"repro-script": SCRIPT, "repro-results": RESULTS, "proof-source": PROOF}
SOURCES = {**ROLES, "counterexample": CASE, "report": SCRIPT}
LONG = 10
SCORES = st.none() | st.decimals(0, 10, places=1).map(str)
OUTCOMES = st.sampled_from([o.value for o in Outcome if o is not Outcome.INVALID_CHECK])

IMPORTS: list[tuple[Fact, ...]] = [
    (submitted(basis=PAGE), imported()),
    (
        submitted(basis=PAGE, grounded=0, verified=9, on=None),
        evaluated(
            Outcome.FAILED,
            red_team(("9.0", "Found."), (None, "Crashed."), mean="4.5"),
            gate=Gate.RED_TEAM,
            basis=PAGE,
            at=None,
        ),
        imported(("Quality Tier", "Tier", "Watchlist"), status=Status.FALSIFIED),
    ),
]


@st.composite
def evaluations(draw: st.DrawFn, record: ResearchRecord) -> Command:
    """Draw an evaluation of a submission, right or wrong, or the withdrawal of one."""
    if record.evaluations and draw(st.integers(0, 2)) == 0:
        target = draw(st.sampled_from(sorted(record.evaluations)))
        known = record.evaluations[target]
        about = record.submissions[known.submission - 1]
        subject = {"submission": known.submission, "digest": about.digest}
        method = "red-team" if known.gate is Gate.RED_TEAM else "sandbox"
        named: dict[str, Any] = {"gate": known.gate.value, "method": method, "subject": subject}
        return withdraw(**named, withdraws=target, evaluated_at="2026-07-10T11:00:00Z")
    number = draw(st.integers(1, len(record.submissions)))
    subject = {"submission": number, "digest": record.submissions[number - 1].digest}
    evidence = draw(
        st.none()
        | st.builds(sandbox, st.sampled_from(["99", "1", "100.0"]))
        | st.builds(lean, st.sampled_from([0, 0, 1]), st.sampled_from(["propext", "sorryAx"]))
        | st.builds(attacks, SCORES, SCORES, SCORES)
        | st.just({"kind": "counterexample", "digest": CASE})
    )
    return evaluate(evidence, draw(OUTCOMES), subject=subject, evaluated_at="2026-07-10T10:00:00Z")


@st.composite
def corrections(draw: st.DrawFn, record: ResearchRecord) -> Command:
    """Draw a correction of one or two fields that says what they say now."""
    fields = draw(st.lists(st.sampled_from(PublicField), min_size=0, max_size=2, unique=True))
    changes = [(f.value, record.facts.value(f), draw(VALUES[f])) for f in fields]
    nature = draw(st.sampled_from(Nature)).value
    return correct(*changes, nature=nature, public_note=draw(lines))


def wishes(record: ResearchRecord) -> st.SearchStrategy[Command]:
    counts = st.lists(st.integers(0, 9), min_size=3, max_size=3).map(
        lambda three: sorted(three, reverse=True)
    )
    return st.one_of(
        evaluations(record),
        evaluations(record),
        corrections(record),
        corrections(record),
        st.sampled_from(sorted(SOURCES)).map(lambda role: attach(role, SOURCES[role])),
        st.just(register()),
        st.just(assess()),
        counts.map(lambda three: count(*three)),
        lines.map(lambda title: resubmit(content=CONTENT | {"title": title})),
        # It ends most of what may happen, so it comes late.
        st.just(supersede() if record.version > LONG else register("10.5281/zenodo.2")),
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[Event, ...]:
    """Draw the events of a record: submitted here or imported, then asked this and that."""
    events: list[Event] = []
    if draw(st.integers(0, 3)) == 0:
        facts = draw(st.sampled_from(IMPORTS))
        events += [fact(RECORD, version) for version, fact in enumerate(facts, 1)]
    else:
        counted = {"extracted": 6, "grounded": 5, "verified": 5}
        events.append(decide(None, submit(claims=counted), NOW, GATES, ()))
        events += _bundle(events)
    record = project(None, events)
    assert record is not None
    for _step in range(draw(st.integers(0, 14))):
        try:
            event = decide(record, draw(wishes(record)), NOW, GATES, (OTHER,))
        except Refusal:
            continue
        events.append(event)
        record = evolve(record, event)
    return tuple(events)


def _bundle(events: list[Event]) -> list[Event]:
    found: list[Event] = []
    for role, digest in SOURCES.items():
        record = project(None, [*events, *found])
        found.append(decide(record, attach(role, digest), NOW, GATES, ()))
    return found
