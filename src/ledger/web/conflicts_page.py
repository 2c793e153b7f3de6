"""What does the page of conflicts show?  Each piece of evidence with the outcomes it was given.

Pure; it takes no side: both outcomes stand there with the records that they are on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.web import urls, wording
from ledger.web.choice import Paging, paging
from projections import conflicts


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """One evaluation on the evidence."""

    outcome: str
    href: str
    handle: str
    title: str
    gate: str
    remark: str


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """One piece of evidence; the evaluations that passed on it come first."""

    evidence: str
    records: str
    evaluations: tuple[EvaluationRow, ...]


@dataclass(frozen=True, slots=True)
class ConflictsPage:
    """The conflicts; ``of`` is the handle of the record that they are asked for, if any."""

    total: str
    of: str | None
    rows: tuple[ConflictRow, ...]
    clear_href: str
    paging: Paging


def build(page: conflicts.Page, of: str | None) -> ConflictsPage:
    """Return the page of conflicts."""
    return ConflictsPage(
        total=wording.count(page.total, "conflict"),
        of=of,
        rows=tuple(
            ConflictRow(
                evidence=each.evidence,
                records=wording.count(each.records, "record"),
                evaluations=(*_rows(each.passed), *_rows(each.failed)),
            )
            for each in page.items
        ),
        clear_href=urls.conflicts_page(),
        paging=paging(page, lambda cursor: urls.conflicts_page(record=of, cursor=cursor)),
    )


def _rows(evaluated: Iterable[conflicts.Evaluated]) -> Iterable[EvaluationRow]:
    for each in evaluated:
        stale = ", on an earlier submission" if each.state == "stale" else ""
        yield EvaluationRow(
            outcome=each.outcome,
            href=urls.record_page(each.handle),
            handle=each.handle,
            title=each.title,
            gate=wording.GATES[each.gate],
            remark=f"{each.basis}, version {each.version}{stale}",
        )
