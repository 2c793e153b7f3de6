"""``ledger erase`` as an operator meets it: real processes, files and exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from given_terminal import done, ledger, refused

pytestmark = pytest.mark.slow

WHY = ("--reason", "It named a person.", "--asked-by", "data-subject")


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Path, str]:
    """Give a ledger with the samples, and the handle of the first."""
    done(tmp_path, "init")
    handles = re.findall(r"SRCH:[0-9A-F]+", done(tmp_path, "import", "samples"))
    return tmp_path, handles[0]


def test_a_text_is_erased_and_what_else_holds_it_is_named(filled: tuple[Path, str]) -> None:
    folder, record = filled
    shown = json.loads(done(folder, "show", record, "--json"))
    items = json.loads(done(folder, "history", record, "--json"))
    first = items[0]["position"]
    told = done(folder, "erase", str(first), "--member", "/content/title", *WHY)
    after = json.loads(done(folder, "show", record, "--json"))
    assert after["title"] == "[erased]"
    assert after["version"] == shown["version"] + 1
    lines = told.splitlines()
    assert lines[0] == f"Erased /content/title at position {first}."
    assert lines[1].startswith("The log says so at position ")
    # The page is kept as it was printed, with its title.
    assert lines[2].startswith("Other events of the record still hold such a text, at position ")
    assert after["erasures"][0]["erased_by"] == "operator"


def test_what_cannot_be_erased_is_refused(filled: tuple[Path, str]) -> None:
    folder, record = filled
    first = json.loads(done(folder, "history", record, "--json"))[0]["position"]
    sentence = refused(folder, "erase", str(first), "--member", "/handle", *WHY)
    assert "here these can: /content/title" in sentence
    assert "[not-erasable]" in sentence
    assert "[event-unknown]" in refused(folder, "erase", "999", "--member", "/x", *WHY)
    assert "[not-erasable]" in refused(folder, "erase", "1", "--member", "/label", *WHY)


@pytest.mark.parametrize(
    "words",
    [
        ("0", "--member", "/content/title", *WHY),
        ("x", "--member", "/content/title", *WHY),
        ("6", "--member", "content/title", *WHY),
        ("6", *WHY),
        ("6", "--member", "/content/title", "--reason", " ", "--asked-by", "author"),
        ("6", "--member", "/content/title", "--reason", "R", "--asked-by", "Jane Doe"),
        ("6", "--member", "/content/title", *WHY, "--legal-basis", "two\nlines"),
    ],
)
def test_a_command_line_that_does_not_fit_ends_with_2(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    ended = ledger(tmp_path, "erase", *words)
    assert ended.returncode == 2, ended.stdout + ended.stderr
