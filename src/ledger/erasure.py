"""May these texts be erased, and what stands there then?  The rules of an ordered erasure.

Pure functions over stored bodies.  An erasure takes texts only: what a verdict, a proof or another
record rests on (digests, ids, names in the ledger, figures, outcomes, days) stays where it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ledger import errors
from ledger.commands import Erase
from ledger.content import PublicField
from ledger.events import (
    ArtifactAttached,
    CorrectionIssued,
    GateEvaluated,
    PageImported,
    PayloadErased,
    RecordResubmitted,
    RecordSubmitted,
    RecordSuperseded,
    ReviewAssessed,
)
from ledger.record import ResearchRecord
from ledger.rules import Asked, envelope

ERASED: Final = "[erased]"
"""What stands where a text was."""

ANY: Final = "*"
"""Any item of a list, in a pattern of members."""
WHOLE_BELOW: Final = 4
"""A text of fewer characters is looked for as a whole: it is part of too many others."""
ESCAPE: Final = b"\\"
"""What begins an escape in JSON."""

_CONTENT: Final = (
    "/content/title",
    "/content/abstract/text",
    "/content/abstract/quoted_from",
    "/content/research_question",
    "/content/publisher",
    "/content/note",
)
_SOURCE: Final = ("/basis/name",)

TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    RecordSubmitted.TYPE: (*_CONTENT, "/review/method", *_SOURCE),
    RecordResubmitted.TYPE: (*_CONTENT, "/reason", *_SOURCE),
    ArtifactAttached.TYPE: ("/location", *_SOURCE),
    ReviewAssessed.TYPE: ("/review/method", *_SOURCE),
    GateEvaluated.TYPE: (
        "/note",
        "/evidence/attacks/*/finding",
        "/evidence/attacks/*/error",
        *_SOURCE,
    ),
    CorrectionIssued.TYPE: (
        "/public_note",
        "/asserted_by",
        "/reasons/*",
        "/notice/url",
        "/changes/*/from",
        "/changes/*/to",
        *_SOURCE,
    ),
    RecordSuperseded.TYPE: ("/reason", *_SOURCE),
    PageImported.TYPE: (
        "/name",
        "/verdict/reason",
        "/stated/*/value",
        "/unknown/*/value",
        *_SOURCE,
    ),
}
"""Event type -> the members of its body that are texts of its own, and nothing but texts."""

LINKS: Final = frozenset({"/location", "/notice/url"})
"""Members that are addresses: a word in their place would be taken for one, so they become null."""

_TEXT_FIELDS: Final = frozenset(
    {
        PublicField.TITLE,
        PublicField.ABSTRACT,
        PublicField.ABSTRACT_SOURCE,
        PublicField.RESEARCH_QUESTION,
        PublicField.PUBLISHER,
        PublicField.NOTE,
        PublicField.REVIEW_METHOD,
    }
)
_DERIVING_SECTIONS: Final = frozenset({"Quality Tier", "Quality Dimensions"})
"""Sections of an imported page whose printed values the view takes over."""


@dataclass(frozen=True, slots=True)
class Row:
    """An event as it is stored: where it stands, what it is, and its body."""

    position: int
    version: int
    topic: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Redaction:
    """All rows of a record as they are left, the one that lost texts, and what it lost."""

    rows: tuple[Row, ...]
    row: Row
    members: tuple[str, ...]
    texts: tuple[str, ...]


def redact(rows: Sequence[Row], position: int, command: Erase) -> Redaction:
    """Decide what stands at ``position`` without the texts; ``rows`` are all of the record.

    Refuses NotErasable, NothingToErase and ReasonRepeatsText.
    """
    row = next(row for row in rows if row.position == position)
    body: dict[str, Any] = json.loads(row.body)
    members = tuple(dict.fromkeys(command.members))
    _erasable(row, body, members)
    gone = tuple(_replaced(body, member) for member in members)
    if any(_holds((command.reason, command.legal_basis or ""), text) for text in gone):
        raise errors.ReasonRepeatsText
    redacted = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    row = replace(row, body=redacted)
    left = tuple(row if each.position == position else each for each in rows)
    return Redaction(left, row, members, gone)


def erased(
    record: ResearchRecord, redaction: Redaction, command: Erase, asked: Asked
) -> PayloadErased:
    """Return the fact that texts were erased; ``record`` is folded with or without them."""
    row = redaction.row
    return PayloadErased(
        **envelope(record, asked, command),
        position=row.position,
        version=row.version,
        type=row.topic,
        members=redaction.members,
        redacted_digest=digest(row.body),
        erased_on=asked.at.date(),
        asked_by=command.asked_by,
        reason=command.reason,
        legal_basis=command.legal_basis,
        also_at=tuple(holding(redaction.rows, redaction.texts)),
    )


def demand_texts(topic: str) -> None:
    """Refuse NotErasable for a type of event that holds no text which may be erased."""
    if topic.rpartition(":")[0] not in TEXTS:
        message = f"Nothing of {topic} can be erased."
        raise errors.NotErasable(message, members=[], erasable=[], event_type=topic)


def digest(body: bytes) -> str:
    """Return the SHA-256 of a body in the ledger's form."""
    return "sha256:" + hashlib.sha256(body).hexdigest()


def erasable(topic: str, body: Mapping[str, Any]) -> list[str]:
    """Return the members of a body that hold a text which may be erased, as JSON Pointers."""
    patterns = TEXTS.get(topic.rpartition(":")[0], ())
    found = (place for pattern in patterns for place in _places(body, pattern.split("/")[1:], ""))
    return [place for place in found if _text_of(body, place) is not None]


def holding(rows: Iterable[Row], texts: Sequence[str]) -> Iterator[int]:
    """Yield the positions of the rows whose body holds one of the texts, in part of another too."""
    sought = tuple(text.encode() for text in texts)
    for row in rows:
        if ESCAPE not in row.body and not any(text in row.body for text in sought):
            # Without escapes every text stands in a body as it is: most need not be read.
            continue
        held = tuple(_strings(json.loads(row.body)))
        if any(_holds(held, text) for text in texts):
            yield row.position


def _holds(held: Sequence[str], text: str) -> bool:
    """Whether a text is among others, or part of one of them unless it is very short."""
    return text in held or (len(text) >= WHOLE_BELOW and any(text in one for one in held))


def _erasable(row: Row, body: Mapping[str, Any], members: Iterable[str]) -> None:
    possible = erasable(row.topic, body)
    strange = [member for member in members if member not in possible]
    if not strange:
        return
    context = {"members": strange, "erasable": possible, "event_type": row.topic}
    if all(_is_gone(row.topic, body, member) for member in strange):
        message = f"There is no text to erase at {strange[0]}, or it was erased before."
        raise errors.NothingToErase(message, **context)
    message = f"{strange[0]} of {row.topic} cannot be erased"
    what = ", ".join(possible)
    message += f"; here these can: {what}." if possible else ": this event holds no such text."
    raise errors.NotErasable(message, **context)


def _places(held: Any, steps: Sequence[str], before: str) -> Iterator[str]:
    """Yield the members of a body that a pattern names, whatever they hold."""
    if not steps:
        yield before
        return
    step, *rest = steps
    if step == ANY and isinstance(held, list):
        for number, item in enumerate(held):
            yield from _places(item, rest, f"{before}/{number}")
    elif isinstance(held, dict) and step in held:
        yield from _places(held[step], rest, f"{before}/{step}")


def _is_gone(topic: str, body: Mapping[str, Any], member: str) -> bool:
    """Whether a member could hold a text that may be erased, and does not."""
    patterns = TEXTS.get(topic.rpartition(":")[0], ())
    fits = any(_fits(member.split("/"), pattern.split("/")) for pattern in patterns)
    return fits and _held(body, member) in (None, ERASED)


def _fits(steps: Sequence[str], pattern: Sequence[str]) -> bool:
    return len(steps) == len(pattern) and all(
        step == wanted or (wanted == ANY and _is_number(step))
        for step, wanted in zip(steps, pattern, strict=True)
    )


def _is_number(step: str) -> bool:
    return step.isascii() and step.isdecimal()


def _text_of(body: Mapping[str, Any], member: str) -> str | None:
    """Return the text of a member that may be erased, None where there is none."""
    held = _held(body, member)
    if not isinstance(held, str) or held == ERASED:
        return None
    around = _held(body, member.rpartition("/")[0])
    if member.startswith("/changes/") and around["field"] not in _TEXT_FIELDS:
        return None
    if member.startswith("/stated/") and around["section"] in _DERIVING_SECTIONS:
        return None
    return held


def _held(body: Any, member: str) -> Any:
    """Return what a member holds, None where there is no such member."""
    for step in member.split("/")[1:]:
        if isinstance(body, list):
            body = body[int(step)] if _is_number(step) and int(step) < len(body) else None
        else:
            body = body.get(step) if isinstance(body, dict) else None
    return body


def _replaced(body: dict[str, Any], member: str) -> str:
    """Put nothing, or the word for it, in the place of a text, and return the text."""
    above, _, last = member.rpartition("/")
    around = _held(body, above)
    key: Any = int(last) if isinstance(around, list) else last
    text: str = around[key]
    around[key] = None if member in LINKS else ERASED
    return text


def _strings(held: Any) -> Iterator[str]:
    if isinstance(held, str):
        yield held
    elif isinstance(held, (dict, list)):
        for part in held.values() if isinstance(held, dict) else held:
            yield from _strings(part)
