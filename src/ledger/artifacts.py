"""Where do artifact bytes lie?  A content-addressed store on disk: a file's name is its digest.

Bytes are streamed in, never held whole; a file that is there is complete, and is only ever replaced
by another with the same digest.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from ledger import errors


class Artifacts:
    """The files under ``folder``, two levels deep: ``ab/abcdef…``."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Keep files in ``folder`` (made when missing), each of at most ``limit_bytes``."""
        self.folder = folder
        self.limit_bytes = limit_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Return where the bytes with this digest lie, or would lie."""
        name = digest.removeprefix("sha256:")
        return self.folder / name[:2] / name

    def size(self, digest: str) -> int | None:
        """Return the size in bytes of a stored artifact, None when it is not here."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None

    async def receive(
        self, chunks: AsyncIterator[bytes], announced: str | None = None, *, keep: bool = True
    ) -> tuple[str, int]:
        """Store a stream of bytes; return its digest and size in bytes.

        Unless ``keep``, the bytes are only measured, and nothing is left of them.
        Raises ArtifactTooLarge past the limit and DigestMismatch when ``announced`` is not what
        came; nothing is left behind then.
        """
        descriptor, temporary = tempfile.mkstemp(dir=self.folder, prefix=".incoming-")
        seen = hashlib.sha256()
        size = 0
        try:
            with os.fdopen(descriptor, "wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > self.limit_bytes:
                        message = f"An artifact may have {self.limit_bytes} bytes at most."
                        raise errors.ArtifactTooLarge(message)
                    seen.update(chunk)
                    file.write(chunk)
                digest = "sha256:" + seen.hexdigest()
                if announced is not None and announced != digest:
                    raise errors.DigestMismatch(announced=announced, received=digest)
                if not keep:
                    return digest, size
                file.flush()
                # Waiting for the disk takes a while: other requests go on meanwhile.
                await asyncio.to_thread(os.fsync, file.fileno())
            await asyncio.to_thread(self._keep, Path(temporary), self.path(digest))
        except OSError as trouble:
            raise errors.StoreUnavailable from trouble
        finally:
            _gone(Path(temporary))
        return digest, size

    def _keep(self, temporary: Path, final: Path) -> None:
        # What is there already may have been damaged, or not be on the disk yet: what was received
        # now is both whole and durable, and has the same name because it is the same.
        final.parent.mkdir(exist_ok=True)
        temporary.replace(final)
        # After this the bytes are durable under their name; a crash before it leaves only a
        # temporary file.
        for folder in (final.parent, self.folder):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _gone(path: Path) -> None:
    path.unlink(missing_ok=True)
