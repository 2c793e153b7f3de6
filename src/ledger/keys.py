"""Whose key is this?  Looked up once and remembered; the append itself then proves the key.

A holder is remembered together with the version of its actor's stream.  Every append guards that
version, so a key that was revoked meanwhile, by whichever process, can append nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ledger import actors, errors
from ledger.events import Event
from ledger.store import Store

HELD_KEYS: Final = 1_000


class Keys:
    """The holders of keys that were in use lately."""

    def __init__(self, store: Store, events: Callable[[str], Awaitable[Sequence[Event]]]) -> None:
        """Look keys up in a store; ``events`` gives the events of a stream."""
        self._store = store
        self._events = events
        self.held: OrderedDict[str, actors.KeyHolder] = OrderedDict()

    async def holder(self, key: str) -> actors.KeyHolder:
        """Return who holds a key, as remembered; refuses NotAuthenticated."""
        digest = actors.digest(key)
        held = self.held.get(digest)
        if held is not None:
            return held
        found = await self._store.document(actors.VIEW, digest)
        if found is None:
            raise _unknown()
        return await self._look_up(actors.name_in(found.body), digest)

    async def confirmed(self, holder: actors.KeyHolder) -> actors.KeyHolder:
        """Return the holder as the log has it now; refuses NotAuthenticated when it is no more."""
        return await self._look_up(holder.actor, holder.key_digest)

    async def _look_up(self, actor: str, digest: str) -> actors.KeyHolder:
        self.held.pop(digest, None)
        held = actors.holder_of(await self._events(actors.stream(actor)), digest)
        if held is None:
            raise _unknown()
        self.held[digest] = held
        if len(self.held) > HELD_KEYS:
            self.held.popitem(last=False)
        return held


def _unknown() -> errors.NotAuthenticated:
    return errors.NotAuthenticated("This API key is unknown or revoked.")
