"""Which steps make the schema?  Numbered SQL files, one folder for each kind of database.

A file that has been released is never changed: a change of the schema is another file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: ``version`` counts from 1 without gaps."""

    version: int
    name: str
    statements: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the statements, in hex."""
        return hashlib.sha256(self.statements.encode()).hexdigest()


def steps(kind: Literal["sqlite", "postgres"]) -> list[Migration]:
    """Return the steps for a kind of database, in order."""
    found = sorted(
        (file for file in (files(__name__) / kind).iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    return [
        Migration(
            int(file.name[:4]),
            file.name[5:].removesuffix(".sql"),
            file.read_text(encoding="utf-8"),
        )
        for file in found
    ]
