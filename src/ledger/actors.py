"""Who may append?  API keys: issued and revoked as events, known to the ledger only by digest.

The key itself is returned once to whoever asked for it and is never stored or logged.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger import errors
from ledger.events import Event, KeyIssued, KeyRevoked
from ledger.vocabulary import Scope

VIEW: Final = "api_keys"
"""The view that holds the current state of every key, by digest, written with the append."""

KEY_PREFIX: Final = "lk_"
SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """The actor behind a key, and what the key allows while the actor's stream is at ``version``.

    A key's scopes never change: only its revocation, an event on that stream, takes them away.
    """

    actor: str
    key_digest: str
    scopes: frozenset[Scope]
    version: int

    def allows(self, scope: Scope) -> bool:
        """Whether the key has the scope; admin has all."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


def stream(holder: str) -> str:
    """Return the id of an actor's stream."""
    return f"actor:{holder}"


def digest(key: str) -> str:
    """Return the digest under which a key is known."""
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def issue_key(
    holder: str, scopes: tuple[Scope, ...], version: int, by: str
) -> tuple[str, KeyIssued]:
    """Return a fresh key and the event that issues it; ``version`` is the actor's stream's."""
    key_id = secrets.token_hex(6)
    key = f"{KEY_PREFIX}{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    issued = KeyIssued(
        originator_id=stream(holder),
        originator_version=version + 1,
        actor=by,
        key_id=key_id,
        key_digest=digest(key),
        holder=holder,
        scopes=tuple(dict.fromkeys(scopes)),
    )
    return key, issued


def revoke_key(
    keys: dict[str, KeyIssued], revoked: set[str], key_id: str, by: str, reason: str
) -> KeyRevoked:
    """Return the event that revokes a key of one actor's stream; refused if unknown or revoked."""
    issued = keys.get(key_id)
    if issued is None:
        raise errors.KeyUnknown
    if key_id in revoked:
        raise errors.KeyAlreadyRevoked
    return KeyRevoked(
        originator_id=issued.originator_id,
        originator_version=len(keys) + len(revoked) + 1,
        actor=by,
        key_id=key_id,
        key_digest=issued.key_digest,
        reason=reason,
    )


def key_body(issued: KeyIssued, *, revoked: bool) -> bytes:
    """Return the stored state of a key."""
    state = {
        "holder": issued.holder,
        "key_id": issued.key_id,
        "scopes": [scope.value for scope in issued.scopes],
        "revoked": revoked,
    }
    return json.dumps(state).encode()


def name_in(body: bytes) -> str:
    """Return the name of the actor in the stored state of a key."""
    name: str = json.loads(body)["holder"]
    return name


def holder_of(events: Sequence[Event], key_digest: str) -> KeyHolder | None:
    """Return who holds a key by all events of an actor's stream; None if unknown or revoked."""
    holder: KeyHolder | None = None
    for event in events:
        match event:
            case KeyIssued() if event.key_digest == key_digest:
                scopes = frozenset(event.scopes)
                holder = KeyHolder(event.holder, key_digest, scopes, len(events))
            case KeyRevoked() if event.key_digest == key_digest:
                holder = None
    return holder
