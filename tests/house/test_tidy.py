"""Is the house tidy?  What is not documented, grew too long or went stale fails here."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main

from ledger import __version__, events
from ledger.cli import app
from ledger.codec import decode
from ledger.events import PolicyAdopted
from ledger.service import Service
from ledger.settings import Settings
from ledger.web import create_app, problems
from projections import ROLL_CALL

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LINES_MAX = 400
LONGER = {
    "run.py": 520,  # one file by design: it runs before anything is installed
    "src/ledger/errors.py": 700,  # a list: one class and one sentence for each refusal
}
PYTHON = ("src", "projections", "docs", "benchmarks", "drills")
"""The folders of programs; tests are as long as what they tell."""
FOLDERS = (*PYTHON, "tests", "requirements", ".ci")
TEXTS = {
    ".py",
    ".md",
    ".toml",
    ".lock",
    ".yml",
    ".yaml",
    ".html",
    ".css",
    ".js",
    ".sql",
    ".go",
    ".mjs",
    ".svg",
    ".json",
    ".txt",
    "",
}

pytestmark = pytest.mark.repo


def sources() -> list[Path]:
    found = [file for top in PYTHON for file in (ROOT / top).rglob("*.py")]
    return sorted([*found, ROOT / "run.py"])


def texts() -> Iterator[Path]:
    """Yield every file of the tree that somebody wrote."""
    folders = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*")]
    for file in [*folders, *ROOT.iterdir()]:
        if file.is_file() and file.suffix in TEXTS and "__pycache__" not in file.parts:
            yield file


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def named(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


# ------------------------------------------------------------ sources


@pytest.mark.parametrize("file", sources(), ids=named)
def test_a_source_file_is_short(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGER.get(named(file), LINES_MAX)


@pytest.mark.parametrize("file", sources(), ids=named)
def test_a_module_says_what_it_is_for(file: Path) -> None:
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    assert re.match(r"\S.{20,}", said), f"{named(file)} has no docstring"


def test_no_folder_is_left_out() -> None:
    folders = [top for top in ROOT.iterdir() if top.is_dir() and not top.name.startswith(".")]
    assert {top.name for top in folders if any(top.rglob("*.py"))} <= {*FOLDERS}


def test_the_package_ledger_imports_nothing() -> None:
    tree = ast.parse((ROOT / "src/ledger/__init__.py").read_text(encoding="utf-8"))
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]


def test_nothing_is_left_to_do() -> None:
    # Written backwards, so that this file is not found.
    marks = "|".join(mark[::-1] for mark in ("ODOT", "EMXIF"))
    left = re.compile(rf"\b({marks})\b")
    found = [
        f"{named(file)}: {line.strip()}"
        for file in texts()
        if file.suffix != ".lock"
        for line in file.read_text(encoding="utf-8").splitlines()
        if left.search(line)
    ]
    assert not found


def test_no_package_registry_is_named_anywhere() -> None:
    # Where packages come from is for each machine to say.
    tails = {"pypi": "org", "pythonhosted": "org", "npmjs": "com", "crates": "io",
             "anaconda": "org", "conda": "io", "rubygems": "org"}  # fmt: skip
    hosts = [f"{name}.{tail}" for name, tail in tails.items()]
    found = [
        f"{named(file)}: {host}"
        for file in texts()
        for host in hosts
        if host in file.read_text(encoding="utf-8").lower()
    ]
    assert not found


# ------------------------------------------------------------ documentation


def test_every_setting_is_documented_and_in_the_example() -> None:
    names = [f"LEDGER_{name.upper()}" for name in Settings.model_fields]
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    passwords = sorted(set(re.findall(r"\$\{(\w+):\?", compose)), reverse=True)
    assert re.findall(r"^(\w+)=", example, re.MULTILINE) == [*names, *passwords]
    for name in names:
        assert f"`{name}`" in page("operating.md")
        assert f"{name}: ${{{name}:-" in compose


def test_the_example_settings_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name, value in re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE):
        monkeypatch.setenv(name, value)
    default = {name: field.default for name, field in Settings.model_fields.items()}
    places = {"database_url", "data_dir", "base_url", "projector"}
    for name, value in Settings().model_dump().items():
        assert (value == default[name]) is (name not in places), name


def commands(group: Any, name: str = "ledger") -> Iterator[str]:
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}"


def test_every_command_is_documented() -> None:
    missing = [
        c for c in commands(typer.main.get_command(app)) if f"| `{c}` |" not in page("operating.md")
    ]
    assert not missing


def test_every_view_is_documented() -> None:
    told = page("operating.md").partition("\n## Rebuild\n")[2].partition("\n## ")[0]
    assert not [name for name in ROLL_CALL if f"`{name}`" not in told]


def test_every_route_of_the_api_is_documented() -> None:
    described = create_app(Service(Settings())).openapi()
    rows = re.findall(r"^\| `(/v1/\S*)`", page("api.md"), re.MULTILINE)
    assert sorted(set(rows)) == sorted(described["paths"])
    for path, methods in described["paths"].items():
        assert rows.count(path) == len(methods), path


def test_every_header_of_the_api_is_documented() -> None:
    described = create_app(Service(Settings())).openapi()
    operations = [one for methods in described["paths"].values() for one in methods.values()]
    taken = {
        p["name"] for one in operations for p in one.get("parameters", []) if p["in"] == "header"
    }
    given = {
        h for one in operations for r in one["responses"].values() for h in r.get("headers", {})
    }
    assert not [header for header in taken | given if f"| `{header}` |" not in page("api.md")]


def test_every_refusal_is_documented() -> None:
    codes = [refusal.code for refusal in problems.every_refusal()]
    assert len(codes) == len(set(codes)) > 0
    assert not [code for code in codes if f"| `{code}` |" not in page("api.md")]


def test_every_event_type_is_documented() -> None:
    kinds = get_args(events.AnyEvent)
    assert not [k.TYPE for k in kinds if f"\n## {k.TYPE}\n" not in page("events.md")]


def test_what_is_generated_is_current() -> None:
    ran = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_example_of_the_format_is_a_real_row() -> None:
    row = dict(re.findall(r"^\| `(\w+)` \| `(.*)` \|$", page("ledger-format.md"), re.MULTILINE))
    state = row["state"].encode()
    sealed = b"ledger.payload.v1\n" + bytes.fromhex(row["salt"]) + state
    assert hashlib.sha256(sealed).hexdigest() == row["payload_commitment"]
    event = decode(row["originator_id"], int(row["originator_version"]), row["topic"], state)
    assert isinstance(event, PolicyAdopted)


def test_every_decision_is_in_the_index() -> None:
    folder = DOCS / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    files = sorted(file for file in folder.glob("*.md") if file.name != "README.md")
    assert [file.name[:4] for file in files] == [f"{n:04}" for n in range(1, len(files) + 1)]
    for file in files:
        title = (
            file.read_text(encoding="utf-8").splitlines()[0].removeprefix(f"# {file.name[:4]}: ")
        )
        assert f"| [{file.name[:4]}]({file.name}) | {title} |" in index


def test_every_link_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    broken = [
        f"{named(file)}: {link}"
        for file in pages
        for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", file.read_text(encoding="utf-8"))
        if not (file.parent / link).exists()
    ]
    assert not broken


def test_the_version_is_one_and_the_changelog_has_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
