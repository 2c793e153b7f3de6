"""Whatever a command may carry reaches the fact that it becomes, under the same name."""

from __future__ import annotations

from typing import Any

import pytest

from given import given
from ledger.commands import Command, Erase
from ledger.events import Event
from view_facts import OTHER, corrected, evaluated, submitted, uuid
from wishes import (
    assess,
    attach,
    bundle,
    correct,
    count,
    evaluate,
    register,
    resubmit,
    sandbox,
    submit,
    supersede,
)

IDS: dict[str, Any] = {"correlation_id": "wider-1", "causation_id": "cause-1"}
DAY = "2026-07-03"
REVIEW = {"scores": {"challenger": "6.0", "confirmer": "7.0", "integrator": "6.5"}, "method": "By"}
CLAIMS = {"extracted": 9, "grounded": 8, "verified": 7}

COMMANDS: list[Command] = [
    submit(
        handle="SRCH:ABCDEF01",
        submitted_on="2026-07-01",
        review=REVIEW,
        claims=CLAIMS,
        claim_source="parsed-source-sections",
        **IDS,
    ),
    resubmit(submitted_on=DAY, **IDS),
    attach(role="other", media_type="text/plain", visibility="withheld", location="Shelf 1", **IDS),
    register(scheme="doi", registered_on=DAY, **IDS),
    assess(review=REVIEW, assessed_on=DAY, **IDS),
    count(counted_on=DAY, **IDS),
    evaluate(sandbox(), evaluation_id=uuid(7), policy="p-1", note="A note.", withdraws=None, **IDS),
    evaluate(sandbox(), "invalid-check", withdraws=uuid(100), **IDS),
    correct(
        ("publisher", "A publisher", "Another"),
        correction_id=uuid(8),
        effective_on=DAY,
        notice={"in_situ": False, "url": "https://example.org/notice"},
        reasons=["A reason"],
        corrects=uuid(200),
        **IDS,
    ),
    supersede(OTHER, effective_on=DAY, **IDS),
]
NAMES = [f"{n}-{type(one).__name__}" for n, one in enumerate(COMMANDS)]
NOT_SAID_AGAIN = {"scheme"}
"""A DOI is the only scheme there is."""


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_every_member_of_a_command_reaches_its_fact(command: Command) -> None:
    earlier = (submitted(), *bundle(), evaluated(), corrected())
    fact = given(*earlier).when(command).answer
    assert isinstance(fact, Event), fact
    wished, became = command.model_dump(mode="json"), fact.model_dump(mode="json")
    for member, value in wished.items():
        if value is not None and member not in NOT_SAID_AGAIN:
            assert _within(value, became[member]), member


def test_every_member_of_every_command_was_filled() -> None:
    kinds = {type(command) for command in COMMANDS}
    # An erasure needs stored bodies: tests/facts/test_erasure_rules.py.
    assert kinds | {Erase} == set(Command.__subclasses__())
    for kind in kinds:
        for member in kind.model_fields:
            filled = [getattr(one, member) for one in COMMANDS if type(one) is kind]
            assert any(value not in (None, (), "") for value in filled), (kind, member)


def _within(wished: Any, became: Any) -> bool:
    """Whether everything that was wished is there; a fact may say more, such as a mean."""
    if isinstance(wished, dict) and isinstance(became, dict):
        return all(key in became and _within(value, became[key]) for key, value in wished.items())
    return bool(wished == became)
