"""What can be done at the command line of the ledger's own machine?  The ``ledger`` command.

Each command asks the service and prints what came of it; none decides what the ledger decides.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from ledger import __version__
from ledger.cli import (
    archiving,
    console,
    erasing,
    feeding,
    governing,
    intake,
    log,
    projecting,
    reading,
    replaying,
    running,
    verifying,
    witnessing,
)

EPILOG: Final = (
    "Exit codes: 0 done; 1 refused, with one sentence and its code on stderr; 2 the command line "
    "or a setting does not fit; 130 interrupted. Settings are read from the environment: "
    "LEDGER_DATABASE_URL, LEDGER_DATA_DIR, LEDGER_BASE_URL and others."
)


class _Commands(TyperGroup):
    """All commands; a value that does not fit is refused in words for people."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command of ``ctx``; raises BadParameter without the word of the checker."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as misfit:
            misfit.message = misfit.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    name="ledger",
    cls=_Commands,
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(running.init)
app.command()(running.serve)
app.command()(projecting.project)
intake.app.command()(feeding.corrections)
app.add_typer(intake.app, name="import")
app.command()(reading.show)
app.command()(reading.history)
app.command()(reading.diff)
app.command()(running.rebuild)
app.command()(replaying.replay)
app.command(epilog=verifying.EPILOG)(verifying.verify)
app.command()(archiving.export)
app.command()(erasing.erase)
intake.app.command()(archiving.archive)
app.add_typer(governing.keys, name="keys")
app.add_typer(governing.policy, name="policy")
app.add_typer(governing.gate, name="gate")
app.add_typer(log.log, name="log")
app.add_typer(witnessing.witness, name="witness")


def _version(asked: bool) -> None:  # noqa: FBT001 - typer calls it with the flag
    if asked:
        console.say(f"ledger {__version__}")
        raise typer.Exit


@app.callback()
def _every_command(
    *,
    _version_asked: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Keep the public record of research outputs as an append-only log of facts."""


def main() -> None:
    """Run the ``ledger`` command."""
    console.run(app)
