"""How does the log go into an archive?  In order, in one pass, and only what is not there yet.

The archive ends where the last published checkpoint ends, or where the log does if none was
published.  A row that does not agree with its own commitment, or a log that does not agree with its
checkpoint, is refused: a backup must not carry damage on unseen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger import errors
from ledger.archive import form
from ledger.archive.files import CHUNK, Folder, digest_of
from ledger.archive.form import Artifacts, Manifest, Segment
from ledger.archive.names import published, telling
from ledger.archive.reading import LINE_BYTES_MAX, row_of
from ledger.archive.trees import Erasures, Leaves
from ledger.store import LogRow, Store
from ledger.store.sealing import COMMITMENT_PREFIX
from ledger.transparency.lines import event_line
from ledger.transparency.notes import BadNote, Checkpoint, parse_note

PAGE: Final = 1_000

Progress = Callable[[int, int], None]
"""Told how many events are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is exported: a store, where the bytes of its artifacts lie, and how the log is called.

    ``origin`` is used where no checkpoint says it; ``vkey`` is the log's key if it is known.
    """

    store: Store
    artifact: Callable[[str], Path]
    origin: str
    vkey: str | None = None


@dataclass(slots=True)
class Report:
    """What an export did."""

    manifest: Manifest
    kept: int = 0
    """Events whose segments were there already, and whole."""
    copied: int = 0
    """Artifacts whose bytes were not there yet."""
    left: int = 0
    """Events that no checkpoint covers yet, so that they were left out."""


def export(source: Source, place: Path, progress: Progress = lambda _done, _all: None) -> Report:
    """Bring the archive at ``place`` up to date, or begin one; refuses AnotherArchive.

    Refuses LogAltered for a log that is not the one that was published or is already there, and
    StoreUnavailable.  An export that is cut off is continued by the next.
    """
    folder = Folder(place)
    with folder.held():
        return _Export(source, folder).run(progress)


@dataclass(slots=True)
class _Export:
    source: Source
    folder: Folder
    missing: set[str] = field(default_factory=set)
    segments: dict[str, Segment] = field(default_factory=dict)
    erasures: Erasures = field(default_factory=Erasures)
    stale: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    full: list[str] = field(default_factory=list)
    before: Manifest | None = None
    copied: int = 0

    def run(self, progress: Progress) -> Report:
        goal, note = self._goal()
        vouched = self._vouched(goal)
        if not vouched:
            # From here on the folder says whose it is.
            self._note(goal)
        root = self._walk(goal, vouched, progress)
        if note is not None and root != goal.root:
            # What was written now is not to be kept by the next export.
            self.folder.note(goal.written())
            raise errors.LogAltered(
                f"The first {goal.size} events are not those of the checkpoint that {goal.origin} "
                "has published."
            )
        self._renew(goal)
        if note is not None:
            self.folder.put(form.CHECKPOINT, note)
            if self.source.vkey is not None:
                self.folder.put(form.VKEY, f"{self.source.vkey}\n".encode())
        manifest = goal.model_copy(
            update={
                "root": root,
                "segments": tuple(self.segments.values()),
                "artifacts": Artifacts(missing=tuple(sorted(self.missing))),
            }
        )
        self.folder.switch(manifest.written())
        for name in self.full:
            # What was a part of a tile is no longer needed where there is all of it.
            self.folder.drop(f"{name}.p")
        kept = (self.segments[name] for name in self.kept - self.stale)
        return Report(
            manifest,
            kept=sum(each.last - each.first + 1 for each in kept),
            copied=self.copied,
            left=self.source.store.head() - goal.size,
        )

    def _walk(self, goal: Manifest, vouched: dict[str, Segment], progress: Progress) -> str:
        """Keep or make every segment, with tiles and artifacts; return the root."""
        leaves = Leaves(self._put)
        for name, first, last in form.segments(goal.size):
            segment = vouched.get(name)
            if segment is None or segment.last != last or not self._unchanged(segment):
                self.segments[name] = self._make(name, first, last, leaves)
                self._note(goal)
            else:
                self.segments[name] = self._keep(segment, leaves)
            progress(last, goal.size)
        return leaves.end().hex()

    def _renew(self, goal: Manifest) -> None:
        """Make the segments again of which something was erased since they were written."""
        for name, first, last in form.segments(goal.size):
            if name in self.stale:
                self.erasures.forget(first, last)
                self.segments[name] = self._make(name, first, last, None)
        for position in self.erasures.contradictions():
            self._uncovered(position, goal.size)
            raise errors.LogAltered(
                f"The body at position {position} is not what its erasure says is left of it."
            )

    def _uncovered(self, position: int, size: int) -> None:
        """Refuse ErasureNotCovered if an erasure after the end of the archive tells of a body."""
        later = Erasures()
        for row in self.source.store.rows(size):
            if later.take(row) == position and later.events[position] == self.erasures.bodies.get(
                position
            ):
                raise errors.ErasureNotCovered(
                    f"The body at position {position} was erased by position {row.position}, which "
                    "no checkpoint covers yet: publish one with ledger log step, then export again."
                )

    # ------------------------------------------------------------ what there is to do

    def _goal(self) -> tuple[Manifest, bytes | None]:
        """Return how far the archive is to reach, as a manifest without parts, and the note."""
        checkpoint = self.source.store.tree.published()
        if checkpoint is None:
            size, root, origin = self.source.store.head(), "0" * 64, self.source.origin
        else:
            try:
                said = Checkpoint.parse(parse_note(checkpoint.note).text)
            except BadNote as bad:
                raise errors.LogAltered(f"The last checkpoint cannot be read: {bad}.") from bad
            size, root, origin = checkpoint.size, checkpoint.root.hex(), said.origin
        signed = checkpoint is not None
        goal = Manifest(origin=origin, size=size, root=root, signed=signed, segments=())
        return goal, None if checkpoint is None else checkpoint.note

    def _vouched(self, goal: Manifest) -> dict[str, Segment]:
        """Return the segments that earlier exports have left; refuses AnotherArchive."""
        where = self.folder.path
        found: dict[str, Segment] = {}
        for name in (form.MANIFEST, form.UNFINISHED):
            try:
                before = Manifest.read(where / name)
            except ValueError as bad:
                raise errors.AnotherArchive(
                    f"The file {where / name} is none of ours: {bad}."
                ) from bad
            if before is None:
                continue
            if before.signed and before.origin != goal.origin:
                message = (
                    f"The archive in {where} is that of {before.origin}, not of {goal.origin}."
                )
                raise errors.AnotherArchive(message)
            held = before.segments[-1].last if before.segments else 0
            if held > goal.size:
                message = f"The archive in {where} holds {held} events, and there are {goal.size}."
                raise errors.AnotherArchive(message)
            found |= {each.file: each for each in before.segments}
            if name == form.MANIFEST:
                self.before = before
        return found

    def _note(self, goal: Manifest) -> None:
        """Write down which segments are whole by now."""
        whole = tuple(self.segments.values())
        self.folder.note(goal.model_copy(update={"segments": whole}).written())

    def _put(self, name: str, data: bytes, _first: int) -> None:
        """Keep a tile or a bundle."""
        self.folder.put(name, data)
        if (self.folder.path / f"{name}.p").is_dir():
            self.full.append(name)

    # ------------------------------------------------------------ segments

    def _unchanged(self, segment: Segment) -> bool:
        """Whether a segment is as it was written."""
        return digest_of(self.folder.path / segment.file) == segment.sha256

    def _keep(self, segment: Segment, leaves: Leaves) -> Segment:
        self.kept.add(segment.file)
        row: LogRow | None = None
        with (self.folder.path / segment.file).open("rb") as file:
            while line := file.readline(LINE_BYTES_MAX):
                row = row_of(line[:-1])
                self._take(row, leaves)
        held = None if row is None else row.payload_commitment
        live = next(self.source.store.rows(segment.last - 1, segment.last), None)
        self._same(live is not None and live.payload_commitment == held)
        return segment

    def _make(self, name: str, first: int, last: int, leaves: Leaves | None) -> Segment:
        seen = hashlib.sha256()
        with self.folder.writing(name) as file:
            for row in self._rows(first, last):
                line = event_line(row) + b"\n"
                seen.update(line)
                file.write(line)
                self._take(row, leaves)
        return Segment(file=name, first=first, last=last, sha256=seen.hexdigest())

    def _rows(self, first: int, last: int) -> Iterator[LogRow]:
        """Yield the rows of the log between two positions; refuses LogAltered."""
        position = first - 1
        for row in self.source.store.rows(first - 1, last, PAGE):
            position += 1
            if row.position != position:
                break
            sealed = hashlib.sha256(COMMITMENT_PREFIX + row.salt + row.state).digest()
            if row.salt and sealed != row.payload_commitment:
                message = f"The body at position {position} is not what its commitment says."
                raise errors.LogAltered(message)
            yield row
        if position != last:
            raise errors.LogAltered(f"The log has no event at position {position + 1}.")

    def _take(self, row: LogRow, leaves: Leaves | None) -> None:
        """Take in a row of the log; without ``leaves`` it was in the tree before."""
        erased = self.erasures.take(row)
        if erased is not None:
            name = form.segment_of(erased)
            told = self.erasures.events[erased]
            if name in self.kept and self.erasures.bodies.get(erased) != told:
                self.stale.add(name)
        self._artifact(row)
        if leaves is None:
            return
        leaves.add(row)
        if self.before is not None and row.position == self.before.size:
            self._same(leaves.root().hex() == self.before.root)

    def _same(self, same: bool) -> None:  # noqa: FBT001 - it says what it is
        """Refuse AnotherArchive unless what is in the archive is what is in the log."""
        if not same:
            message = f"The archive in {self.folder.path} has other events than the ledger."
            raise errors.AnotherArchive(message)

    # ------------------------------------------------------------ artifacts

    def _artifact(self, row: LogRow) -> None:
        """Copy the bytes that a row makes public, unless they are there."""
        artifact = published(telling(row))
        if artifact is None or artifact.digest in self.missing:
            return
        name = form.place_of(artifact.digest)
        if self.folder.size(name) == artifact.size_bytes:
            return
        if not self._copy(artifact.digest, name):
            self.missing.add(artifact.digest)

    def _copy(self, digest: str, name: str) -> bool:
        """Copy the bytes with a digest; False if they are not there, or others."""
        seen = hashlib.sha256()
        try:
            with self.source.artifact(digest).open("rb") as bytes_, self.folder.writing(name) as to:
                while chunk := bytes_.read(CHUNK):
                    seen.update(chunk)
                    to.write(chunk)
                _demand(f"sha256:{seen.hexdigest()}" == digest)
        except (FileNotFoundError, _Damaged):
            return False
        self.copied += 1
        return True


class _Damaged(Exception):
    """The bytes of an artifact are not those that its name says."""


def _demand(same: bool) -> None:  # noqa: FBT001 - it says what it is
    if not same:
        raise _Damaged
