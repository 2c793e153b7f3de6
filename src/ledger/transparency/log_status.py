"""How does the signed log stand?  What status, metrics and the readiness check tell of it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ledger import errors
from ledger.store import Store
from ledger.store.tree import Published
from ledger.transparency.keeper import Keeper
from ledger.transparency.notes import BadNote, encoded, parse_note
from ledger.vocabulary import moment_text, now

AUDIT_SUFFIX: Final = ".audit"
"""Ends the name of the file beside the key that holds what the last audit found."""


def status_of(store: Store, keeper: Keeper) -> dict[str, Any]:
    """Return how the log stands, in plain values; refuses StoreUnavailable."""
    head = store.tree.head()
    latest = store.tree.published()
    position = store.head()
    standing = keeper.standing
    origin = vkey = None
    with suppress(errors.LogKeyUnusable):
        key = keeper.publisher.key()
        if key is not None:
            origin, vkey = key.name, str(key.verifier)
    return {
        "origin": origin,
        "vkey": vkey,
        "position": position,
        "size": head.size,
        "published": None if latest is None else _published(latest),
        "merge_delay_s": merge_delay_s(store, latest),
        "witnesses": keeper.publisher.heard.troubles,
        "trouble": None
        if standing.trouble is None
        else {"code": standing.code, "detail": standing.trouble},
        "audit": last_audit(keeper.publisher.key_path),
    }


def merge_delay_s(store: Store, latest: Published | None) -> float:
    """Return the age in seconds of the oldest event that no checkpoint covers, 0 for none."""
    size = latest.size if latest else 0
    for row in store.rows(after=size, upto=size + 1, page=1):
        return max(0.0, (now() - row.recorded_at).total_seconds())
    return 0.0


def _published(latest: Published) -> dict[str, Any]:
    return {
        "size": latest.size,
        "root": encoded(latest.root),
        "published_at": moment_text(latest.published_at),
        "cosigned_by": cosigners(latest),
    }


def cosigners(published: Published) -> list[str]:
    """Return who signed a checkpoint besides the log itself."""
    with suppress(BadNote):
        note = parse_note(published.note)
        origin = note.text.partition("\n")[0]
        return sorted({s.name for s in note.signatures if s.name != origin})
    return []


# ---------------------------------------------------------------- the last audit


def last_audit(key_path: Path) -> dict[str, Any] | None:
    """Return what the last audit found: when, of how many events, and its trouble if any."""
    try:
        found = json.loads(_audit_file(key_path).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def note_audit(key_path: Path, size: int, trouble: str | None) -> None:
    """Keep what an audit of ``size`` events found; raises OSError."""
    found = {"at": moment_text(now()), "size": size, "trouble": trouble}
    file = _audit_file(key_path)
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(json.dumps(found), encoding="utf-8")
    fresh.replace(file)


def _audit_file(key_path: Path) -> Path:
    return key_path.with_name(f"{key_path.name}{AUDIT_SUFFIX}")
