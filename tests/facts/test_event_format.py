"""What was written stays readable: every stored shape has a golden file, and none is ever edited.

A golden file is named by its type, its schema version and, after an ``@``, which of several shapes
it has.  To add one: write the body that ``encode`` gives, and its line in SHA256SUMS.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from golden_events import GOLDEN
from ledger import codec
from ledger.codec import decode, encode, topic_of
from ledger.errors import UnreadableEvent
from ledger.events import Event, GateActivated

FOLDER = Path(__file__).parent / "golden"
RECORD = "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8e"


def topic(name: str) -> str:
    """Return the topic that a golden file is about: ``record.submitted:1``."""
    kind, _, version = name.removesuffix(".json").partition("@")[0].rpartition(".")
    return f"{kind}:{version}"


def golden(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def current() -> list[str]:
    """Return the golden files whose shape is the one that is written today."""
    return [name for name in GOLDEN if topic(name) == topic_of(GOLDEN[name])]


def written_otherwise() -> list[str]:
    """Return the golden files of today's shapes that today's code would write otherwise."""
    return [name for name in current() if encode(GOLDEN[name]) != golden(name)]


def test_an_event_is_written_as_it_was_first_written() -> None:
    assert written_otherwise() == []
    # Every type is written in its newest shape, and that shape has a golden file.
    assert {topic(name) for name in current()} == {
        f"{kind.TYPE}:{kind.VERSION}" for kind in codec.REGISTRY.values()
    }


@pytest.mark.parametrize("name", GOLDEN)
def test_an_event_is_read_as_it_was_first_meant(name: str) -> None:
    event = GOLDEN[name]
    read = decode(event.originator_id, event.originator_version, topic(name), golden(name))
    assert read == event
    assert type(read) is type(event)


def test_every_type_and_version_has_a_golden_file() -> None:
    written = {f"{kind.TYPE}:{v}" for kind in codec.REGISTRY.values() for v in _versions(kind)}
    assert {topic(file.name) for file in FOLDER.glob("*.json")} == written


def _versions(kind: type[Event]) -> range:
    return range(1, kind.VERSION + 1)


def test_every_golden_file_is_tested() -> None:
    assert {file.name for file in FOLDER.glob("*.json")} == set(GOLDEN)


def test_no_golden_file_was_ever_changed_or_removed() -> None:
    lines = (FOLDER / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert len(sums) == len(lines)
    files = {file.name: hashlib.sha256(file.read_bytes()) for file in FOLDER.glob("*.json")}
    assert {name: file.hexdigest() for name, file in files.items()} == sums


def test_golden_events_leave_out_nothing_that_can_be_said() -> None:
    """Each member of each type has a value in one of its golden files, at least."""
    for kind in codec.REGISTRY.values():
        events = [event for event in GOLDEN.values() if type(event) is kind]
        for member in kind.model_fields:
            assert any(getattr(event, member) not in (None, ()) for event in events), member


# ---------------------------------------------------------------- what cannot be read

BODY = encode(GOLDEN["gate.activated.1.json"])


@pytest.mark.parametrize(
    "strange",
    [
        "record.invented:1",
        "gate.activated:2",
        "gate.activated:0",
        "gate.activated:-1",
        "gate.activated:",
        "gate.activated:one",
        "gate.activated",
        ":1",
        "",
        "ledger.events:GateActivated",
        "builtins:print",
    ],
)
def test_an_unknown_type_or_a_newer_version_is_not_read(strange: str) -> None:
    with pytest.raises(UnreadableEvent, match="Version 7 of ledger"):
        decode("ledger", 7, strange, BODY)


@pytest.mark.parametrize(
    "body",
    [
        BODY[:-1] + b',"note":"private words"}',
        b'{"private words',
        b'{"gate":"private words"}',
        b'{"gate":["private words"],"on":"private words","actor":7,"label":{"a":"private words"}}',
        b'{,"note":"private words"}',
    ],
)
def test_what_stands_in_a_body_is_not_said(body: bytes) -> None:
    with pytest.raises(UnreadableEvent) as refused:
        decode("ledger", 7, "gate.activated:1", body)
    assert "private" not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    "corrupt",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff" + BODY,
        BODY[:-1],
        BODY[:-1] + b"]",
        BODY[:-1] + b" ",
        BODY[1:],
        BODY + BODY,
        BODY + b"}",
        BODY.replace(b"gate-2", b"gate-9"),
        BODY.replace(b"2026-06-10", b"2026-06-31"),
        BODY.replace(b'"actor"', b'"actress"'),
        BODY.replace(b'"gate":', b'"colour":"red","gate":'),
        BODY.replace(b"Gate 2", b"Gate\xed\xa0\x80"),
        BODY.replace(b"Gate 2", b"Gate\\ud800"),
        BODY.replace(b"Gate 2", b"Gate\\u0000"),
    ],
)
def test_a_body_that_is_not_what_it_should_be_is_not_read(corrupt: bytes) -> None:
    assert corrupt != BODY
    with pytest.raises(UnreadableEvent):
        decode("ledger", 1, "gate.activated:1", corrupt)


def test_a_body_cannot_say_whose_it_is() -> None:
    forged = BODY[:-1] + b',"originator_id":"another","originator_version":9}'
    event = decode("ledger", 1, "gate.activated:1", forged)
    assert (event.originator_id, event.originator_version) == ("ledger", 1)


# ---------------------------------------------------------------- later shapes


class GateActivatedLater(GateActivated):
    """The shape that a third version of the event might have."""

    VERSION = 3
    announced_by: str
    label_length: int


def named_announcer(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"announced_by": body["actor"]}


def measured_label(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"label_length": len(body["label"])}


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(codec.REGISTRY, "gate.activated", GateActivatedLater)
    monkeypatch.setitem(codec.UPCASTS, ("gate.activated", 1), named_announcer)
    monkeypatch.setitem(codec.UPCASTS, ("gate.activated", 2), measured_label)


@pytest.mark.usefixtures("later")
def test_old_bodies_are_lifted_step_by_step() -> None:
    first = decode("ledger", 1, "gate.activated:1", BODY)
    second_body = json.dumps(named_announcer(json.loads(BODY))).encode()
    second = decode("ledger", 1, "gate.activated:2", second_body)
    assert isinstance(first, GateActivatedLater)
    assert first == second
    assert (first.announced_by, first.label_length) == ("operator", len(first.label))
    assert topic_of(first) == "gate.activated:3"
    assert decode("ledger", 1, topic_of(first), encode(first)) == first
    with pytest.raises(UnreadableEvent):
        decode("ledger", 1, "gate.activated:4", encode(first))


@pytest.mark.usefixtures("later")
def test_a_golden_file_of_an_earlier_shape_is_read_but_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "gate.activated.1.json"
    lifted = decode("ledger", 1, topic(name), golden(name))
    monkeypatch.setitem(GOLDEN, name, lifted)
    assert name not in current()
    assert written_otherwise() == []
    assert encode(lifted) != golden(name)
    test_an_event_is_read_as_it_was_first_meant(name)


@pytest.mark.usefixtures("later")
def test_a_missing_step_leaves_a_body_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(codec.UPCASTS, ("gate.activated", 2))
    with pytest.raises(UnreadableEvent):
        decode("ledger", 1, "gate.activated:1", BODY)
