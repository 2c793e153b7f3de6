"""What somebody changes in the tables of a ledger, ``ledger verify`` finds, and says where."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import given_tampering
from given_tampering import Stand
from ledger.verifier.report import Outcome
from projections import ROLL_CALL
from tampering import CHANGES, Change, rewritten

pytestmark = pytest.mark.slow

FIRST = {each.table: each for each in reversed(CHANGES)}
EACH = [("sqlite", each) for each in CHANGES if each.only != "postgres"]
# Every change on PostgreSQL is for the drill; here one of each table.
EACH += [("postgres", each) for each in FIRST.values() if each.only != "sqlite"]


@pytest.fixture(scope="module")
def stands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stand]:
    folder = tmp_path_factory.mktemp("tampering")
    return {kind: given_tampering.stand(folder / kind, kind) for kind in ("sqlite", "postgres")}


@pytest.mark.parametrize(("kind", "change"), EACH, ids=lambda one: str(one).replace(" ", "-"))
def test_a_change_is_found_and_named(stands: dict[str, Stand], kind: str, change: Change) -> None:
    stand = stands[kind]
    with stand.changed(change.do) as changed:
        report = stand.verified(changed, state=_copy(stand))
    lines = [each.line() for each in report.differences]
    if change.found:
        assert report.outcome is Outcome.DIFFERS
        assert [line for line in lines if line.startswith(change.found)], lines
    else:
        # What does not follow from the log cannot be found: it is written down, with the reason.
        assert change.why
        assert report.outcome is Outcome.VERIFIED, lines


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_an_older_copy_is_a_rollback_to_who_remembers(stands: dict[str, Stand], kind: str) -> None:
    stand = stands[kind]
    report = stand.verified(stand.older)
    assert report.outcome is Outcome.VERIFIED, "an older copy is a whole ledger"
    report = stand.verified(stand.older, state=_copy(stand))
    assert [each.field for each in report.differences] == ["size (rollback)"]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_history_rewritten_with_the_key_is_a_fork_to_who_remembers(
    stands: dict[str, Stand], kind: str
) -> None:
    stand = stands[kind]
    with stand.changed(rewritten) as copy:
        given_tampering.signed_anew(stand.ledger, copy)
        report = stand.verified(copy)
        assert report.outcome is Outcome.VERIFIED, "whoever has the key can lie to the forgetful"
        report = stand.verified(copy, state=_copy(stand))
        assert {each.field for each in report.differences} == {"root (fork)"}
        witness = given_tampering.WITNESS
        report = stand.verified(copy, witnesses=(witness,))
        assert [each.field for each in report.differences] == ["cosignatures"]


def _copy(stand: Stand) -> Path:
    """Return what was remembered, in a file that a verification may replace."""
    return Path(shutil.copy(stand.state, stand.state.with_suffix(".copy")))


def test_every_table_is_tampered_with(stands: dict[str, Stand]) -> None:
    tampered = {each.table for each in CHANGES}
    # What a rebuild has not swapped in, and which steps of the schema were taken: no facts.
    besides = {"fresh_documents", "schema_migrations"}
    with stands["sqlite"].ledger.hand() as hand:
        sql = "SELECT name FROM {s}sqlite_schema WHERE type = 'table'"
        there = {name for (name,) in hand.run(sql)}
    for projection in ROLL_CALL.values():
        there |= {table.name for table in getattr(projection, "TABLES", ())}
    with stands["postgres"].ledger.hand() as hand:
        sql = "SELECT tablename FROM pg_tables WHERE schemaname IN ('ledger', 'ledger_views')"
        there |= {name for (name,) in hand.run(sql)}
    assert there - besides == tampered
