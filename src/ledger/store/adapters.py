"""Which database is it?  The address says, and everything else of the house need not know."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Literal

from ledger.store import Observer, Store, postgres, postgres_restore, sqlite, sqlite_restore
from ledger.store.migrations import steps
from ledger.store.postgres_migrate import migrate as migrate_postgres
from ledger.store.postgres_migrate import owned
from ledger.store.restoring import Restored

SQLITE: Final = "sqlite:///"

Made = Literal["created", "migrated", "unchanged", "not owned"]
"""``not owned`` is unchanged, too, by a role that could not have changed anything."""


def create(url: str) -> Made:
    """Create a ledger, or bring one to this program's schema; returns which of it was needed.

    Refuses WrongSchema for a ledger of a newer program, and StoreUnavailable.
    """
    if not url.startswith(SQLITE):
        made = _made(migrate_postgres(url), "postgres")
        return "not owned" if made == "unchanged" and not owned(url) else made
    path = Path(url.removeprefix(SQLITE))
    if path.exists():
        return _made(sqlite.migrate(path), "sqlite")
    path.parent.mkdir(parents=True, exist_ok=True)
    sqlite.create(path)
    return "created"


def _made(found: int, kind: Literal["postgres", "sqlite"]) -> Made:
    if not found:
        return "created"
    return "unchanged" if found == steps(kind)[-1].version else "migrated"


def open_store(
    url: str,
    *,
    queue_max: int,
    idempotency_days: int,
    timeout_s: float,
    observe: Observer | None = None,
) -> Store:
    """Open a ledger; refuses NotInitialised and WrongSchema.

    A PostgreSQL server that is away is no reason to refuse: it is asked again when it is needed.
    """
    if url.startswith(SQLITE):
        return sqlite.open_store(
            Path(url.removeprefix(SQLITE)),
            queue_max,
            idempotency_days=idempotency_days,
            observe=observe,
        )
    return postgres.open_store(
        url,
        queue_max=queue_max,
        idempotency_days=idempotency_days,
        timeout_s=timeout_s,
        observe=observe,
    )


def restored(url: str, rows: Iterable[Restored]) -> AbstractContextManager[Store]:
    """Give a ledger with these rows, made if there is none; it stands when the block ends well.

    Refuses LedgerNotEmpty, StoreUnavailable, WrongSchema; raises NotALog for rows that are no log.
    Needs the rights of the owner, as ``create`` does.
    """
    if url.startswith(SQLITE):
        return sqlite_restore.restored(Path(url.removeprefix(SQLITE)), rows)
    return postgres_restore.restored(url, rows)
