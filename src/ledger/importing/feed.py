"""What does a feed of corrections say?  One line of JSON for each publication or notice of a work.

A reader only: what a line says is kept as it is, with its number, and nothing is made up.  The
whole feed is read before anything is appended, so that a broken line keeps all of it out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ledger import errors
from ledger.vocabulary import Day, Digest, Doi, Identifier, Line, Moment, Prose

FEED_BYTES_MAX: Final = 256 * 1024 * 1024
LINE_BYTES_MAX: Final = 1024 * 1024
NOTE_MAX: Final = 49_000
"""Less than a text may have here, because a sentence on the recording is added to it."""


class Happened(StrEnum):
    """What a line is about."""

    PUBLISHED = "published"
    REVISION = "revision"
    ERRATUM = "erratum"
    RETRACTED = "retracted"
    REMOVED = "removed"


def _happened(given: object) -> object:
    return Happened(given) if isinstance(given, str) else given


class Told(BaseModel):
    """One line; members that are not named here are passed over.

    ``date`` is the day on which it took effect, None where the source does not know;
    ``recorded_at`` is the moment at which the source recorded it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    paper: Identifier
    event: Annotated[Happened, BeforeValidator(_happened)]
    recorded_at: Moment
    date: Day | None = None
    n: Identifier | None = None
    note: Annotated[Prose, Field(max_length=NOTE_MAX)] | None = None
    title: Line | None = None
    booktitle: Line | None = None
    publisher: Line | None = None
    doi: Doi | None = None

    @property
    def first_of_its_file(self) -> bool:
        """Whether it only names the file that was published: nothing was corrected by it."""
        return self.event is Happened.REVISION and self.n == "1" and self.date is None

    @property
    def named(self) -> str | None:
        """The title of the work, or of the volume where it has none of its own."""
        return self.title or self.booktitle


@dataclass(frozen=True, slots=True)
class FeedLine:
    """A line of a feed with its number from 1."""

    number: int
    told: Told


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed: its name, the digest of its bytes, and its lines as the source recorded them."""

    name: str
    source: Digest
    lines: tuple[FeedLine, ...]


def parse(raw: bytes, name: str) -> Feed:
    """Return a feed, its lines in the order of their recording; refuses UnreadableFeed."""
    if len(raw) > FEED_BYTES_MAX:
        message = f"A feed may have {FEED_BYTES_MAX} bytes at most."
        raise errors.UnreadableFeed(message)
    lines = [
        FeedLine(number, _told(line, number))
        for number, line in enumerate(raw.split(b"\n"), start=1)
        if line.strip()
    ]
    if not lines:
        message = "The feed has no lines."
        raise errors.UnreadableFeed(message)
    # Of the same moment, a publication comes first; otherwise as in the file.
    lines.sort(key=lambda one: (one.told.recorded_at, one.told.event is not Happened.PUBLISHED))
    return Feed(name, "sha256:" + hashlib.sha256(raw).hexdigest(), tuple(lines))


def _told(line: bytes, number: int) -> Told:
    if len(line) > LINE_BYTES_MAX:
        message = f"Line {number} has more than {LINE_BYTES_MAX} bytes."
        raise errors.UnreadableFeed(message, line=number)
    try:
        told = Told.model_validate_json(line)
    except ValidationError as misfit:
        first = misfit.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        message = f"Line {number} does not fit{f' at {where}' if where else ''}: {what}."
        raise errors.UnreadableFeed(message, line=number) from misfit
    if told.named is None:
        message = f"Line {number} names no title, neither of the work nor of its volume."
        raise errors.UnreadableFeed(message, line=number)
    return told
