"""Is a ledger what it was signed to be?  ``ledger verify``: of a server, an archive or a database.

It needs no setting and opens no ledger: it is given an address, and reads what lies there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.cli import console, given
from ledger.verifier.report import BadOption, Outcome
from ledger.verifier.verify import Options
from ledger.verifier.verify import verify as verified

EPILOG = (
    "Exit codes: 0 verified; 1 a difference was found; 2 the command line does not fit; 3 it could "
    "not be checked, since the target cannot be read or nothing in it is signed."
)

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="The http(s) URL of a running ledger, the folder of an archive, or a database: "
        "sqlite:///FILE or postgresql://…, which is opened for reading alone.",
        show_default=False,
    ),
]
Vkey = Annotated[
    str | None,
    typer.Option(
        "--vkey",
        metavar="KEY",
        help="The log's key, name+id+key, from elsewhere than the target.",
        show_default=False,
    ),
]
Witnesses = Annotated[
    list[str] | None,
    typer.Option(
        "--witness",
        metavar="KEY",
        help="The key of a witness that has to have cosigned; may be repeated.",
        show_default=False,
    ),
]
Quorum = Annotated[
    int | None,
    typer.Option("--quorum", min=0, help="How many witnesses are enough.", show_default="all"),
]
State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="FILE",
        help="Remembers the last checkpoint, so that a rollback or a fork is found.",
        show_default=False,
    ),
]
LogOnly = Annotated[bool, typer.Option("--log-only", help="Look at the log alone, at no views.")]


def verify(  # noqa: PLR0913 - one parameter for each option
    target: Target,
    vkey: Vkey = None,
    witness: Witnesses = None,
    quorum: Quorum = None,
    state: State = None,
    *,
    log_only: LogOnly = False,
    as_json: given.AsJson = False,
) -> None:
    """Check everything that a ledger shows against what it signed, without its own code."""
    options = Options(vkey, tuple(witness or ()), quorum, state, log_only)
    try:
        report = verified(target, options)
    except BadOption as why:
        console.note(f"ledger: {why}")
        raise SystemExit(Outcome.USAGE) from why
    console.say(report.json() if as_json else "\n".join(report.lines()))
    raise SystemExit(report.outcome)
