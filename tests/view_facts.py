"""Facts for the tests of the read side, and a hand-made log that numbers and folds them.

A fact is a function from (stream, version) to an event, so that a test names only what matters.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ledger.content import Abstract, ClaimCounts, Content, PublicField, Review, ReviewerScores
from ledger.events import (
    ArtifactAttached,
    Basis,
    Change,
    Checked,
    CorrectionIssued,
    Event,
    ExternalRecordRegistered,
    GateActivated,
    GateEvaluated,
    PageImported,
    PolicyAdopted,
    RecordSubmitted,
    RecordSuperseded,
    Stated,
    StatedField,
    StatedVerdict,
    Subject,
)
from ledger.evidence import (
    Aggregation,
    Attack,
    Evidence,
    RedTeamEvidence,
    SandboxEvidence,
    Tolerance,
)
from ledger.in_force import InForce
from ledger.vocabulary import (
    ArtifactRole,
    AttackerRole,
    ClaimSource,
    CorrectionType,
    Gate,
    Kind,
    Nature,
    Outcome,
    PolicyVersion,
    Status,
)
from projections import public_view
from projections.folded import Folded, Logged

Fact = Callable[[str, int], Event]

FOUNDED = datetime(2026, 7, 1, 12, tzinfo=UTC)
DIGEST = "sha256:" + "0123456789abcdef" * 4
PAGE = Stated(source=DIGEST, name="a-page.txt")
ROLES = (
    AttackerRole.COUNTEREXAMPLE_HUNTER,
    AttackerRole.CITATION_AUDITOR,
    AttackerRole.REPLICATION_ATTACKER,
)


def uuid(number: int) -> str:
    """Return an id that sorts by its number."""
    return f"01980f5e-0000-7000-8000-{number:012x}"


RECORD = uuid(1)
OTHER = uuid(2)


def live(gate: Gate = Gate.VERIFICATION, on: date = date(2026, 6, 10)) -> Fact:
    """A gate goes live."""
    return lambda stream, version: GateActivated(
        originator_id=stream,
        originator_version=version,
        actor="operator",
        gate=gate,
        activated_on=on,
        label="Gate",
    )


def adopted(policy: PolicyVersion, basis: str) -> Fact:
    """A policy comes into force for records of a basis."""
    return lambda stream, version: PolicyAdopted.model_validate(
        {
            "originator_id": stream,
            "originator_version": version,
            "actor": "operator",
            "policy": policy,
            "applies_to": basis,
            "reason": "Because.",
        }
    )


def submitted(  # noqa: PLR0913 - a test names the one or two that it is about
    title: str = "A survey of XTREME",
    *,
    score: str | None = "8.0",
    grounded: int | None = 6,
    verified: int | None = 6,
    on: date | None = date(2026, 7, 1),
    abstract: str | None = "What is known about the benchmark.",
    quoted_from: str | None = None,
    question: str | None = "How good are the models on XTREME?",
    kind: Kind = Kind.SYNTHESIS,
    publisher: str = "A publisher",
    basis: Basis | None = None,
    handle: str = "",
) -> Fact:
    """A record is submitted; with a basis of PAGE, its score is a stated mean."""
    basis = basis or Checked()
    content = Content(
        kind=kind,
        title=title,
        abstract=Abstract(text=abstract, quoted_from=quoted_from) if abstract else None,
        research_question=question,
        publisher=publisher,
    )
    review = None
    if score is not None and basis.kind == "stated":
        review = Review(stated_mean=Decimal(score))
    elif score is not None:
        one = Decimal(score)
        review = Review(scores=ReviewerScores(challenger=one, confirmer=one, integrator=one))
    return lambda stream, version: RecordSubmitted(
        originator_id=stream,
        originator_version=version,
        actor="pipeline",
        basis=basis,
        handle=handle or f"SRCH:{stream[-8:].upper()}",
        content=content,
        content_digest=content.digest(),
        submitted_on=on,
        review=review,
        claims=ClaimCounts(extracted=grounded, grounded=grounded, verified=verified),
        claim_source=ClaimSource.PARSED,
    )


def evaluated(  # noqa: PLR0913 - likewise
    outcome: Outcome = Outcome.PASSED,
    evidence: Evidence | None = None,
    *,
    gate: Gate = Gate.VERIFICATION,
    at: datetime | None = datetime(2026, 7, 2, 9, tzinfo=UTC),
    basis: Basis | None = None,
    number: int = 100,
    withdraws: str | None = None,
    submission: int = 1,
) -> Fact:
    """A gate evaluates a submission, by default the first."""
    return lambda stream, version: GateEvaluated(
        originator_id=stream,
        originator_version=version,
        actor="evaluator",
        basis=basis or Checked(),
        evaluation_id=uuid(number),
        gate=gate,
        outcome=outcome,
        subject=Subject(submission=submission, digest=DIGEST),
        evidence=evidence,
        evaluated_at=at,
        withdraws=withdraws,
    )


def sandbox(computed: str = "99.0", expected: str = "100.0") -> SandboxEvidence:
    """A sandbox run with a relative tolerance of five per cent."""
    return SandboxEvidence(
        computed=Decimal(computed),
        expected=Decimal(expected),
        tolerance=Tolerance(value=Decimal("0.05")),
    )


def red_team(
    *attacks: tuple[str | None, str], mean: str | None = None, threshold: str | None = None
) -> RedTeamEvidence:
    """A red team of (score, finding) in the order of the roles; a score of None is a crash."""
    return RedTeamEvidence(
        attacks=tuple(
            Attack(role=role, score=Decimal(score), finding=finding)
            if score is not None
            else Attack(role=role, error=finding)
            for role, (score, finding) in zip(ROLES, attacks, strict=False)
        ),
        mean=Decimal(mean) if mean else None,
        aggregation=Aggregation(threshold=Decimal(threshold), quorum=2) if threshold else None,
    )


def attached(role: ArtifactRole, *, digest: str | None = DIGEST) -> Fact:
    """An artifact is attached."""
    return lambda stream, version: ArtifactAttached(
        originator_id=stream,
        originator_version=version,
        actor="pipeline",
        role=role,
        digest=digest,
    )


def registered(doi: str | None = "10.5281/zenodo.1") -> Fact:
    """The record gets its DOI."""
    return lambda stream, version: ExternalRecordRegistered(
        originator_id=stream, originator_version=version, actor="pipeline", value=doi
    )


def corrected(
    *changes: tuple[PublicField, Any, Any],
    nature: Nature = Nature.CORRECTION,
    type_: CorrectionType = CorrectionType.METADATA,
    number: int = 200,
) -> Fact:
    """A correction is issued: (field, from, to) each."""
    return lambda stream, version: CorrectionIssued(
        originator_id=stream,
        originator_version=version,
        actor="editor",
        correction_id=uuid(number),
        correction_type=type_,
        nature=nature,
        public_note="The field was wrong.",
        changes=tuple(Change(field=f, from_=before, to=after) for f, before, after in changes),
        asserted_by="The publisher",
        effective_on=date(2026, 7, 5),
        reasons=("Typing error",),
    )


def superseded(by: str = OTHER) -> Fact:
    """Another record takes the place of this one."""
    return lambda stream, version: RecordSuperseded(
        originator_id=stream,
        originator_version=version,
        actor="editor",
        by=by,
        reason="A newer synthesis.",
        effective_on=date(2026, 7, 6),
    )


def imported(
    *printed: tuple[str, str, str],
    status: Status | None = None,
    gate: Gate = Gate.VERIFICATION,
    excuse: bool = False,
    reason: str = "As printed.",
) -> Fact:
    """The record's page is kept: (section, label, value) each, and the verdict block."""
    verdict = None
    if status is not None:
        verdict = StatedVerdict(
            status=status, gate=gate, reason=reason, claims_predates_activation=excuse
        )
    fields = tuple(
        StatedField(section=section, label=label, value=value, line=line)
        for line, (section, label, value) in enumerate(printed, 1)
    )
    return lambda stream, version: PageImported(
        originator_id=stream,
        originator_version=version,
        actor="operator",
        basis=PAGE,
        source=DIGEST,
        name="a-page.txt",
        dialect="plain",
        verdict=verdict,
        stated=fields,
    )


class HandLog:
    """A log made by hand: dense positions, rising moments, and the fold of what is in it."""

    def __init__(self, *governing: Fact) -> None:
        self.logged: list[Logged] = []
        self.add("ledger", *governing)

    def add(self, stream: str, *facts: Fact) -> None:
        version = sum(entry.event.originator_id == stream for entry in self.logged)
        for fact in facts:
            version += 1
            position = len(self.logged) + 1
            moment = FOUNDED + timedelta(seconds=position)
            self.logged.append(Logged(position, moment, fact(stream, version)))

    @property
    def in_force(self) -> InForce:
        facts = InForce()
        for entry in self.logged:
            facts = facts.after(entry.event)
        return facts

    def folded(self, stream: str = RECORD) -> Folded:
        entries = tuple(e for e in self.logged if e.event.originator_id == stream)
        events = [entry.event for entry in entries]
        upto = [n for n, e in enumerate(events, 1) if isinstance(e, PageImported)]
        document = public_view.fold(events, self.in_force)
        before = public_view.fold(events[: upto[-1]], self.in_force) if upto else None
        return Folded(stream, entries, document, self.in_force, before)

    def all(self) -> list[Folded]:
        streams = dict.fromkeys(entry.event.originator_id for entry in self.logged)
        return [self.folded(stream) for stream in streams if stream != "ledger"]


def one_record(*facts: Fact) -> Folded:
    """Return one record under a live verification gate and the default policies."""
    log = HandLog(live())
    log.add(RECORD, *facts)
    return log.folded()
