"""What a page of the documentation shows as a console session, typed into a real shell."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from given_terminal import environment

MARK = "--- the next command ---"


def transcript(text: str) -> list[tuple[str, list[str]]]:
    """Return each command of the one session in a text with the lines shown as its answer.

    A command goes on over lines that are indented.
    """
    (block,) = re.findall(r"(?ms)^```console\n(.*?)^```", text)
    told: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            told.append((line.removeprefix("$ "), []))
        elif not told[-1][1] and line.startswith("    "):
            told[-1] = (f"{told[-1][0]}\n{line}", [])
        else:
            told[-1][1].append(line)
    return told


def is_shown(line: str, answer: str) -> bool:
    """Whether an answer is what a line shows; ``…`` stands for anything."""
    wanted = ".*".join(map(re.escape, " ".join(line.split()).split("…")))
    return re.fullmatch(wanted, " ".join(answer.split())) is not None


def with_command(folder: Path) -> Path:
    """Give a folder a ``ledger`` command, such as an installation would put on the path."""
    command = folder / "bin" / "ledger"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ledger "$@"\n')
    command.chmod(0o755)
    return folder


def typed(folder: Path, commands: list[str], **settings: str) -> list[list[str]]:
    """Type commands into one bash; return what each of them answered."""
    env = environment(folder, **settings)
    env["PATH"] = f"{folder / 'bin'}:{env['PATH']}"
    script = "".join(f"{command}\necho; echo '{MARK}'\n" for command in commands)
    ran = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    answers = ran.stdout.split(f"{MARK}\n")[:-1]
    return [[line for line in answer.splitlines() if line] for answer in answers]
