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
from ledger.transparency.opening import open_log
from ledger.worker.rebuilding import write_documents


def export_archive(settings: Settings, folder: Path, progress: Progress) -> tuple[Report, str]:
    """Bring the archive in a folder up to date with the ledger; refuses as ``export`` does.

    A checkpoint of everything is published first.  Where that cannot be, the archive ends at the
    last one, and the second thing that is returned says in a sentence why.
    """
    artifacts = _artifacts(settings)
    with _open(settings) as store:
        log, trouble = open_log(store, settings), ""
        key = None
        try:
            key = log.publisher.key()
            log.catch_up()
        except errors.Refusal as refusal:
            trouble = refusal.detail
        vkey = None if key is None else str(key.verifier)
        source = Source(store, artifacts.path, settings.log_name, vkey)
        return export(source, folder, progress), trouble


def import_archive(
    settings: Settings, folder: Path, vkey: str | None, progress: Progress
) -> tuple[Archive, bool]:
    """Import an archive; returns it, and whether the ledger is new: else it held that log already.

    Progress is told twice over: while it is checked and while it is written.  Refuses
    BrokenArchive before anything is written, and as ``restore`` does.
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
    return archive, importing.restore(archive, target, progress)


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
