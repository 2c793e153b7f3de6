"""Does the projector follow the log, rebuild, and stop where it must, over a real store?"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from eventsourcing.persistence import StoredEvent

from ledger import codec, worker
from ledger.content import PublicField
from ledger.store import Append, Document, Receipt
from ledger.store.sqlite import SQLiteStore, create, open_store
from ledger.vocabulary import Gate, Outcome, PolicyVersion
from ledger.worker import Poison, Projector, folding
from ledger.worker.history import Reader
from projections import ROLL_CALL, public_view
from projections.catalogue import Catalogue, Query
from projections.corrections import Corrections
from projections.findings import Findings
from projections.folded import Folded
from projections.sqlite import Views
from projections.table import Checkpoint, Rows, Table
from view_facts import (
    OTHER,
    PAGE,
    RECORD,
    Fact,
    adopted,
    corrected,
    evaluated,
    imported,
    live,
    red_team,
    sandbox,
    submitted,
    uuid,
)

BEHIND: list[Any] = [p for p in ROLL_CALL.values() if p is not public_view]
ADOPT = adopted(PolicyVersion.V2, "stated")


class Scene:
    """A store, its views and a projector that takes steps only when it is told to."""

    def __init__(self, folder: Path, roll_call: dict[str, Any]) -> None:
        self.folder = folder
        self.roll_call = roll_call
        self.views_path = folder / "ledger.views"
        if not (folder / "ledger").exists():
            create(folder / "ledger")
        self.store: SQLiteStore = open_store(folder / "ledger")
        self.views = Views(self.views_path, [p for p in roll_call.values() if p is not public_view])
        self.projector = Projector(self.store, self.views, roll_call, poll_s=0.05)
        self.reader = Reader(self.store)
        self.versions: dict[str, int] = {}
        self.pages: dict[str, public_view.Page | None] = {}

    def append(self, stream: str, *facts: Fact) -> Receipt:
        """Append facts as the write side does: with the folded document of a record."""
        events, documents = [], []
        version = self.versions.get(stream, 0)
        for fact in facts:
            version += 1
            event = fact(stream, version)
            topic, body = codec.topic_of(event), codec.encode(event)
            events.append(StoredEvent(stream, version, topic, body))
            if stream != "ledger":
                self.pages[stream] = public_view.evolve(self.pages.get(stream), event)
        page = self.pages.get(stream)
        if page is not None:
            body = public_view.body(page, self.reader.in_force(10**9))
            documents.append(Document(public_view.NAME, stream, version, body))
        self.versions[stream] = version
        return self.store.append(Append(tuple(events), tuple(documents))).result()

    def dump(self) -> dict[str, list[Any]]:
        with self.views.reading() as reader:
            return {
                table.name: sorted(
                    reader.execute(f"SELECT {', '.join(table.fields)} FROM {table.name}"),  # noqa: S608
                    key=repr,
                )
                for projection in BEHIND
                for table in projection.TABLES
            }

    def documents(self) -> list[tuple[str, int, int, bytes]]:
        shown = self.store.documents(public_view.NAME)
        return [(d.id, d.version, d.position, d.body) for d in shown]

    def close(self) -> None:
        self.projector.stop()
        self.views.close()
        self.store.close()


@contextmanager
def opened(folder: Path, roll_call: dict[str, Any] | None = None) -> Iterator[Scene]:
    scene = Scene(folder, roll_call or dict(ROLL_CALL))
    try:
        yield scene
    finally:
        scene.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as found:
        yield found


def tell(scene: Scene) -> None:
    """Append a little of everything, several records interleaved."""
    scene.append("ledger", live())
    scene.append(
        RECORD, submitted("One", basis=PAGE), imported(("Quality Tier", "Tier", "Watchlist"))
    )
    scene.append(OTHER, submitted("Two on XNLI", question="Why?"))
    scene.append(RECORD, corrected((PublicField.TITLE, "One", "One more")))
    scene.append(OTHER, evaluated(Outcome.PASSED, sandbox("100.0")))
    attacks = red_team(("8.0", "A stub."), ("7.0", "It fails."))
    scene.append(RECORD, evaluated(Outcome.FAILED, attacks, gate=Gate.RED_TEAM))


def test_it_brings_every_view_to_the_end_of_the_log(scene: Scene) -> None:
    tell(scene)
    scene.projector.catch_up()
    status = scene.projector.status()
    assert list(status) == list(ROLL_CALL)
    assert all(s == {"position": 7, "lag": 0, "error": None} for s in status.values())
    entry = Catalogue(scene.views).of(RECORD)
    assert entry is not None
    assert (entry.title, entry.status, entry.position) == ("One more", "FALSIFIED", 7)
    assert len(Corrections(scene.views).of(RECORD)) == 1
    rules = {finding.rule for finding in Findings(scene.views).of(RECORD)}
    assert {"stated-value-differs", "check-attacked-not-claim"} <= rules


def test_step_by_step_and_in_one_go_and_rebuilt_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with opened(tmp_path / "a") as slow:
        slow.append("ledger", live())
        slow.projector.catch_up()
        for number in range(1, 30):
            slow.append(
                uuid(number % 5 + 1), *([submitted()] if number <= 5 else []) or [corrected()]
            )
            slow.projector.catch_up()
        followed = slow.dump()
        slow.views_path.rename(tmp_path / "a" / "away")
    with opened(tmp_path / "a") as quick:
        quick.projector.catch_up()
        assert quick.dump() == followed
        for name in quick.roll_call:
            quick.projector.rebuild(name)
        assert quick.dump() == followed


def test_long_histories_are_not_read_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.append("ledger", live())
    scene.append(RECORD, submitted())
    scene.projector.catch_up()
    read = []
    stream = scene.store.stream

    async def counted(originator_id: str, after: int = 0, limit: int | None = None) -> Any:
        read.append(originator_id)
        return await stream(originator_id, after, limit)

    monkeypatch.setattr(scene.store, "stream", counted)
    for _more in range(5):
        scene.append(RECORD, corrected())
        scene.projector.catch_up()
    assert RECORD not in read
    assert len(Corrections(scene.views).of(RECORD)) == 5


def test_a_new_policy_rebuilds_every_view(scene: Scene) -> None:
    tell(scene)
    scene.projector.catch_up()
    before = scene.documents()
    entry = Catalogue(scene.views).of(RECORD)
    assert entry is not None
    assert (entry.policy, entry.tier) == ("v1", "DOI_GRADE")
    scene.append("ledger", ADOPT)
    scene.projector.catch_up()
    entry = Catalogue(scene.views).of(RECORD)
    assert entry is not None
    assert (entry.policy, entry.tier, entry.version) == ("v2", "WATCHLIST", 4)
    shown = {id_: json.loads(body)["policy"]["version"] for id_, *_, body in scene.documents()}
    assert shown == {RECORD: "v2", OTHER: "v2"}
    assert [row[:3] for row in scene.documents()] == [row[:3] for row in before]
    assert {scene.views.checkpoint(name).in_force for name in ROLL_CALL} == {2}


def test_rebuilt_documents_are_those_of_the_appends(scene: Scene) -> None:
    tell(scene)
    written = scene.documents()
    assert written
    scene.projector.rebuild(public_view.NAME)
    assert scene.documents() == written


def test_a_rebuild_tells_its_progress(scene: Scene) -> None:
    tell(scene)
    told: list[tuple[int, int]] = []
    scene.projector.rebuild("catalogue", progress=lambda *pair: told.append(pair))
    assert told[-1] == (7, 7)
    with pytest.raises(KeyError):
        scene.projector.rebuild("no-such-view")


class Fragile:
    """A projection that cannot take in one title."""

    NAME: ClassVar[str] = "fragile"
    TABLES: ClassVar[tuple[Table, ...]] = (
        Table(
            "fragile",
            "CREATE TABLE {table} (record_id TEXT PRIMARY KEY)",
            ("record_id",),
            "record_id",
            "record_id",
        ),
    )
    poisonous: ClassVar[bool] = True

    @staticmethod
    def rows(record: Folded) -> Rows:
        if Fragile.poisonous and record.document["title"] == "Poison":
            message = "this title is too much"
            raise ValueError(message)
        return {"fragile": [(record.record_id,)]}


def test_poison_stops_its_projection_alone_right_before_the_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, {**ROLL_CALL, Fragile.NAME: Fragile}) as scene:
        scene.append("ledger", live())
        scene.append(RECORD, submitted("Good"))
        scene.append(OTHER, submitted("Poison"))
        scene.append(uuid(3), submitted("Good again"))
        with caplog.at_level(logging.ERROR, "ledger.worker"):
            scene.projector.catch_up()
        status = scene.projector.status()
        stopped = status.pop(Fragile.NAME)
        assert (stopped["position"], stopped["lag"]) == (2, 2)
        assert stopped["error"] is not None
        assert "position 3" in stopped["error"]
        assert OTHER in stopped["error"]
        assert "too much" in stopped["error"]
        assert "fragile is stopped" in caplog.text
        assert all(s == {"position": 4, "lag": 0, "error": None} for s in status.values())
        assert not scene.projector.wait(Fragile.NAME, 4, timeout=5)
        assert scene.projector.wait(Fragile.NAME, 2, timeout=5)

        monkeypatch.setattr(Fragile, "poisonous", False)
        scene.projector.rebuild(Fragile.NAME)
        assert scene.projector.status()[Fragile.NAME] == {"position": 4, "lag": 0, "error": None}


def test_a_stored_event_that_cannot_be_read_stops_the_views_and_is_named(scene: Scene) -> None:
    scene.append("ledger", live())
    scene.append(RECORD, submitted())
    strange = StoredEvent(OTHER, 1, "record.teleported:1", b"{}")
    scene.store.append(Append((strange,))).result()
    scene.append(uuid(3), submitted())
    scene.projector.catch_up()
    status = scene.projector.status()
    for projection in BEHIND:
        standing = status[projection.NAME]
        assert standing["position"] == 2
        assert "record.teleported" in (standing["error"] or "")
    assert Catalogue(scene.views).page(Query()).total == 1


def test_whoever_waits_is_told_when_the_view_is_there(scene: Scene) -> None:
    scene.projector.start()
    scene.append("ledger", live())
    receipt = scene.append(RECORD, submitted())
    assert scene.projector.wait("catalogue", receipt.position, timeout=10)
    assert Catalogue(scene.views).of(RECORD) is not None
    assert scene.projector.wait(public_view.NAME, receipt.position, timeout=10)
    assert not scene.projector.wait("catalogue", receipt.position + 1, timeout=0.05)
    with pytest.raises(KeyError):
        scene.projector.wait("no-such-view", 1, timeout=0)


def test_what_another_process_appends_is_found_without_a_wake(scene: Scene) -> None:
    scene.projector.start()
    with opened(scene.folder) as other:
        other.append("ledger", live())
        receipt = other.append(RECORD, submitted())
    assert scene.projector.wait("catalogue", receipt.position, timeout=10)


def test_two_projectors_on_one_file_agree_with_one(tmp_path: Path) -> None:
    with opened(tmp_path) as one, opened(tmp_path) as two:
        one.projector.start()
        two.projector.start()
        tell(one)
        one.append("ledger", ADOPT)
        for number in range(3, 40):
            last = one.append(uuid(number), submitted(f"Title {number}"))
        for projector in (one.projector, two.projector):
            for name in ROLL_CALL:
                assert projector.wait(name, last.position, timeout=20)
        both = one.dump()
        for name in ROLL_CALL:
            one.projector.rebuild(name)
        assert one.dump() == both


def test_readers_see_whole_views_while_the_log_grows_and_views_are_rebuilt(scene: Scene) -> None:
    scene.append("ledger", live())
    for number in range(1, 20):
        scene.append(uuid(number), submitted(f"Title {number}"))
    scene.projector.catch_up()
    scene.projector.start()
    catalogue = Catalogue(scene.views)
    totals, done = [], threading.Event()

    def read() -> None:
        while not done.is_set():
            page = catalogue.page(Query(text="title", limit=100))
            assert len(page.items) == page.total
            totals.append(page.total)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(20, 40):
        last = scene.append(uuid(number), submitted(f"Title {number}"))
        if number % 5 == 0:
            scene.projector.rebuild("catalogue")
    assert scene.projector.wait("catalogue", last.position, timeout=10)
    done.set()
    reader.join()
    assert totals == sorted(totals)
    assert totals[0] >= 19
    assert catalogue.page(Query(limit=100)).total == 39


def test_it_goes_on_from_its_checkpoints_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as first:
        tell(first)
        first.projector.catch_up()
        before, versions, pages = first.dump(), first.versions, first.pages
    with opened(tmp_path) as second:
        second.versions, second.pages = versions, pages
        assert second.views.checkpoint("findings") == Checkpoint(7, 1)
        second.projector.catch_up()
        assert second.dump() == before
        second.append(OTHER, corrected())
        second.projector.catch_up()
        assert len(Corrections(second.views).of(OTHER)) == 1


def test_of_two_projectors_one_leads_and_the_other_takes_over(tmp_path: Path) -> None:
    with opened(tmp_path) as first, opened(tmp_path) as second:
        assert first.projector.lead()
        assert not second.projector.lead()
        first.append(RECORD, submitted())
        second.projector.start()
        first.projector.catch_up()
        # The one that does not lead tells what the other has written.
        assert all(second.projector.wait(p.NAME, 1, 10) for p in BEHIND)
        first.views.resign()
        last = first.append(OTHER, submitted()).position
        assert all(second.projector.wait(p.NAME, last, 20) for p in BEHIND)
        assert second.views.leads()
        assert not first.projector.lead()


def test_poison_is_told_by_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as first, opened(tmp_path) as second:
        first.append(RECORD, submitted())

        def spoilt(_record: Folded) -> Rows:
            raise ArithmeticError

        monkeypatch.setattr(Findings, "rows", staticmethod(spoilt))
        first.projector.catch_up()
        found = second.views.standings()[Findings.NAME].error
        assert found is not None
        assert "position 1 (version 1 of" in found
        assert not second.projector.wait(Findings.NAME, 1, 10)
        assert second.projector.wait(Corrections.NAME, 1, 10)
        monkeypatch.undo()
        first.projector.rebuild(Findings.NAME)
        assert second.views.standings()[Findings.NAME].error is None


def test_those_who_wait_for_a_view_take_no_threads(scene: Scene) -> None:
    async def crowd() -> tuple[list[bool], str]:
        waiting = [
            asyncio.create_task(scene.projector.reached([Catalogue.NAME], 2, 20))
            for _ in range(300)
        ]
        await asyncio.sleep(0)
        free = await asyncio.wait_for(asyncio.to_thread(lambda: "a thread"), 10)
        await asyncio.to_thread(scene.append, RECORD, submitted(), corrected())
        await asyncio.to_thread(scene.projector.catch_up)
        return await asyncio.gather(*waiting), free

    reached, free = asyncio.run(crowd())
    assert all(reached)
    assert free == "a thread"


def test_many_processes_fold_what_one_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as scene:
        for n in range(40):
            scene.append(uuid(5_000 + n), submitted(f"Study {n}"), *[corrected()] * (n % 3))
        scene.projector.rebuild(*ROLL_CALL)
        alone, documents = scene.dump(), scene.documents()
        monkeypatch.setattr(folding, "ALONE_MAX", 0)
        monkeypatch.setattr(folding, "CHUNK", 7)
        scene.projector.rebuild(*ROLL_CALL)
        assert scene.dump() == alone
        assert scene.documents() == documents
        # What cannot be read is named although it was another process that met it.
        last = scene.store.append(
            Append((StoredEvent(uuid(5_000), 2, "record.submitted:9", b"{}"),))
        )
        position = last.result().position
        with pytest.raises(Poison, match=f"position {position} "):
            scene.projector.rebuild(Catalogue.NAME)
        assert scene.dump() == alone


def test_a_view_that_lacks_most_of_a_long_log_is_made_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as scene:
        for n in range(12):
            scene.append(uuid(6_000 + n), submitted(f"Study {n}"), corrected())
        scene.projector.catch_up()
        followed = scene.dump()
    (tmp_path / "ledger.views").unlink()
    monkeypatch.setattr(worker, "ALONE_MAX", 10)
    with opened(tmp_path) as scene:
        made = list[tuple[str, ...]]()
        rebuild = scene.projector.rebuild

        def noted(*names: str) -> None:
            made.append(names)
            rebuild(*names)

        monkeypatch.setattr(scene.projector, "rebuild", noted)
        scene.projector.catch_up()
        assert set(made[0]) >= {projection.NAME for projection in BEHIND}
        assert scene.dump() == followed


def test_a_view_that_cannot_be_made_in_one_go_follows_up_to_the_event_at_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "ALONE_MAX", 5)
    with opened(tmp_path, {Fragile.NAME: Fragile}) as scene:
        for n in range(8):
            scene.append(uuid(6_100 + n), submitted("Poison" if n == 6 else f"Study {n}"))
        scene.projector.catch_up()
        status = scene.projector.status()[Fragile.NAME]
        assert status["position"] == 6
        assert status["error"] is not None
        assert status["error"].startswith("position 7 ")


def test_a_stopped_view_goes_on_when_another_process_has_rebuilt_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll_call = {Fragile.NAME: Fragile}
    with opened(tmp_path, roll_call) as leader, opened(tmp_path, roll_call) as other:
        leader.append(uuid(1), submitted("Fine"))
        leader.append(uuid(2), submitted("Poison"))
        leader.projector.catch_up()
        assert leader.projector.status()[Fragile.NAME]["error"] is not None
        monkeypatch.setattr(Fragile, "poisonous", False)
        other.projector.rebuild(Fragile.NAME)
        leader.append(uuid(3), submitted("Later"))
        leader.projector.catch_up()
        assert leader.projector.status()[Fragile.NAME] == {"position": 3, "lag": 0, "error": None}
