"""How does a whole ledger move?  Out into an archive, and from one into a database of either kind.

Only the log moves, with the public bytes of artifacts: whatever else a ledger holds follows from
it.  Answers to idempotency keys do not, and are not carried over.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from ledger import errors
from ledger.archive import importing
from ledger.archive.exporting import Report, Source, export
from ledger.archive.reading import Archive, Progress
from ledger.artifacts import Artifacts
from ledger.service import VIEWS_SUFFIX
from ledger.settings import Settings
from ledger.store import Store, adapters
from ledger.transparency.key_file import KeyFile
from ledger.worker.rebuilding import write_documents


def export_archive(settings: Settings, folder: Path, progress: Progress) -> Report:
    """Bring the archive in a folder up to date with the ledger; refuses as ``export`` does."""
    artifacts = _artifacts(settings)
    with _open(settings) as store:
        source = Source(store, artifacts.path, settings.log_name, _vkey(settings))
        return export(source, folder, progress)


def import_archive(
    settings: Settings, folder: Path, vkey: str | None, progress: Progress
) -> tuple[Archive, bool]:
    """Import an archive; returns it, and whether the ledger is new: else it held that log already.

    Refuses BrokenArchive before anything is written, and as ``restore`` does.
    """
    archive = Archive.open(folder, vkey)
    archive.check(progress)
    if settings.is_sqlite and not settings.database_path.exists():
        # Views of a ledger that is no more would be taken for those of the new one.
        for ending in ("", "-wal", "-shm"):
            Path(f"{settings.database_path}{VIEWS_SUFFIX}{ending}").unlink(missing_ok=True)
    target = importing.Target(
        settings.database_url, partial(_open, settings), _artifacts(settings), write_documents
    )
    return archive, importing.restore(archive, target)


def _open(settings: Settings) -> Store:
    return adapters.open_store(
        settings.database_url,
        queue_max=settings.queue_max,
        idempotency_days=settings.idempotency_days,
        timeout_s=settings.timeout_s,
    )


def _artifacts(settings: Settings) -> Artifacts:
    # What was taken once is taken again, whatever the limit for new ones is.
    return Artifacts(settings.data_dir / "artifacts", sys.maxsize)


def _vkey(settings: Settings) -> str | None:
    """Return the log's public key, None without a key that this account may read."""
    try:
        key = KeyFile(settings.log_key).read()
    except errors.LogKeyUnusable:
        return None
    return None if key is None else str(key.verifier)
