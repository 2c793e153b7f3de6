"""A tree that has grown, and another one beside it, as a restored copy would be."""

from __future__ import annotations

from pathlib import Path

import given_stores
from given_stores import Place, event
from ledger.store import Append, Store
from ledger.transparency.sequencer import step

ORIGIN = "ledger.example/log"


def fill(opened: Store, count: int) -> None:
    done = len(opened.rows_of("s"))
    opened.append(Append(tuple(event("s", done + n + 1) for n in range(count)))).result(60)
    while step(opened.tree):
        pass


def another(place: Place, tmp_path: Path, count: int) -> Store:
    """Return an emptier ledger on the same kind of database, as a restored copy would be."""
    (tmp_path / "other").mkdir()
    other = Place(place.adapter, given_stores.ADAPTERS[place.adapter].create(tmp_path / "other"))
    opened = other.open()
    fill(opened, count)
    return opened
