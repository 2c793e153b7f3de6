"""What does the page of findings show?  Every rule with its counts, and the findings asked for.

Pure; a rule without findings is listed too, because nothing found is an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.web import urls, wording
from ledger.web.choice import Paging, paging
from projections import findings


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule with its counts; ``chosen`` when its findings are being shown."""

    rule: str
    title: str
    findings: int
    records: int
    href: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One finding on one record."""

    rule: str
    href: str
    handle: str
    title: str
    sentence: str
    version: int


@dataclass(frozen=True, slots=True)
class FindingsPage:
    """The findings by rule, and those that were asked for."""

    total: str
    rules: tuple[RuleRow, ...]
    chosen: tuple[RuleRow, ...]
    rows: tuple[FindingRow, ...]
    clear_href: str
    paging: Paging


def all_findings(
    query: findings.Query, page: findings.Page, counts: Sequence[findings.RuleCount]
) -> FindingsPage:
    """Return the page of findings."""
    rules = tuple(
        RuleRow(
            rule=each.rule,
            title=each.title,
            findings=each.findings,
            records=each.records,
            href=f"{urls.findings_page(rule=each.rule)}#found",
            chosen=each.rule in query.rule,
        )
        for each in counts
    )
    return FindingsPage(
        total=wording.count(page.total, "finding"),
        rules=rules,
        chosen=tuple(rule for rule in rules if rule.chosen),
        rows=tuple(
            FindingRow(
                rule=each.rule,
                href=urls.record_page(each.handle),
                handle=each.handle,
                title=each.title,
                sentence=each.sentence,
                version=each.version,
            )
            for each in page.items
        ),
        clear_href=urls.findings_page(),
        paging=paging(page, lambda cursor: urls.findings_page(rule=query.rule, cursor=cursor)),
    )
