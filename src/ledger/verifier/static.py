"""Where do tiles and entries lie?  The paths of C2SP tlog-tiles, bundles, and lines of events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.verifier.lines import BadLine, parsed
from ledger.verifier.log import EVENTS, Row, entry
from ledger.verifier.report import Report, Unchecked
from ledger.verifier.tree import TILE, leaf_hash

CHECKPOINT: Final = "log/checkpoint"
VKEY: Final = "log/vkey"
MANIFEST: Final = "manifest.json"
ENTRY_BYTES_MAX: Final = 65_535
LENGTH_BYTES: Final = 2
GROUP: Final = 1_000


def place(level: int | None, index: int, width: int) -> str:
    """Return the path of a tile, or with level None of a bundle of entries."""
    index, last = divmod(index, GROUP)
    groups = [f"{last:03}"]
    while index:
        index, more = divmod(index, GROUP)
        groups.insert(0, f"x{more:03}")
    part = "" if width == TILE else f".p/{width}"
    return f"log/tile/{'entries' if level is None else level}/{'/'.join(groups)}{part}"


def bundle_bytes_max(width: int) -> int:
    """Return how long a bundle may be."""
    return width * (LENGTH_BYTES + ENTRY_BYTES_MAX)


def unbundled(data: bytes, width: int) -> list[bytes]:
    """Return the entries of a bundle; one that is cut or too long yields fewer or more."""
    entries, at = list[bytes](), 0
    while at + LENGTH_BYTES <= len(data) and len(entries) <= width:
        length = int.from_bytes(data[at : at + LENGTH_BYTES], "big")
        at += LENGTH_BYTES + length
        if at > len(data):
            break
        entries.append(data[at - length : at])
    return entries


def read(lines: Iterator[tuple[str, bytes]], report: Report) -> Iterator[Row]:
    """Yield the rows of lines, each given with where it stands; tell wrong leaf hashes.

    Raises Unchecked at the first line that is none: what comes behind has no place.
    """
    for where, line in lines:
        try:
            row, leaf = parsed(line)
        except BadLine as why:
            report.differs("lines", where, "", "a line of the log", why)
            message = f"{where} is not a line of the log, so nothing behind it was read."
            raise Unchecked(message) from why
        if leaf != (mine := leaf_hash(entry(row))):
            key = f"position {row.position}"
            report.differs(EVENTS, key, "leaf_hash in the line", mine.hex(), leaf.hex())
        yield row
