"""How is the signed log begun, brought up to date and audited?  ``ledger log``.

``serve`` and ``project`` keep the log up by themselves; these are for the operator's own hand.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Annotated, Final

import typer

from ledger import errors, service
from ledger.cli import console, given
from ledger.store import Store
from ledger.store.raw import RawRow
from ledger.transparency.auditing import Audit, Audited
from ledger.transparency.key_file import KeyFile
from ledger.transparency.log_status import note_audit
from ledger.transparency.notes import encoded

PAGE: Final = 5_000

log = typer.Typer(no_args_is_help=True, help="Sign the log, and audit it.")

Origin = Annotated[
    str | None,
    typer.Option(
        "--origin",
        metavar="NAME",
        help="What the log is called, such as example.org/log.",
        show_default=False,
    ),
]


@log.command()
def keygen(origin: Origin = None) -> None:
    """Draw a key for the log, write it into its file, and print its public half."""
    settings = given.settings()
    files = KeyFile(settings.log_key)
    files.not_lost()
    key = files.make(origin or settings.log_name)
    console.note(f"Made the key of the log {key.name}: {settings.log_key}")
    console.say(str(key.verifier))


@log.command()
def init(
    origin: Origin = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="TEXT", help="Why the old log ends.", show_default=False),
    ] = None,
) -> None:
    """Publish the first checkpoint; with --origin, of a new log that names the old one.

    That is the only way on after a database was lost and an older copy of it restored.
    """
    if (origin is None) is not (reason is None):
        raise typer.BadParameter("A new origin goes with a reason.", param_hint="--origin")
    settings = given.signing()
    files = KeyFile(settings.log_key)
    if origin is None or reason is None:
        if files.read() is None:
            files.not_lost()
            files.make(settings.log_name)
        with service.Service(settings) as opened:
            _publish(opened)
        return
    with service.Service(settings) as opened:
        began = opened.begin_log(origin, reason)
        console.note(f"The log {began.name} begins; its key is in {settings.log_key}.")
        if settings.log_origin not in {None, began.name}:
            console.note(f"Set LEDGER_LOG_ORIGIN to {began.name}, or leave it empty.")
            return
        _publish(opened)


@log.command()
def step() -> None:
    """Put every event into the tree now, and publish a checkpoint of it."""
    with given.opened(given.signing()) as opened:
        _publish(opened)


@log.command()
def audit() -> None:
    """Compare every row with the tree, and the tree with every checkpoint."""
    with given.opened(given.signing()) as opened:
        began = time.monotonic()
        done = audited(opened)
        seconds = time.monotonic() - began
        rate = done.rows / seconds if seconds else 0
        console.pairs(
            {
                "rows": done.rows,
                "in the tree": done.size,
                "root": encoded(done.root),
                "checkpoints": done.checkpoints,
                "erased": done.erased,
                "rate": f"{rate:.0f} rows/s",
            }
        )


def audited(opened: service.Service) -> Audited:
    """Audit an opened ledger and keep beside its key what came of it; refuses LogAltered."""
    files = KeyFile(opened.settings.log_key)
    key, last = files.read(), files.remembered()
    work = Audit(
        opened.store.tree,
        key=None if key is None else key.verifier,
        outside=None if last is None else last[0],
    )
    total = opened.store.head()
    try:
        with console.progress("Auditing", total) as told:
            done = work.run(_pages(opened.store, total), told)
    except errors.LogAltered as found:
        note_audit(files.path, total, found.detail)
        raise
    note_audit(files.path, total, None)
    return done


def _pages(store: Store, upto: int) -> Iterator[list[RawRow]]:
    """Yield the rows of the log up to a position, as they are stored."""
    after = 0
    with asyncio.Runner() as runner:
        while page := runner.run(store.raw.log(after, upto, PAGE)):
            yield page
            after = page[-1][0]


def _publish(opened: service.Service) -> None:
    published = opened.log.catch_up()
    size = opened.store.tree.head().size
    if published is None:
        signed = "nothing is signed: there is no key" if size else "there is nothing to sign yet"
        console.say(f"The tree holds {size} events; {signed}.")
    else:
        console.say(f"The tree holds {size} events; {published.size} are published.")
        console.say(published.note.decode().rstrip())
