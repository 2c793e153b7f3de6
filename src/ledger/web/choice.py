"""How does a reader narrow a list without a script?  Choices as links, and where a list goes on.

Pure; an address built here carries the whole question, so that it can be shared and bookmarked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a facet; ``href`` adds it to the question, or takes it out when it is chosen."""

    field: str
    value: str
    label: str
    count: int
    chosen: bool
    href: str


def toggled(chosen: tuple[str, ...], value: str) -> tuple[str, ...]:
    """Return the chosen values with one more, or with one fewer if it was chosen."""
    return tuple(v for v in chosen if v != value) if value in chosen else (*chosen, value)


@dataclass(frozen=True, slots=True)
class Paging:
    """Addresses of the pages beside this one; None where there is none."""

    previous: str | None
    next: str | None


class Cursors(Protocol):
    """A page of any projection: the cursors of its neighbours."""

    @property
    def next(self) -> str | None:
        """The cursor of the page after."""

    @property
    def previous(self) -> str | None:
        """The cursor of the page before."""


def paging(page: Cursors, at: Callable[[str], str]) -> Paging:
    """Return the addresses of a page's neighbours; ``at`` gives the address for a cursor."""
    return Paging(
        previous=at(page.previous) if page.previous else None,
        next=at(page.next) if page.next else None,
    )
