"""``ledger show`` of the past: the same answers as over HTTP, and the same refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from given_terminal import done, refused

pytestmark = pytest.mark.slow

RECORD = "SRCH:B0E046B6"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with the samples, of which one has a policy adopted after it."""
    folder = tmp_path_factory.mktemp("filled")
    done(folder, "init")
    done(folder, "import", "samples")
    done(folder, "policy", "adopt", "v2", "--for", "stated", "--reason", "To count evidence.")
    return folder


def shown(folder: Path, *words: str) -> dict[str, Any]:
    view: dict[str, Any] = json.loads(done(folder, "show", RECORD, *words, "--json"))
    return view


def test_a_version_is_shown_with_what_it_is(filled: Path) -> None:
    now = shown(filled)
    last = shown(filled, "--version", str(now["version"]))
    assert last["past"]["known_version"] == now["version"]
    assert last["policy"]["version"] == "v1"
    first = shown(filled, "--version", "1")
    assert (first["version"], first["source"]) == (1, None)
    assert first["doi"] is None


def test_a_recorded_moment_and_an_effective_one_are_two_things(filled: Path) -> None:
    now = shown(filled)
    then = shown(filled, "--recorded-at", now["recorded_at"])
    assert then["position"] == now["position"]
    in_effect = shown(filled, "--as-of", now["submitted_on"])
    assert in_effect["past"]["as_of"] == now["submitted_on"]
    assert 1 not in in_effect["past"]["not_in_effect"]
    assert now["version"] in in_effect["past"]["not_in_effect"]
    both = shown(filled, "--as-of", now["submitted_on"], "--version", "1")
    assert (both["past"]["known_version"], both["past"]["not_in_effect"]) == (1, [])


def test_people_are_told_which_past_it_is(filled: Path) -> None:
    submitted_on = shown(filled)["submitted_on"]
    lines = done(filled, "show", RECORD, "--as-of", submitted_on).splitlines()
    assert f"as in effect at: {submitted_on}" in lines
    assert any(line.startswith("not in effect: version ") for line in lines)
    assert not any(line.startswith("as ") for line in done(filled, "show", RECORD).splitlines())


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--version", "99"), "version-unknown"),
        (("--version", "x"), "invalid-parameter"),
        (("--recorded-at", "2001-01-01"), "not-yet-recorded"),
        (("--recorded-at", "now"), "invalid-parameter"),
        (("--as-of", "2001-01-01"), "not-yet-in-effect"),
        (("--as-of", "2999-01-01"), "moment-in-future"),
    ],
)
def test_what_has_no_answer_is_refused(filled: Path, words: tuple[str, str], code: str) -> None:
    assert f"[{code}]" in refused(filled, "show", RECORD, *words)
