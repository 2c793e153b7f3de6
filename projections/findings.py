"""What contradicts itself on a record?  Every contradiction that a rule detects, with its evidence.

A finding judges what is shown, never the research; importing hides and repairs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from projections.cursor import LIMIT_DEFAULT

if TYPE_CHECKING:
    from projections.sqlite import Views


@dataclass(frozen=True, slots=True)
class Query:
    """What a reader asks for: findings of any of these rules (empty: of every rule)."""

    rule: tuple[str, ...] = ()
    limit: int = LIMIT_DEFAULT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction on one record.

    ``sentence`` says it with its figures; ``evidence`` is the JSON object that it rests on;
    ``version`` and ``position`` are those of the event that brought it in.
    """

    rule: str
    record_id: str
    handle: str
    title: str
    sentence: str
    evidence: dict[str, Any]
    version: int
    position: int


@dataclass(frozen=True, slots=True)
class Page:
    """One page of findings over all records, latest first; ``total`` counts all that match."""

    items: tuple[Finding, ...]
    total: int
    next: str | None = None
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class RuleCount:
    """A rule, what it says in one sentence, and how many findings on how many records it has.

    ``number`` is the defect's number in the published list of defects, None for the ledger's own.
    """

    rule: str
    number: int | None
    title: str
    findings: int
    records: int


class Findings:
    """The contradictions."""

    NAME: ClassVar[str] = "findings"

    def __init__(self, views: Views) -> None:
        """Read from ``views``."""
        self._views = views

    def page(self, query: Query) -> Page:
        """Return one page over all records; raises ValueError for a malformed cursor."""
        raise NotImplementedError

    def of(self, record_id: str) -> tuple[Finding, ...]:
        """Return the findings of one record in the order of the rules."""
        raise NotImplementedError

    def counts(self) -> tuple[RuleCount, ...]:
        """Return every rule in order, those without findings too."""
        raise NotImplementedError
