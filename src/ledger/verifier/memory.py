"""What was signed when we last looked?  A file that remembers, for each key, the last checkpoint.

A log that has become shorter since, or that does not contain what it was, contradicts itself.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.verifier.report import BadOption, Unchecked
from ledger.verifier.signatures import SIZE_MAX

FORMAT: Final = "research-ledger-verified/1"
BYTES_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Remembered:
    """A checkpoint that was verified."""

    size: int
    root: bytes
    note: str


class Memory:
    """The file; it need not be there yet."""

    def __init__(self, path: Path) -> None:
        """Read it; raises BadOption for a file that is none of ours."""
        self._path = path
        self._logs: dict[str, Any] = {}
        try:
            with path.open("rb") as file:
                raw = file.read(BYTES_MAX + 1)
        except FileNotFoundError:
            return
        except OSError as trouble:
            raise BadOption(f"{path} cannot be read: {trouble.strerror}.") from trouble
        try:
            held = json.loads(raw)
            self._logs = dict(held["logs"]) if held["format"] == FORMAT else {"": None}
            for known in self._logs:
                self.of(known)
        except (ValueError, KeyError, TypeError, RecursionError) as trouble:
            raise BadOption(f"{path} is not a file of verified checkpoints.") from trouble

    def of(self, log: str) -> Remembered | None:
        """Return the last checkpoint of a log, by the name under which it was remembered."""
        if log not in self._logs:
            return None
        held = self._logs[log]
        size, root = held["size"], bytes.fromhex(held["root"])
        if type(size) is not int or not 0 <= size <= SIZE_MAX or len(root) != 32:  # noqa: PLR2004
            raise ValueError(log)
        return Remembered(size, root, str(held["note"]))

    def remember(self, log: str, checkpoint: Remembered) -> None:
        """Remember a checkpoint, in a file that is replaced as a whole; raises Unchecked."""
        held = {"size": checkpoint.size, "root": checkpoint.root.hex(), "note": checkpoint.note}
        told = {"format": FORMAT, "logs": self._logs | {log: held}}
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                json.dump(told, file, ensure_ascii=False, indent=2)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as trouble:
            fresh.unlink(missing_ok=True)
            message = f"{self._path} cannot be written: {trouble.strerror}."
            raise Unchecked(message) from trouble
