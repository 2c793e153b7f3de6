"""The ``ledger`` command as people and scripts meet it: real processes, files and exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main
from typer.testing import CliRunner

from given_service import ANSWER_S
from given_terminal import COMMAND, done, environment, ledger, refused, serving
from ledger import __version__
from ledger.cli import app
from projections import ROLL_CALL

pytestmark = pytest.mark.slow

PAGES = 1_000
"""So many that their import takes seconds, and that what it says of them does not fit into a pipe:
it cannot end before the tester has interrupted it."""
INTERRUPTIBLE = (
    sys.executable,
    "-c",
    "import os,signal as s,sys; s.signal(s.SIGINT, s.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])",
)
"""Starts a program that hears Ctrl-C, also where a shell in the background has us ignore it."""

ON_A_LEDGER = (
    ("serve", "--port", "0"),
    ("show", "SRCH:B0E046B6"),
    ("history", "SRCH:B0E046B6"),
    ("import", "samples"),
    ("rebuild",),
    ("keys", "list"),
    ("keys", "create", "--name", "a", "--scope", "submit"),
    ("keys", "revoke", "a", "b", "--reason", "c"),
    ("policy", "adopt", "v2", "--for", "stated", "--reason", "a"),
    ("gate", "activate", "gate-2"),
    ("erase", "6", "--member", "/content/note", "--reason", "a", "--asked-by", "author"),
)


def sample(number: int) -> bytes:
    pages = sorted((resources.files("ledger") / "samples").iterdir(), key=lambda page: page.name)
    return pages[number - 1].read_bytes()


def events(folder: Path) -> int:
    return len(topics(folder))


def topics(folder: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(folder / "ledger.db", timeout=ANSWER_S)) as log:
        return [topic for (topic,) in log.execute("SELECT topic FROM events ORDER BY position")]


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A new ledger."""
    done(tmp_path, "init")
    return tmp_path


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with the samples, for tests that add nothing to it."""
    folder = tmp_path_factory.mktemp("filled")
    done(folder, "init")
    done(folder, "import", "samples")
    return folder


def commands(group: Any = None, name: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    group = typer.main.get_command(app) if group is None else group
    for word, command in getattr(group, "commands", {}).items():
        yield (*name, word)
        yield from commands(command, (*name, word))


# ------------------------------------------------------------ help


def test_the_version_is_the_packages_own(tmp_path: Path) -> None:
    assert done(tmp_path, "--version") == f"ledger {__version__}\n"


def test_the_help_names_the_exit_codes(tmp_path: Path) -> None:
    said = " ".join(done(tmp_path, "--help").split())
    for words in ("0 done", "1 refused", "2 the command line", "130 interrupted"):
        assert words in said


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_every_command_says_what_it_does(command: tuple[str, ...]) -> None:
    helped = CliRunner().invoke(app, [*command, "--help"])
    assert helped.exit_code == 0
    said = helped.stdout.partition(f"ledger {' '.join(command)} ")[2]
    assert re.search(r"[A-Z][^.]{20,}\.", said), helped.stdout


@pytest.mark.parametrize(
    "words", [("nonsense",), ("init", "--fast"), ("show",), ("keys", "create")]
)
def test_a_command_line_that_does_not_fit_ends_with_2(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert ledger(tmp_path, *words).returncode == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("gate", "activate", "gate-9"), "'gate-9' is not one of 'gate-2', 'gate-3'."),
        (("keys", "create", "--name", "a", "--scope", "all"), "'all' is not one of 'submit',"),
        (("keys", "create", "--name", "Jane D", "--scope", "submit"), "named by small letters"),
        (("keys", "revoke", "Jane D", "k", "--reason", "r"), "named by small letters"),
        (("erase", "6", "--member", "x", "--reason", "r", "--asked-by", "author"), "JSON pointer"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_words_for_people(
    tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    ended = ledger(tmp_path, *words)
    said = " ".join(re.sub("[│╭╮╰╯─]", " ", ended.stderr).split())
    assert ended.returncode == 2
    assert says in said
    assert not re.search("Value error|should match", said)


# ------------------------------------------------------------ init, settings, missing ledgers


def test_init_creates_a_ledger_once(tmp_path: Path) -> None:
    assert "Created the ledger" in done(tmp_path, "init")
    before = events(tmp_path)
    assert "exists already; nothing was changed" in done(tmp_path, "init")
    assert events(tmp_path) == before > 0


@pytest.mark.parametrize("words", ON_A_LEDGER, ids=" ".join)
def test_without_a_ledger_every_command_names_init_and_creates_nothing(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    sentence = refused(tmp_path, *words)
    assert "ledger init" in sentence
    assert "[not-initialised]" in sentence
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_text("my diary\n" * 1_000)
    assert "ledger.db" in refused(tmp_path, "show", "SRCH:B0E046B6")
    assert file.read_text() == "my diary\n" * 1_000


def test_a_place_that_cannot_hold_a_ledger_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(tmp_path, "init", LEDGER_DATABASE_URL=f"sqlite:///{tmp_path}/file/ledger.db")


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("LEDGER_DATABASE_URL", "mysql://somewhere", "is not of the form sqlite:///path"),
        ("LEDGER_BASE_URL", "ledger.example.org", "is not of the form https://ledger.example.org"),
        ("LEDGER_BASE_URL", "https://", "is not of the form https://ledger.example.org"),
        ("LEDGER_QUEUE_MAX", "many", "should be a valid integer"),
        ("LEDGER_WAIT_S", "-1", "should be greater than or equal to 0"),
        ("LEDGER_PROJECTOR", "none", "should be 'inside' or 'apart'"),
    ],
)
def test_a_setting_that_does_not_fit_is_one_sentence_and_ends_with_2(
    empty: Path, setting: str, value: str, says: str
) -> None:
    ended = ledger(empty, "keys", "list", **{setting: value})
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"ledger: {setting} ")
    assert says in line


# ------------------------------------------------------------ import


def test_samples_come_in_once(empty: Path) -> None:
    first = done(empty, "import", "samples")
    assert len(re.findall(r"imported as SRCH:[0-9A-F]{8}", first)) == 5
    assert "missing: handle" in first
    assert "finding reason-predates-activation: " in first
    before = events(empty)
    again = done(empty, "import", "samples")
    assert len(re.findall(r"imported before as SRCH:[0-9A-F]{8}.*nothing was changed", again)) == 5
    assert events(empty) == before


def test_a_refused_page_is_named_and_the_others_come_in(empty: Path) -> None:
    (empty / "first.txt").write_bytes(sample(1))
    (empty / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    (empty / "letter.txt").write_text("Dear editor,\n\nthank you.\n")
    (empty / "second.txt").write_bytes(sample(2))
    names = ["first.txt", "picture.txt", "gone.txt", "letter.txt", ".", "second.txt"]
    ended = ledger(empty, "import", "pages", *names)
    assert ended.returncode == 1
    assert re.findall(r"^(\S+): imported as", ended.stdout, re.MULTILINE) == [
        "first.txt",
        "second.txt",
    ]
    lines = ended.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["picture.txt", "gone.txt", "letter.txt", "."]
    assert all(line.endswith("[unreadable-page]") for line in lines)


def test_another_page_under_a_handle_that_is_held_is_refused(empty: Path) -> None:
    (empty / "page.txt").write_bytes(sample(1))
    (empty / "changed.txt").write_bytes(sample(1) + b"\n")
    done(empty, "import", "pages", "page.txt")
    before = events(empty)
    sentence = refused(empty, "import", "pages", "changed.txt")
    assert "changed.txt" in sentence
    assert "SRCH:B0E046B6" in sentence
    assert "[handle-taken]" in sentence
    assert events(empty) == before


def test_ctrl_c_ends_an_import_with_130_and_keeps_whole_pages(empty: Path) -> None:
    names = []
    for number in range(PAGES):
        page = sample(1).decode().replace("B0E046B6", f"{number:08X}")
        page = "\n".join(line for line in page.splitlines() if "10.5281" not in line)
        (empty / f"{number}.txt").write_text(page)
        names.append(f"{number}.txt")
    with subprocess.Popen(
        [*INTERRUPTIBLE, *COMMAND, "import", "pages", *names],
        cwd=empty,
        env=environment(empty),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 300
        while events(empty) < 20:
            assert process.poll() is None
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in err
    told = len(re.findall("imported as", out))
    came_in = topics(empty).count("page.imported:1")
    assert topics(empty).count("record.submitted:1") == came_in
    # Whoever was told of a page can rely on it.  The page at hand is either in or not, unless the
    # tester was so slow that none was at hand any more: then the telling was interrupted.
    assert told <= came_in
    assert came_in <= told + 1 or came_in == PAGES


# ------------------------------------------------------------ show and history


def test_show_prints_names_and_values_a_line_each(filled: Path) -> None:
    lines = done(filled, "show", "SRCH:B0E046B6").splitlines()
    shown = dict(line.split(": ", 1) for line in lines)
    assert shown["handle"] == "SRCH:B0E046B6"
    assert shown["verdict"].startswith("Unverified (stated): ")
    assert shown["basis"] == "stated, policy v1"
    assert shown["version"].startswith("4 at position ")


def test_a_record_is_found_by_id_by_handle_and_by_doi(filled: Path) -> None:
    view = json.loads(done(filled, "show", "SRCH:B0E046B6", "--json"))
    for address in (view["record_id"], "b0e046b6", view["doi"], view["doi"].upper()):
        assert json.loads(done(filled, "show", address, "--json")) == view


def test_history_is_a_table_of_tabs_when_piped_and_whole_as_json(filled: Path) -> None:
    head, *rows = [
        line.split("\t") for line in done(filled, "history", "SRCH:B0E046B6").splitlines()
    ]
    place = ["version", "position", "recorded", "type", "actor", "basis"]
    assert head == [*place, "effective", "reason"]
    told = json.loads(done(filled, "history", "SRCH:B0E046B6", "--json"))
    assert [row[3] for row in rows] == [fact["type"] for fact in told]
    assert [int(row[0]) for row in rows] == [1, 2, 3, 4]
    assert [row[6] for row in rows] == [fact["effective"] or "" for fact in told]
    assert told[0]["event"]["content"]["title"]
    assert all(len(fact["leaf_hash"]) == 64 for fact in told)


def test_diff_is_a_line_for_each_event_behind_each_change(filled: Path) -> None:
    head, *rows = [line.split("\t") for line in done(filled, "diff", "SRCH:B0E046B6").splitlines()]
    assert head[:4] == ["field", "change", "from", "to"]
    told = json.loads(done(filled, "diff", "SRCH:B0E046B6", "--json"))
    assert [row[0] for row in rows] == [
        change["path"] for change in told["changes"] for _event in change["events"]
    ]
    submitted = next(row for row in rows if row[0] == "/title")
    assert submitted[1:6] == ["added", "", submitted[3], "1", "record.submitted"]
    assert (told["from"]["version"], told["to"]["version"], told["events"]) == (0, 4, 4)
    later = json.loads(done(filled, "diff", "SRCH:B0E046B6", "--from", "1", "--to", "2", "--json"))
    assert (later["from"]["version"], later["to"]["version"]) == (1, 2)
    assert "/title" not in [change["path"] for change in later["changes"]]


@pytest.mark.parametrize(
    ("points", "code"),
    [
        (["--from", "9"], "version-unknown"),
        (["--from", "2", "--to", "1"], "invalid-parameter"),
        (["--to", "2020-01-01"], "not-yet-recorded"),
        (["--to", "2999-01-01"], "moment-in-future"),
        (["--to", "July"], "invalid-parameter"),
    ],
)
def test_points_of_a_diff_that_are_none_are_refused(
    filled: Path, points: list[str], code: str
) -> None:
    assert f"[{code}]" in refused(filled, "diff", "SRCH:B0E046B6", *points)


def read_up(terminal: int) -> str:
    """Return all that was written to a terminal whose other end is closed, and close it."""
    parts: list[bytes] = []
    # Linux has no end of file there: it refuses to read on.
    with contextlib.suppress(OSError):
        while part := os.read(terminal, 65_536):
            parts.append(part)
    os.close(terminal)
    return b"".join(parts).decode()


def test_at_a_terminal_a_table_is_drawn(filled: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "history", "SRCH:B0E046B6"],
        env=environment(filled, TERM="xterm"),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
    ) as process:
        process.communicate(timeout=300)
    os.close(theirs)
    shown = read_up(ours)
    assert process.returncode == 0
    assert "\t" not in shown
    assert "record.submitted" in shown


@pytest.mark.parametrize("command", ["show", "history", "diff"])
@pytest.mark.parametrize("address", ["SRCH:00000000", "10.1/none", "not-a-record", "ledger"])
def test_an_unknown_record_is_refused(filled: Path, command: str, address: str) -> None:
    assert "[record-unknown]" in refused(filled, command, address)


# ------------------------------------------------------------ rebuild


def test_rebuild_makes_the_same_views_again(empty: Path) -> None:
    done(empty, "import", "samples")
    before = done(empty, "show", "SRCH:B0E046B6", "--json")
    for file in empty.glob("ledger.db.views*"):
        file.unlink()
    (line,) = done(empty, "rebuild").splitlines()
    told, _, rate = line.partition(" from ")
    assert told == f"Rebuilt {', '.join(ROLL_CALL)}"
    assert re.fullmatch(r"\d+ events in [0-9.]+ s \(\d+ events/s\)\.", rate)
    assert done(empty, "show", "SRCH:B0E046B6", "--json") == before


def test_a_rebuild_derives_every_document_again_the_api_keys_too(filled: Path) -> None:
    key = done(filled, "keys", "create", "--name", "b", "--scope", "submit").splitlines()[-1]
    with sqlite3.connect(filled / "ledger.db") as outsider:
        before = outsider.execute("SELECT * FROM documents ORDER BY view, id").fetchall()
        outsider.execute("DELETE FROM documents")
    outsider.close()
    done(filled, "rebuild")
    with sqlite3.connect(filled / "ledger.db") as outsider:
        assert outsider.execute("SELECT * FROM documents ORDER BY view, id").fetchall() == before
    outsider.close()
    assert {row[0] for row in before} == {"public_view", "api_keys"}
    assert key


def test_rebuild_takes_one_view_and_knows_which_there_are(filled: Path) -> None:
    (line,) = done(filled, "rebuild", "findings").splitlines()
    assert line.startswith("Rebuilt findings from ")
    ended = ledger(filled, "rebuild", "everything")
    assert ended.returncode == 2
    assert "catalogue" in ended.stderr


# ------------------------------------------------------------ keys, policies, gates


def test_a_key_is_printed_last_and_never_kept(empty: Path) -> None:
    key = done(
        empty, "keys", "create", "--name", "pipeline-1", "--scope", "submit", "--scope", "attach"
    ).splitlines()[-1]
    assert re.fullmatch(r"lk_[0-9a-f]{12}_\S{43}", key)
    for file in empty.glob("ledger.db*"):
        assert key.encode() not in file.read_bytes()
    head, row = [line.split("\t") for line in done(empty, "keys", "list").splitlines()]
    assert head == ["name", "key id", "scopes", "state"]
    assert row == ["pipeline-1", key.split("_")[1], "submit,attach", "valid"]


def test_a_key_is_revoked_once(empty: Path) -> None:
    key = done(empty, "keys", "create", "--name", "a", "--scope", "admin").splitlines()[-1]
    key_id = key.split("_")[1]
    done(empty, "keys", "revoke", "a", key_id, "--reason", "lost")
    assert done(empty, "keys", "list").splitlines()[-1].endswith("revoked")
    again = ("keys", "revoke", "a", key_id, "--reason", "lost")
    assert "[key-already-revoked]" in refused(empty, *again)
    assert "[key-unknown]" in refused(empty, "keys", "revoke", "a", "b", "--reason", "lost")


@pytest.mark.parametrize(
    "words",
    [
        ("--name", "Mrs. Smith", "--scope", "submit"),
        ("--name", "a", "--scope", "everything"),
        ("--name", "a"),
    ],
)
def test_a_key_that_cannot_be_is_not_issued(empty: Path, words: tuple[str, ...]) -> None:
    assert ledger(empty, "keys", "create", *words).returncode == 2
    assert len(done(empty, "keys", "list").splitlines()) == 1


def test_an_adopted_policy_changes_what_is_shown(empty: Path) -> None:
    done(empty, "import", "samples")
    adopt = ("policy", "adopt", "v2", "--for", "stated", "--reason", "One policy for all.")
    assert "policy v2 is in force for stated records" in done(empty, *adopt)
    assert "basis: stated, policy v2" in done(empty, "show", "SRCH:B0E046B6")
    assert "[policy-in-force]" in refused(empty, *adopt)


def test_a_gate_goes_live_once(empty: Path) -> None:
    sentence = refused(empty, "gate", "activate", "gate-3", "--on", "2026-07-01")
    assert "[gate-already-active]" in sentence
    assert ledger(empty, "gate", "activate", "gate-9").returncode == 2
    assert ledger(empty, "gate", "activate", "gate-3", "--on", "1 July").returncode == 2


# ------------------------------------------------------------ serve


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_server_says_where_it_is_and_stops_in_order(empty: Path, by: signal.Signals) -> None:
    with serving(empty) as server:
        assert httpx.get(f"{server.address}/healthz", timeout=ANSWER_S).status_code == 200
        code, err = server.stop(by)
    assert (code, err) == (0, "")


def test_a_taken_port_is_one_sentence(empty: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"127.0.0.1 port {port}" in refused(empty, "serve", "--port", str(port))


def test_commands_work_beside_a_running_server(empty: Path) -> None:
    with serving(empty) as server:
        key = done(empty, "keys", "create", "--name", "a", "--scope", "submit").splitlines()[-1]
        done(empty, "import", "samples")
        submitted = submit(server.address, key, "one")
        assert submitted.status_code == 201, submitted.text
        waiting = {"Ledger-Position": submitted.headers["Ledger-Position"]}
        listed = httpx.get(f"{server.address}/v1/records", headers=waiting, timeout=ANSWER_S).json()
        assert listed["total"] == 6
        done(empty, "rebuild")
        done(empty, "policy", "adopt", "v2", "--for", "stated", "--reason", "One policy.")
        view = httpx.get(f"{server.address}/v1/records/SRCH:B0E046B6", timeout=ANSWER_S).json()
        assert view["policy"]["version"] == "v2"
        done(empty, "keys", "revoke", "a", key.split("_")[1], "--reason", "lost")
        assert submit(server.address, key, "two").status_code == 401
        assert server.stop() == (0, "")


def submit(address: str, key: str, name: str) -> httpx.Response:
    return httpx.post(
        f"{address}/v1/records",
        json={"content": {"title": "A study", "publisher": "Example Research"}},
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": name},
        timeout=ANSWER_S,
    )


def test_a_damaged_views_file_is_said_and_may_be_deleted(tmp_path: Path) -> None:
    done(tmp_path, "init")
    done(tmp_path, "import", "samples")
    views = tmp_path / "ledger.db.views"
    for beside in tmp_path.glob("ledger.db.views*"):
        beside.unlink()
    views.write_bytes(b"no database, only words " * 500)
    assert "delete the file" in refused(tmp_path, "show", "SRCH:B0E046B6")
    views.unlink()
    assert "finding" not in done(tmp_path, "show", "SRCH:B0E046B6")
    assert views.exists()


def test_the_operator_holds_no_key(empty: Path) -> None:
    ended = ledger(empty, "keys", "create", "--name", "operator", "--scope", "submit")
    assert ended.returncode == 2
    assert "holds no key" in ended.stderr


@pytest.mark.parametrize("kind", ["folder", "pipe", "nothing"])
def test_what_is_no_file_is_no_page(empty: Path, kind: str) -> None:
    path = empty / f"a-{kind}"
    if kind == "folder":
        path.mkdir(exist_ok=True)
    elif kind == "pipe" and not path.exists():
        os.mkfifo(path)
    assert refused(empty, "import", "pages", str(path)).endswith("[unreadable-page]")
