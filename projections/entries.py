"""How is one fact of a record told in its public document?  As its event says it, without names.

Pure; an entry says no more than its event, and leaves out only who appended it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ledger.events import (
    ArtifactAttached,
    CorrectionIssued,
    GateEvaluated,
    PageImported,
    PayloadErased,
)
from projections.verdict import states

ENVELOPE: Final = {"actor", "basis", "correlation_id", "causation_id"}


def artifact(attached: ArtifactAttached) -> dict[str, Any]:
    """Return an attached artifact: role, digest, type, size, visibility, location and basis."""
    shown = attached.model_dump(
        mode="json",
        include={"role", "digest", "media_type", "size_bytes", "visibility", "location"},
    )
    return {**shown, "basis": attached.basis.kind}


def evaluations(all_of_them: Sequence[GateEvaluated], submission: int) -> list[dict[str, Any]]:
    """Return every evaluation in order, each with the state that it is in for a submission."""
    shown = []
    for e, state in zip(all_of_them, states(all_of_them, submission), strict=True):
        told = e.model_dump(mode="json", exclude=ENVELOPE | {"subject"})
        told |= {"submission": e.subject.submission, "state": state, "basis": e.basis.kind}
        shown.append({**told, "version": e.originator_version})
    return shown


def correction(issued: CorrectionIssued) -> dict[str, Any]:
    """Return a correction in the words of its event: changes say field, from and to."""
    told = issued.model_dump(mode="json", exclude=ENVELOPE)
    return {**told, "basis": issued.basis.kind, "version": issued.originator_version}


def source(imported: PageImported | None) -> dict[str, Any] | None:
    """Return what an imported page printed, None for a record that was not imported."""
    return imported.model_dump(mode="json", exclude=ENVELOPE) if imported else None


def erasure(erased: PayloadErased) -> dict[str, Any]:
    """Return what was erased, when, by whom and why; where else it stood is for its event to say.

    The one entry that names who appended it: whoever takes a text away answers for it.
    """
    told = erased.model_dump(mode="json", exclude=ENVELOPE | {"also_at"})
    return {**told, "erased_by": erased.actor, "recorded_as": erased.originator_version}
