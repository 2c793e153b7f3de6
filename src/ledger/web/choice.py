"""How does a reader narrow a list without a script?  Choices as links, and where a list goes on.

Pure; an address built here carries the whole question, so that it can be shared and bookmarked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from ledger import errors
from ledger.vocabulary import CorrectionType, Kind, Nature, Status
from projections.corrections import SUPERSEDED
from projections.policy import Tier
from projections.public_view import GRAVITY
from projections.rules import RULES

VALUES: Final[dict[str, tuple[str, ...]]] = {
    "status": tuple(Status),
    "tier": tuple(Tier),
    "kind": tuple(Kind),
    "state": ("CURRENT", "CORRECTED", "SUPERSEDED"),
    "standing": GRAVITY,
    "basis": ("checked", "stated"),
    "nature": (*Nature, SUPERSEDED),
    "type": tuple(CorrectionType),
    "rule": tuple(rule.id for rule in RULES),
}
"""What can be chosen, by field; a field that is not here takes any text."""


def known(field: str, chosen: Iterable[str]) -> tuple[str, ...]:
    """Return chosen values; refuses InvalidParameter, because a misspelled one would find nothing.

    An empty answer to it would look like news about the records.
    """
    values = tuple(chosen)
    allowed = VALUES.get(field)
    if allowed is not None and not set(values) <= set(allowed):
        message = f"{field} is one of {', '.join(allowed)}."
        raise errors.InvalidParameter(message, parameter=field)
    return values


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
