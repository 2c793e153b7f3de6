"""What is the smallest thing that a page shows?  A labelled value, and where it leads.

View models are made of these; they hold plain text and leave all escaping to the templates.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.web import wording


@dataclass(frozen=True, slots=True)
class Fact:
    """One label with its value; ``when`` is the machine form of a day or moment in ``text``.

    ``exact`` marks digests, ids and other text that is compared letter by letter.
    """

    label: str
    text: str
    href: str | None = None
    when: str | None = None
    exact: bool = False
    remark: str | None = None


def on_day(label: str, iso: str | None, otherwise: str) -> Fact:
    """Return a fact with a day, or with the words for a missing one."""
    return Fact(label, wording.day(iso), when=iso) if iso else Fact(label, otherwise)


def at_moment(label: str, iso: str | None, otherwise: str) -> Fact:
    """Return a fact with a moment to the microsecond, or with the words for a missing one."""
    if iso is None:
        return Fact(label, otherwise)
    shown = wording.moment(iso)
    return Fact(label, shown, when=shown, exact=True)


def counted(label: str, number: int | None) -> Fact:
    """Return a fact with a count; a count that nobody knows is never shown as 0."""
    return Fact(label, "not known" if number is None else f"{number:,}")
