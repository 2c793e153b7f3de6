"""Is every member of every event shown?  A new one is asked for a place, or for a reason.

A member is shown if a record's pages, its public view or one of its documents say something else
once it has another value.  The history as JSON shows each event as it is stored, and so proves
nothing here.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel

from given import GATES
from given_contracts import documents
from golden_events import GOLDEN
from ledger import codec
from ledger.errors import UnreadableEvent
from ledger.events import Event, LedgerEvent, RecordEvent, RecordSubmitted
from ledger.in_force import InForce
from ledger.vocabulary import moment_text
from ledger.web import corrections_page, pages, record_page
from projections import public_view
from projections.corrections import corrections_of
from projections.findings import examined
from projections.folded import Folded, Logged

RECORD = "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8e"
AT = datetime(2026, 7, 10, 12, 0, 0, 5, tzinfo=UTC)
IN_FORCE = InForce(gates=GATES)

_WHERE_STATED = "The page says that it is stated; the history says by which source, and where."
_TRACING = "A pipeline's own thread through its work, which means nothing to readers."
HISTORY_ALONE: dict[str, dict[str, str]] = {
    "*": {
        "/basis/source": _WHERE_STATED,
        "/basis/name": _WHERE_STATED,
        "/basis/line": _WHERE_STATED,
        "/correlation_id": _TRACING,
        "/causation_id": _TRACING,
    },
    "gate.evaluated": {
        "/subject/digest": "That of the submission that is shown; any other is refused."
    },
    "payload.erased": {
        "/also_at/*": "What is left to do is told to whoever erased, in the answer.",
    },
}
"""By type of event, or * for all, the members that only the history as JSON shows, and why."""

ELSEWHERE = {
    "gate.activated": "On the page about the ledger, with the gates.",
    "policy.adopted": "On the page about the ledger, with the policies.",
    "actor.key-issued": "In `ledger keys list`, and in the events as JSON; it concerns no reader.",
    "actor.key-revoked": "As the key that was issued.",
    "log.begun": "On the page about verification; the events as JSON have it whole.",
}
"""The events that are no record's, and where they are shown."""

FIRSTS = ("record.submitted.1.json", "record.submitted.1@stated.json")

STATED = {"kind": "stated", "source": "sha256:" + "e" * 64, "name": "A page", "line": 3}
ONE_ATTACK = [{"role": "CITATION_AUDITOR", "score": "3.0", "finding": "None."}]
MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "of one attacker": ("gate.evaluated.1@red-team.json", {"/evidence/attacks": ONE_ATTACK}),
    "of a stated mean": (
        "review.assessed.1.json",
        {"/review": {"scores": None, "stated_mean": "7.2", "method": None}},
    ),
    "of a strange label": ("page.imported.1.json", {"/unknown/0/label": "Something"}),
}
"""Examples for what no golden event has: an event with other members."""

VARIED_MAX = 3
"""How many other values are tried in one place before it counts as shown nowhere."""


def put(body: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """Return a body with another value in a place."""
    changed: dict[str, Any] = json.loads(json.dumps(body))
    here: Any = changed
    *steps, last = place.split("/")[1:]
    for step in steps:
        here = here[int(step) if isinstance(here, list) else step]
    here[int(last) if isinstance(here, list) else last] = value
    return changed


def at(version: int, event: Event, body: dict[str, Any] | None = None) -> Event:
    """Return an event at a version of the record, with another body if one is given."""
    raw = codec.encode(event) if body is None else json.dumps(body).encode()
    return codec.decode(RECORD, version, codec.topic_of(event), raw)


def examples(kind: type[Event]) -> Iterator[Event]:
    """Yield events of a kind that together hold every member, each checked and stated."""
    given = [(event, bodied(event)) for event in GOLDEN.values()]
    for name, changes in MORE.values():
        body = bodied(GOLDEN[name])
        for place, value in changes.items():
            body = put(body, place, value)
        given.append((GOLDEN[name], body))
    for event, body in given:
        if type(event) is kind:
            version = 1 if kind is RecordSubmitted else 2
            yield at(version, event, body | {"basis": {"kind": "checked"}})
            yield at(version, event, body | {"basis": STATED})


def bodied(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(codec.encode(event))
    return found


def members(shape: Any, place: str = "") -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the members of a shape whose value may vary: a pattern of pointers, and its words.

    The words are those of a choice; of one shape among several, the parts are looked at.
    """
    origin, parts = get_origin(shape), get_args(shape)
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        hints = get_type_hints(shape, include_extras=False)
        for name, field in shape.model_fields.items():
            if not field.exclude:
                yield from members(hints[name], f"{place}/{field.alias or name}")
    elif origin in (Union, types.UnionType):
        for part in parts:
            yield from members(part, place)
    elif origin is tuple:
        yield from members(parts[0], f"{place}/*")
    elif shape is not type(None) and len(words := words_of(shape)) > 1:
        yield place, words


def words_of(shape: Any) -> tuple[Any, ...]:
    """Return what may be said where a shape is: the words of a choice, or texts of all kinds."""
    if isinstance(shape, type) and issubclass(shape, StrEnum):
        return tuple(shape)
    return get_args(shape) if get_origin(shape) is Literal else TEXTS


TEXTS = (
    "Another text",
    "another",
    "3.3",
    "2026-03-04",
    "2026-03-04T05:06:07.000008Z",
    "sha256:" + "d" * 64,
    "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d81",
    "SRCH:0000AAAA",
    "10.5281/zenodo.99999",
    "/content/note",
    "text/x-other",
    "record.resubmitted:1",
)
"""A text of every other kind that events are made of."""


def leaves(held: Any, place: str = "", pattern: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield the pointer, pattern and value of everything that a body holds."""
    if isinstance(held, dict):
        for name, part in held.items():
            yield from leaves(part, f"{place}/{name}", f"{pattern}/{name}")
    elif isinstance(held, list):
        for number, part in enumerate(held):
            yield from leaves(part, f"{place}/{number}", f"{pattern}/*")
    elif held is not None:
        yield place, pattern, held


def others(value: Any, words: tuple[Any, ...]) -> Iterator[Any]:
    """Yield other values that might stand in the place of one."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    yield from (word for word in words if word != value)


def told(*events: Event) -> str:
    """Return all that a record's pages and documents say after its events."""
    view = public_view.fold(events, IN_FORCE)
    history = [
        {
            "version": event.originator_version,
            "position": event.originator_version,
            "recorded_at": moment_text(AT),
            "type": event.TYPE,
            "event": json.loads(codec.encode(event)),
        }
        for event in events
    ]
    logged = tuple(Logged(n, AT, event) for n, event in enumerate(events, 1))
    folded = Folded(RECORD, logged, view, IN_FORCE, None)
    given = record_page.Given(view, history, tuple(examined(folded)), IN_FORCE)
    page = record_page.build(given)
    of_corrections = corrections_page.record_corrections(view, tuple(corrections_of(folded)))
    return "\n".join(
        (
            pages.render("record.html", page=page),
            pages.render("record_corrections.html", page=of_corrections, behind=None),
            json.dumps(documents(view), default=str),
            json.dumps(view, default=str),
        )
    )


@cache
def after(event: Event) -> str:
    """Return what is told when an event is a record's last."""
    if isinstance(event, RecordSubmitted):
        return told(event)
    return "\n".join(told(at(1, GOLDEN[first]), event) for first in FIRSTS)


def is_told(event: Event, pattern: str, words: tuple[Any, ...]) -> bool | None:
    """Whether another value of a member makes the pages say something else; None without one."""
    body, before, varied = bodied(event), after(event), 0
    for place, _its, value in (leaf for leaf in leaves(body) if leaf[1] == pattern):
        for other in others(value, words):
            try:
                now = after(at(event.originator_version, event, put(body, place, other)))
            except (UnreadableEvent, ValueError):
                continue  # that cannot stand there
            varied += 1
            if now != before:
                return True
            if varied == VARIED_MAX:
                return False
    return False if varied else None


@pytest.mark.parametrize("kind", get_args(RecordEvent), ids=lambda kind: kind.TYPE)
def test_every_member_is_shown_or_has_a_reason_not_to_be(kind: type[Event]) -> None:
    given = tuple(examples(kind))
    checked, stated = given[:2]
    assert after(checked) != after(stated), "whether it is stated is not shown"
    untold = set()
    for pattern, words in dict(members(kind)).items():
        found = [is_told(event, pattern, words) for event in given]
        assert set(found) != {None}, (
            f"no example of {kind.TYPE} has {pattern}, or no other value of it"
        )
        if not any(found):
            untold.add(pattern)
    assert untold == {*HISTORY_ALONE["*"], *HISTORY_ALONE.get(kind.TYPE, {})}


def test_every_other_event_is_shown_somewhere_else() -> None:
    assert set(ELSEWHERE) == {kind.TYPE for kind in get_args(LedgerEvent)}
    assert set(HISTORY_ALONE) - {"*"} <= {kind.TYPE for kind in get_args(RecordEvent)}
