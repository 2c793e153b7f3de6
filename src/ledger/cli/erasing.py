"""Which texts may not stay?  ``ledger erase``, for whoever works on the ledger's own machine."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from ledger.application import OPERATOR
from ledger.cli import console, given
from ledger.commands import Erase
from ledger.engine import Request
from ledger.vocabulary import AskedBy, Line, Pointer, Prose

POINTER_FORM: Final = (
    "A member is named by its JSON pointer in the body, such as /content/note, 200 characters at "
    "most."
)


def erase(
    position: Annotated[
        int, typer.Argument(metavar="POSITION", min=1, help="Where the event stands in the log.")
    ],
    member: Annotated[
        list[str],
        typer.Option(
            metavar="POINTER",
            help="What to erase of its body, such as /content/note; repeatable.",
            show_default=False,
        ),
    ],
    reason: given.Reason,
    asked_by: Annotated[
        AskedBy,
        typer.Option(
            metavar="ROLE", help=f"Who asked for it: {', '.join(AskedBy)}.", show_default=False
        ),
    ],
    legal_basis: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="By which law, if any.", show_default=False),
    ] = None,
) -> None:
    """Erase texts from the body of an event; the log says what, when and why for ever."""
    asked = Erase(
        members=tuple(given.fitting(Pointer, each, "--member", POINTER_FORM) for each in member),
        reason=given.fitting(Prose, reason, "--reason"),
        asked_by=asked_by,
        legal_basis=given.fitting(Line, legal_basis, "--legal-basis") if legal_basis else None,
    )
    with given.opened() as opened:
        receipt = given.wait(opened.ledger.erase(position, asked, Request(OPERATOR)))
        left = given.wait(opened.ledger.still_holding(receipt))
        # Where nobody keeps the views up to date, it is done here.
        if opened.projector.lead():
            opened.projector.catch_up()
    console.say(f"Erased {', '.join(asked.members)} at position {position}.")
    console.say(f"The log says so at position {receipt.position}.")
    if left:
        where = ", ".join(map(str, left))
        console.say(f"Other events of the record still hold such a text, at position {where}.")
