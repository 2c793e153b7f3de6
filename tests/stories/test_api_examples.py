"""The examples of docs/api.md are what happens, typed into a real shell."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from given_terminal import done, serving
from given_transcript import is_shown, transcript, typed, with_command

API = Path(__file__).parents[2] / "docs" / "api.md"

pytestmark = [pytest.mark.repo, pytest.mark.slow]


@pytest.mark.parametrize("of", ["Erase", "Two axes"])
def test_the_example_is_what_happens(of: str, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the example needs curl")
    section = API.read_text(encoding="utf-8").partition(f"### {of}\n")[2].partition("\n## ")[0]
    told = transcript(section)
    folder = with_command(tmp_path)
    done(folder, "init")
    key = done(folder, "keys", "create", "--name", "p", "--scope", "admin").splitlines()[-1]
    with serving(folder) as server:
        commands = [command for command, _ in told]
        answers = typed(folder, commands, LEDGER=server.address, KEY=key)
        for (command, shown), answered in zip(told, answers, strict=True):
            assert len(answered) == len(shown), (command, answered)
            for line, answer in zip(shown, answered, strict=True):
                assert is_shown(line, answer), (command, answer)
