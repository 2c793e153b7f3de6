"""Does the projector follow the log and stop where it must, over a real store?"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any, ClassVar

import pytest
from eventsourcing.persistence import StoredEvent

import given_projector
from given_patience import PATIENCE_S
from given_projector import ADOPT, BEHIND, Fragile, Scene, opened, tell
from ledger.in_force import InForce
from ledger.store import Append
from ledger.worker.history import History
from projections import ROLL_CALL, public_view
from projections.catalogue import Catalogue, Query
from projections.corrections import Corrections
from projections.findings import Findings
from projections.folded import Folded
from projections.table import Checkpoint, Rows, Table
from projections.views import ViewsUnavailable
from view_facts import (
    OTHER,
    RECORD,
    corrected,
    live,
    submitted,
    uuid,
)

scene = given_projector.scene


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
        assert not scene.projector.wait(Fragile.NAME, 4, PATIENCE_S)
        assert scene.projector.wait(Fragile.NAME, 2, PATIENCE_S)

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
    assert scene.projector.wait("catalogue", receipt.position, PATIENCE_S)
    assert Catalogue(scene.views).of(RECORD) is not None
    assert scene.projector.wait(public_view.NAME, receipt.position, PATIENCE_S)
    assert not scene.projector.wait("catalogue", receipt.position + 1, timeout=0.05)
    with pytest.raises(KeyError):
        scene.projector.wait("no-such-view", 1, timeout=0)


def test_what_another_process_appends_is_found_without_a_wake(scene: Scene) -> None:
    scene.projector.start()
    with opened(scene.folder) as other:
        other.append("ledger", live())
        receipt = other.append(RECORD, submitted())
    assert scene.projector.wait("catalogue", receipt.position, PATIENCE_S)


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
                assert projector.wait(name, last.position, PATIENCE_S)
        both = one.dump()
        for name in ROLL_CALL:
            one.projector.rebuild(name)
        assert one.dump() == both


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
        assert all(second.projector.wait(p.NAME, 1, PATIENCE_S) for p in BEHIND)
        first.views.resign()
        last = first.append(OTHER, submitted()).position
        assert all(second.projector.wait(p.NAME, last, PATIENCE_S) for p in BEHIND)
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
        assert not second.projector.wait(Findings.NAME, 1, PATIENCE_S)
        assert second.projector.wait(Corrections.NAME, 1, PATIENCE_S)
        monkeypatch.undo()
        first.projector.rebuild(Findings.NAME)
        assert second.views.standings()[Findings.NAME].error is None


def test_those_who_wait_for_a_view_take_no_threads(scene: Scene) -> None:
    async def crowd() -> tuple[list[bool], str]:
        waiting = [
            asyncio.create_task(scene.projector.reached([Catalogue.NAME], 2, PATIENCE_S))
            for _ in range(300)
        ]
        await asyncio.sleep(0)
        free = await asyncio.wait_for(asyncio.to_thread(lambda: "a thread"), PATIENCE_S)
        await asyncio.to_thread(scene.append, RECORD, submitted(), corrected())
        await asyncio.to_thread(scene.projector.catch_up)
        return await asyncio.gather(*waiting), free

    reached, free = asyncio.run(crowd())
    assert all(reached)
    assert free == "a thread"


def test_trouble_is_told_when_it_begins_and_when_it_ends_and_not_at_every_try(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles = [ViewsUnavailable("gone") for _try in range(3)]
    try_lead = scene.views.try_lead

    def away_at_first() -> bool:
        if troubles:
            raise troubles.pop()
        return try_lead()

    monkeypatch.setattr(scene.views, "try_lead", away_at_first)
    last = scene.append(RECORD, submitted()).position
    with caplog.at_level(logging.WARNING, "ledger.worker"):
        scene.projector.start()
        assert scene.projector.wait(Catalogue.NAME, last, PATIENCE_S)
        scene.projector.stop()
    assert [record.getMessage() for record in caplog.records] == [
        "The views wait: gone",
        "The views go on.",
    ]


class Bare:
    """A projection that reads events, and no document."""

    NAME: ClassVar[str] = "bare"
    TABLES: ClassVar[tuple[Table, ...]] = (
        Table(
            "bare",
            "CREATE TABLE {table} (record_id TEXT PRIMARY KEY, version INTEGER)",
            ("record_id", "version"),
            "record_id",
            "record_id",
        ),
    )

    @staticmethod
    def rows(record: Folded) -> Rows:
        return {"bare": [(record.record_id, record.last.event.originator_version)]}


def test_a_document_that_no_projection_asks_for_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    document = public_view.document

    def counted(page: public_view.Page, in_force: InForce) -> dict[str, Any]:
        made.append(page.version)
        return document(page, in_force)

    with opened(tmp_path, {Bare.NAME: Bare}) as scene:
        tell(scene)
        monkeypatch.setattr(public_view, "document", counted)
        scene.projector.catch_up()
        with scene.views.reading() as reader:
            shown = dict(reader.execute("SELECT record_id, version FROM bare"))
        assert shown == {RECORD: 4, OTHER: 2}
        assert made == []
    with opened(tmp_path, {projection.NAME: projection for projection in BEHIND}) as scene:
        scene.projector.catch_up()
        # Once for all views, and as of its import for the record that was imported.
        assert sorted(made) == [2, 2, 4]


def test_a_record_is_shown_as_it_was_folded_though_its_history_goes_on(scene: Scene) -> None:
    tell(scene)
    history, facts = History(), scene.reader.in_force(7)
    folds = []
    for row in scene.store.rows_of(RECORD):
        history.add(row)
        folds.append(history.folded(facts))
    assert [fold.document["version"] for fold in folds] == [1, 2, 3, 4]
    assert [fold.document["title"] for fold in folds] == ["One", "One", "One more", "One more"]
    assert [fold.as_imported and fold.as_imported["version"] for fold in folds] == [
        None, None, 2, 2
    ]  # fmt: skip
    assert folds[3].document is folds[3].document
