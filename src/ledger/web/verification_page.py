"""How can a reader check this ledger?  What is signed, how far, by whom, and the commands.

Pure; no page can vouch for the server that sends it, so this one says what to take from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.web import wording
from ledger.web.fact import Fact, at_moment

KEY_HERE: Final = "KEY"
"""Stands in the commands where the reader puts the key that they have from elsewhere."""


@dataclass(frozen=True, slots=True)
class VerificationPage:
    """Everything that the template may use; ``checkpoint`` is empty while nothing is signed."""

    checkpoint: tuple[Fact, ...]
    vkey: str | None
    trouble: str | None
    witnesses: tuple[str, ...]
    audit: tuple[Fact, ...]
    verify: str
    with_go: str


def build(status: Mapping[str, Any], base_url: str) -> VerificationPage:
    """Return the page for how the log stands, as ``log_status.status_of`` tells it."""
    published, trouble = status["published"], status["trouble"]
    base = base_url.rstrip("/")
    return VerificationPage(
        checkpoint=_checkpoint(status, published) if published else (),
        vkey=status["vkey"],
        trouble=trouble["detail"] if trouble else None,
        witnesses=tuple(published["cosigned_by"]) if published else (),
        audit=_audit(status["audit"]),
        verify=f"ledger verify {base} --vkey '{KEY_HERE}' --state verified.json",
        with_go=f"./verify '{KEY_HERE}' {base}/log",
    )


def _checkpoint(status: Mapping[str, Any], published: Mapping[str, Any]) -> tuple[Fact, ...]:
    waiting = max(0, status["position"] - published["size"])
    return (
        Fact("Log", status["origin"] or "not known to this process", exact=bool(status["origin"])),
        Fact("Size", wording.count(published["size"], "event")),
        Fact("Root", published["root"], exact=True),
        at_moment("Published", published["published_at"], "not known"),
        Fact("Not covered yet", wording.count(waiting, "event")),
    )


def _audit(found: Mapping[str, Any] | None) -> tuple[Fact, ...]:
    if found is None:
        return ()
    return (
        at_moment("Audited", found["at"], "not known"),
        Fact("Reached", wording.count(found["size"], "event")),
        Fact("Found", found["trouble"] or "nothing that differs from what was signed"),
    )
