"""How does a feed of corrections come in?  ``ledger import corrections``, one append a fact.

The feed is read whole first; a line that the ledger refuses is named and stops no other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger import errors
from ledger.application import OPERATOR
from ledger.cli import console, given
from ledger.importing.feed import FEED_BYTES_MAX, Feed, parse
from ledger.importing.feed_facts import take_in
from ledger.service import Service


def corrections(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A feed: one JSON object on each line.")
    ],
) -> None:
    """Import a feed of corrections; what it says is kept as stated, with its source and line."""
    with given.opened() as opened:
        refused = given.wait(_all(opened, _read(file)))
    if refused:
        raise SystemExit(console.Exit.REFUSED)


def _read(file: Path) -> Feed:
    if file.exists() and not file.is_file() and not file.is_dir():
        message = "It is a pipe or a device, not a file."
        raise errors.UnreadableFeed(message)
    with file.open("rb") as source:
        return parse(source.read(FEED_BYTES_MAX + 1), file.name)


async def _all(opened: Service, feed: Feed) -> int:
    """Import line after line on one loop and return how many were refused."""
    facts, refused, none = 0, 0, dict[str, int]()
    try:
        with console.progress("importing", len(feed.lines)) as told:
            for number, line in enumerate(feed.lines, start=1):
                try:
                    taken = await take_in(opened.ledger, feed, line, OPERATOR)
                except errors.Refusal as refusal:
                    refused += 1
                    console.refused(refusal, about=f"{feed.name}, line {line.number}")
                else:
                    facts += taken.facts
                    if taken.why_none is not None:
                        none[taken.why_none] = none.get(taken.why_none, 0) + 1
                told(number, len(feed.lines))
    finally:
        console.say(f"{feed.name}: {len(feed.lines)} lines, {facts} facts appended")
        for why, count in sorted(none.items()):
            console.say(f"  no correction from {count} lines: {why}")
    return refused
