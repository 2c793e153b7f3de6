"""Is this archive whole, and is it what its checkpoint says?  Every byte of it is looked at.

Whatever is wrong is refused with the first entry at which it shows.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Final, NoReturn, Self

from ledger import errors
from ledger.archive import form
from ledger.archive.files import digest_of, plain
from ledger.archive.form import Manifest, Segment, Whole
from ledger.archive.names import published
from ledger.archive.trees import Erasures, Leaves
from ledger.codec import decode
from ledger.events import Event
from ledger.store import LogRow
from ledger.store.sealing import COMMITMENT_PREFIX
from ledger.transparency.entries import unbundle
from ledger.transparency.lines import event_line
from ledger.transparency.merkle import HASH_BYTES
from ledger.transparency.notes import BadKey, BadNote, VerifierKey, open_checkpoint

LINE_BYTES_MAX: Final = 64 * 1024 * 1024
NOTE_BYTES_MAX: Final = 1_000_000

Progress = Callable[[int, int], None]
"""Told how many events are done, and how many there are."""

_TEXT: Final = rb'"((?:[^"\\\x00-\x1f]|\\.)*)"'
_HEAD: Final = re.compile(
    rb'\{"position":([1-9][0-9]{0,17}),"recorded_at":"([0-9T:.-]{26}Z)","stream":' + _TEXT
    + rb',"version":([1-9][0-9]{0,17}),"type":' + _TEXT
    + rb',"schema_version":([1-9][0-9]{0,8}),"commitment":"([0-9a-f]{64})",'
    rb'"salt":"((?:[0-9a-f]{64})?)","leaf_hash":"([0-9a-f]{64})","event":(?=\{)'
)  # fmt: skip


def row_of(line: bytes) -> LogRow:
    """Return the row that a line holds; raises ValueError for what is no line of a log.

    What the members say is not compared here: ``event_line`` of the row has to give the same bytes.
    """
    head = _HEAD.match(line)
    if head is None or not line.endswith(b"}}"):
        raise ValueError("it has not the form of a line of the log")
    position, at, stream, version, kind, schema, commitment, salt, _leaf = head.groups()
    return LogRow(
        position=int(position),
        recorded_at=datetime.fromisoformat(at.decode()),
        originator_id=_unquoted(stream),
        originator_version=int(version),
        topic=f"{_unquoted(kind)}:{int(schema)}",
        state=line[head.end() : -1],
        salt=bytes.fromhex(salt.decode()),
        payload_commitment=bytes.fromhex(commitment.decode()),
    )


def _unquoted(text: bytes) -> str:
    if b"\\" not in text:
        return text.decode()
    found: str = json.loads(b'"%b"' % text)
    return found


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive whose manifest and checkpoint agree; its events are not looked at yet."""

    folder: Path
    manifest: Manifest
    note: bytes | None
    """The checkpoint, as it was signed; None where the archive is not signed."""

    @classmethod
    def open(cls, folder: Path, vkey: str | None = None) -> Self:
        """Open an archive; refuses BrokenArchive.

        ``vkey`` is the key that has to have signed it.  Without one it is the key that lies in the
        archive, which shows that the archive is as it was written, and not who wrote it.
        """
        manifest = _manifest(folder)
        if not manifest.signed:
            if vkey is not None:
                raise errors.BrokenArchive("The archive is not signed, by this key or any other.")
            return cls(folder, manifest, None)
        note = _content(folder, form.CHECKPOINT, NOTE_BYTES_MAX)
        try:
            checkpoint, _cosigned = open_checkpoint(note, _key(folder, vkey))
        except BadNote as bad:
            raise errors.BrokenArchive(f"{form.CHECKPOINT}: {bad}.") from bad
        said = (checkpoint.origin, checkpoint.size, checkpoint.root.hex())
        if said != (manifest.origin, manifest.size, manifest.root):
            message = f"{form.MANIFEST} and {form.CHECKPOINT} differ in origin, size or root."
            raise errors.BrokenArchive(message)
        return cls(folder, manifest, note)

    # ------------------------------------------------------------ the whole

    def check(self, progress: Progress = lambda _done, _all: None) -> None:
        """Look at everything; refuses BrokenArchive with the first entry that is wrong."""
        erasures, missing = Erasures(), set(self.manifest.artifacts.missing)
        leaves = Leaves(self._same)
        recorded_at: datetime | None = None
        for segment in self.manifest.segments:
            for place, line in self._lines(segment):
                row, event = _checked(place, line)
                if recorded_at is not None and row.recorded_at <= recorded_at:
                    place.fails("it was recorded no later than the event before it")
                recorded_at = row.recorded_at
                erasures.take(row)
                leaves.add(row)
                self._artifact(place, event, missing)
            if digest_of(self.folder / segment.file) != segment.sha256:
                self._blame(segment, erasures)
            progress(segment.last, self.manifest.size)
        self._agreed(erasures)
        if leaves.end().hex() != self.manifest.root:
            message = f"The {self.manifest.size} events have another root than {form.MANIFEST} says"
            raise errors.BrokenArchive(f"{message}, but every file agrees with them.")

    def rows(self) -> Iterator[LogRow]:
        """Yield the rows of an archive that was checked; refuses BrokenArchive if it was altered.

        What was yielded of a segment counts only when the next row, or the end, comes.
        """
        for segment in self.manifest.segments:
            seen = hashlib.sha256()
            for _place, line in self._lines(segment):
                seen.update(line + b"\n")
                yield row_of(line)
            if seen.hexdigest() != segment.sha256:
                message = f"{segment.file} was altered while it was read."
                raise errors.BrokenArchive(message)

    # ------------------------------------------------------------ parts

    def _lines(self, segment: Segment) -> Iterator[tuple[_Place, bytes]]:
        """Yield the lines of a segment, as many as it must have."""
        try:
            with plain(self.folder / segment.file) as file:
                for position in range(segment.first, segment.last + 1):
                    place = _Place(segment.file, position - segment.first + 1, position)
                    line = file.readline(LINE_BYTES_MAX)
                    if not line.endswith(b"\n"):
                        place.fails("the line is missing or cut off")
                    yield place, line[:-1]
                if file.read(1):
                    beyond = segment.last - segment.first + 2
                    place = _Place(segment.file, beyond, segment.last + 1)
                    place.fails("the file goes on after its last line")
        except FileNotFoundError:
            _Place(segment.file, 1, segment.first).fails("the file is missing")

    def _same(self, name: str, data: bytes, first: int) -> None:
        """Hold a tile or bundle against the events that it is made of."""
        try:
            with plain(self.folder / name) as file:
                found = file.read(len(data) + 1)
        except FileNotFoundError:
            raise errors.BrokenArchive(
                f"{name} is missing; it begins at position {first}."
            ) from None
        if found == data:
            return
        at = next(n for n in range(len(data) + 1) if found[n : n + 1] != data[n : n + 1])
        if name.startswith(f"{form.TILES}/0/"):
            first += at // HASH_BYTES
        elif name.startswith(f"{form.TILES}/entries/"):
            ends = accumulate(2 + len(each) for each in unbundle(data))
            first += sum(end <= at for end in ends)
        message = (
            f"{name} is not that of the events from position {first}: one or the other differs"
        )
        raise errors.BrokenArchive(f"{message}.")

    def _artifact(self, place: _Place, event: Event, missing: set[str]) -> None:
        artifact = published(event)
        if artifact is None or artifact.digest in missing:
            return
        name = form.place_of(artifact.digest)
        found = digest_of(self.folder / name)
        if found is None:
            place.fails(f"its bytes are missing: {name}")
        if f"sha256:{found}" != artifact.digest:
            place.fails(f"its bytes are others: {name}")

    def _blame(self, segment: Segment, erasures: Erasures) -> NoReturn:
        """Say what is wrong with a segment whose every line is sound by itself."""
        known = erasures.bodies.keys()
        for later in self.manifest.segments:
            for _place, line in self._lines(later) if later.first > segment.first else ():
                erasures.take(row_of(line))
        for position in erasures.contradictions():
            if position in known and segment.first <= position <= segment.last:
                raise errors.BrokenArchive(_contradiction(position))
        raise errors.BrokenArchive(f"{segment.file} is not what {form.MANIFEST} says it is.")

    def _agreed(self, erasures: Erasures) -> None:
        for position in erasures.contradictions():
            raise errors.BrokenArchive(_contradiction(position))


def _contradiction(position: int) -> str:
    segment = form.segment_of(position)
    return f"{segment}: the body at position {position} is not what its erasure says is left of it."


@dataclass(frozen=True, slots=True)
class _Place:
    """A line of an archive."""

    file: str
    line: int
    position: int

    def fails(self, why: str) -> NoReturn:
        """Refuse the archive for what is wrong here."""
        where = f"{self.file}, line {self.line} (position {self.position})"
        raise errors.BrokenArchive(f"{where}: {why}.")


def _checked(place: _Place, line: bytes) -> tuple[LogRow, Event]:
    """Return a line's row and event; refuses one that does not agree with itself or its place."""
    try:
        row = row_of(line)
        again = event_line(row)
    except ValueError as bad:
        place.fails(str(bad))
    if row.position != place.position:
        place.fails(f"position {row.position} stands there")
    if again != line:
        place.fails("its members do not give its leaf hash, or are not written as they must be")
    if row.salt:
        sealed = hashlib.sha256(COMMITMENT_PREFIX + row.salt + row.state).digest()
        if sealed != row.payload_commitment:
            place.fails("its commitment is not that of its body")
    try:
        event = decode(row.originator_id, row.originator_version, row.topic, row.state)
    except errors.UnreadableEvent as bad:
        place.fails(bad.detail)
    return row, event


def _manifest(folder: Path) -> Manifest:
    try:
        with contextlib.suppress(FileNotFoundError), plain(folder / form.MANIFEST):
            pass
        manifest = Whole.read(folder / form.MANIFEST)
    except ValueError as bad:
        raise errors.BrokenArchive(f"{form.MANIFEST}: {bad}.") from bad
    if manifest is not None:
        return manifest
    if (folder / form.UNFINISHED).exists():
        message = f"The export into {folder} was not finished: run ledger export again."
        raise errors.BrokenArchive(message)
    raise errors.BrokenArchive(f"There is no archive in {folder}.")


def _key(folder: Path, vkey: str | None) -> VerifierKey:
    """Return the key that was given, or the one that lies in the archive."""
    if vkey is None and not (folder / form.VKEY).exists():
        message = f"{form.VKEY} is missing: give --vkey the public key of the log."
        raise errors.BrokenArchive(message)
    where, text = "--vkey", vkey
    try:
        if text is None:
            where = form.VKEY
            text = _content(folder, form.VKEY, NOTE_BYTES_MAX).decode("ascii")
            _one_line(text)
        return VerifierKey.parse(text.removesuffix("\n"))
    except (BadKey, UnicodeDecodeError) as bad:
        raise errors.BrokenArchive(f"{where}: {bad}.") from bad


def _one_line(text: str) -> None:
    if not text.endswith("\n"):
        raise BadKey("the line of the key is not ended")


def _content(folder: Path, name: str, limit: int) -> bytes:
    try:
        with plain(folder / name) as file:
            return file.read(limit)
    except FileNotFoundError:
        raise errors.BrokenArchive(f"{name} is missing.") from None
