"""How does the ledger speak at a terminal?  Plain lines and tables, progress, refusals, exit codes.

Results go to stdout and everything else to stderr; nothing here opens a ledger or decides anything.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from io import TextIOWrapper
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ledger.errors import Refusal


class Exit(IntEnum):
    """What the exit code of every command means."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    INTERRUPTED = 130


def say(*lines: str) -> None:
    """Print lines of a result, exactly as they are."""
    for line in lines:
        typer.echo(line)


def note(line: str) -> None:
    """Print a line for people, beside the result."""
    typer.echo(line, err=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: drawn at a terminal; otherwise a header and one tab-separated line each."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        say("\t".join(columns), *("\t".join(map(_one_line, row)) for row in cells))
        return
    drawn = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in cells:
        drawn.add_row(*map(escape, row))
    Console().print(drawn)


def pairs(facts: Mapping[str, object]) -> None:
    """Print names and values: aligned at a terminal; otherwise ``name: value``, one a line."""
    known = {name: str(value) for name, value in facts.items() if value is not None}
    if not sys.stdout.isatty():
        say(*(f"{name}: {_one_line(value)}" for name, value in known.items()))
        return
    drawn = Table.grid("name", "value", padding=(0, 2))
    for name, value in known.items():
        drawn.add_row(f"[dim]{escape(name)}[/dim]", escape(value))
    Console().print(drawn)


def _one_line(text: str) -> str:
    return " ".join(text.split())


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """Give a function to be told ``(done, total)``; the bar is drawn only at a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as drawn:
        task = drawn.add_task(escape(what), total=total)

        def told(done: int, total: int) -> None:
            drawn.update(task, completed=done, total=total)

        yield told


def refused(refusal: Refusal, about: str | None = None) -> None:
    """Say a refusal in one sentence with its code."""
    subject = f"{about}: " if about else ""
    note(f"ledger: {subject}{_one_line(refusal.detail)} [{refusal.code}]")


def fail(sentence: str, code: Exit = Exit.REFUSED) -> NoReturn:
    """End the command with a sentence."""
    note(f"ledger: {_one_line(sentence)}")
    raise SystemExit(code)


def run(command: Callable[[], Any]) -> None:
    """Run the command line; whatever is refused becomes one sentence and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that cannot show a letter gets its escape, and the command goes on.
            stream.reconfigure(errors="backslashreplace")
    # A command says what it has to say itself; the log is for processes that run on and set it up.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        command()
    except Refusal as refusal:
        refused(refusal)
        raise SystemExit(Exit.REFUSED) from refusal
    except OSError as trouble:
        place = f"{trouble.filename}: " if trouble.filename else ""
        fail(f"{place}{trouble.strerror or trouble}.")
    except KeyboardInterrupt as stopped:
        raise SystemExit(Exit.INTERRUPTED) from stopped
