"""``ledger import corrections``: a feed comes in once, and what is refused stops nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from given_terminal import done, ledger, refused

pytestmark = pytest.mark.slow

WORK = {"paper": "W1", "title": "A paper", "publisher": "Association", "doi": "10.5555/w1"}
LINES = (
    {"event": "published", "date": "2020-07-01", "recorded_at": "2020-07-01T00:00:00Z"},
    {"event": "revision", "n": "1", "date": None, "recorded_at": "2020-09-01T10:00:00Z"},
    {"event": "retracted", "date": "2020-08-01", "recorded_at": "2021-08-25T22:57:29+00:00"},
)


def feed(folder: Path, *lines: dict[str, Any], name: str = "feed.jsonl") -> str:
    file = folder / name
    file.write_text("".join(json.dumps(WORK | line) + "\n" for line in lines))
    return str(file)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    done(tmp_path, "init")
    return tmp_path


def test_a_feed_comes_in_once_and_is_answered_by_effective_time(empty: Path) -> None:
    file = feed(empty, *LINES)
    assert done(empty, "import", "corrections", file).splitlines() == [
        "feed.jsonl: 3 lines, 3 facts appended",
        "  no correction from 1 lines: it names the first file; nothing was corrected",
    ]
    again = done(empty, "import", "corrections", file).splitlines()
    assert again[0] == "feed.jsonl: 3 lines, 0 facts appended"
    assert "  no correction from 2 lines: imported before" in again

    def standing(*words: str) -> str:
        view = json.loads(done(empty, "show", "10.5555/w1", *words, "--json"))
        return str(view["corrections"]["standing"])

    assert standing() == "retracted"
    assert standing("--as-of", "2020-07-31") == "clear"
    assert standing("--as-of", "2020-08-01") == "retracted"
    assert standing("--as-of", "2020-08-01", "--version", "2") == "clear"
    # The ledger knew nothing of it in 2021, whatever its source knew.
    early = ("--recorded-at", "2021-12-31")
    assert "[not-yet-recorded]" in refused(empty, "show", "10.5555/w1", *early)


def test_after_a_move_the_works_are_known_again(empty: Path, tmp_path_factory: Any) -> None:
    file = feed(empty, *LINES, {"paper": "W2", "doi": None} | LINES[-1])
    done(empty, "import", "corrections", file)
    done(empty, "rebuild")
    done(empty, "export", str(empty / "archive"))
    assert "result: verified" in done(empty, "verify", f"sqlite:///{empty / 'ledger.db'}")
    moved = tmp_path_factory.mktemp("moved")
    done(moved, "import", "archive", str(empty / "archive"))
    again = done(moved, "import", "corrections", file).splitlines()
    assert again[0] == "feed.jsonl: 4 lines, 0 facts appended"


def test_a_line_that_is_refused_is_named_and_stops_no_other(empty: Path) -> None:
    other = {
        "paper": "W2",
        "event": "retracted",
        "date": None,
        "recorded_at": "2022-01-01T00:00:00Z",
    }
    third = other | {"paper": "W3", "doi": None}
    ended = ledger(empty, "import", "corrections", feed(empty, *LINES, other, third))
    assert ended.returncode == 1
    assert "feed.jsonl, line 4: " in ended.stderr
    assert "[doi-taken]" in ended.stderr
    assert ended.stdout.startswith("feed.jsonl: 5 lines, 5 facts appended\n")


def test_a_broken_feed_changes_nothing(empty: Path) -> None:
    file = feed(empty, *LINES, {"event": "lost", "recorded_at": "2022-01-01T00:00:00Z"})
    assert "Line 4 does not fit at event" in refused(empty, "import", "corrections", file)
    assert "[record-unknown]" in refused(empty, "show", "10.5555/w1")


def test_what_is_no_file_is_refused(empty: Path) -> None:
    os.mkfifo(empty / "pipe")
    assert "[unreadable-feed]" in refused(empty, "import", "corrections", str(empty / "pipe"))
    for name in ("nowhere.jsonl", "data"):
        assert refused(empty, "import", "corrections", str(empty / name))
