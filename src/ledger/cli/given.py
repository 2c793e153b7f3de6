"""What were we given?  Settings and options, checked, and the ledger that they name, opened.

A value that does not fit ends the command here with one sentence, before anything is opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError

from ledger.cli import console
from ledger.service import Service
from ledger.settings import Settings
from ledger.transparency.key_file import exposed

Answer = TypeVar("Answer")

RECORD_HELP: Final = "A record's id, its handle (with or without SRCH:) or its DOI."
Record = Annotated[str, typer.Argument(metavar="ID", help=RECORD_HELP, show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; it stays in the log.", show_default=False)
]


def settings() -> Settings:
    """Return the settings of the environment."""
    try:
        return Settings()
    except ValidationError as trouble:
        console.fail(_misfit(trouble, str(Settings.model_config["env_prefix"])), console.Exit.USAGE)


@contextmanager
def opened(found: Settings | None = None, **changes: Any) -> Iterator[Service]:
    """Give the ledger that the settings name, ``found`` or the environment's, with changes to them.

    Refuses NotInitialised and WrongSchema.
    """
    with Service((found or settings()).model_copy(update=changes)) as service:
        yield service


def signing() -> Settings:
    """Return the settings, with a warning if the log's key is not its owner's alone."""
    found = settings()
    if warning := exposed(found.log_key):
        console.note(f"ledger: warning: {warning}")
    return found


def wait(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Return what a question to the ledger answers."""
    return asyncio.run(work)


def fitting(shape: Any, value: str, option: str, form: str = "") -> str:
    """Return an option's value if it fits; the ledger's own types say what fits.

    ``form`` says in words what a pattern says to programs.
    """
    try:
        fitted: str = TypeAdapter(shape).validate_python(value)
    except ValidationError as trouble:
        raise typer.BadParameter(form or _misfit(trouble), param_hint=option) from trouble
    return fitted


def _misfit(trouble: ValidationError, prefix: str = "") -> str:
    first = trouble.errors(include_url=False)[0]
    name = prefix + "_".join(str(step) for step in first["loc"]).upper()
    why = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{name} {why[:1].lower()}{why[1:]}.".strip()
