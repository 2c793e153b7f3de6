"""What the README shows is what happens: its transcript is typed into a real shell."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from given_terminal import environment, serving

README = Path(__file__).parents[2] / "README.md"
MARK = "--- the next command ---"
LINES_MAX = 120

pytestmark = [pytest.mark.repo, pytest.mark.slow]


def transcript() -> list[tuple[str, list[str]]]:
    """Return each command of the README's transcript with the lines that it shows as its answer."""
    text = README.read_text(encoding="utf-8")
    (block,) = re.findall(r"(?ms)^```console\n(.*?)^```", text)
    told: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            told.append((line.removeprefix("$ "), []))
        else:
            told[-1][1].append(line)
    return told


def is_shown(line: str, answer: str) -> bool:
    """Whether an answer is what a line of the README shows; ``…`` stands for anything."""
    wanted = ".*".join(map(re.escape, " ".join(line.split()).split("…")))
    return re.fullmatch(wanted, " ".join(answer.split())) is not None


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """A folder with a ``ledger`` command, such as an installation would have put on the path."""
    command = tmp_path / "bin" / "ledger"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ledger "$@"\n')
    command.chmod(0o755)
    return tmp_path


def typed(folder: Path, commands: list[str]) -> list[list[str]]:
    """Type commands into one bash; return what each of them answered."""
    env = environment(
        folder, LEDGER_DATABASE_URL="sqlite:///ledger.db", LEDGER_DATA_DIR="ledger-data"
    )
    env["PATH"] = f"{folder / 'bin'}:{env['PATH']}"
    script = "".join(f"{command}\necho; echo '{MARK}'\n" for command in commands)
    ran = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    answers = ran.stdout.split(f"{MARK}\n")[:-1]
    return [[line for line in answer.splitlines() if line] for answer in answers]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_the_transcript_is_what_happens(shell: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the README's transcript needs curl")
    told = transcript()
    served = [command for command, _ in told].index("ledger serve &")
    assert typed(shell, [command for command, _ in told[:served]]) == [
        answer for _, answer in told[:served]
    ]
    port = free_port()
    with serving(shell, port) as server:
        (line,) = told[served][1]
        assert server.address in line.replace("8000", str(port))
        rest = told[served + 1 :]
        commands = [command.replace("127.0.0.1:8000", f"127.0.0.1:{port}") for command, _ in rest]
        answers = typed(shell, commands)
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
