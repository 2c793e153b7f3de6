"""What does a record say now?  The fold of one record's events into its current public document.

Pure: the same events and the same facts in force give the same bytes.  It is written with the
append and never depends on a clock, a position or another record.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final, NamedTuple

from pydantic_core import to_json

from ledger.content import ClaimCounts, Facts
from ledger.events import (
    ArtifactAttached,
    ClaimsCounted,
    CorrectionIssued,
    Event,
    ExternalRecordRegistered,
    GateEvaluated,
    PageImported,
    PayloadErased,
    RecordResubmitted,
    RecordSubmitted,
    RecordSuperseded,
    ReviewAssessed,
    facts_after,
)
from ledger.evidence import LeanEvidence, SandboxEvidence
from ledger.growing import Grown
from ledger.in_force import InForce
from ledger.vocabulary import (
    STANDING_NATURES,
    ArtifactRole,
    Gate,
    Nature,
    Outcome,
    PolicyVersion,
    Status,
    moment_text,
)
from projections import entries
from projections.policy import DIMENSIONS, LEVEL_LABELS, Derived, Grade, Inputs, derive
from projections.verdict import Verdict, states, verdict

NAME: Final = "public_view"
CONTRACTS: Final = {
    "manifest": "paper-manifest-v1.1",
    "corrections": "correction-record-v1",
    "provenance": "source-provenance-v1",
}
STANDINGS: Final = {
    Nature.EXPRESSION_OF_CONCERN: "under-concern",
    Nature.PARTIAL_RETRACTION: "partially-retracted",
    Nature.WITHDRAWAL: "withdrawn",
    Nature.RETRACTION: "retracted",
    Nature.REMOVAL: "removed",
}
"""What a nature does to the standing, the gravest last: only a reinstatement makes it lighter."""

POLICIES: Final = tuple(PolicyVersion)
GRAVITY: Final = ("clear", *STANDINGS.values())


class Page(NamedTuple):
    """Everything about one record that its public document is made of.

    A tuple, because one is made for every event, and tuples are made several times faster.
    """

    record_id: str
    handle: str
    basis: str
    facts: Facts
    submission: int
    content_digest: str
    version: int = 1
    evaluations: tuple[GateEvaluated, ...] = ()
    artifacts: tuple[ArtifactAttached, ...] = ()
    registration: ExternalRecordRegistered | None = None
    corrections: Grown[CorrectionIssued] = Grown()
    standing: str = "clear"
    superseded_by: str | None = None
    source: PageImported | None = None
    as_stated: bool = False
    """Whether the verdict block that a source printed still speaks of the record as it is."""
    reviewed_since: bool = False
    erasures: tuple[PayloadErased, ...] = ()


def opened(event: Event, facts: Facts | None = None) -> Page:
    """Return the page that a first event opens; raises ValueError for any other event."""
    if not isinstance(event, RecordSubmitted) or event.originator_version != 1:
        message = f"{event.originator_id} does not open with {RecordSubmitted.TYPE}"
        raise ValueError(message)
    return Page(
        record_id=event.originator_id,
        handle=event.handle,
        basis=event.basis.kind,
        facts=facts_after(None, event) if facts is None else facts,
        submission=1,
        content_digest=event.content_digest,
    )


def evolve(page: Page | None, event: Event, facts: Facts | None = None) -> Page:
    """Return the page after one more event; raises ValueError if it cannot be the next one.

    ``facts`` are those that the event leads to, from whoever has worked them out already.
    """
    if page is None:
        return opened(event, facts)
    if event.originator_version != page.version + 1:
        message = (
            f"{page.record_id} jumps from version {page.version} to {event.originator_version}"
        )
        raise ValueError(message)
    return taken_in(page, event, facts_after(page.facts, event) if facts is None else facts)


def taken_in(page: Page, event: Event, facts: Facts) -> Page:
    """Return the page after an event that leads to these facts, next in line or not."""
    return page._replace(facts=facts, version=event.originator_version, **_changes(page, event))


def _changes(page: Page, event: Event) -> dict[str, Any]:  # noqa: C901, PLR0911 - one return per kind of fact
    """Return the members of the page that an event changes, besides facts and version."""
    match event:
        case RecordResubmitted():
            return {
                "submission": event.submission,
                "content_digest": event.content_digest,
                "as_stated": False,
            }
        case ArtifactAttached():
            return {"artifacts": (*page.artifacts, event)}
        case ExternalRecordRegistered():
            return {"registration": event}
        case ReviewAssessed():
            return {"reviewed_since": True}
        case ClaimsCounted():
            return {}
        case GateEvaluated():
            return {"evaluations": (*page.evaluations, event), "as_stated": False}
        case CorrectionIssued():
            return {
                "standing": _standing(page.standing, event.nature),
                "corrections": page.corrections.plus(event),
            }
        case RecordSuperseded():
            return {"superseded_by": event.by}
        case PageImported():
            return {"source": event, "as_stated": event.verdict is not None}
        case PayloadErased():
            return {"erasures": (*page.erasures, event)}
        case _:
            message = f"a record's stream cannot hold {event.TYPE}"
            raise ValueError(message)


def _standing(before: str, nature: Nature) -> str:
    if nature in STANDING_NATURES:
        return max(before, STANDINGS[nature], key=GRAVITY.index)
    return "clear" if nature is Nature.REINSTATEMENT else before


def folded(events: Iterable[Event]) -> Page:
    """Return the page of a whole stream, in order; raises ValueError for an empty one."""
    page: Page | None = None
    for event in events:
        page = evolve(page, event)
    if page is None:
        message = "an empty stream has no page"
        raise ValueError(message)
    return page


def fold(events: Iterable[Event], in_force: InForce) -> dict[str, Any]:
    """Return the public document of a whole stream under the facts in force."""
    return document(folded(events), in_force)


def body(page: Page, in_force: InForce) -> bytes:
    """Return the document as bytes to store and serve: compact UTF-8 JSON, keys in fixed order."""
    return encoded(document(page, in_force))


def encoded(document: dict[str, Any]) -> bytes:
    """Return a document as :func:`body` does."""
    return to_json(document)


def document(page: Page, in_force: InForce) -> dict[str, Any]:
    """Return the public document of a page under the facts in force."""
    facts, content = page.facts, page.facts.content
    policy = in_force.policy(page.basis)
    ruling = verdict(page.evaluations, page.submission, facts.submitted_on, in_force)
    given = _inputs_by_policy(page, in_force, ruling)
    derived = derive(policy, given[policy])
    return {
        "record_id": page.record_id,
        "handle": page.handle,
        "version": page.version,
        "basis": page.basis,
        "kind": content.kind.value,
        "title": content.title,
        "abstract": {**vars(content.abstract)} if content.abstract else None,
        "research_question": content.research_question,
        "submitted_on": facts.submitted_on.isoformat() if facts.submitted_on else None,
        "publisher": content.publisher,
        "note": content.note,
        "submission": {"number": page.submission, "digest": page.content_digest},
        "content_digest": _digest_shown(page),
        "review": _review(page),
        "claims": _claims(page),
        "verdict": _verdict(page, ruling, in_force),
        "level": {"level": int(derived.level), "label": LEVEL_LABELS[derived.level]},
        "tier": _tier(page, derived),
        "dimensions": _dimensions(page, derived),
        "policy": {"version": policy.value, "others": _others(given, policy)},
        "corrections": _corrections(page),
        "provenance": _provenance(page),
        "doi": page.registration.value if page.registration else None,
        "artifacts": [entries.artifact(artifact) for artifact in page.artifacts],
        "evaluations": entries.evaluations(page.evaluations, page.submission),
        "superseded_by": page.superseded_by,
        "contracts": dict(CONTRACTS),
        "source": entries.source(page.source),
        "erasures": [entries.erasure(erased) for erased in page.erasures],
    }


def _digest_shown(page: Page) -> str:
    """Return the digest of the content as it is shown, which may no longer be as submitted."""
    altered = page.erasures or any(correction.changes for correction in page.corrections)
    return page.facts.content.digest() if altered else page.content_digest


def _inputs_by_policy(
    page: Page, in_force: InForce, ruling: Verdict
) -> dict[PolicyVersion, Inputs]:
    """Return what each policy may look at; v2 counts checked evaluations only.

    ``ruling`` is the verdict on all evaluations, which is v1's.
    """
    everything = _inputs(page, page.evaluations, ruling)
    checked = tuple(e for e in page.evaluations if e.basis.kind == "checked")
    if len(checked) == len(page.evaluations):
        return dict.fromkeys(POLICIES, everything)
    ruling = verdict(checked, page.submission, page.facts.submitted_on, in_force)
    only_checked = _inputs(page, checked, ruling)
    return {v: everything if v is PolicyVersion.V1 else only_checked for v in POLICIES}


def _inputs(page: Page, counted: tuple[GateEvaluated, ...], ruling: Verdict) -> Inputs:
    passed = {
        type(e.evidence)
        for e, state in zip(counted, states(counted, page.submission), strict=True)
        if state == "counting" and e.outcome is Outcome.PASSED
    }
    roles = {a.role for a in page.artifacts if a.digest is not None}
    claims = page.facts.claims or ClaimCounts()
    return Inputs(
        score=page.facts.review_mean,
        grounded=claims.grounded,
        verified=claims.verified,
        corroborated=claims.cross_source_corroborated,
        inspected=claims.artifact_inspected,
        reproduced=claims.independently_reproduced,
        registered=page.registration is not None,
        status=ruling.status,
        formal=LeanEvidence in passed,
        sandbox=SandboxEvidence in passed,
        bundled=ArtifactRole.PROOF_SOURCE in roles
        or {ArtifactRole.REPRO_SCRIPT, ArtifactRole.REPRO_RESULTS} <= roles,
    )


def _review(page: Page) -> dict[str, Any] | None:
    review = page.facts.review
    if review is None:
        return None
    scores = review.scores
    return {
        "mean": None if review.mean is None else str(review.mean),
        "scores": {by: str(score) for by, score in vars(scores).items()} if scores else None,
        "method": review.method,
    }


def _claims(page: Page) -> dict[str, Any]:
    counts = page.facts.claims or ClaimCounts()
    source = page.facts.claim_source
    return {**vars(counts), "source": source.value if source else None}


def _verdict(page: Page, ruling: Verdict, in_force: InForce) -> dict[str, Any]:
    by = ruling.decided_by
    shown: dict[str, Any] = {
        "status": ruling.status.value,
        "label": ruling.status.value.capitalize(),
        "gate": ruling.gate.value,
        "gate_label": in_force.label(ruling.gate),
        "decided_by": by.gate.value if by else None,
        "reason": {"code": ruling.reason, "text": ruling.text},
        "evaluated_at": moment_text(ruling.evaluated_at) if ruling.evaluated_at else None,
        "evaluation_id": by.evaluation_id if by else None,
        "basis": by.basis.kind if by else "derived",
    }
    printed = page.source.verdict if page.source and page.as_stated else None
    if printed is None or printed.status is not ruling.status:
        return shown
    # An imported verdict is shown as its source printed it; what disagrees becomes a finding.
    gate = printed.gate or Gate(shown["gate"])
    shown |= {"gate": gate.value, "gate_label": printed.gate_label or in_force.label(gate)}
    shown["basis"] = "stated"
    code = ruling.reason
    if printed.status is Status.UNVERIFIED:
        code = "predates-activation" if printed.claims_predates_activation else code
    shown["reason"] = {"code": code, "text": printed.reason or ruling.text}
    return shown


def stated_value(page: Page, section: str, label: str) -> str | None:
    """Return the value that the source page printed under a section and label, or None."""
    for field in page.source.stated if page.source else ():
        if (field.section, field.label) == (section, label):
            return field.value
    return None


def _tier(page: Page, derived: Derived) -> dict[str, Any]:
    tier, basis, source = derived.tier, derived.basis, "derived"
    printed = stated_value(page, "Quality Tier", "Tier")
    if printed is not None and not page.reviewed_since:
        named = next((known for known in type(tier) if known.label == printed), None)
        # Without a score nothing can be derived, so the stated tier stands, marked as stated.
        if named is not None and page.facts.review_mean is None:
            tier, source = named, "stated"
        if named is tier:
            basis = stated_value(page, "Quality Tier", "Basis") or basis
    return {"tier": tier.value, "label": tier.label, "basis": basis, "source": source}


def _dimensions(page: Page, derived: Derived) -> dict[str, Any]:
    shown = {
        key: {"level": grade.value, "label": DIMENSIONS[key], "source": "derived"}
        for key, grade in derived.dimensions.items()
    }
    strength = shown["evidence_strength"]
    printed = stated_value(page, "Quality Dimensions", strength["label"])
    unscored = page.facts.review_mean is None and not page.reviewed_since
    if unscored and printed in set(Grade):
        strength |= {"level": printed, "source": "stated"}
    return shown


def _others(given: dict[PolicyVersion, Inputs], shown: PolicyVersion) -> dict[str, Any]:
    others: dict[str, Any] = {}
    for policy, its in given.items():
        if policy is not shown:
            derived = derive(policy, its)
            others[policy.value] = {
                "tier": derived.tier.value,
                "level": int(derived.level),
                "status": its.status.value,
            }
    return others


def _corrections(page: Page) -> dict[str, Any]:
    days: list[date] = [c.effective_on for c in page.corrections]
    state = "SUPERSEDED" if page.superseded_by else "CORRECTED" if page.corrections else "CURRENT"
    return {
        "state": state,
        "count": len(page.corrections),
        "last_corrected_on": max(days).isoformat() if days else None,
        "standing": page.standing,
        "entries": [entries.correction(c) for c in page.corrections],
    }


def _provenance(page: Page) -> dict[str, Any]:
    registered = page.registration is not None
    claims = page.facts.claims
    return {
        "level": 4 if registered else 3,
        "label": "External archival record" if registered else "Claim aggregate record",
        "report_artifact": any(a.role is ArtifactRole.REPORT for a in page.artifacts),
        "external_record": registered,
        "claim_lineage": claims.grounded if claims else None,
        "review_method": page.facts.review.method if page.facts.review else None,
    }
