"""One event of every type and shape, with every optional part, by the golden file that holds it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from ledger import events, evidence
from ledger.content import (
    Abstract,
    ClaimCounts,
    Content,
    PublicField,
    Review,
    ReviewerScores,
)
from ledger.events import Event
from ledger.vocabulary import (
    ArtifactRole,
    AskedBy,
    AttackerRole,
    ClaimSource,
    CorrectionType,
    Gate,
    Kind,
    Method,
    Nature,
    Outcome,
    PolicyVersion,
    Scope,
    Status,
    Visibility,
)

Fact = TypeVar("Fact", bound=Event)

RECORD = "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8e"
OTHER = "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8f"
A, B, C = (f"sha256:{digit * 64}" for digit in "abc")
STATED = events.Stated(source=A, name="a-page.txt", line=12)
CONTENT = Content(
    kind=Kind.EMPIRICAL,
    title="Ünïcode: “x ≤ y”, 漢字 and 🜚",
    abstract=Abstract(text="First line.\n\tSecond line.", quoted_from="Doe (2024), doi:10.1000/1"),
    research_question="Does it hold?",
    publisher='The "Publisher" \\ Sons',
    note="A note.",
)
SCORES = ReviewerScores(challenger=Decimal("7.9"), confirmer=Decimal("8.0"), integrator=Decimal(10))
CLAIMS = ClaimCounts(
    extracted=12,
    grounded=9,
    verified=7,
    cross_source_corroborated=6,
    artifact_inspected=5,
    sandbox_executed=4,
    independently_reproduced=3,
    externally_reviewed_or_formally_verified=0,
)
MOMENT = datetime(2026, 7, 2, 3, 48, 27, 951721, tzinfo=UTC)
DAY = date(2026, 7, 3)


def event(kind: type[Fact], stream: str = RECORD, **fact: Any) -> Fact:
    """Return an event whose envelope is whole."""
    envelope: dict[str, Any] = {
        "originator_id": stream,
        "originator_version": 2,
        "actor": "operator",
        "correlation_id": "process/7",
        "causation_id": "step:3.1",
    }
    return kind(**(envelope | fact))


def evaluation(outcome: Outcome, method: Method, **more: Any) -> events.GateEvaluated:
    """Return an evaluation with everything but its evidence."""
    whole: dict[str, Any] = {
        "evaluation_id": OTHER,
        "gate": Gate.VERIFICATION,
        "method": method,
        "outcome": outcome,
        "subject": events.Subject(submission=2, digest=A),
        "policy": "gate-policy/3",
        "evaluator": events.Evaluator(id="sandbox-runner", version="2.1+b7"),
        "evaluated_at": MOMENT,
        "note": "As seen.",
    }
    return event(events.GateEvaluated, **(whole | more))


RUN = evidence.SandboxEvidence(
    computed=Decimal("-1.50E+3"),
    expected=Decimal("-1500.0"),
    tolerance=evidence.Tolerance(kind="absolute", value=Decimal("0.00")),
    script_digest=A,
    results_digest=B,
)
PROOF = evidence.LeanEvidence(
    source_digest=C, toolchain="leanprover/lean4:v4.9.0", exit_code=0, axioms=("propext", "sorryAx")
)
TEAM = evidence.RedTeamEvidence(
    attacks=(
        evidence.Attack(
            role=AttackerRole.COUNTEREXAMPLE_HUNTER, score=Decimal("8.0"), finding="It leaks."
        ),
        evidence.Attack(
            role=AttackerRole.CITATION_AUDITOR, score=Decimal("6.5"), finding="All are real."
        ),
        evidence.Attack(role=AttackerRole.REPLICATION_ATTACKER, error="Out of memory."),
    ),
    aggregation=evidence.Aggregation(threshold=Decimal("7.0"), quorum=2),
    mean=Decimal("7.25"),
)

GOLDEN: Final[dict[str, Event]] = {
    "record.submitted.1.json": event(
        events.RecordSubmitted,
        handle="SRCH:B0E046B6",
        content=CONTENT,
        content_digest=CONTENT.digest(),
        submitted_on=DAY,
        review=Review(scores=SCORES, method="Three reviewers"),
        claims=CLAIMS,
        claim_source=ClaimSource.PARSED,
        publication_rule=events.PublicationRule(kept=True),
    ),
    "record.submitted.1@stated.json": event(
        events.RecordSubmitted,
        basis=STATED,
        handle="SRCH:0123456789ABCDEF",
        content=Content(title="Bare", publisher="A publisher"),
        content_digest=B,
        review=Review(stated_mean=Decimal("8.07")),
    ),
    "record.resubmitted.1.json": event(
        events.RecordResubmitted,
        submission=2,
        content=CONTENT,
        content_digest=CONTENT.digest(),
        submitted_on=DAY,
        reason="Two sets\nwere added.",
    ),
    "artifact.attached.1.json": event(
        events.ArtifactAttached,
        role=ArtifactRole.REPRO_SCRIPT,
        digest=A,
        media_type="text/x-python",
        size_bytes=0,
        visibility=Visibility.WITHHELD,
        location="https://example.org/run.py",
    ),
    "external-record.registered.1.json": event(
        events.ExternalRecordRegistered, value="10.5281/zenodo.21147963", registered_on=DAY
    ),
    "review.assessed.1.json": event(
        events.ReviewAssessed, review=Review(scores=SCORES, method="Anew"), assessed_on=DAY
    ),
    "claims.counted.1.json": event(
        events.ClaimsCounted, claims=CLAIMS, claim_source=ClaimSource.UNSPECIFIED, counted_on=DAY
    ),
    "gate.evaluated.1@sandbox.json": evaluation(Outcome.PASSED, Method.SANDBOX, evidence=RUN),
    "gate.evaluated.1@lean4.json": evaluation(Outcome.INCONCLUSIVE, Method.LEAN4, evidence=PROOF),
    "gate.evaluated.1@red-team.json": evaluation(
        Outcome.FAILED, Method.RED_TEAM, gate=Gate.RED_TEAM, evidence=TEAM
    ),
    "gate.evaluated.1@counterexample.json": evaluation(
        Outcome.FAILED,
        Method.COUNTEREXAMPLE,
        evidence=evidence.CounterexampleEvidence(digest=B, cases_tried=10_000),
    ),
    "gate.evaluated.1@invalid-check.json": evaluation(
        Outcome.INVALID_CHECK, Method.SANDBOX, withdraws=RECORD
    ),
    "correction.issued.1.json": event(
        events.CorrectionIssued,
        correction_id=OTHER,
        correction_type=CorrectionType.CLAIM,
        nature=Nature.EXPRESSION_OF_CONCERN,
        public_note="The counts were wrong.",
        changes=(
            events.Change(field=PublicField.CLAIMS_VERIFIED, from_=7, to=0),
            events.Change(field=PublicField.NOTE, from_="A note.", to=None),
        ),
        asserted_by="The publisher",
        effective_on=DAY,
        notice=events.Notice(in_situ=False, doi="10.1000/182", url="https://example.org/n/1"),
        reasons=("Miscounted", "Mislabelled"),
        corrects=RECORD,
    ),
    "record.superseded.1.json": event(
        events.RecordSuperseded, by=OTHER, reason="Redone.", effective_on=DAY
    ),
    "page.imported.1.json": event(
        events.PageImported,
        basis=events.Stated(source=A, name="a-page.txt"),
        source=A,
        name="a-page.txt",
        dialect="table",
        verdict=events.StatedVerdict(
            status=Status.FALSIFIED,
            gate=Gate.RED_TEAM,
            gate_label="Gate 3",
            reason="As printed.",
            claims_predates_activation=True,
        ),
        stated=(
            events.StatedField(section="Quality Tier", label="Tier", value="Watchlist", line=3),
        ),
        unknown=(events.StatedField(section="Header", value="Something else", line=1),),
        missing=("DOI",),
    ),
    "payload.erased.1.json": event(
        events.PayloadErased,
        position=7,
        version=1,
        type="record.submitted:1",
        members=("/content/abstract/text", "/content/note"),
        redacted_digest=C,
        erased_on=DAY,
        asked_by=AskedBy.DATA_SUBJECT,
        reason="It named a person.",
        legal_basis="GDPR, article 17(1)(a)",
        also_at=(9, 11),
    ),
    "gate.activated.1.json": event(
        events.GateActivated,
        "ledger",
        gate=Gate.VERIFICATION,
        activated_on=date(2026, 6, 10),
        label="Gate 2 — Verification",
    ),
    "policy.adopted.1.json": event(
        events.PolicyAdopted,
        "ledger",
        policy=PolicyVersion.V2,
        applies_to="checked",
        reason="Derived from evidence.",
    ),
    "actor.key-issued.1.json": event(
        events.KeyIssued,
        "actor:pipeline",
        key_id="0123456789ab",
        key_digest=C,
        holder="pipeline",
        scopes=(Scope.SUBMIT, Scope.EVALUATE_GATE_2),
    ),
    "log.begun.1.json": event(
        events.LogBegun,
        "log",
        origin="ledger.example/log/2",
        follows="ledger.example/log",
        follows_size=150,
        follows_root=C,
        reason="The disk was lost.",
    ),
    "actor.key-revoked.1.json": event(
        events.KeyRevoked, "actor:pipeline", key_id="0123456789ab", key_digest=C, reason="Lost."
    ),
}
