"""Which value does a printed text stand for?  Exact readers: a typed value, or None.

It must never guess: a text that does not fit wholly is not read at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from ledger.vocabulary import (
    ClaimSource,
    Count,
    Day,
    Doi,
    Figure,
    Gate,
    Handle,
    Kind,
    Line,
    Moment,
    Prose,
    Score,
    Status,
)

NUMBER: Final = r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?"

MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
"""The months as pages write them, here and elsewhere; never those of a machine's own language."""

_DAY: Final = re.compile(r"(?P<day>[0-9]{1,2}) (?P<month>[A-Z][a-z]+) (?P<year>[0-9]{4})")
_ISO_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_DOI: Final = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:)?(?P<name>10\..+)", re.IGNORECASE)
_LINEAGE: Final = re.compile(r"(?P<count>[0-9]+) aggregate source-grounded claims?")
_SOURCES: Final[Mapping[str, ClaimSource]] = {
    source.value.replace("-", " "): source for source in ClaimSource
}
_GATES: Final = re.compile(r"Gate (?P<number>[0-9]+)\b")
_LEVEL: Final = re.compile(r"L(?P<level>[0-7]), (?P<label>\S.*)")

_TYPES: Final[dict[Any, TypeAdapter[Any]]] = {
    kind: TypeAdapter(kind)
    for kind in (Count, Day, Doi, Figure, Handle, Line, Moment, Prose, Score)
}


def fit(kind: Any, value: object) -> Any:
    """Return ``value`` as the vocabulary type ``kind``, None if it does not fit."""
    try:
        return _TYPES[kind].validate_python(value, strict=True)
    except ValidationError:
        return None


def line(text: str) -> str | None:
    """Read a text of one line."""
    found: str | None = fit(Line, text)
    return found


def prose(text: str) -> str | None:
    """Read a text."""
    found: str | None = fit(Prose, text)
    return found


def handle(text: str) -> str | None:
    """Read ``SRCH:B0E046B6``."""
    found: str | None = fit(Handle, text)
    return found


def day(text: str) -> date | None:
    """Read ``3 July 2026`` or ``2026-07-03``."""
    try:
        if _ISO_DAY.fullmatch(text):
            read = date.fromisoformat(text)
        else:
            found = _DAY.fullmatch(text)
            if found is None or found["month"] not in MONTHS:
                return None
            month = MONTHS.index(found["month"]) + 1
            read = date(int(found["year"]), month, int(found["day"]))
    except ValueError:
        return None
    fitting: date | None = fit(Day, read)
    return fitting


def moment(text: str) -> datetime | None:
    """Read an ISO 8601 moment to the microsecond; without a zone it is no moment."""
    if not _MOMENT.fullmatch(text):
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    found: datetime | None = fit(Moment, read)
    return found


def figure(text: str) -> Decimal | None:
    """Read a finite decimal number with its digits as printed."""
    if not re.fullmatch(NUMBER, text):
        return None
    try:
        found: Decimal | None = fit(Figure, Decimal(text))
    except InvalidOperation:
        return None
    return found


def score(text: str) -> Decimal | None:
    """Read a bare score from 0 to 10, decimals as printed."""
    read = figure(text)
    found: Decimal | None = None if read is None else fit(Score, read)
    return found


def score_of_ten(text: str) -> Decimal | None:
    """Read ``8.07/10``."""
    return score(text.removesuffix("/10")) if text.endswith("/10") else None


def count(text: str) -> int | None:
    """Read a whole number without any ornament."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        return None
    found: int | None = fit(Count, int(text))
    return found


def lineage(text: str) -> int | None:
    """Read ``8 aggregate source-grounded claims``."""
    found = _LINEAGE.fullmatch(text)
    return count(found["count"]) if found else None


def doi(text: str) -> str | None:
    """Read a DOI, bare or as the address of its resolver."""
    found = _DOI.fullmatch(text)
    name: str | None = fit(Doi, found["name"]) if found else None
    return name


def claim_source(text: str) -> ClaimSource | None:
    """Read where the claims were counted."""
    return _SOURCES.get(text.casefold())


def kind(text: str) -> Kind | None:
    """Read the kind of a record."""
    return next((known for known in Kind if known.value == text.casefold()), None)


def status(text: str) -> Status | None:
    """Read the public verdict."""
    return next((known for known in Status if known.value == text.upper()), None)


def gate(text: str) -> Gate | None:
    """Read the first gate that a text names, as in ``Gate 2 — …``."""
    found = _GATES.search(text)
    named = f"gate-{found['number']}" if found else None
    return next((known for known in Gate if known.value == named), None)


def level(text: str) -> tuple[int, str] | None:
    """Read number and label of ``L2, Source-grounded claims``."""
    found = _LEVEL.fullmatch(text)
    return (int(found["level"]), found["label"]) if found and line(found["label"]) else None


def available(text: str) -> bool | None:
    """Read ``Available`` or ``Not available``."""
    return {"available": True, "not available": False, "unavailable": False}.get(text.casefold())


def registered(text: str) -> bool | None:
    """Read ``Registered`` or ``Not registered``."""
    return {"registered": True, "not registered": False}.get(text.casefold())
