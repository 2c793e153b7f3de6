"""``ledger replay``: nothing where the views are right, exit 1 and a name where they are not."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from pathlib import Path

import pytest

from given_terminal import done, ledger, refused

pytestmark = pytest.mark.slow


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A folder with a ledger of the sample pages, whose views are up to date."""
    done(tmp_path, "init")
    done(tmp_path, "import", "samples")
    done(tmp_path, "rebuild")
    return tmp_path


def test_a_replay_tells_what_it_folded_and_that_nothing_differs(filled: Path) -> None:
    first, digest, *more = done(filled, "replay").splitlines()
    assert re.fullmatch(
        r"Replayed \d+ events of 5 records up to position \d+ in [0-9.]+ s \(\d+ events/s\)\.",
        first,
    )
    assert re.fullmatch(r"Documents: sha256:[0-9a-f]{64}", digest)
    assert "Compared with public_view: 5 rows." in more
    assert more[-1] == "No difference."
    told = json.loads(done(filled, "replay", "--record", "SRCH:B0E046B6", "--json"))
    assert (told["records"], told["different"], told["differences"]) == (1, 0, [])
    earlier = json.loads(done(filled, "replay", "--to", "8", "--json"))
    assert (earlier["position"], earlier["different"]) == (8, 0)
    assert earlier["digest"] != digest.removeprefix("Documents: ")


def test_a_changed_document_is_named_and_the_command_ends_with_one(filled: Path) -> None:
    with contextlib.closing(sqlite3.connect(filled / "ledger.db")) as outsider, outsider:
        outsider.execute(
            "UPDATE documents SET body = CAST(replace(CAST(body AS TEXT), ?, ?) AS BLOB) "
            "WHERE CAST(body AS TEXT) LIKE ?",
            ('"title":"', '"title":"Not ', '%"handle":"SRCH:B0E046B6"%'),
        )
    ended = ledger(filled, "replay")
    assert ended.returncode == 1
    assert "Differences: 1." in ended.stdout
    head, row = [line.split("\t") for line in ended.stdout.splitlines() if "\t" in line]
    assert head == ["view", "record", "field", "expected", "found"]
    assert (row[0], row[2]) == ("public_view", "/title")
    assert row[4] == f"Not {row[3]}"


def test_a_view_that_is_behind_is_not_taken_for_right(tmp_path: Path) -> None:
    done(tmp_path, "init")
    done(tmp_path, "import", "samples", LEDGER_PROJECTOR="apart", LEDGER_WAIT_S="0.1")
    ended = ledger(tmp_path, "replay", LEDGER_WAIT_S="0.1")
    assert ended.returncode == 1
    assert "Not compared with catalogue: it is at position 0." in ended.stdout
    assert ended.stdout.splitlines()[-1] == "No difference in the others."
    assert ledger(tmp_path, "replay", "--to", "8", LEDGER_WAIT_S="0.1").returncode == 1


def test_before_the_policies_in_force_nothing_is_compared_and_it_says_so(tmp_path: Path) -> None:
    done(tmp_path, "init")
    said = done(tmp_path, "replay", "--to", "1", LEDGER_WAIT_S="0.1")
    assert said.splitlines()[-1] == "Nothing was compared."


def test_another_policy_is_told_and_not_adopted(filled: Path) -> None:
    before = done(filled, "show", "SRCH:B0E046B6", "--json")
    told = json.loads(done(filled, "replay", "--policy", "v2", "--json"))
    assert told["policy"] == "v2"
    assert {change["field"] for change in told["changes"]} <= {"tier", "level", "verdict"}
    assert told["changes"]
    head, *rows = [
        line.split("\t") for line in done(filled, "replay", "--policy", "v2").splitlines()
    ]
    assert head == ["handle", "record", "field", "now", "under v2"]
    assert len(rows) == len(told["changes"])
    assert done(filled, "show", "SRCH:B0E046B6", "--json") == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--to", "99999"], "event-unknown"),
        (["--to", "2020-01-01"], "not-yet-recorded"),
        (["--to", "2999-01-01"], "moment-in-future"),
        (["--to", "soon"], "invalid-parameter"),
        (["--record", "SRCH:00000000"], "record-unknown"),
    ],
)
def test_what_cannot_be_replayed_is_refused(tmp_path: Path, words: list[str], code: str) -> None:
    done(tmp_path, "init")
    assert f"[{code}]" in refused(tmp_path, "replay", *words)
