"""What lies where in an archive?  The manifest, the names of its files, and nothing that acts.

``docs/ledger-format.md`` describes the same for strangers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ledger.vocabulary import Digest

FORMAT: Final = "research-ledger-archive/1"
SEGMENT_EVENTS: Final = 10_000
"""Lines in every segment but the last, which may have fewer."""

MANIFEST: Final = "manifest.json"
"""Written last: a folder without it holds no whole archive."""
UNFINISHED: Final = "unfinished.json"
"""What an export that is under way, or was cut off, has written so far."""
CHECKPOINT: Final = "log/checkpoint"
VKEY: Final = "log/vkey"
TILES: Final = "log/tile"

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Segment(_Part):
    """One file of lines: the events from ``first`` to ``last``, and the SHA-256 of the file."""

    file: str
    first: int = Field(ge=1)
    last: int = Field(ge=1)
    sha256: Hex


class Artifacts(_Part):
    """Which public bytes the archive should hold and could not: they were gone or damaged."""

    missing: tuple[Digest, ...] = ()


class Manifest(_Part):
    """What an archive holds: all events of a log up to ``size``, under ``root``, in segments.

    ``signed`` says whether a checkpoint vouches for size and root.
    """

    format: Literal["research-ledger-archive/1"] = FORMAT
    origin: str = Field(min_length=1)
    size: int = Field(ge=0)
    root: Hex
    signed: bool
    segments: tuple[Segment, ...]
    artifacts: Artifacts = Artifacts()

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the manifest in a file, None without one; raises ValueError with a sentence."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as trouble:
            first = trouble.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "it"
            raise ValueError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from trouble

    def written(self) -> bytes:
        """Return the bytes of the file."""
        return self.model_dump_json(indent=1).encode() + b"\n"


class Whole(Manifest):
    """The manifest of an archive that is whole: its segments are all the events, in order."""

    @model_validator(mode="after")
    def _nothing_is_left_out(self) -> Self:
        named = [(each.file, each.first, each.last) for each in self.segments]
        if named != [*segments(self.size)]:
            raise ValueError(f"the segments are not those of {self.size} events")
        return self


def segments(size: int) -> Iterator[tuple[str, int, int]]:
    """Yield the segments of so many events: name, first and last position."""
    for first in range(1, size + 1, SEGMENT_EVENTS):
        yield segment_of(first), first, min(size, first + SEGMENT_EVENTS - 1)


def segment_of(position: int) -> str:
    """Return in which segment the event at a position lies."""
    first = (position - 1) // SEGMENT_EVENTS * SEGMENT_EVENTS + 1
    return f"events/{first:012}.ndjson"


def place_of(digest: str) -> str:
    """Return where the bytes of an artifact lie."""
    name = digest.removeprefix("sha256:")
    return f"artifacts/sha256/{name[:2]}/{name}"
