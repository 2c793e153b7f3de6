"""What does a rule look at?  A record as it is shown, and what the page it came from printed.

Only reads: a rule says what contradicts what, and never which side is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from ledger.events import GateEvaluated, PageImported, StatedField
from ledger.evidence import CounterexampleEvidence, LeanEvidence, RedTeamEvidence, SandboxEvidence
from projections.folded import Folded

T = TypeVar("T", SandboxEvidence, LeanEvidence, RedTeamEvidence, CounterexampleEvidence)

SENTENCE_END: Final = re.compile(r"[.!?\u2026\u3002][\"'\u201d\u2019)\]]*\Z")


@dataclass(frozen=True, slots=True)
class Found:
    """A contradiction: one sentence with the figures, what it rests on, and since which version."""

    sentence: str
    evidence: dict[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class Case:
    """A record under examination."""

    record: Folded
    shown: dict[str, Any] = field(init=False)
    """The public document as it now is."""
    source: PageImported | None = field(init=False)
    """The page that it was imported from."""
    evaluations: tuple[GateEvaluated, ...] = field(init=False)
    """The evaluations that count for the current submission."""
    deciding: GateEvaluated | None = field(init=False)
    """The one of them that decided the verdict."""

    def __post_init__(self) -> None:
        """Pick out what most rules ask for."""
        shown = self.record.document
        events = [entry.event for entry in self.record.entries]
        counting = {e["evaluation_id"] for e in shown["evaluations"] if e["state"] == "counting"}
        pages = [event for event in events if isinstance(event, PageImported)]
        evaluated = [event for event in events if isinstance(event, GateEvaluated)]
        evaluations = tuple(e for e in evaluated if e.evaluation_id in counting)
        decided = shown["verdict"]["evaluation_id"]
        deciding = next((e for e in evaluations if e.evaluation_id == decided), None)
        object.__setattr__(self, "shown", shown)
        object.__setattr__(self, "source", pages[-1] if pages else None)
        object.__setattr__(self, "evaluations", evaluations)
        object.__setattr__(self, "deciding", deciding)

    @property
    def version(self) -> int:
        """The record's current version."""
        return self.record.last.event.originator_version

    @property
    def imported(self) -> dict[str, Any]:
        """The public document as it was when the page had been imported."""
        return self.record.as_imported or self.shown

    def stated(self, *labels: str, section: str = "") -> StatedField | None:
        """Return what the page printed under one of the labels, in that section if one is named."""
        if self.source is None:
            return None
        wanted = {_folded(label) for label in labels}
        for printed in self.source.stated:
            here = not section or _folded(section) == _folded(printed.section)
            if here and printed.label is not None and _folded(printed.label) in wanted:
                return printed
        return None

    def roles_attached(self) -> set[str]:
        """Return the roles of the artifacts that are attached by digest."""
        return {a["role"] for a in self.shown["artifacts"] if a["digest"] is not None}

    def evidence(self, kind: type[T]) -> Iterator[tuple[GateEvaluated, T]]:
        """Yield the counting evaluations that rest on one kind of evidence, with it."""
        for evaluation in self.evaluations:
            if isinstance(evaluation.evidence, kind):
                yield evaluation, evaluation.evidence


Check = Callable[[Case], Iterator[Found]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A contradiction that can be detected.

    ``number`` is that of the defect in the list of defects seen on published pages, None if it is
    not on it; ``title`` says it in one sentence.
    """

    id: str
    number: int | None
    title: str
    check: Check


def cut(text: str) -> bool:
    """Whether a text ends in the middle of a sentence."""
    return SENTENCE_END.search(text.rstrip()) is None


def _folded(label: str) -> str:
    return " ".join(label.split()).casefold()
