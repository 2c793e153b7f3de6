"""What does an archive hold?  A folder of plain files, of which none is trusted or read whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from ledger.verifier import static
from ledger.verifier.lines import LINE_BYTES_MAX
from ledger.verifier.log import Mark, Row
from ledger.verifier.report import Report, Unchecked
from ledger.verifier.signatures import NOTE_BYTES_MAX, SIZE_MAX, BadNote, Key, checkpoint, note
from ledger.verifier.tree import HASH_BYTES

FORMAT: Final = "research-ledger-archive/1"
MANIFEST_BYTES_MAX: Final = 256 * 1024 * 1024
SEGMENT: Final = 10_000
CHUNK: Final = 1 << 20
TABLE: Final = "archive"

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class Archive:
    """An archive in a folder."""

    def __init__(self, folder: Path) -> None:
        """Look at nothing yet."""
        self._folder = folder
        self._report: Report | None = None
        self.size = 0
        self.missing: frozenset[str] = frozenset()
        self._segments: list[dict[str, Any]] = []

    def begin(self, report: Report) -> None:
        """Read the manifest; raises Unchecked where there is none that can be read."""
        self._report = report
        raw = self._content(static.MANIFEST, MANIFEST_BYTES_MAX)
        if raw is None:
            raise Unchecked(f"{self._folder} holds no {static.MANIFEST}: it is no whole archive.")
        try:
            told = json.loads(raw)
            if told["format"] != FORMAT:
                message = f"{static.MANIFEST} is of the format {told['format']!r}, not {FORMAT}."
                raise Unchecked(message)
            self.size = _whole(told["size"])
            self._segments = [dict(each) for each in told["segments"]]
            self.missing = frozenset(map(str, told["artifacts"]["missing"]))
            said = (told["origin"], self.size, told["root"])
        except (ValueError, KeyError, TypeError, RecursionError) as trouble:
            raise Unchecked(f"{static.MANIFEST} is not the manifest of an archive.") from trouble
        self._agrees(said, signed=told.get("signed"))

    def _agrees(self, said: tuple[Any, int, Any], *, signed: Any) -> None:
        """Hold the manifest against the checkpoint."""
        assert self._report is not None  # noqa: S101 - begin() has set it
        raw = self.note()
        self._report.expect(TABLE, static.MANIFEST, "signed", raw is not None, signed)
        if raw is None:
            return
        try:
            found = checkpoint(note(raw))
        except BadNote:
            return  # which is told where the checkpoint is read
        names = ("origin", "size", "root")
        for name, a, b in zip(
            names, (found.origin, found.size, found.root.hex()), said, strict=True
        ):
            self._report.expect(TABLE, static.MANIFEST, name, a, b)
        # The tiles are those of the checkpoint, whatever the manifest says.
        self.size = found.size

    def note(self) -> bytes | None:
        """Return the checkpoint."""
        return self._content(static.CHECKPOINT, NOTE_BYTES_MAX)

    def vkey(self) -> str | None:
        """Return the key that lies in the archive."""
        raw = self._content(static.VKEY, NOTE_BYTES_MAX)
        return raw.decode(errors="replace").strip() if raw else None

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """Return a tile."""
        return self._content(static.place(level, index, width), width * HASH_BYTES)

    def entries(self, index: int, width: int) -> list[bytes] | None:
        """Return a bundle of entries; an empty one where there is none."""
        place = static.place(None, index, width)
        data = self._content(place, static.bundle_bytes_max(width))
        return static.unbundled(data or b"", width)

    def marks(self, _report: Report, _key: Key | None) -> Iterator[Mark]:
        """Yield nothing: an archive has one checkpoint."""
        yield from ()

    def rows(self) -> Iterator[Row]:
        """Yield the events; tell segments that are not as the manifest says."""
        assert self._report is not None  # noqa: S101 - begin() has set it
        yield from static.read(self._lines(self._report), self._report)

    def _lines(self, report: Report) -> Iterator[tuple[str, bytes]]:
        expect, first = report.expect, 1
        for segment in self._segments:
            name = f"events/{first:012}.ndjson"
            last = min(self.size, first + SEGMENT - 1)
            expected = {"file": name, "first": first, "last": last}
            for member, value in expected.items():
                expect(TABLE, name, f"{member} in {static.MANIFEST}", value, segment.get(member))
            seen, number = hashlib.sha256(), 0
            with self._opened(name) as file:
                if file is None:
                    report.differs(TABLE, name, "", "a file", "none")
                    return
                while line := file.readline(LINE_BYTES_MAX + 1):
                    seen.update(line)
                    number += 1
                    if not line.endswith(b"\n"):
                        report.differs(TABLE, name, f"line {number}", "a line break", "none")
                    yield f"{name}, line {number}", line.removesuffix(b"\n")
            expect(TABLE, name, "sha256", seen.hexdigest(), segment.get("sha256"))
            expect(TABLE, name, "lines", last - first + 1, number)
            first = last + 1

    def artifact(self, digest: str) -> str | None:
        """Return the digest of the bytes of an artifact as they lie there, None without any."""
        name = digest.removeprefix("sha256:")
        if not _DIGEST.fullmatch(digest):
            return None
        seen = hashlib.sha256()
        with self._opened(f"artifacts/sha256/{name[:2]}/{name}") as file:
            if file is None:
                return None
            while chunk := file.read(CHUNK):
                seen.update(chunk)
        return f"sha256:{seen.hexdigest()}"

    # ------------------------------------------------------------ files

    @contextmanager
    def _opened(self, name: str) -> Iterator[BinaryIO | None]:
        """Give a plain file of the archive: no pipe, no device, nothing outside of it."""
        path = self._folder / name
        try:
            inside = path.resolve().is_relative_to(self._folder.resolve())
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            yield None
            return
        except OSError as trouble:
            raise Unchecked(f"{path} cannot be read: {trouble.strerror}.") from trouble
        if not inside or not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Unchecked(f"{path} is not a plain file of the archive.")
        with os.fdopen(descriptor, "rb") as file:
            yield file

    def _content(self, name: str, bytes_max: int) -> bytes | None:
        """Return what a file holds, and one byte more than is allowed if there is more."""
        with self._opened(name) as file:
            return None if file is None else file.read(bytes_max + 1)


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= SIZE_MAX:
        raise ValueError(value)
    return value
