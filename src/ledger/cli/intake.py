"""How do pages of other publishers come in?  ``ledger import pages`` and ``ledger import samples``.

One page is one atomic append; a refused page is named and stops no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

import typer

from ledger import errors
from ledger.application import OPERATOR
from ledger.cli import console, given
from ledger.engine import TRIES
from ledger.importing import facts, page
from ledger.importing.layout import PAGE_BYTES_MAX
from ledger.service import Service
from ledger.store import Receipt
from ledger.vocabulary import new_handle, new_record_id
from projections.findings import Findings

SAMPLES: Final = "samples"

app = typer.Typer(
    help="Bring pages, feeds of corrections or a whole archive into the log.", no_args_is_help=True
)


@dataclass(slots=True)
class _Report:
    """What came of one file: lines for people, or why it was refused."""

    lines: list[str] = field(default_factory=list)
    refusal: errors.Refusal | None = None
    receipt: Receipt | None = None


@app.command()
def pages(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Record pages, one in each file.")
    ],
) -> None:
    """Import record pages; what a page says is kept as stated, with its source and line."""
    _import(files)


@app.command()
def samples() -> None:
    """Import the sample pages that come with the program."""
    with resources.as_file(resources.files("ledger") / SAMPLES) as folder:
        _import(sorted(folder.glob("*.txt")))


def _import(files: Sequence[Path]) -> None:
    reports: dict[Path, _Report] = {}
    with given.opened() as opened:
        try:
            given.wait(_all(opened, files, reports))
        finally:
            for file, report in reports.items():
                _tell(file, report)
    if any(report.refusal for report in reports.values()):
        raise SystemExit(console.Exit.REFUSED)


def _tell(file: Path, report: _Report) -> None:
    if report.refusal is not None:
        console.refused(report.refusal, about=str(file))
    for line in report.lines:
        console.say(line)


async def _all(opened: Service, files: Sequence[Path], reports: dict[Path, _Report]) -> None:
    """Import file after file on one loop, so that an interrupt falls between or within appends."""
    with console.progress("importing", len(files)) as told:
        for number, file in enumerate(files, start=1):
            reports[file] = await _one(opened, file)
            told(number, len(files))
    await _find(opened, reports.values())


async def _one(opened: Service, file: Path) -> _Report:
    try:
        return await _append(opened, file, _read(file))
    except OSError as trouble:
        return _Report(refusal=errors.UnreadablePage(f"{trouble.strerror}."))
    except errors.Refusal as refusal:
        return _Report(refusal=refusal)


def _read(file: Path) -> page.StatedPage:
    if file.exists() and not file.is_file() and not file.is_dir():
        # Opening a pipe would wait for whoever writes to it.
        message = "It is a pipe or a device, not a file."
        raise errors.UnreadablePage(message)
    with file.open("rb") as source:
        # One byte beyond the limit is enough for the page to be refused as too large.
        return page.parse(source.read(PAGE_BYTES_MAX + 1), file.name)


async def _append(opened: Service, file: Path, read: page.StatedPage) -> _Report:
    imported = await opened.store.owner("source", read.source)
    if imported is not None:
        handle = await opened.ledger.handle(imported)
        return _Report([f"{file}: imported before as {handle} ({imported}); nothing was changed"])
    for digits in range(8, 8 + 2 * TRIES, 2):
        handle = read.handle or new_handle(digits)
        events = facts.to_events(
            read,
            record_id=new_record_id(),
            handle=handle,
            actor=OPERATOR,
            evaluation_id=new_record_id(),
        )
        try:
            receipt = await opened.ledger.import_stated(events, read.source)
        except errors.HandleTaken as taken:
            if read.handle is None:
                continue
            held_by = taken.context.get("held_by")
            message = f"The record {held_by} holds the handle {handle} already."
            raise errors.HandleTaken(message) from taken
        first = f"{file}: imported as {handle} ({receipt.originator_id}), {len(events)} facts"
        return _Report([first, *_gaps(read)], receipt=receipt)
    raise errors.HandleTaken


def _gaps(read: page.StatedPage) -> list[str]:
    """Return what the page lacks or says in an unknown place, a line each."""
    gaps = []
    if read.handle is None:
        gaps.append("  the page has no handle of its own; this one was drawn at random")
    if read.missing:
        gaps.append(f"  missing: {', '.join(read.missing)}")
    if read.unknown:
        numbers = ", ".join(str(one.line) for one in read.unknown)
        gaps.append(f"  kept verbatim, in no known place: line {numbers}")
    return gaps


async def _find(opened: Service, reports: Iterable[_Report]) -> None:
    """Add the findings on what was imported, once their view has seen it."""
    done = [(report, report.receipt) for report in reports if report.receipt is not None]
    if not done or not await opened.caught_up(done[-1][1].position, Findings.NAME):
        return
    for report, receipt in done:
        found = opened.findings.of(receipt.originator_id)
        report.lines += [f"  finding {each.rule}: {each.sentence}" for each in found]
