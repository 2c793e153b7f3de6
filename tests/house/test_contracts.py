"""Who may import whom: every contract in pyproject.toml is broken once, in a copy of the tree."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.repo

# contract -> the file to spoil (made if it is missing) and the line to add at its end
BREACHES = {
    "staircase": ("src/ledger/content.py", "import ledger.events"),
    "questions": ("projections/policy.py", "import projections.verdict"),
    "language": ("projections/policy.py", "import ledger.store"),
    "core": ("src/ledger/events.py", "import projections.policy"),
    "verifier": ("src/ledger/verifier/log.py", "import ledger.transparency.merkle"),
    "http": ("src/ledger/codec.py", "import fastapi"),
    "terminal": ("src/ledger/events.py", "import typer"),
    "database": ("src/ledger/codec.py", "import sqlite3"),
    "engine": ("src/ledger/events.py", "import eventsourcing.domain"),
    "circles": ("src/ledger/vocabulary.py", "import ledger.content"),
}
STRANGERS = {"staircase": "src/ledger/stranger.py", "questions": "projections/stranger.py"}


def contracts() -> dict[str, str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {each["id"]: each["name"] for each in settings["tool"]["importlinter"]["contracts"]}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", "static", "templates", "samples")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=ignored)
    shutil.copytree(ROOT / "projections", tmp_path / "projections", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree: Path, *contract: str) -> subprocess.CompletedProcess[str]:
    chosen = [f"--contract={each}" for each in contract]
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache", *chosen],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": f"{tree / 'src'}:{tree}", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def spoil(file: Path, line: str) -> None:
    with file.open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")


def test_every_contract_has_its_breach() -> None:
    assert set(BREACHES) == set(contracts())


def test_an_untouched_copy_keeps_every_contract(copy: Path) -> None:
    run = lint(copy)
    assert run.returncode == 0, run.stdout
    assert f"Contracts: {len(BREACHES)} kept, 0 broken." in run.stdout


@pytest.mark.parametrize("contract", BREACHES)
def test_a_forbidden_import_breaks_its_contract(copy: Path, contract: str) -> None:
    file, line = BREACHES[contract]
    spoil(copy / file, line)
    run = lint(copy, contract)
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"{contracts()[contract]} BROKEN" in run.stdout


@pytest.mark.parametrize("contract", STRANGERS)
def test_a_module_without_a_step_breaks_the_staircase(copy: Path, contract: str) -> None:
    spoil(copy / STRANGERS[contract], "")
    run = lint(copy, contract)
    assert run.returncode == 1, run.stdout + run.stderr
    assert ".stranger" in run.stdout


def test_the_verifier_may_know_the_language_alone() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = {each["id"]: each for each in settings["tool"]["importlinter"]["contracts"]}
    language = {one.rpartition(" ")[2] for one in found["language"]["ignore_imports"]}
    folder = ROOT / "src" / "ledger"
    modules = {f"ledger.{file.stem}" for file in folder.glob("[a-z]*.py")}
    modules |= {f"ledger.{file.parent.name}" for file in folder.glob("*/__init__.py")}
    forbidden = set(found["verifier"]["forbidden_modules"])
    assert modules - language - {"ledger.verifier"} <= forbidden


def test_the_package_ledger_imports_nothing() -> None:
    # An import here would run before every other module of the package, which no contract sees.
    tree = ast.parse((ROOT / "src" / "ledger" / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not imports


FIRST = """
import importlib, os, sys, traceback
import eventsourcing.persistence, fastapi, psycopg_pool, pydantic_settings, rich, typer, uvicorn
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(f"{name} cannot be imported first")
"""
"""Imports each module in a process that has imported nothing of ours before."""


@pytest.mark.slow
def test_every_module_can_be_imported_first() -> None:
    names = [name for name in _modules() if not name.endswith("__main__")]
    run = subprocess.run(
        [sys.executable, "-c", FIRST, *names], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def _modules() -> Iterator[str]:
    for top in (ROOT / "src", ROOT):
        for package in ("ledger", "projections"):
            for file in sorted((top / package).rglob("*.py")):
                parts = file.relative_to(top).with_suffix("").parts
                yield ".".join(part for part in parts if part != "__init__")
