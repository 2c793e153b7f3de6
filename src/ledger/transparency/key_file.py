"""Where is the log's key, and what is remembered beside it?  Four files outside the database.

Who can alter rows must not be able to sign them, and who restores an older database must not
restore an older memory with it.  Beside the key ``log.key`` lie ``log.key.published``, the last
checkpoint that was published, ``log.key.asked``, the last one that witnesses were asked about, and
``log.key.stopped``, why nothing more is published, if that is so.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ledger import errors
from ledger.transparency.notes import BadKey, BadNote, Checkpoint, SigningKey, is_name, parse_note

KEY_BYTES_MAX: Final = 4_096


def exposed(path: Path) -> str | None:
    """Return a sentence if others than its owner may read or write the key in a file, else None.

    A warning and no refusal, since secrets of a container are mounted so.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return None
    return (
        f"The key in {path} is not its owner's alone (mode {mode:04o}): who reads it can sign in "
        "its name; chmod 600 makes it so."
    )


class KeyFile:
    """The key of one log and its memory; every process that has the files shares them."""

    def __init__(self, path: Path) -> None:
        """Name the files; nothing is opened yet."""
        self.path = path
        self._published = path.with_name(f"{path.name}.published")
        self._asked = path.with_name(f"{path.name}.asked")
        self._stopped = path.with_name(f"{path.name}.stopped")

    def read(self) -> SigningKey | None:
        """Return the key, None without a file; refuses LogKeyUnusable."""
        data = self._read(self.path)
        if data is None:
            return None
        try:
            return SigningKey.parse(data.decode("ascii").strip())
        except (BadKey, UnicodeDecodeError) as bad:
            message = f"The file {self.path} holds no key of a log; ledger log keygen makes one."
            raise errors.LogKeyUnusable(message) from bad

    def make(self, origin: str) -> SigningKey:
        """Draw a key for a log of that name; refuses LogKeyExists and LogKeyUnusable."""
        _nameable(origin)
        key = SigningKey.generate(origin)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            raise errors.LogKeyExists(f"There is a key at {self.path}; it is kept.") from None
        except OSError as trouble:
            raise _unusable(self.path, "written", trouble) from trouble
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            _write_through(file.fileno(), f"{key.secret()}\n".encode())
        self._sync_folder()
        return key

    def not_lost(self) -> None:
        """Refuse LogKeyUnusable where there is no key, though something was published with it."""
        last = self.remembered()
        if last is not None and not self.path.exists():
            raise errors.LogKeyUnusable(
                f"The key of {last[0].origin} is not at {self.path}, though {last[0].size} events "
                "were published with it: put it back, or begin anew with ledger log init "
                "--origin NEW."
            )

    # ------------------------------------------------------------ memory

    def remembered(self) -> tuple[Checkpoint, bytes] | None:
        """Return the last checkpoint that was published with its note, None if there was none.

        Refuses LogKeyUnusable for a file that cannot be read as one.
        """
        return self._checkpoint(self._published)

    def asked(self) -> Checkpoint | None:
        """Return the last checkpoint that witnesses were asked about, None if there was none.

        It may not have been published, but was signed.  Refuses LogKeyUnusable.
        """
        found = self._checkpoint(self._asked)
        return None if found is None else found[0]

    def ask(self, note: bytes) -> None:
        """Keep a checkpoint that witnesses are about to see.  Refuses LogKeyUnusable."""
        self._replace(self._asked, note)

    def remember(self, note: bytes) -> None:
        """Keep a checkpoint as the last.  Refuses LogKeyUnusable.

        Its bytes are on the disk when this returns.  That its name is, is left to the file system:
        a power cut can take back the last name at most, and then the database has the checkpoint.
        """
        self._replace(self._published, note)

    def stopped(self) -> str | None:
        """Return why nothing more is published, None if there is no reason."""
        data = self._read(self._stopped)
        return None if data is None else data.decode(errors="replace").strip()

    def stop(self, why: str) -> None:
        """Publish nothing more, also after a restart, until the log begins anew."""
        self._replace(self._stopped, f"{why}\n".encode())
        self._sync_folder()

    def begin_anew(self) -> None:
        """Put the memory of the old log aside, under a name that tells its size."""
        last = self.remembered()
        if last is not None:
            name = f"{self._published.name}.{last[0].size}"
            self._published.rename(self._published.with_name(name))
        self._asked.unlink(missing_ok=True)
        self._stopped.unlink(missing_ok=True)
        self._sync_folder()

    def another(self, origin: str) -> SigningKey:
        """Put the key aside under a name with its id, and draw one for a log of another name.

        Refuses LogKeyExists where the log has that name, LogKeyUnusable where it cannot.  Until
        ``begin_anew`` the old memory stands, and with the new key nothing is published beside it.
        """
        _nameable(origin)
        key, last = self.read(), self.remembered()
        if last is not None and last[0].origin == origin:
            raise errors.LogKeyExists(f"The log is named {origin} already.")
        if key is not None and key.name == origin:
            return key
        if key is not None:
            self.path.rename(self.path.with_name(f"{self.path.name}.{key.verifier.key_id.hex()}"))
        return self.make(origin)

    @contextmanager
    def turn(self, *, wait: bool = False) -> Iterator[bool]:
        """Give the turn to publish; False while another has it, unless one is to wait for it."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except OSError as trouble:
            raise _unusable(self.path, "read", trouble) from trouble
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    # ------------------------------------------------------------ files

    def _checkpoint(self, path: Path) -> tuple[Checkpoint, bytes] | None:
        data = self._read(path)
        if data is None:
            return None
        try:
            return Checkpoint.parse(parse_note(data).text), data
        except BadNote as bad:
            message = f"The file {path} holds no checkpoint: {bad}."
            raise errors.LogKeyUnusable(message) from bad

    def _read(self, path: Path) -> bytes | None:
        try:
            with path.open("rb") as file:
                return file.read(max(KEY_BYTES_MAX, 1_000_000))
        except FileNotFoundError:
            return None
        except OSError as trouble:
            raise _unusable(path, "read", trouble) from trouble

    def _replace(self, path: Path, data: bytes) -> None:
        fresh = path.with_name(f"{path.name}.new")
        try:
            descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
            try:
                _write_through(descriptor, data)
            finally:
                os.close(descriptor)
            fresh.replace(path)
        except OSError as trouble:
            raise _unusable(path, "written", trouble) from trouble

    def _sync_folder(self) -> None:
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            # Some file systems cannot synchronise a folder, and need not.
            with suppress(OSError):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _nameable(origin: str) -> None:
    if not is_name(origin):
        raise errors.LogKeyUnusable(
            f"A log cannot be named {origin!r}: its name has no space and no plus sign."
        )


def _write_through(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


def _unusable(path: Path, done: str, trouble: OSError) -> errors.LogKeyUnusable:
    return errors.LogKeyUnusable(f"The file {path} cannot be {done}: {trouble.strerror}.")
