"""How does an archive become a ledger again?  Checked first, then written as one.

An import that was cut off, or a second one, finds either nothing or the same log, and finishes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger import errors
from ledger.archive import form
from ledger.archive.files import CHUNK
from ledger.archive.names import published, reserved, telling
from ledger.archive.reading import Archive, Progress
from ledger.artifacts import Artifacts
from ledger.store import Artifact, Store, adapters
from ledger.store.restoring import NotALog, Restored
from ledger.store.tree import Published
from ledger.transparency import sequencer
from ledger.vocabulary import now

Opened = Callable[[], Store]
Finish = Callable[[Store], None]

STEP: Final = 5_000
"""Events that go into the tree together, and after which progress is told."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an archive goes: the owner's address of a database, and the files of artifacts.

    ``finish`` derives what lies beside the log and is not in an archive; it may be done twice.
    """

    url: str
    open: Opened
    artifacts: Artifacts
    finish: Finish


def restore(archive: Archive, target: Target, progress: Progress) -> bool:
    """Write a checked archive into a ledger; False if that ledger held the same log already.

    Refuses LedgerNotEmpty for one that holds another, BrokenArchive, StoreUnavailable, WrongSchema.
    """
    held = _head(target)
    if held and not _same(archive, target):
        message = f"The ledger holds {held} events, and they are not those of the archive."
        raise errors.LedgerNotEmpty(message)
    if held:
        for _one in _restored(archive, target.artifacts, progress):
            # The rows are there; bytes of artifacts may be missing still.
            pass
        with target.open() as store:
            _finish(store, archive, target.finish)
        return False
    try:
        with adapters.restored(target.url, _restored(archive, target.artifacts, progress)) as store:
            _finish(store, archive, target.finish)
    except NotALog as bad:
        where = f"{form.segment_of(bad.position)}, position {bad.position}"
        raise errors.BrokenArchive(f"{where}: {bad.why}.") from bad
    return True


def _head(target: Target) -> int:
    """Return how many events the target holds; 0 where there is no ledger."""
    try:
        with target.open() as store:
            return store.head()
    except errors.NotInitialised:
        return 0


def _same(archive: Archive, target: Target) -> bool:
    """Whether the target holds the very rows of the archive."""
    with target.open() as store:
        if store.head() != archive.manifest.size:
            return False
        pairs = zip(archive.rows(), store.rows(), strict=True)
        return all(ours == theirs for ours, theirs in pairs)


def _restored(archive: Archive, artifacts: Artifacts, progress: Progress) -> Iterator[Restored]:
    """Yield the rows with what they take; the bytes of artifacts are brought on the way.

    They are durable before the rows are, and harm nobody if those never come.
    """
    missing = set(archive.manifest.artifacts.missing)
    for row in archive.rows():
        event = telling(row)
        artifact = published(event)
        if artifact is not None and artifact.digest not in missing:
            _bring(archive, artifacts, artifact)
        yield Restored(row, reserved(event), () if artifact is None else (artifact,))
        if row.position % STEP == 0:
            progress(row.position, archive.manifest.size)


def _finish(store: Store, archive: Archive, finish: Finish) -> None:
    finish(store)
    while sequencer.step(store.tree, STEP):
        pass
    if archive.note is not None:
        root = bytes.fromhex(archive.manifest.root)
        store.tree.publish(Published(archive.manifest.size, root, archive.note, now()))


def _bring(archive: Archive, artifacts: Artifacts, artifact: Artifact) -> None:
    """Bring the bytes of an artifact to their place, unless they are there."""
    if artifacts.size(artifact.digest) != artifact.size_bytes:
        chunks = _chunks(archive.folder / form.place_of(artifact.digest))
        asyncio.run(artifacts.receive(chunks, artifact.digest))


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
