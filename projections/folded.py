"""What is a projection given?  One record's events with their places in the log, folded.

Everything that a row may depend on is in here: never a clock, another record, or how far a view is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any, Final

from ledger.events import Event, PayloadErased
from ledger.in_force import InForce

FOLD: Final = 3
"""Which folding of the log the views hold; one more with every change of what it makes of a log."""


@dataclass(frozen=True, slots=True)
class Logged:
    """An event with its position in the log and the moment at which it was recorded."""

    position: int
    recorded_at: datetime
    event: Event


Document = dict[str, Any]


class Folded:
    """A record as of its last entry: its events in order, and the public document they make.

    They are all its events, or of a past view those that had taken effect, the first among them.
    A document may be given as what makes it: it is then made when it is first asked for, because a
    projection that reads events alone would pay more for it than for all the rest.
    """

    __slots__ = ("_as_imported", "_document", "entries", "in_force", "record_id")

    def __init__(
        self,
        record_id: str,
        entries: tuple[Logged, ...],
        document: Document | Callable[[], Document],
        in_force: InForce,
        as_imported: Document | Callable[[], Document] | None = None,
    ) -> None:
        """Keep what is given."""
        self.record_id = record_id
        self.entries = entries
        self.in_force = in_force
        self._document = document
        self._as_imported = as_imported

    @property
    def document(self) -> Document:
        """The public document."""
        if callable(self._document):
            self._document = self._document()
        return self._document

    @property
    def as_imported(self) -> Document | None:
        """The document as of the import of its page, where later events have changed it since."""
        if callable(self._as_imported):
            self._as_imported = self._as_imported()
        return self._as_imported

    @property
    def place(self) -> int:
        """The position of the record's first event: its fixed place in any list of records."""
        return self.entries[0].position

    @property
    def last(self) -> Logged:
        """The record's last event."""
        return self.entries[-1]

    def erased_after(self, position: int) -> bool:
        """Whether a text of it was erased behind a position."""
        recent = takewhile(lambda entry: entry.position > position, reversed(self.entries))
        return any(isinstance(entry.event, PayloadErased) for entry in recent)

    def position(self, version: int) -> int:
        """Return where in the log the record's event of that version stands."""
        at = bisect_left(self.entries, version, key=lambda e: e.event.originator_version)
        return self.entries[at].position
