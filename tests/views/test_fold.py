"""A view that an older fold has made is made anew, and no fold changes without its number."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, Final

import given_projector
import given_views
from given_projector import Scene, tell
from given_views import Place
from ledger.content import PublicField
from ledger.store import StoredDocument
from ledger.vocabulary import ArtifactRole, Gate, Nature, Outcome, PolicyVersion, Status
from projections import ROLL_CALL, public_view
from projections.folded import FOLD
from projections.table import Checkpoint
from view_facts import (
    FOUNDED,
    OTHER,
    PAGE,
    RECORD,
    HandLog,
    adopted,
    attached,
    corrected,
    evaluated,
    imported,
    live,
    red_team,
    registered,
    sandbox,
    submitted,
    superseded,
    uuid,
)

place = given_views.place
scene = given_projector.scene

PINNED: Final = {
    1: "7f00f9a44cde3bf1dda0c25f6e8343314e8cd77942fed776ada50df6cc50f716",
    2: "2233e58febaebaabd895527718889ce4c386625fa7603dc9594fb91694f63b46",
    3: "8a911f86a74ee903cbb36cbaddda2c0c355caa92f5874f8425ed8dbfb8705e3e",
}
"""What each fold made of the log below.  A line here is never changed, only followed by another."""


def everything() -> HandLog:
    """A log with a fact of every kind that a fold takes in."""
    log = HandLog(live(), adopted(PolicyVersion.V1, "stated"), adopted(PolicyVersion.V2, "checked"))
    log.add(
        RECORD,
        submitted(score="8.6", quoted_from="Doe (2024)"),
        attached(ArtifactRole.REPRO_SCRIPT),
        attached(ArtifactRole.REPRO_RESULTS),
        evaluated(evidence=sandbox()),
        registered(),
        corrected((PublicField.TITLE, "A survey of XTREME", "A survey")),
        evaluated(
            Outcome.FAILED,
            red_team(("8.0", "A flaw."), ("7.0", "Another."), (None, "It crashed."), mean="7.5"),
            gate=Gate.RED_TEAM,
            number=101,
        ),
        evaluated(
            Outcome.INVALID_CHECK,
            number=102,
            withdraws=uuid(101),
            at=datetime(2026, 7, 3, 9, tzinfo=UTC),
        ),
        corrected(
            (PublicField.TITLE, "A survey", "A retracted survey"),
            nature=Nature.RETRACTION,
            number=201,
        ),
        superseded(),
    )
    log.add(
        OTHER,
        submitted(basis=PAGE, on=None, grounded=14, verified=14),
        evaluated(Outcome.FAILED, basis=PAGE, gate=Gate.RED_TEAM, at=None),
        imported(("Claims", "Verified", "14"), status=Status.FALSIFIED, excuse=True),
    )
    log.add(uuid(3), submitted(score="4.5", grounded=None, verified=None, abstract=None))
    return log


def made(log: HandLog) -> str:
    """Return a digest of all documents and rows that a log makes."""
    found: list[Any] = []
    for record in log.all():
        found.append(public_view.encoded(record.document))
        found += [
            sorted(view.rows(record).items())
            for name, view in ROLL_CALL.items()
            if name != public_view.NAME
        ]
    return hashlib.sha256(repr(found).encode()).hexdigest()


def test_what_a_fold_makes_of_a_log_stays_under_its_number() -> None:
    assert PINNED.get(FOLD) == made(everything()), (
        "The views come out otherwise: raise FOLD in projections/folded.py and pin the new digest."
    )
    assert max(PINNED) == FOLD


def test_a_view_that_an_older_fold_has_made_is_told_apart(place: Place) -> None:
    with place.open() as views:
        views.move(public_view.NAME, Checkpoint(2, 1))
        assert {written.fold for written in views.standings().values()} == {FOLD}
        with views.writing() as writer:
            writer.execute("UPDATE standing SET shape = ? WHERE name = ?", ("", public_view.NAME))
        assert views.standings()[public_view.NAME].fold == 0


def test_after_an_upgrade_of_the_fold_every_view_is_made_anew(scene: Scene) -> None:
    tell(scene)
    scene.projector.catch_up()
    rows, documents = scene.dump(), scene.documents()
    with scene.views.writing() as writer:
        writer.execute("UPDATE standing SET shape = rtrim(shape, '0123456789') || '0'")
        writer.execute("UPDATE catalogue SET title = 'As an older fold made it'")
    stale = StoredDocument(RECORD, 1, 1, FOUNDED, b"{}")
    scene.store.replace_documents(public_view.NAME, [stale], scene.store.head())
    assert scene.dump() != rows
    scene.projector.catch_up()
    assert scene.dump() == rows
    assert scene.documents() == documents
    assert {written.fold for written in scene.views.standings().values()} == {FOLD}
    assert not scene.projector.step()
