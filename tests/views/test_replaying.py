"""A replay finds nothing in views that are as the log says, and names whatever is not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import HealthCheck, given, settings

import given_postgres
from given_histories import histories
from given_patience import PATIENCE_S
from given_service import settings_in
from ledger import actors, errors, past
from ledger.codec import encode, topic_of
from ledger.content import PublicField
from ledger.events import Event
from ledger.service import ASYNCHRONOUS, Service, create
from ledger.settings import Settings
from ledger.store import Append, Document
from ledger.vocabulary import ArtifactRole, PolicyVersion, Scope, moment_text, new_record_id
from ledger.worker.history import History, Reader
from ledger.worker.replaying import Replayed, replay
from ledger.worker.repolicing import Shift, shifts
from projections import public_view
from view_facts import PAGE, Fact, attached, corrected, evaluated, imported, red_team, submitted

BEHIND = {projection.NAME: projection for projection in ASYNCHRONOUS}


@dataclass
class Place:
    """A ledger that is open, and a way around it into its tables."""

    service: Service
    log: str
    """Where its tables are: a file, or an address of the superuser."""
    views: str
    versions: dict[str, int] = field(default_factory=dict)
    pages: dict[str, Any] = field(default_factory=dict)

    def append(self, stream: str, events: Sequence[Event]) -> None:
        """Append events as the write side does: with the folded document of a record."""
        rows = [StoredEvent(stream, e.originator_version, topic_of(e), encode(e)) for e in events]
        for event in events:
            self.pages[stream] = public_view.evolve(self.pages.get(stream), event)
        self.versions[stream] = events[-1].originator_version
        in_force = asyncio.run(self.service.in_force())
        body = public_view.body(self.pages[stream], in_force)
        document = Document(public_view.NAME, stream, self.versions[stream], body)
        self.service.store.append(Append(tuple(rows), (document,))).result()

    def tell(self, *facts: Fact, record: str | None = None) -> str:
        """Append facts to a record, a new one by default; returns its id."""
        stream = record or new_record_id()
        before = self.versions.get(stream, 0)
        self.append(stream, [fact(stream, before + n) for n, fact in enumerate(facts, 1)])
        return stream

    def write(self, history: Sequence[Event]) -> str:
        stream = new_record_id()
        self.append(stream, [e.model_copy(update={"originator_id": stream}) for e in history])
        return stream

    def caught_up(self) -> None:
        head = self.service.store.head()
        names = [public_view.NAME, *BEHIND]
        assert all(self.service.projector.wait(name, head, PATIENCE_S) for name in names)

    def replay(self, **what: Any) -> Replayed:
        self.caught_up()
        store, views = self.service.store, self.service.views
        return replay(store, views, BEHIND, lambda _done, _total: None, **what)

    def tamper(self, table: str, statement: str, *given: Any) -> None:
        """Change a table past the ledger; ``{}`` in the statement stands for its name."""
        document = table == "documents"
        if self.log.startswith("postgresql://"):
            name = f"ledger.{table}" if document else f"ledger_views.{table}"
            with psycopg.connect(self.log) as server:
                server.execute(statement.format(name).replace("?", "%s").encode(), given)
            return
        file = self.log if document else self.views
        with contextlib.closing(sqlite3.connect(file, timeout=60)) as connection, connection:
            connection.execute(statement.format(table), given)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with opened(request.param, tmp_path) as found:
        yield found


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    with opened(request.param, tmp_path_factory.mktemp("replayed")) as found:
        yield found


@contextlib.contextmanager
def opened(kind: str, folder: Path) -> Iterator[Place]:
    if kind == "sqlite":
        chosen = settings_in(folder)
        create(chosen)
        log, views = str(folder / "ledger.db"), str(folder / "ledger.db.views")
    else:
        database = given_postgres.fresh_database()
        patient: dict[str, Any] = {"data_dir": folder, "timeout_s": PATIENCE_S}
        create(Settings(database_url=database.owner_url, **patient))
        chosen = Settings(database_url=database.app_url, **patient)
        log = views = database.server.url(database.name, "postgres")
    with Service(chosen) as service:
        yield Place(service, log, views)


def told(place: Place) -> list[str]:
    """Put a little of everything into a ledger; returns the records."""
    first = place.tell(submitted("One", basis=PAGE), imported(("Quality Tier", "Tier", "Gold")))
    second = place.tell(submitted("Two"), attached(ArtifactRole.REPORT), evaluated())
    place.tell(corrected((PublicField.TITLE, "One", "One more")), record=first)
    third = place.tell(submitted("Three"), red_fact())
    asyncio.run(place.service.ledger.issue_key("pipeline", (Scope.SUBMIT,), "operator"))
    # A new ledger's documents are derived once more when it begins: nothing is changed before.
    place.caught_up()
    return [first, second, third]


def red_fact() -> Fact:
    return evaluated(evidence=red_team(("9.0", "Found."), mean="9.0"))


def test_views_that_are_as_the_log_says_do_not_differ(place: Place) -> None:
    told(place)
    found = place.replay()
    assert (found.differences, found.different, found.passed_over) == ([], 0, {})
    assert (found.records, found.moved_on) == (3, 0)
    assert found.compared[public_view.NAME] == 3
    assert found.compared[actors.VIEW] == 1
    assert found.compared["catalogue"] == 6
    assert found.compared["corrections"] == 1
    assert found.digest == place.replay().digest


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=histories())
def test_no_history_differs_from_its_own_replay(shared: Place, history: tuple[Event, ...]) -> None:
    record = shared.write(history)
    assert shared.replay().differences == []
    alone = shared.replay(record_id=record)
    assert (alone.records, alone.events, alone.differences) == (1, len(history), [])


def test_up_to_any_position_what_has_not_changed_since_is_compared(place: Place) -> None:
    told(place)
    store = place.service.store
    touched: dict[str, int] = {}
    for row in store.rows():
        touched[row.originator_id] = row.position
    records = {stream: last for stream, last in touched.items() if stream in place.versions}
    for upto in range(4, store.head() + 1):
        found = place.replay(upto=upto)
        assert (found.position, found.differences) == (upto, [])
        assert found.compared[public_view.NAME] == sum(last <= upto for last in records.values())
    assert found.digest == place.replay().digest
    assert place.replay(upto=store.head() - 3).digest != found.digest


DOCUMENT = "UPDATE {} SET body = ? WHERE view = 'public_view' AND id = ?"


def test_a_changed_byte_of_a_document_is_named_by_its_field(place: Place) -> None:
    _, record, _ = told(place)
    body = asyncio.run(place.service.store.document(public_view.NAME, record)).body  # type: ignore[union-attr]
    place.tamper("documents", DOCUMENT, body.replace(b'"Two"', b'"Tow"'), record)
    found = place.replay()
    (one,) = found.differences
    assert (one.view, one.record, one.field) == ("public_view", record, "/title")
    assert (one.expected, one.found) == ("Two", "Tow")
    assert place.replay(record_id=record).differences == [one]
    place.tamper("documents", DOCUMENT, body.replace(b'{"record_id"', b'{ "record_id"'), record)
    (one,) = place.replay().differences
    assert (one.record, one.field) == (record, "body")
    place.tamper("documents", DOCUMENT, b"\xff", record)
    (one,) = place.replay().differences
    assert (one.field, one.found) == ("body", "\\xff")


def test_a_place_that_a_document_does_not_have_is_named(place: Place) -> None:
    record, *_ = told(place)
    place.tamper("documents", "UPDATE {} SET position = position + 1 WHERE id = ?", record)
    (one,) = place.replay().differences
    assert (one.record, one.field, one.found) == (record, "position", one.expected + 1)


def test_a_missing_and_a_strange_document_are_named(place: Place) -> None:
    record, other, _ = told(place)
    place.tamper("documents", "DELETE FROM {} WHERE id = ?", record)
    place.tamper("documents", "UPDATE {} SET id = ? WHERE id = ?", "zz", other)
    differences = place.replay().differences
    assert [(d.record, d.field) for d in differences] == [
        (record, "document"),
        (other, "document"),
        ("zz", "document"),
    ]
    assert [d.found is None for d in differences] == [True, True, False]
    assert json.loads(differences[2].found)["record_id"] == other


def test_a_changed_key_is_named(place: Place) -> None:
    told(place)
    change = "UPDATE {} SET body = ? WHERE view = 'api_keys'"
    place.tamper("documents", change, b'{"holder":"somebody"}')
    fields = {d.field for d in place.replay().differences if d.view == actors.VIEW}
    assert "/holder" in fields or "/actor" in fields


@pytest.mark.parametrize(
    ("table", "statement", "view", "name"),
    [
        ("catalogue", "UPDATE {} SET title = 'X' WHERE record_id = ?", "catalogue", ".title"),
        ("catalogue", "DELETE FROM {} WHERE record_id = ?", "catalogue", ": rows"),
        ("correction", "UPDATE {} SET body = '{{}}' WHERE record_id = ?", "corrections", ".body"),
        ("correction", "DELETE FROM {} WHERE record_id = ?", "corrections", ": rows"),
    ],
)
def test_a_changed_row_of_a_list_is_named(
    place: Place, table: str, statement: str, view: str, name: str
) -> None:
    record, *_ = told(place)
    place.caught_up()
    place.tamper(table, statement, record)
    (one,) = place.replay().differences
    assert (one.view, one.record, one.field) == (view, record, f"{table}{name}")


def test_a_row_of_no_record_is_named(place: Place) -> None:
    told(place)
    place.caught_up()
    place.tamper(
        "correction",
        "INSERT INTO {} (position, record_id, nature, type, body) VALUES (?, ?, ?, ?, ?)",
        *(99_999, "nobody", "erratum", None, "{}"),
    )
    (one,) = place.replay().differences
    assert (one.view, one.record, one.found) == ("corrections", "record_id nobody", 1)


def test_appends_on_the_way_are_no_differences(place: Place) -> None:
    records = told(place)
    done = threading.Event()

    def go_on() -> None:
        while not done.is_set():
            place.tell(submitted("New"))
            place.tell(attached(ArtifactRole.REPORT), record=records[1])

    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        for _n in range(5):
            found = place.replay()
            assert found.differences == []
    finally:
        done.set()
        writer.join()


def test_other_policies_in_force_since_are_told_and_not_compared(place: Place) -> None:
    told(place)
    before = place.service.store.head()
    asyncio.run(
        place.service.ledger.adopt_policy(PolicyVersion.V2, "stated", "A test.", "operator")
    )
    found = place.replay(upto=before)
    assert found.differences == []
    assert set(found.passed_over) == {public_view.NAME, *BEHIND}
    assert place.replay().passed_over == {}


@pytest.mark.parametrize("policy", list(PolicyVersion))
def test_a_policy_would_change_what_folding_under_it_changes(
    place: Place, policy: PolicyVersion
) -> None:
    told(place)
    store = place.service.store
    before = store.head()
    found = list(shifts(store, policy, lambda _done, _total: None))
    wanted = []
    for document in store.documents(public_view.NAME):
        history = History()
        for row in store.rows_of(document.id):
            history.add(row)
        in_force = Reader(store).in_force(before)
        in_force.policies.update(checked=policy, stated=policy)
        then, now = public_view.document(history.page, in_force), json.loads(document.body)
        pairs = [
            ("tier", now["tier"]["tier"], then["tier"]["tier"]),
            ("level", str(now["level"]["level"]), str(int(then["level"]["level"]))),
            ("verdict", now["verdict"]["status"], then["verdict"]["status"]),
        ]
        wanted += [Shift(document.id, now["handle"], name, a, b) for name, a, b in pairs if a != b]
    assert found == wanted
    assert store.head() == before


def test_positions_and_moments_of_the_log(place: Place) -> None:
    told(place)
    store = place.service.store
    rows = list(store.rows())
    for row in rows:
        for text in (str(row.position), moment_text(row.recorded_at)):
            assert past.position_at(store, {"to": text}, "to") == row.position
    with pytest.raises(errors.EventUnknown):
        past.position_at(store, {"to": str(len(rows) + 1)}, "to")
    with pytest.raises(errors.NotYetRecorded):
        past.position_at(store, {"to": "2020-01-01"}, "to")
    with pytest.raises(errors.MomentInFuture):
        past.position_at(store, {"to": "2999-01-01"}, "to")
    with pytest.raises(errors.InvalidParameter):
        past.position_at(store, {"to": "soon"}, "to")
