"""In each state of a record, each command has one outcome: a fact, or one refusal.

The table is the rule book: a column is a state, a row is a command, a plus is a fact, and a letter
is the refusal that the legend names.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from given import Given, given
from ledger import errors
from ledger.commands import Command
from ledger.content import PublicField
from ledger.record import evolve
from ledger.vocabulary import Gate, Nature, Outcome
from view_facts import (
    Fact,
    corrected,
    evaluated,
    registered,
    submitted,
    superseded,
    uuid,
)
from wishes import (
    CONTENT,
    assess,
    attach,
    attacks,
    bundle,
    correct,
    count,
    evaluate,
    register,
    resubmit,
    resubmitted,
    sandbox,
    supersede,
    withdraw,
)

TITLE = CONTENT["title"]
CONTENT_AGAIN = CONTENT | {"title": "A second survey"}

STATES: dict[str, tuple[Fact, ...]] = {
    "submitted": (),
    "verified": (*bundle(), evaluated(number=100)),
    "falsified": (*bundle(), evaluated(Outcome.FAILED, gate=Gate.RED_TEAM, number=101)),
    "withdrawn": (
        *bundle(),
        evaluated(number=100),
        evaluated(Outcome.INVALID_CHECK, number=102, withdraws=uuid(100)),
    ),
    "corrected": (*bundle(), corrected((PublicField.TITLE, TITLE, "New"))),
    "retracted": (*bundle(), corrected(nature=Nature.RETRACTION)),
    "registered": (*bundle(), registered()),
    "resubmitted": (*bundle(), evaluated(number=100), resubmitted()),
    "superseded": (*bundle(), evaluated(number=100), superseded()),
}

COMMANDS: dict[str, Callable[[], Command]] = {
    "resubmit": lambda: resubmit(content=CONTENT_AGAIN),
    "attach script": attach,
    "attach report": lambda: attach("report"),
    "register": register,
    "review": assess,
    "count claims": count,
    "pass gate 2": lambda: evaluate(sandbox()),
    "fail gate 2": lambda: evaluate(sandbox("1.0"), "failed"),
    "fail gate 3": lambda: evaluate(attacks("9.0", "8.0", None), "failed"),
    "give up": lambda: evaluate(None, "evaluator-error"),
    "withdraw": lambda: withdraw(100),
    "correct title": lambda: correct(("title", TITLE, "Other")),
    "put a notice": correct,
    "retract": lambda: correct(nature="retraction"),
    "reinstate": lambda: correct(nature="reinstatement"),
    "supersede": supersede,
}

LEGEND: dict[str, type[errors.Refusal]] = {
    "A": errors.ArtifactAlreadyAttached,
    "C": errors.StaleCorrection,
    "D": errors.DoiAlreadyRegistered,
    "E": errors.FalsifiedWithoutEvidence,
    "N": errors.NothingToReinstate,
    "S": errors.SupersededRecord,
    "T": errors.UnchangedContent,
    "U": errors.EvaluationUnknown,
    "V": errors.VerifiedWithoutArtifact,
    "W": errors.EvaluationAlreadyWithdrawn,
}

TABLE = """
                submitted verified falsified withdrawn corrected retracted registered resubmitted superseded
resubmit            +        +         +         +         +         +         +          T           S
attach script       +        A         A         A         A         A         A          A           S
attach report       +        +         +         +         +         +         +          +           S
register            +        +         +         +         +         +         D          +           S
review              +        +         +         +         +         +         +          +           S
count claims        +        +         +         +         +         +         +          +           S
pass gate 2         V        +         +         +         +         +         +          +           +
fail gate 2         E        +         +         +         +         +         +          +           +
fail gate 3         +        +         +         +         +         +         +          +           +
give up             +        +         +         +         +         +         +          +           +
withdraw            U        +         U         W         U         U         U          +           +
correct title       +        +         +         +         C         +         +          C           S
put a notice        +        +         +         +         +         +         +          +           +
retract             +        +         +         +         +         +         +          +           +
reinstate           N        N         N         N         N         +         N          N           N
supersede           +        +         +         +         +         +         +          +           S
"""  # noqa: E501 - a table is as wide as its columns


def cells() -> list[tuple[str, str, str]]:
    head, *rows = TABLE.strip().splitlines()
    states = head.split()
    assert states == list(STATES)
    found = []
    for row in rows:
        *words, line = row.split("  ", 1)
        outcomes = line.split()
        found += [
            (words[0], state, outcome) for state, outcome in zip(states, outcomes, strict=True)
        ]
    return found


def in_state(name: str) -> Given:
    return given(submitted(), *STATES[name])


def test_the_table_has_every_command_in_every_state() -> None:
    assert [(command, state) for command, state, _outcome in cells()] == [
        (command, state) for command in COMMANDS for state in STATES
    ]


@pytest.mark.parametrize(("command", "state", "outcome"), cells())
def test_a_command_in_a_state_has_one_outcome(command: str, state: str, outcome: str) -> None:
    asked = in_state(state).when(COMMANDS[command]())
    if outcome != "+":
        asked.refuses(LEGEND[outcome])
        return
    assert not isinstance(asked.answer, errors.Refusal)
    before = asked.given.record
    assert before is not None
    assert evolve(before, asked.answer).version == before.version + 1
