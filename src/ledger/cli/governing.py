"""Who may append, and what is in force?  ``ledger keys``, ``policy`` and ``gate``.

These are facts of the ledger itself; a key is printed once when it is made, and never again.
"""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

import typer

from ledger import actors
from ledger.application import OPERATOR
from ledger.cli import console, given
from ledger.service import Service
from ledger.vocabulary import ActorId, Gate, Line, PolicyVersion, Prose, Scope, now
from projections import ROLL_CALL

PATIENCE_S: Final = 0.5
ACTOR_FORM: Final = (
    "An actor is named by small letters, digits, '.', '_' and '-', 63 at most, and begins with a "
    "letter or digit."
)

keys = typer.Typer(help="Issue, list and revoke API keys.", no_args_is_help=True)
policy = typer.Typer(help="Say under which policy version records are shown.", no_args_is_help=True)
gate = typer.Typer(help="Say which gates of verification are live.", no_args_is_help=True)


class Basis(StrEnum):
    """Whose records a policy is for."""

    CHECKED = "checked"
    STATED = "stated"


def _let_views_follow(opened: Service, position: int) -> None:
    """Derive every view anew; if this is cut short, whichever process comes next goes on."""
    # Where nobody keeps the views up to date, it is done here.
    if opened.projector.lead():
        opened.projector.catch_up()
    with console.progress("deriving the views anew", len(ROLL_CALL)) as told:
        for number, view in enumerate(ROLL_CALL, start=1):
            while not opened.projector.wait(view, position, PATIENCE_S):
                if trouble := opened.projector.status()[view]["error"]:
                    console.note(f"The view {view} has stopped: {trouble}")
                    break
            told(number, len(ROLL_CALL))


@keys.command("create")
def create_key(
    name: Annotated[
        str,
        typer.Option(metavar="N", help="The actor who will hold it.", show_default=False),
    ],
    scope: Annotated[
        list[Scope],
        typer.Option(metavar="S", help=f"What it allows; repeatable: {', '.join(Scope)}."),
    ],
) -> None:
    """Issue an API key; it is printed once, as the last line, and can never be shown again."""
    holder = given.fitting(ActorId, name, "--name", ACTOR_FORM)
    if holder == OPERATOR:
        message = f"{OPERATOR} is whoever works at this command line, and holds no key."
        raise typer.BadParameter(message, param_hint="--name")
    with given.opened() as opened:
        key, _receipt = given.wait(opened.ledger.issue_key(holder, tuple(scope), OPERATOR))
    console.note(f"A key for {holder}, good for {', '.join(scope)}. It is not shown again:")
    console.say(key)


@keys.command("list")
def list_keys() -> None:
    """List every key that was issued, by its id; the keys themselves are not known."""
    with given.opened() as opened:
        states = [json.loads(stored.body) for stored in opened.store.documents(actors.VIEW)]
    states.sort(key=lambda state: (state["holder"], state["key_id"]))
    console.table(
        ("name", "key id", "scopes", "state"),
        [
            (
                state["holder"],
                state["key_id"],
                ",".join(state["scopes"]),
                "revoked" if state["revoked"] else "valid",
            )
            for state in states
        ],
    )


@keys.command("revoke")
def revoke_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The actor who holds it.")],
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As `ledger keys list` shows.")],
    reason: given.Reason,
) -> None:
    """Revoke an API key; requests that bear it are refused from then on."""
    holder = given.fitting(ActorId, name, "NAME", ACTOR_FORM)
    why = given.fitting(Line, reason, "--reason")
    with given.opened() as opened:
        given.wait(opened.ledger.revoke_key(holder, key_id, OPERATOR, why))
    console.say(f"Revoked the key {key_id} of {holder}.")


@policy.command("adopt")
def adopt_policy(
    version: Annotated[PolicyVersion, typer.Argument(metavar="VERSION", help="v1 or v2.")],
    basis: Annotated[
        Basis,
        typer.Option(
            "--for",
            help="The records whose facts the ledger checked, or those that a source stated.",
            show_default=False,
        ),
    ],
    reason: given.Reason,
) -> None:
    """Show all records of one basis under another policy version from now on."""
    why = given.fitting(Prose, reason, "--reason")
    with given.opened() as opened:
        receipt = given.wait(opened.ledger.adopt_policy(version, basis.value, why, OPERATOR))
        _let_views_follow(opened, receipt.position)
    console.say(
        f"Since position {receipt.position}, policy {version} is in force for {basis} records."
    )


@gate.command("activate")
def activate_gate(
    which: Annotated[Gate, typer.Argument(metavar="GATE", help=" or ".join(Gate) + ".")],
    on: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="The day it went live; today by default.", show_default=False
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="What the pages call it.", show_default=False)
    ] = None,
) -> None:
    """Record that a gate went live; evaluations of a gate that is not are refused."""
    called = given.fitting(Line, label, "--label") if label is not None else None
    day = (on or now()).date()
    with given.opened() as opened:
        receipt = given.wait(opened.ledger.activate_gate(which, day, OPERATOR, called))
        _let_views_follow(opened, receipt.position)
    console.say(f"Since position {receipt.position}, {which} is live as of {day}.")
