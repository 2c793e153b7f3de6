"""What the README shows is what happens: its transcript is typed into a real shell."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from given_postgres import free_port
from given_terminal import serving
from given_transcript import is_shown, transcript, typed, with_command

README = Path(__file__).parents[2] / "README.md"
LINES_MAX = 120

pytestmark = [pytest.mark.repo, pytest.mark.slow]


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """A folder with a ``ledger`` command, such as an installation would have put on the path."""
    return with_command(tmp_path)


def asked(folder: Path, commands: list[str]) -> list[list[str]]:
    places = {"LEDGER_DATABASE_URL": "sqlite:///ledger.db", "LEDGER_DATA_DIR": "ledger-data"}
    return typed(folder, commands, **places)


def test_the_transcript_is_what_happens(shell: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the README's transcript needs curl")
    told = transcript(README.read_text(encoding="utf-8"))
    served = [command for command, _ in told].index("ledger serve &")
    assert asked(shell, [command for command, _ in told[:served]]) == [
        answer for _, answer in told[:served]
    ]
    port = free_port()
    with serving(shell, port) as server:
        (line,) = told[served][1]
        assert server.address in line.replace("8000", str(port))
        rest = told[served + 1 :]
        commands = [command.replace("127.0.0.1:8000", f"127.0.0.1:{port}") for command, _ in rest]
        answers = asked(shell, commands)
        for (command, shown), answered in zip(rest, answers, strict=True):
            assert len(answered) == len(shown), (command, answered)
            for line, answer in zip(shown, answered, strict=True):
                assert is_shown(line, answer), (command, answer)
        assert server.stop() == (0, "")


def test_the_readme_names_the_two_commands_of_a_fresh_checkout() -> None:
    text = README.read_text(encoding="utf-8")
    helped = subprocess.run(
        [sys.executable, README.with_name("run.py"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for word in ("demo", "test"):
        assert f"python3 run.py {word}" in text
        assert word in helped


def test_the_readme_stays_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < LINES_MAX
