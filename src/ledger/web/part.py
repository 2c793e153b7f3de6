"""How much of a long list does one page show?  The newest part, and where the rest is.

Pure; whatever is left out is counted on the page and has an address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.web import urls, wording
from ledger.web.choice import Paging

SHOWN_MAX: Final = 100
"""How many facts, corrections, evaluations, artifacts or findings of a record one page shows."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which items of a list stand on a page, oldest first: ``items[part.start:part.stop]``.

    ``sentence`` counts them among all, and is None where all are shown.
    """

    start: int
    stop: int
    sentence: str | None
    paging: Paging


def part(
    versions: Sequence[int], before: int | None, noun: str, at: Callable[[int | None], str]
) -> Part:
    """Return the newest part of items that stand at these versions, or the one ``before`` one.

    ``at`` gives the address of the part before a version, or of the newest for None.
    """
    total = len(versions)
    stop = total if before is None else sum(version < before for version in versions)
    start = max(0, stop - SHOWN_MAX)
    later = stop + SHOWN_MAX
    return Part(
        start=start,
        stop=stop,
        sentence=_sentence(start, stop, total, noun),
        paging=Paging(
            previous=at(versions[start]) if start else None,
            next=at(versions[later] if later < total else None) if stop < total else None,
        ),
    )


def _sentence(start: int, stop: int, total: int, noun: str) -> str | None:
    if stop - start == total:
        return None
    if start == stop:
        return f"None of {wording.count(total, noun)} is as old as that."
    return f"Numbers {start + 1:,} to {stop:,} of {wording.count(total, noun)}."


def counted(total: int, noun: str, which: str = "newest", most: int = SHOWN_MAX) -> str | None:
    """Return how many of a list stand on a page that shows some of it; None if it shows all."""
    if total <= most:
        return None
    return f"The {which} {most} of {wording.count(total, noun)} are shown."


def version_href(id_: str, version: int, last: int, page: str | None = None) -> str:
    """Return where a record's fact is shown: on its page, or in its history if it is old.

    ``last`` is the record's version; ``page`` stands for the address of its page.
    """
    if last - version < SHOWN_MAX:
        href = urls.record_page(id_) if page is None else page
    else:
        href = urls.record_history_page(id_, version + 1)
    return f"{href}#version-{version}"
