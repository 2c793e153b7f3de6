"""Are views that are made anew the same as by following, while others read and write?"""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import given_projector
from given_patience import PATIENCE_S
from given_projector import ADOPT, BEHIND, Fragile, Scene, opened, tell
from given_views import eventually
from ledger import worker
from ledger.content import PublicField
from ledger.store import Append
from ledger.vocabulary import Outcome
from ledger.worker import Poison, folding
from projections import ROLL_CALL, public_view
from projections.catalogue import Catalogue, Query
from projections.table import Checkpoint
from view_facts import (
    OTHER,
    PAGE,
    RECORD,
    Fact,
    corrected,
    evaluated,
    live,
    red_team,
    sandbox,
    submitted,
    uuid,
)

scene = given_projector.scene


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


def test_a_policy_that_is_adopted_in_the_middle_of_a_step_is_not_missed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(scene)
    scene.projector.catch_up()
    look = scene.views.checkpoint

    def adopted_meanwhile(name: str) -> Checkpoint:
        """Adopt a policy when it has been decided that nothing is to be made anew."""
        monkeypatch.setattr(scene.views, "checkpoint", look)
        scene.append("ledger", ADOPT)
        return look(name)

    monkeypatch.setattr(scene.views, "checkpoint", adopted_meanwhile)
    scene.projector.step()
    scene.projector.catch_up()
    shown = scene.dump()
    for name in ROLL_CALL:
        scene.projector.rebuild(name)
    assert scene.dump() == shown


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


def test_readers_see_whole_views_while_the_log_grows_and_views_are_rebuilt(scene: Scene) -> None:
    scene.append("ledger", live())
    for number in range(1, 20):
        scene.append(uuid(number), submitted(f"Title {number}"))
    scene.projector.catch_up()
    scene.projector.start()
    catalogue = Catalogue(scene.views)
    totals, done = list[int](), threading.Event()

    def read() -> None:
        while not done.is_set():
            page = catalogue.page(Query(text="title", limit=100))
            assert len(page.items) == page.total
            totals.append(page.total)

    reader = threading.Thread(target=read)
    reader.start()
    eventually(lambda: totals)
    for number in range(20, 40):
        last = scene.append(uuid(number), submitted(f"Title {number}"))
        if number % 5 == 0:
            scene.projector.rebuild("catalogue")
    assert scene.projector.wait("catalogue", last.position, PATIENCE_S)
    done.set()
    reader.join()
    assert totals == sorted(totals)
    assert totals[0] >= 19
    assert catalogue.page(Query(limit=100)).total == 39


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


KINDS: tuple[Fact, ...] = (
    corrected(),
    corrected((PublicField.TITLE, "One", "Two on XNLI")),
    evaluated(Outcome.PASSED, sandbox("100.0")),
    evaluated(Outcome.FAILED, red_team(("8.0", "A stub."), ("7.0", "It fails."))),
)
HISTORIES = st.lists(st.tuples(st.integers(1, 6), st.sampled_from(KINDS)), max_size=25)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(log=HISTORIES, policy_at=st.integers(0, 40), sizes=st.lists(st.integers(1, 9), min_size=1))
def test_batches_of_any_size_give_what_one_fold_gives(
    tmp_path_factory: pytest.TempPathFactory,
    log: list[tuple[int, Fact]],
    policy_at: int,
    sizes: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("log")
    with opened(folder) as scene:
        scene.append("ledger", live())
        for place, (number, fact) in enumerate(log):
            if place == policy_at:
                scene.append("ledger", ADOPT)
            stream = uuid(7_000 + number)
            known = stream in scene.versions
            scene.append(stream, *([] if known else [submitted("One", basis=PAGE)]), fact)
        with pytest.MonkeyPatch.context() as patch:
            for size in [*sizes, 1_000]:
                patch.setattr(worker, "BATCH", size)
                scene.projector.step()
            scene.projector.catch_up()
        followed, documents = scene.dump(), scene.documents()
        scene.projector.rebuild(*ROLL_CALL)
        assert scene.dump() == followed
        assert scene.documents() == documents
