"""Which database holds the views?  The one that the address names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from projections.postgres import PostgresViews
from projections.sqlite import SQLiteViews
from projections.table import Projection
from projections.views import Views

POSTGRESQL: Final = ("postgresql://", "postgres://")
TIMEOUT_S: Final = 5.0


def open_views(
    place: str | Path,
    projections: Iterable[type[Projection]] = (),
    timeout_s: float = TIMEOUT_S,
) -> Views:
    """Open the views at a PostgreSQL URL, or in the SQLite file at a path.

    What is missing for ``projections`` is created.  A server that is away is no error here: each
    call raises ViewsUnavailable, after ``timeout_s`` seconds at most, until it is back.
    """
    if str(place).startswith(POSTGRESQL):
        return PostgresViews(str(place), projections, timeout_s)
    return SQLiteViews(place, projections)
