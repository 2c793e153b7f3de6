"""Which texts may be erased and which may not; what stands there then, and what is left to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel

from given import NOW
from golden_events import GOLDEN
from ledger import codec, erasure, errors
from ledger.commands import Erase
from ledger.content import PublicField
from ledger.erasure import ERASED, Row
from ledger.events import Event, LedgerEvent, PayloadErased, RecordEvent, RecordSubmitted
from ledger.record import evolve, project
from ledger.rules import Asked
from ledger.vocabulary import ArtifactRole, AskedBy, Line, Outcome, Prose
from projections import public_view
from view_facts import (
    RECORD,
    Fact,
    attached,
    corrected,
    evaluated,
    imported,
    red_team,
    registered,
    submitted,
    superseded,
)
from wishes import read

NAME = "Jane Q. Doe"
TOLD = submitted(abstract=f"We thank {NAME} for her data.", publisher=NAME)
ABSTRACT = "/content/abstract/text"
KEPT = {
    "external-record.registered": {"/basis/name"},
    "claims.counted": {"/basis/name"},
    "gate.evaluated": {"/evidence/toolchain"},
    "page.imported": {
        "/missing/*",
        "/stated/*/label",
        "/stated/*/section",
        "/unknown/*/label",
        "/unknown/*/section",
        "/verdict/gate_label",
    },
    PayloadErased.TYPE: {"/basis/name", "/legal_basis", "/reason", "/type"},
}
"""Event type -> its texts that stay: a verdict, the view, or the erasure itself rests on them."""


@dataclass(frozen=True)
class Stream:
    """A record's events as stored, the first at position 11."""

    rows: tuple[Row, ...]

    @property
    def events(self) -> list[Event]:
        return [codec.decode(RECORD, row.version, row.topic, row.body) for row in self.rows]

    def when(self, command: Erase, at: int = 11) -> Asked_:
        record = project(None, self.events)
        assert record is not None
        try:
            redaction = erasure.redact(self.rows, at, command)
            fact = erasure.erased(record, redaction, command, Asked("admin", NOW))
            answer = fact, redaction.row.body
        except errors.Refusal as refusal:
            return Asked_(self, at, refusal)
        return Asked_(self, at, answer)


@dataclass(frozen=True)
class Asked_:  # noqa: N801 - what was asked, not the rules' own Asked
    before: Stream
    at: int
    answer: tuple[PayloadErased, bytes] | errors.Refusal

    def then(self) -> tuple[PayloadErased, dict[str, Any]]:
        assert isinstance(self.answer, tuple), self.answer
        fact, body = self.answer
        return fact, json.loads(body)

    def after(self) -> Stream:
        """Return the stream as it is stored once the erasure is carried out."""
        assert isinstance(self.answer, tuple), self.answer
        fact, body = self.answer
        rows = [
            Row(r.position, r.version, r.topic, body if r.position == self.at else r.body)
            for r in self.before.rows
        ]
        last = rows[-1]
        rows.append(Row(last.position + 1, last.version + 1, codec.topic_of(fact), encoded(fact)))
        return Stream(tuple(rows))

    def refuses(self, kind: type[errors.Refusal], **context: object) -> None:
        assert type(self.answer) is kind, self.answer
        assert context.items() <= self.answer.context.items()


def encoded(event: Event) -> bytes:
    return codec.encode(event)


def given(*facts: Fact) -> Stream:
    events = [fact(RECORD, n) for n, fact in enumerate(facts, 1)]
    return Stream(
        tuple(
            Row(10 + n, n, codec.topic_of(event), encoded(event))
            for n, event in enumerate(events, 1)
        )
    )


def erase(*members: str, **more: Any) -> Erase:
    whole = {"members": members, "reason": "She asked us to.", "asked_by": "data-subject"}
    return read(Erase, whole | more)


def test_a_text_is_erased_and_everything_else_stays() -> None:
    stream = given(TOLD)
    ids: dict[str, Any] = {"correlation_id": "wider-1", "causation_id": "c-1"}
    fact, body = stream.when(erase(ABSTRACT, legal_basis="Article 17", **ids)).then()
    before = json.loads(stream.rows[0].body)
    assert body["content"]["abstract"]["text"] == ERASED
    before["content"]["abstract"]["text"] = ERASED
    assert body == before
    assert list(body) == list(before)
    assert fact == PayloadErased(
        originator_id=RECORD,
        originator_version=2,
        actor="admin",
        **ids,
        position=11,
        version=1,
        type="record.submitted:1",
        members=(ABSTRACT,),
        redacted_digest=fact.redacted_digest,
        erased_on=date(2026, 7, 10),
        asked_by=AskedBy.DATA_SUBJECT,
        reason="She asked us to.",
        legal_basis="Article 17",
    )


def test_the_fact_names_the_digest_of_the_very_bytes_that_stand_there_now() -> None:
    answer = given(TOLD).when(erase(ABSTRACT)).answer
    assert isinstance(answer, tuple)
    fact, body = answer
    assert fact.redacted_digest == "sha256:" + hashlib.sha256(body).hexdigest()


def test_what_else_still_holds_the_text_is_said() -> None:
    stream = given(
        TOLD,
        corrected((PublicField.PUBLISHER, NAME, "Another")),
        registered(),
        corrected((PublicField.PUBLISHER, "Another", f"The heirs of {NAME}"), number=201),
    )
    fact, _body = stream.when(erase("/content/publisher")).then()
    # Its own abstract thanks the same person; the registration says nothing of her.
    assert fact.also_at == (11, 12, 14)
    fact, _body = stream.when(erase("/content/publisher", ABSTRACT)).then()
    assert fact.also_at == (12, 14)


@pytest.mark.parametrize("where", ["reason", "legal_basis"])
def test_what_is_public_for_ever_must_not_repeat_the_text(where: str) -> None:
    stream = given(TOLD)
    repeated = {where: f"{NAME} asked us to."}
    stream.when(erase("/content/publisher", **repeated)).refuses(errors.ReasonRepeatsText)
    assert stream.when(erase("/content/title", **repeated)).then()
    # A text of two letters is part of nearly everything that can be said.
    assert given(submitted(publisher="us")).when(erase("/content/publisher")).then()


def test_a_text_is_found_however_its_letters_were_written_down() -> None:
    name = "José Müller"
    stream = given(
        submitted(publisher=name),
        corrected((PublicField.PUBLISHER, name, f"The heirs of {name}")),
    )
    first, second = stream.rows
    escaped = json.dumps(json.loads(second.body)).encode()
    assert (name.encode() in second.body, name.encode() in escaped) == (True, False)
    for body in (second.body, escaped):
        rows = (first, replace(second, body=body))
        assert Stream(rows).when(erase("/content/publisher")).then()[0].also_at == (12,)


def test_a_short_text_is_looked_for_as_a_whole() -> None:
    stream = given(
        submitted(publisher="Abc"),
        corrected((PublicField.PUBLISHER, "Abc", "Abcd")),
        corrected((PublicField.PUBLISHER, "Abcd", "An Abc"), number=201),
    )
    assert stream.when(erase("/content/publisher")).then()[0].also_at == (12,)


def test_a_member_named_twice_is_erased_once() -> None:
    fact, _body = given(TOLD).when(erase(ABSTRACT, ABSTRACT)).then()
    assert fact.members == (ABSTRACT,)


def test_more_of_an_event_may_be_erased_later() -> None:
    once = given(TOLD).when(erase(ABSTRACT)).after()
    fact, body = once.when(erase("/content/publisher", "/content/research_question")).then()
    assert fact.originator_version == 3
    assert {body["content"][key] for key in ("publisher", "research_question")} == {ERASED}
    assert body["content"]["abstract"]["text"] == ERASED


def test_what_is_erased_cannot_be_erased_again() -> None:
    once = given(TOLD).when(erase(ABSTRACT)).after()
    once.when(erase(ABSTRACT)).refuses(errors.NothingToErase, members=[ABSTRACT])
    # Together with what can still be erased, nothing is.
    once.when(erase(ABSTRACT, "/content/title")).refuses(errors.NothingToErase)


@pytest.mark.parametrize("member", ["/content/note", "/review/method"])
def test_where_there_is_no_text_there_is_nothing_to_erase(member: str) -> None:
    given(TOLD).when(erase(member)).refuses(errors.NothingToErase)


@pytest.mark.parametrize(
    "member",
    [
        "/actor",
        "/handle",
        "/content_digest",
        "/submitted_on",
        "/content",
        "/content/kind",
        "/content/abstract",
        "/content/abstract/text/0",
        "/claims/verified",
        "/review/scores/challenger",
        "/review",
        "/correlation_id",
        "/basis/kind",
        "/basis",
        "/originator_id",
        "/nothing",
        "/content/title~1",
    ],
)
def test_what_something_rests_on_cannot_be_erased(member: str) -> None:
    asked = given(TOLD).when(erase(member, ABSTRACT))
    texts = ["/content/title", ABSTRACT, "/content/research_question", "/content/publisher"]
    asked.refuses(
        errors.NotErasable, members=[member], erasable=texts, event_type="record.submitted:1"
    )
    assert isinstance(asked.answer, errors.NotErasable)
    assert ", ".join(texts) in asked.answer.detail


def test_of_a_registration_nothing_can_be_erased() -> None:
    given(submitted(), registered()).when(erase("/value"), at=12).refuses(
        errors.NotErasable, erasable=[]
    )


def test_an_erasure_cannot_be_erased() -> None:
    once = given(TOLD).when(erase(ABSTRACT)).after()
    for member in ("/reason", "/legal_basis", "/members/0"):
        once.when(erase(member), at=12).refuses(errors.NotErasable, erasable=[])


def test_findings_are_erased_but_not_the_scores_of_a_verdict() -> None:
    evidence = red_team(("8.0", f"{NAME} leaked it."), (None, "It crashed."), threshold="7.0")
    stream = given(submitted(), evaluated(Outcome.FAILED, evidence))
    stream.when(erase("/evidence/attacks/0/score"), at=12).refuses(errors.NotErasable)
    stream.when(erase("/evidence/attacks/9/finding"), at=12).refuses(errors.NothingToErase)
    asked = stream.when(erase("/evidence/attacks/0/finding", "/evidence/attacks/1/error"), at=12)
    before, after = (public_view.folded(events) for events in (stream.events, asked.after().events))
    shown = asked.then()[1]["evidence"]["attacks"]
    assert [shown[0]["finding"], shown[1]["error"]] == [ERASED, ERASED]
    assert [e.outcome for e in before.evaluations] == [e.outcome for e in after.evaluations]


def test_of_a_correction_only_texts_are_erased() -> None:
    stream = given(
        submitted(),
        corrected(
            (PublicField.PUBLISHER, "A publisher", NAME),
            (PublicField.CLAIM_SOURCE, "parsed-source-sections", "not-publicly-specified"),
            (PublicField.KIND, "synthesis", "empirical"),
            (PublicField.SUBMITTED_ON, "2026-07-01", "2026-07-02"),
            (PublicField.CLAIMS_VERIFIED, 6, 5),
        ),
    )
    for number in range(1, 5):
        for end in ("from", "to"):
            member = f"/changes/{number}/{end}"
            stream.when(erase(member), at=12).refuses(errors.NotErasable, members=[member])
    asked = stream.when(erase("/changes/0/to", "/public_note", "/reasons/0"), at=12)
    assert asked.then()[1]["changes"][0]["to"] == ERASED
    record = project(None, asked.after().events)
    assert record is not None
    assert record.facts.content.publisher == ERASED


def test_values_that_the_view_takes_over_from_a_page_stay() -> None:
    stream = given(submitted(), imported(("Quality Tier", "Tier", "Watchlist"), ("A", "By", NAME)))
    stream.when(erase("/stated/0/value"), at=12).refuses(
        errors.NotErasable, erasable=["/name", "/stated/1/value", "/basis/name"]
    )
    assert stream.when(erase("/stated/1/value"), at=12).then()[1]["stated"][1]["value"] == ERASED


def test_an_address_leaves_no_word_behind_that_would_be_taken_for_one() -> None:
    fact = attached(ArtifactRole.REPORT)(RECORD, 2).model_copy(update={"location": "https://a.b/c"})
    stream = given(submitted(), lambda _stream, _version: fact)
    assert stream.when(erase("/location"), at=12).then()[1]["location"] is None


def test_a_superseded_record_can_still_lose_a_text() -> None:
    stream = given(TOLD, superseded())
    assert stream.when(erase(ABSTRACT)).then()[0].originator_version == 3
    assert stream.when(erase("/reason"), at=12).then()[1]["reason"] == ERASED


@pytest.mark.parametrize("name", GOLDEN)
def test_every_event_stays_an_event_of_its_kind_when_all_its_texts_are_gone(name: str) -> None:
    event = GOLDEN[name]
    row = Row(12, 2, codec.topic_of(event), codec.encode(event))
    possible = erasure.erasable(row.topic, json.loads(row.body))
    record = project(None, [TOLD(RECORD, 1)])
    assert record is not None
    if isinstance(event, (*get_args(LedgerEvent), PayloadErased)):
        assert possible == []
    if not possible:
        return
    redaction = erasure.redact((row,), 12, erase(*possible))
    fact = erasure.erased(record, redaction, erase(*possible), Asked("admin", NOW))
    body = redaction.row.body
    left = codec.decode(RECORD, 2, row.topic, body)
    assert type(left) is type(event)
    assert erasure.erasable(row.topic, json.loads(body)) == []
    assert fact.also_at == ()
    if not isinstance(left, RecordSubmitted):
        assert evolve(record, left).version == record.version + 1


def texts(shape: Any, place: str = "") -> Iterator[str]:
    """Yield the members of a shape that are free text, as patterns of pointers."""
    if shape in (Line, Prose):
        yield place
    elif isinstance(shape, type) and issubclass(shape, BaseModel):
        hints = get_type_hints(shape, include_extras=True)
        for name, field in shape.model_fields.items():
            yield from texts(hints[name], f"{place}/{field.alias or name}")
    else:
        step = "/*" if get_origin(shape) is tuple else ""
        for part in get_args(shape):
            yield from texts(part, place + step)


@pytest.mark.parametrize("kind", get_args(RecordEvent), ids=lambda kind: kind.TYPE)
def test_every_text_of_an_event_can_be_erased_or_something_rests_on_it(kind: type[Event]) -> None:
    assert set(texts(kind)) - set(erasure.TEXTS.get(kind.TYPE, ())) == KEPT.get(kind.TYPE, set())


def test_every_kind_of_record_event_is_looked_at() -> None:
    """A new kind of event has to say which of its texts can be erased, if only that none can."""
    without = {"external-record.registered", "claims.counted", PayloadErased.TYPE}
    assert {kind.TYPE for kind in get_args(RecordEvent)} == set(erasure.TEXTS) | without
