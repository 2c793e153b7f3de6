"""Which records are there?  The list of all records: filters, facets and search, newest first.

It never ranks: the order is the order in which the log took the records in, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from projections.cursor import LIMIT_DEFAULT

if TYPE_CHECKING:
    from projections.sqlite import Views

FILTERS = ("status", "tier", "level", "kind", "publisher", "state", "standing", "basis")
"""The fields that can be filtered by and that facets are counted for."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a reader asks for.

    Each filter is a tuple of values: any of them within a field, all fields together; levels are
    whole numbers 0 to 7.  ``text`` is free input: all its words must occur, the last as a prefix.
    """

    text: str = ""
    status: tuple[str, ...] = ()
    tier: tuple[str, ...] = ()
    level: tuple[int, ...] = ()
    kind: tuple[str, ...] = ()
    publisher: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    standing: tuple[str, ...] = ()
    basis: tuple[str, ...] = ()
    limit: int = LIMIT_DEFAULT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One record in the list, as it now stands."""

    record_id: str
    handle: str
    title: str
    publisher: str
    kind: str
    submitted_on: str | None
    score: str | None
    status: str
    tier: str
    level: int
    state: str
    standing: str
    basis: str
    doi: str | None
    policy: str
    version: int
    position: int
    recorded_at: str
    """When the record's last event was recorded: RFC 3339 in UTC, six decimals."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list, newest first.

    ``total`` counts all records that match.  ``facets`` gives for each field of FILTERS the counts
    per value, as text, most frequent first, given the search and the filters on the *other* fields.
    """

    items: tuple[Entry, ...]
    total: int
    next: str | None = None
    previous: str | None = None
    facets: dict[str, dict[str, int]] = field(default_factory=dict)


class Catalogue:
    """The list of all records."""

    NAME: ClassVar[str] = "catalogue"

    def __init__(self, views: Views) -> None:
        """Read from ``views``."""
        self._views = views

    def page(self, query: Query) -> Page:
        """Return one page; raises ValueError for a malformed cursor, never for any search text."""
        raise NotImplementedError

    def of(self, record_id: str) -> Entry | None:
        """Return the entry of one record, or None."""
        raise NotImplementedError

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the facet counts over all records."""
        raise NotImplementedError
