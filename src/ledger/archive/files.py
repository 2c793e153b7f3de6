"""How is a folder written so that it is never half right?  Files beside, then renamed, then kept.

A new file takes its place as soon as it is on the disk.  One that replaces another waits for
``switch``: until then the folder is the archive that it was, in between it has no manifest, and
after it the folder is the new archive.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from ledger import errors
from ledger.archive.form import MANIFEST, UNFINISHED

NEW: Final = ".new"
"""What the name of a file ends in until it takes its place."""
CHUNK: Final = 1 << 20


class Folder:
    """The folder of one export."""

    def __init__(self, path: Path) -> None:
        """Keep the path; nothing is written yet."""
        self.path = path
        self.written = 0
        """How many files were written anew."""
        self._waiting: set[Path] = set()
        self._late: set[Path] = set()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and keep other exports out; refuses AnotherArchive if it holds another's.

        What a killed export has left half-written is removed.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as held:
                message = f"Another export into {self.path} is under way."
                raise errors.AnotherArchive(message) from held
            names = {path.name for path in self.path.iterdir()}
            if names and not names & {MANIFEST, UNFINISHED, f"{UNFINISHED}{NEW}"}:
                message = f"The folder {self.path} is not empty and holds no archive."
                raise errors.AnotherArchive(message)
            for left in self.path.rglob(f"*{NEW}"):
                left.unlink()
            yield
        finally:
            os.close(descriptor)

    def size(self, name: str) -> int | None:
        """Return the size in bytes of a file, None without one; what is on its way counts."""
        path = self.path / name
        path = _beside(path) if path in self._waiting else path
        return path.stat().st_size if path.exists() else None

    def put(self, name: str, data: bytes) -> None:
        """Write a file, unless it is there with the same bytes."""
        try:
            with (self.path / name).open("rb") as file:
                if file.read(len(data) + 1) == data:
                    return
        except FileNotFoundError:
            pass
        with self.writing(name) as new:
            new.write(data)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """Give a file to write; it is whole when the block ends, and gone if that fails."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(path)
        try:
            with beside.open("wb") as file:
                yield file
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        self.written += 1
        self._waiting.add(path)

    def settle(self) -> None:
        """Bring what was written to the disk, and what is new to its place."""
        _synchronise(map(_beside, sorted(self._waiting)))
        self._late |= {path for path in self._waiting if path.exists()}
        self._rename(self._waiting - self._late)
        self._waiting.clear()

    def note(self, unfinished: bytes) -> None:
        """Keep what is whole by now, for an export that goes on after this one was cut off."""
        self.settle()
        self._replace(UNFINISHED, unfinished)

    def drop(self, name: str) -> None:
        """Remove a folder of files that nobody needs any more, if there is one."""
        for file in (self.path / name).glob("*"):
            file.unlink()
        with contextlib.suppress(FileNotFoundError):
            (self.path / name).rmdir()

    def switch(self, manifest: bytes) -> None:
        """Make the folder the new archive; until this begins it is the old one, if it was one."""
        self.settle()
        if self._late:
            # Between here and the new manifest the folder says that it is not whole.
            (self.path / MANIFEST).unlink(missing_ok=True)
            _synchronise([self.path])
            self._rename(self._late)
            self._late.clear()
        self._replace(MANIFEST, manifest)
        (self.path / UNFINISHED).unlink(missing_ok=True)
        _synchronise([self.path])

    def _replace(self, name: str, data: bytes) -> None:
        path = self.path / name
        _beside(path).write_bytes(data)
        _synchronise([_beside(path)])
        _beside(path).rename(path)
        _synchronise([self.path])

    def _rename(self, paths: set[Path]) -> None:
        """Give files their names, durably: those of the folders above them, too."""
        for path in sorted(paths):
            _beside(path).rename(path)
        above = {folder for path in paths for folder in path.parents}
        _synchronise(f for f in above if f == self.path or f.is_relative_to(self.path))


@contextlib.contextmanager
def plain(path: Path) -> Iterator[BinaryIO]:
    """Give a file of an archive to read; raises FileNotFoundError.

    Refuses BrokenArchive for what cannot be read, and for a folder, a pipe or a device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as trouble:
        raise errors.BrokenArchive(f"{path} cannot be read: {trouble.strerror}.") from trouble
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise errors.BrokenArchive(f"{path} is not a plain file.")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def digest_of(path: Path) -> str | None:
    """Return the SHA-256 of a file in hex, None if there is none; refuses as ``plain`` does."""
    seen = hashlib.sha256()
    try:
        with plain(path) as file:
            while chunk := file.read(CHUNK):
                seen.update(chunk)
    except FileNotFoundError:
        return None
    return seen.hexdigest()


def _beside(path: Path) -> Path:
    return path.with_name(path.name + NEW)


def _synchronise(paths: Iterable[Path]) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
