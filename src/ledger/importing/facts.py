"""Which facts does a page state?  One atomic group of events that open the record's stream.

It must never state more than the page: everything here is stated, with its source and line.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.content import Abstract, ClaimCounts, Content, Review
from ledger.events import (
    ArtifactAttached,
    Event,
    ExternalRecordRegistered,
    GateEvaluated,
    PageImported,
    RecordSubmitted,
    Stated,
    Subject,
)
from ledger.importing import form
from ledger.importing.page import StatedPage
from ledger.rules import publication_rule
from ledger.vocabulary import ArtifactRole, Kind, Outcome, Status

PUBLISHER_NOT_STATED: Final = "not stated"
"""A record needs a publisher; a page that breaks off before naming one says none."""

_OUTCOMES: Final = {Status.VERIFIED: Outcome.PASSED, Status.FALSIFIED: Outcome.FAILED}


def to_events(
    page: StatedPage, *, record_id: str, handle: str, actor: str, evaluation_id: str
) -> tuple[Event, ...]:
    """Return what the page states as events 1 to n of the new stream ``record_id``.

    ``handle`` is used when the page prints none; ``evaluation_id`` when something was evaluated.
    Nothing can be refused here: what fits no event stays in ``page.imported``, the last one.
    """
    group: list[Event] = []

    def add(kind: type[Event], line: int | None, **fact: Any) -> None:
        basis = Stated(source=page.source, name=page.name, line=line)
        fact |= {"originator_id": record_id, "originator_version": len(group) + 1}
        group.append(kind(**fact, actor=actor, basis=basis))

    content = _content(page)
    add(RecordSubmitted, page.title_line, **_submission(page, content, handle))
    if page.registered:
        line = page.line(form.PROVENANCE, "External record") or page.line(form.HEADER, "DOI")
        add(ExternalRecordRegistered, line, value=page.doi)
    if page.report_artifact:
        line = page.line(form.PROVENANCE, "Report artifact")
        add(ArtifactAttached, line, role=ArtifactRole.REPORT, digest=None)
    if page.gate is not None:
        subject = Subject(submission=1, digest=content.digest())
        line = page.line(form.VERDICT, "Reason") or page.line(form.VERDICT, "Status")
        add(GateEvaluated, line, **_evaluation(page), subject=subject, evaluation_id=evaluation_id)
    add(
        PageImported,
        None,
        source=page.source,
        name=page.name,
        dialect=page.dialect,
        verdict=page.verdict,
        stated=page.stated,
        unknown=page.unknown,
        missing=page.missing,
    )
    return tuple(group)


def _content(page: StatedPage) -> Content:
    return Content(
        kind=page.kind or Kind.SYNTHESIS,
        title=page.title,
        abstract=None if page.abstract is None else Abstract(text=page.abstract),
        research_question=page.research_question,
        publisher=page.publisher or PUBLISHER_NOT_STATED,
        note=page.note,
    )


def _submission(page: StatedPage, content: Content, handle: str) -> dict[str, Any]:
    review = None
    if page.review_mean is not None or page.review_method is not None:
        review = Review(stated_mean=page.review_mean, method=page.review_method)
    claims = None
    if page.grounded_claims is not None or page.verified_claims is not None:
        # The two counters are printed in two places; neither is taken for the other.
        claims = ClaimCounts(grounded=page.grounded_claims, verified=page.verified_claims)
    return {
        "handle": page.handle or handle,
        "content": content,
        "content_digest": content.digest(),
        "submitted_on": page.submitted_on,
        "review": review,
        "claims": claims,
        "claim_source": page.claim_source,
        "publication_rule": publication_rule(review, claims),
    }


def _evaluation(page: StatedPage) -> dict[str, Any]:
    status = page.verdict.status if page.verdict else None
    outcome = _OUTCOMES.get(status, Outcome.INCONCLUSIVE) if status else Outcome.INCONCLUSIVE
    note = None
    if outcome is Outcome.INCONCLUSIVE:
        note = "The source gives a moment of evaluation and no verdict that follows from it."
    return {
        "gate": page.gate,
        "method": page.reading.method,
        "outcome": outcome,
        "evidence": page.reading.evidence,
        "evaluated_at": page.evaluated_at,
        "note": note,
    }
