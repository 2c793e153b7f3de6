#!/usr/bin/env python3
"""Set up this project and run it: one file, the standard library and nothing else.

    python3 run.py demo         serve the bundled samples on this machine
    python3 run.py test         run every gate; with further arguments, pytest alone with those
    python3 run.py wheel-test   build the wheel and test it away from the source tree

Packages go into .venv at the versions of requirements/*.lock and nowhere else.  They are installed
again only when a lock or pyproject.toml has changed.  Where pip fetches from is for your own pip
configuration to say.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
DEMO = ROOT / ".demo"
LOCKS = ROOT / "requirements"
STAMP = "installed.json"
PYTHON_MIN = (3, 11)
STARTUP_S_MAX = 300
CORES_MAX = 4
"""Of how many cores tests make use: each has servers of its own, which want memory."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_PACKAGES = ("chromium", "fonts-dejavu-core")
BROWSER_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
BROWSER_START_S_MAX = 180
DPKG_STATUS = Path("/var/lib/dpkg/status")

WHEEL_TOPS = {"ledger", "projections"}
NOT_DATA = {".py", ".pyc", ".db"}


class Stop(Exception):
    """The run cannot go on; the message says why and what to do about it."""


def say(line: str) -> None:
    """Print one line at once, also when the output is a file."""
    print(line, flush=True)


# ------------------------------------------------------------------------------- processes


def surroundings(venv: Path | None = None, **extra: str) -> dict[str, str]:
    """Return the environment for a child: ours, with the venv first and nothing that leaks in."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env.pop("VIRTUAL_ENV", None)
    path = env.get("PATH") or os.defpath
    if venv is not None:
        path = f"{venv / 'bin'}{os.pathsep}{path}"
        env["VIRTUAL_ENV"] = str(venv)
    return {**env, "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **extra}


def quietly(what: str, command: list[str | Path], *, env: dict[str, str], cwd: Path = ROOT) -> str:
    """Run a command, return its output, and show that output only if the command fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        say(done.stdout.rstrip())
        raise Stop(f"{what} failed: {shlex.join(map(str, command))}")
    return done.stdout


def step(name: str, command: list[str | Path], env: dict[str, str]) -> None:
    """Run one gate and report it on one line; its output is shown only if it fails."""
    began = time.monotonic()
    quietly(name, command, env=env)
    say(f"{name}: ok ({time.monotonic() - began:.1f} s)")


def is_root() -> bool:
    """Return whether we may install system packages."""
    return os.geteuid() == 0


def apt_environment() -> dict[str, str]:
    """Return an environment in which apt asks nothing and finds the tools of the administrator."""
    path = f"{os.environ.get('PATH') or os.defpath}:/usr/local/sbin:/usr/sbin:/sbin"
    return surroundings(PATH=path, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")


def apt_install(*packages: str) -> None:
    """Install system packages; for root only."""
    env = apt_environment()
    say(f"installing {' and '.join(packages)} with apt")
    quietly("apt-get update", ["apt-get", "update"], env=env)
    command: list[str | Path] = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    quietly("apt-get install", command, env=env)


# ----------------------------------------------------------------------------- environment


def digest(*paths: Path) -> str:
    """Return one SHA-256 over the bytes of some files."""
    total = hashlib.sha256()
    for path in paths:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def ensure_venv_module() -> None:
    """Make sure that this Python can create virtual environments."""
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if not (is_root() and shutil.which("apt-get")):
        raise Stop(
            f"This Python cannot create virtual environments: install the package {package}"
            f" (on Debian: apt install {package}), then run this again."
        )
    apt_install(package)


def stamp_of(venv: Path) -> dict[str, str]:
    """Read what a virtual environment holds; one that was moved or made by others holds nothing."""
    try:
        stamp: dict[str, str] = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if stamp.get("at") == str(venv) else {}


def create_venv(venv: Path) -> Path:
    """Return the Python of a virtual environment, creating it where it is missing or broken."""
    python = venv / "bin" / "python"
    probe: list[str | Path] = [
        python,
        "-c",
        "import pip, sys; sys.exit(sys.version_info < (3, 11))",
    ]
    if stamp_of(venv) and python.exists():
        works = subprocess.run(probe, env=surroundings(), capture_output=True, check=False)
        if works.returncode == 0:
            return python
    ensure_venv_module()
    say(f"creating {venv.relative_to(ROOT)} with Python {sys.version.split()[0]}")
    quietly("venv", [sys.executable, "-m", "venv", "--clear", venv], env=surroundings())
    (venv / STAMP).write_text(json.dumps({"at": str(venv)}), encoding="utf-8")
    return python


def install(venv: Path, *locks: str) -> Path:
    """Bring a virtual environment to the state of some locks; return its Python."""
    python = create_venv(venv)
    for lock in locks:
        path = LOCKS / f"{lock}.lock"
        stamp = stamp_of(venv)
        if stamp.get(lock) == digest(path):
            continue
        say(f"installing the packages of {path.relative_to(ROOT)}")
        pip: list[str | Path] = [python, "-m", "pip", "install", "--require-hashes", "-r", path]
        if lock == "outside":
            # Some ask for a newer Python than the one at hand, and run on it all the same.
            pip.append("--ignore-requires-python")
        quietly("pip install", pip, env=surroundings(venv))
        stamp[lock] = digest(path)
        (venv / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    return python


def install_project(python: Path) -> None:
    """Install this project so that the source tree is what runs."""
    stamp = stamp_of(VENV)
    wanted = digest(ROOT / "pyproject.toml")
    if stamp.get("project") == wanted:
        return
    say("installing the project, editable")
    pip: list[str | Path] = [python, "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
    quietly("pip install", [*pip, "--editable", ROOT], env=surroundings(VENV))
    stamp["project"] = wanted
    (VENV / STAMP).write_text(json.dumps(stamp), encoding="utf-8")


# --------------------------------------------------------------------------------- browser


def browser_starts(path: Path) -> bool:
    """Return whether a browser really starts and renders a page."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        page = "data:text/html,<p>it renders</p>"
        command: list[str | Path] = [
            path,
            *BROWSER_FLAGS,
            f"--user-data-dir={profile}",
            "--dump-dom",
            page,
        ]
        env = surroundings(HOME=profile)
        try:
            done = subprocess.run(
                command, env=env, capture_output=True, timeout=BROWSER_START_S_MAX, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return b"<p>it renders</p>" in done.stdout


def browser_on_path() -> Path | None:
    """Return the first browser of this machine that starts."""
    places = os.pathsep.join([os.environ.get("PATH") or os.defpath, "/usr/bin", "/usr/local/bin"])
    for name in BROWSERS:
        found = shutil.which(name, path=places)
        if found and browser_starts(Path(found)):
            return Path(found)
    return None


def fetch_browser(folder: Path) -> Path:
    """Unpack Debian's Chromium, and what this machine lacks for it, into a folder of our own.

    apt works here on lists and an archive folder that belong to the user; only the knowledge of
    what is installed already is the system's.  Nothing is installed, so nothing needs root.
    """
    state, cache, tree = folder / "state", folder / "cache", folder / "tree"
    for place in (state / "lists" / "partial", cache / "archives" / "partial", tree):
        place.mkdir(parents=True, exist_ok=True)
    own: list[str | Path] = ["apt-get", "-o", f"Dir::State={state}", "-o", f"Dir::Cache={cache}"]
    own += ["-o", f"Dir::State::status={DPKG_STATUS}", "-o", "Debug::NoLocking=true"]
    say(f"fetching {' and '.join(BROWSER_PACKAGES)} into {folder.relative_to(ROOT)}")
    env = apt_environment()
    quietly("apt-get update", [*own, "update"], env=env)
    want: list[str | Path] = ["install", "-y", "--no-install-recommends", "--download-only"]
    quietly("apt-get download", [*own, *want, *BROWSER_PACKAGES], env=env)
    for archive in sorted((cache / "archives").glob("*.deb")):
        quietly("dpkg-deb", ["dpkg-deb", "--extract", archive, tree], env=env)
    shutil.rmtree(cache)
    shutil.rmtree(state)

    libraries = sorted(
        {
            str(library.parent)
            for top in ("lib", "usr/lib")
            for library in (tree / top).rglob("*.so*")
            if library.suffix == ".so" or ".so." in library.name
        }
    )
    fonts = shlex.quote(str(tree / "etc/fonts"))
    wrapper = folder / "chromium"
    wrapper.write_text(
        "#!/bin/sh\n"
        "# Made by run.py: starts the browser that was unpacked beside this file.\n"
        f"export LD_LIBRARY_PATH={shlex.quote(os.pathsep.join(libraries))}\n"
        f"export XDG_DATA_HOME={shlex.quote(str(tree / 'usr/share'))}\n"
        f"[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_PATH={fonts}\n"
        f'exec {shlex.quote(str(tree / "usr/lib/chromium/chromium"))} "$@"\n',
        encoding="utf-8",
    )
    wrapper.chmod(0o755)
    return wrapper


def ensure_browser() -> Path:
    """Return a Chromium that starts, installing or fetching one where there is none."""
    given = os.environ.get("LEDGER_TEST_CHROMIUM")
    if given:
        if browser_starts(Path(given)):
            return Path(given)
        raise Stop(f"LEDGER_TEST_CHROMIUM names {given}, but no browser starts there.")
    own = TOOLS / "chromium" / "chromium"
    found = browser_on_path() or (own if browser_starts(own) else None)
    if found:
        return found
    if shutil.which("apt-get"):
        if is_root():
            apt_install(*BROWSER_PACKAGES)
            found = browser_on_path()
        else:
            shutil.rmtree(own.parent, ignore_errors=True)
            wrapper = fetch_browser(own.parent)
            found = wrapper if browser_starts(wrapper) else None
    if found:
        return found
    raise Stop(
        "The tests need Chromium and none starts here: install it (on Debian: apt install chromium)"
        " or name one in LEDGER_TEST_CHROMIUM, then run this again."
    )


# ---------------------------------------------------------------------------------- tests


def counts(report: Path) -> dict[str, int]:
    """Read how many tests passed, failed and were skipped from a report of pytest."""
    total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in ET.parse(report).iter("testsuite"):  # noqa: S314 - pytest wrote it just now
        for name in total:
            total[name] += int(suite.get(name, 0))
    failed = total["failures"] + total["errors"]
    passed = total["tests"] - failed - total["skipped"]
    return {"passed": passed, "failed": failed, "skipped": total["skipped"]}


def pytest(command: list[str | Path], *, cwd: Path, env: dict[str, str]) -> dict[str, int]:
    """Run pytest on every core with its output in sight; stop unless every test passed."""
    cores = str(max(2, min(CORES_MAX, os.cpu_count() or 1)))
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        code = subprocess.run(
            [*command, "-n", cores, "--dist=worksteal", f"--junit-xml={report}"],
            cwd=cwd,
            env=env,
            check=False,
        ).returncode
        tally = counts(report) if report.exists() else {}
    if code != 0:
        passed, failed = tally.get("passed", 0), tally.get("failed", 0)
        raise Stop(f"pytest ended with code {code}\n{passed} passed, {failed} failed")
    return tally


def test(arguments: list[str]) -> None:
    """Run every gate in order, cheapest first; or pytest alone, with the arguments given."""
    python = install(VENV, "dev")
    install_project(python)
    install(TOOLS / "outside", "outside")
    browser = ensure_browser()
    env = surroundings(VENV, LEDGER_TEST_CHROMIUM=str(browser))
    tools = VENV / "bin"
    if arguments:
        os.chdir(ROOT)
        os.execve(tools / "pytest", [str(tools / "pytest"), *arguments], env)  # noqa: S606
    step("ruff check", [tools / "ruff", "check"], env)
    step("ruff format --check", [tools / "ruff", "format", "--check"], env)
    step("mypy", [tools / "mypy"], env)
    step("lint-imports", [tools / "lint-imports"], env)
    say("pytest:")
    tally = pytest([tools / "pytest"], cwd=ROOT, env=env)
    wheel_test()
    say(", ".join(f"{tally[word]} {word}" for word in ("passed", "failed", "skipped")))


def data_files() -> set[str]:
    """List the files beside the code that must reach the wheel, by their names in it."""
    return {
        path.relative_to(top.parent).as_posix()
        for top in (ROOT / "src" / "ledger", ROOT / "projections")
        for path in top.rglob("*")
        if path.is_file() and path.suffix not in NOT_DATA and "__pycache__" not in path.parts
    }


def build(python: Path, folder: Path) -> Path:
    """Build the source archive, and from it (not from this tree) the wheel."""
    env = surroundings(VENV)
    hatchling: list[str | Path] = [python, "-m", "hatchling", "build", "-d", folder]
    quietly("sdist", [*hatchling, "-t", "sdist"], env=env)
    (archive,) = folder.glob("*.tar.gz")
    unpacked = folder / "unpacked"
    shutil.unpack_archive(archive, unpacked)
    (source,) = unpacked.iterdir()
    quietly("wheel", [*hatchling, "-t", "wheel"], env=env, cwd=source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def inspect(wheel: Path) -> None:
    """Refuse a wheel with a stray top level or without one of its data files."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.split("/")[0] for name in names}
    tops = {top for top in tops if not top.endswith(".dist-info")}
    if tops != WHEEL_TOPS:
        raise Stop(f"The wheel should hold {sorted(WHEEL_TOPS)} and holds {sorted(tops)}.")
    missing = sorted(data_files() - names)
    if missing:
        raise Stop(f"The wheel lacks {', '.join(missing)}.")


def wheel_test() -> None:
    """Test the built wheel in an empty folder, where the source tree cannot stand in for it."""
    began = time.monotonic()
    builder = install(VENV, "dev")
    venv = TOOLS / "wheel-venv"
    python = install(venv, "dev")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        wheel = build(builder, folder)
        inspect(wheel)
        pip: list[str | Path] = [python, "-m", "pip", "install", "--no-deps", "--force-reinstall"]
        quietly("pip install", [*pip, "--no-index", wheel], env=surroundings(venv))
        room = folder / "room"
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / "tests", room / "tests", ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", room)
        say(f"wheel test: {wheel.name}")
        chosen = ("-q", "-p", "no:cacheprovider", "-m", "not repo and not browser and not slow")
        env = surroundings(venv)
        tally = pytest([venv / "bin" / "pytest", *chosen], cwd=room, env=env)
    say(f"wheel test: ok, {tally['passed']} passed ({time.monotonic() - began:.1f} s)")


# ----------------------------------------------------------------------------------- demo


def demo(host: str, port: int) -> int:
    """Serve the samples from a SQLite file in .demo until interrupted."""
    seen_at = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - only compared
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((seen_at, port)) == 0:
            raise Stop(f"Port {port} is taken; choose another with --port.")
    locks = ("dev",) if "dev" in stamp_of(VENV) else ("runtime", "build")
    install_project(install(VENV, *locks))
    address = f"http://{seen_at}:{port}"
    env = surroundings(
        VENV,
        LEDGER_DATABASE_URL=f"sqlite:///{DEMO / 'ledger.db'}",
        LEDGER_DATA_DIR=str(DEMO),
        LEDGER_BASE_URL=address,
    )
    ledger = VENV / "bin" / "ledger"
    ready = DEMO / "ready"
    if new := not ready.exists():
        shutil.rmtree(DEMO, ignore_errors=True)
        DEMO.mkdir()
    step("ledger init", [ledger, "init"], env)
    if new:
        step("ledger import samples", [ledger, "import", "samples"], env)
        ready.touch()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the server below ends with us
    server = subprocess.Popen([ledger, "serve", "--host", host, "--port", str(port)], env=env)
    try:
        deadline = time.monotonic() + STARTUP_S_MAX
        while server.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((seen_at, port)) == 0:
                    say(f"Open {address} (Ctrl-C ends the demo; delete .demo to begin afresh)")
                    there = [
                        f"{n}={shlex.quote(v)}" for n, v in env.items() if n[:10] == "LEDGER_DAT"
                    ]
                    say(f"A key: {' '.join(there)} {ledger} keys create --name me --scope admin")
                    break
            time.sleep(0.1)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait()


# ------------------------------------------------------------------------------------ door


def main() -> int:
    """Read the command line and do what it says; the exit code is 0 only if all went well."""
    if sys.version_info < PYTHON_MIN:
        say(f"This project needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
        return 2
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serving = commands.add_parser("demo", help="serve the bundled samples on this machine")
    serving.add_argument("--host", default="127.0.0.1")
    serving.add_argument("--port", type=int, default=8000)
    commands.add_parser("test", help="run every gate; further arguments go to pytest alone")
    commands.add_parser("wheel-test", help="build the wheel and test it in an empty folder")
    arguments, rest = parser.parse_known_args()
    if rest and arguments.command != "test":
        parser.error(f"unknown arguments: {shlex.join(rest)}")
    try:
        if arguments.command == "demo":
            return demo(arguments.host, arguments.port)
        if arguments.command == "test":
            test(rest)
        else:
            wheel_test()
    except Stop as reason:
        say(str(reason))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
