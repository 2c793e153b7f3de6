"""Given what has happened, when something is asked, then these facts, or that refusal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from ledger.commands import Command
from ledger.errors import Refusal
from ledger.events import Event
from ledger.in_force import Activation
from ledger.record import ResearchRecord, evolve, project
from ledger.vocabulary import Gate
from view_facts import OTHER, RECORD, Fact
from wishes import decide

NOW = datetime(2026, 7, 10, 12, tzinfo=UTC)
GATES = dict.fromkeys(Gate, Activation(date(2026, 6, 10), "Gate"))


@dataclass(frozen=True)
class Given:
    record: ResearchRecord | None
    gates: dict[Gate, Activation]
    successors: tuple[str, ...] = (OTHER,)

    def under(self, **changes: Any) -> Given:
        """Change the gates in force, or the chain of records that the successor opens."""
        return replace(self, **changes)

    def when(self, command: Command, at: datetime = NOW) -> Asked:
        try:
            return Asked(self, decide(self.record, command, at, self.gates, self.successors))
        except Refusal as refusal:
            return Asked(self, refusal)


@dataclass(frozen=True)
class Asked:
    given: Given
    answer: Event | Refusal

    def then(self, fact: Fact) -> ResearchRecord:
        """Expect this fact, whoever did it, and return the record that it leads to."""
        assert isinstance(self.answer, Event), self.answer
        expected = fact(self.answer.originator_id, self.answer.originator_version)
        assert self.answer == expected.model_copy(update={"actor": self.answer.actor})
        return evolve(self.given.record, self.answer)

    def refuses(self, kind: type[Refusal], **context: object) -> None:
        assert type(self.answer) is kind, self.answer
        assert context.items() <= self.answer.context.items()


def given(*facts: Fact) -> Given:
    return Given(project(None, (f(RECORD, n) for n, f in enumerate(facts, 1))), GATES)
