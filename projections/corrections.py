"""What was corrected, by whom and why?  The correction history of each record and of the ledger.

Additive, like the log: a correction of a correction is a row of its own, and nothing is merged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from projections.cursor import LIMIT_DEFAULT

if TYPE_CHECKING:
    from projections.sqlite import Views

SUPERSEDED = "superseded"
"""The nature under which a supersession is listed; it is not one of the natures of corrections."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a reader asks for: any of the natures, any of the types (both empty: everything)."""

    nature: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    limit: int = LIMIT_DEFAULT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, what it said, and what it says since; None is "none"."""

    field: str
    before: str | int | None
    after: str | int | None


@dataclass(frozen=True, slots=True)
class Correction:
    """One correction, or the supersession of a record.

    ``title`` is the title as it read just before.  A supersession has no ``correction_id``, no
    ``type`` and no ``asserted_by``; it has ``superseded_by`` and the nature ``superseded``.
    """

    record_id: str
    handle: str
    title: str
    version: int
    position: int
    recorded_at: str
    nature: str
    public_note: str
    effective_on: str
    actor: str
    basis: str
    correction_id: str | None = None
    type: str | None = None
    changes: tuple[FieldChange, ...] = ()
    asserted_by: str | None = None
    notice_in_situ: bool = True
    notice_doi: str | None = None
    notice_url: str | None = None
    reasons: tuple[str, ...] = ()
    corrects: str | None = None
    superseded_by: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of corrections over all records, latest first; ``total`` counts all that match."""

    items: tuple[Correction, ...]
    total: int
    next: str | None = None
    previous: str | None = None


class Corrections:
    """The correction history."""

    NAME: ClassVar[str] = "corrections"

    def __init__(self, views: Views) -> None:
        """Read from ``views``."""
        self._views = views

    def page(self, query: Query) -> Page:
        """Return one page over all records; raises ValueError for a malformed cursor."""
        raise NotImplementedError

    def of(self, record_id: str) -> tuple[Correction, ...]:
        """Return the corrections of one record in the order in which they were recorded."""
        raise NotImplementedError

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many there are: ``{"nature": {...}, "type": {...}}``, most frequent first."""
        raise NotImplementedError
