"""After an erasure the views hold what a fold of the whole log gives, and nothing of the text."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import given_projector
from given_histories import histories
from given_projector import Scene, opened, tell
from ledger import codec, erasure
from ledger.application import Ledger
from ledger.commands import Erase
from ledger.content import PublicField
from ledger.engine import Request
from ledger.events import Event
from ledger.store import Receipt
from projections import ROLL_CALL, public_view
from view_facts import OTHER, RECORD, corrected, live, submitted
from wishes import read

scene = given_projector.scene

MARK = "Zyxquandry"


def erase(scene: Scene, record: str, version: int, *members: str) -> Receipt:
    """Erase as an administrator does, by the application."""
    rows = scene.store.rows_of(record)
    wish = {"members": members, "reason": "Asked.", "asked_by": "author"}
    request = Request("admin", expected=len(rows))
    ledger = Ledger(scene.store, public_view)
    position = rows[version - 1].position
    receipt = asyncio.run(ledger.erase(position, read(Erase, wish), request))
    # What the scene holds of the record is from before.
    scene.versions[record] = receipt.version
    scene.pages[record] = public_view.folded(
        codec.decode(r.originator_id, r.originator_version, r.topic, r.state)
        for r in scene.store.rows_of(record)
    )
    return receipt


def rebuilt(scene: Scene) -> None:
    """Expect that a fold of the whole log gives the same views and documents."""
    followed, documents = scene.dump(), scene.documents()
    scene.projector.rebuild(*ROLL_CALL)
    assert scene.dump() == followed
    assert scene.documents() == documents


def marked(scene: Scene) -> bool:
    held = [*scene.dump().values(), scene.documents()]
    return MARK.lower() in repr(held).lower()


@pytest.mark.parametrize("between", [0, 1, 3])
def test_a_view_that_has_read_the_text_forgets_it(scene: Scene, between: int) -> None:
    tell(scene)
    scene.append(RECORD, corrected((PublicField.NOTE, None, MARK), number=300))
    scene.append(RECORD, corrected((PublicField.TITLE, "One more", MARK), number=301))
    scene.projector.catch_up()
    assert marked(scene)
    for number in range(between):
        scene.append(OTHER, corrected(number=400 + number))
        scene.append(RECORD, corrected(number=500 + number))
        scene.projector.catch_up()
    erase(scene, RECORD, 5, "/changes/0/to")
    scene.projector.catch_up()
    assert marked(scene)
    erase(scene, RECORD, 6, "/changes/0/to")
    scene.projector.catch_up()
    assert not marked(scene)
    rebuilt(scene)


def test_a_view_that_comes_later_never_reads_the_text(scene: Scene) -> None:
    tell(scene)
    scene.append(RECORD, corrected((PublicField.NOTE, None, MARK), number=300))
    erase(scene, RECORD, 5, "/changes/0/to")
    scene.projector.catch_up()
    assert not marked(scene)
    rebuilt(scene)


def test_a_record_goes_on_after_an_erasure(scene: Scene) -> None:
    tell(scene)
    scene.append(RECORD, corrected((PublicField.NOTE, None, MARK), number=300))
    scene.projector.catch_up()
    erase(scene, RECORD, 5, "/changes/0/to")
    scene.projector.catch_up()
    scene.append(RECORD, corrected((PublicField.NOTE, erasure.ERASED, "Fine"), number=301))
    scene.projector.catch_up()
    assert not marked(scene)
    rebuilt(scene)


def test_a_view_that_is_being_made_anew_meanwhile_is_not_left_with_the_text(scene: Scene) -> None:
    tell(scene)
    scene.append(RECORD, corrected((PublicField.TITLE, "One more", MARK), number=300))
    scene.projector.catch_up()
    done = False

    def meanwhile(_events: int, _total: int) -> None:
        nonlocal done
        if not done:
            done = True
            erase(scene, RECORD, 5, "/changes/0/to")

    scene.projector.rebuild(*ROLL_CALL, progress=meanwhile)
    assert done
    scene.projector.catch_up()
    assert not marked(scene)
    rebuilt(scene)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=histories(), data=st.data())
def test_what_is_followed_over_erasures_is_what_a_fold_of_the_whole_log_gives(
    tmp_path_factory: pytest.TempPathFactory, history: tuple[Event, ...], data: st.DataObject
) -> None:
    with opened(tmp_path_factory.mktemp("log")) as scene:
        scene.append("ledger", live())
        scene.append(OTHER, submitted("Another"))
        versions: list[int] = []
        for event in history:
            # An erasure before it moves the versions of what comes after.
            scene.append(RECORD, partial(renumbered, event))
            versions.append(scene.versions[RECORD])
            if data.draw(st.booleans()):
                scene.projector.catch_up()
            if data.draw(st.integers(0, 3)) == 0:
                _erase_something(scene, data.draw(st.sampled_from(versions)), data)
        scene.projector.catch_up()
        rebuilt(scene)


def renumbered(event: Event, stream: str, version: int) -> Event:
    return event.model_copy(update={"originator_id": stream, "originator_version": version})


def _erase_something(scene: Scene, version: int, data: st.DataObject) -> None:
    row = scene.store.rows_of(RECORD)[version - 1]
    body: dict[str, Any] = json.loads(row.state)
    possible = erasure.erasable(row.topic, body)
    if possible:
        members = data.draw(st.lists(st.sampled_from(possible), min_size=1, unique=True))
        erase(scene, RECORD, version, *members)
