"""Does docker-compose.yml hold what it promises?  Its services by hand, where no engine is at hand.

    python drills/composed.py [--seconds 4] [--keep]

Reads the file itself: commands, environments, roles and the proxy's configuration are those of its
services, with ports and folders of the moment.  Needs nginx (``apt-get install nginx``).  Walks
through a start, a load from 16 clients, a restart of one server and the death of the other.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml
from machine import DrillFailed, Program, free_ports, ran, until, workplace

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import given_postgres  # noqa: E402 - the tests' server, found by the line above

CLIENTS = 16
OURS = (sys.executable, "-m", "ledger")


def interpolated(text: str, env: dict[str, str]) -> str:
    """Return a text of the file as compose reads it: variables, defaults and doubled dollars."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        name, how, default = found["name"], found["how"], found["more"]
        if env.get(name):
            return env[name]
        if how == ":?":
            raise DrillFailed(f"{name}: {default}")
        return default or ""

    return re.sub(r"\$\$|\$\{(?P<name>\w+)(?:(?P<how>:[-?])(?P<more>[^}]*))?\}", value, text)


class Composed:
    """The services of the file, as programs of this machine."""

    def __init__(self, folder: Path) -> None:
        """Read the file; nothing is started yet."""
        self.folder = folder
        self.env = {
            "POSTGRES_PASSWORD": secrets.token_urlsafe(12),
            "LEDGER_API_PASSWORD": secrets.token_urlsafe(12),
        }
        self._file = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
        self.ports = dict(zip(("api-1", "api-2", "proxy"), free_ports(3), strict=True))
        self.postgres = given_postgres.Server(folder / "postgres")
        self.programs: dict[str, Program] = {}
        read = yaml.safe_load(self._file)
        self.services: dict[str, Any] = read["services"]
        self.configs = {name: each["content"] for name, each in read["configs"].items()}

    def put(self, text: str) -> str:
        """Return a text of the file with its hosts and folders replaced by those of the moment."""
        here = {
            "postgres:5432": f"127.0.0.1:{self.postgres.port}",
            "api-1:8000": f"127.0.0.1:{self.ports['api-1']}",
            "api-2:8000": f"127.0.0.1:{self.ports['api-2']}",
            "listen 8000": f"listen 127.0.0.1:{self.ports['proxy']}",
            "/var/lib/ledger": str(self.folder / "ledger-data"),
        }
        text = interpolated(text, self.env)
        for there, place in here.items():
            text = text.replace(there, place)
        return text

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of a service."""
        found = {key: self.put(str(v)) for key, v in self.services[name]["environment"].items()}
        return found | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}

    def command(self, name: str) -> list[str]:
        """Return the command of one of our services."""
        words = self.services[name]["command"]
        own = {"8000": str(self.ports.get(name)), "0.0.0.0": "127.0.0.1"}  # noqa: S104 - replaced
        return [*OURS, *(own.get(word, word) for word in words[1:])]

    def once(self, name: str, *words: str) -> str:
        """Run a command of the program in the environment of a service, and return its answer."""
        return ran([*OURS, *words] if words else self.command(name), **self.environment(name))

    def start(self, name: str) -> None:
        """Start one of our services, and wait for its health check if it has one."""
        program = self.programs.setdefault(
            name,
            Program(name, self.command(name), self.folder / f"{name}.log", self.environment(name)),
        )
        program.start()
        if "healthcheck" in self.services[name]:
            until(f"{name} is healthy", 30, lambda: self.healthy(name))
        say(f"{name}: {' '.join(self.command(name)[3:])}, pid {program.pid}")

    def healthy(self, name: str) -> bool:
        """Whether the health check of a service, as the file has it, ends well."""
        _kind, program, *words = self.services[name]["healthcheck"]["test"]
        own = self.ports.get(name, self.postgres.port)
        words = [word.replace(":8000/", f":{own}/") for word in words]
        known = {"python": sys.executable, "pg_isready": str(self.postgres.bin / "pg_isready")}
        if name == "postgres":
            words.append(f"--port={own}")
        done = subprocess.run(
            [known.get(program, program), *words], capture_output=True, check=False
        )
        return done.returncode == 0

    def database(self) -> None:
        """Make the server as its image does: owner, database and roles; passwords are asked."""
        self.postgres.create()
        self.postgres.start()
        owner = self.services["postgres"]["environment"]["POSTGRES_USER"]
        name = self.services["postgres"]["environment"]["POSTGRES_DB"]
        word = self.env["POSTGRES_PASSWORD"]
        self.postgres.execute(f"CREATE ROLE {owner} SUPERUSER LOGIN PASSWORD '{word}'")
        self.postgres.execute(f"CREATE DATABASE {name} OWNER {owner}")
        roles = self.folder / "roles.sql"
        roles.write_text(interpolated(self.configs["roles"], self.env))
        psql = [self.postgres.bin / "psql", "-v", "ON_ERROR_STOP=1", "-q", "-f", roles]
        ran([*psql, self.postgres.url(name, owner)], **self.env)
        access = self.postgres.folder / "data" / "pg_hba.conf"
        access.write_text(
            re.sub(r"\btrust$", "scram-sha-256", access.read_text(), flags=re.MULTILINE)
        )
        self.postgres.execute("SELECT pg_reload_conf()")
        until("postgres is healthy", 30, lambda: self.healthy("postgres"))
        say(f"postgres: roles made, passwords asked, pid {self.postgres.pid}")

    def proxy(self) -> None:
        """Start nginx with the configuration of the file."""
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if nginx is None:
            raise DrillFailed("There is no nginx here: apt-get install nginx")
        inner = self.folder / "default.conf"
        inner.write_text(self.put(self.configs["proxy"]))
        outer = self.folder / "nginx.conf"
        temps = "".join(
            f"{kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        outer.write_text(
            f"daemon off;\npid {self.folder}/nginx.pid;\nevents {{}}\n"
            f"http {{\n{temps}include {inner};\n}}\n"
        )
        command = [nginx, "-p", self.folder, "-c", outer, "-e", "stderr"]
        program = Program("proxy", command, self.folder / "proxy.log")
        self.programs["proxy"] = program
        program.start()
        until("proxy is healthy", 10, lambda: self.healthy("proxy"))
        say(f"proxy: nginx, pid {program.pid}")

    def stop(self) -> None:
        """Stop what runs, the proxy first."""
        for name in ("proxy", "projector", "api-1", "api-2"):
            if name in self.programs:
                say(f"{name}: stopped, exit code {self.programs[name].stop()}")
        self.postgres.stop()


class Load:
    """Clients that submit records through the proxy, and repeat what was not answered."""

    def __init__(self, address: str, key: str) -> None:
        """Start the clients."""
        self.acknowledged: dict[str, int] = {}
        self.answers: Counter[str] = Counter()
        self._address, self._key = address, key
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._submit) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _submit(self) -> None:
        with httpx.Client(base_url=self._address, timeout=30) as client:
            while not self._stopping.is_set():
                self._until_acknowledged(client, str(uuid.uuid4()))

    def _until_acknowledged(self, client: httpx.Client, title: str) -> None:
        body = {"content": {"title": title, "publisher": "Example Research"}}
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": title}
        while True:
            try:
                answer = client.post("/v1/records", json=body, headers=headers)
            except httpx.TransportError as trouble:
                self.answers[type(trouble).__name__] += 1
                continue
            self.answers[str(answer.status_code)] += 1
            if answer.status_code == 201:  # noqa: PLR2004 - as the API says
                self.acknowledged[title] = answer.json()["position"]
                return
            time.sleep(0.05)

    def stop(self) -> None:
        """Let every client have its last answer."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)


def say(line: str) -> None:
    """Print a line of the walk-through."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def expect(what: str, found: object, wanted: object) -> None:
    """Say what was found; raises DrillFailed when it is not what was wanted."""
    if found != wanted:
        raise DrillFailed(f"{what}: {found}, and not {wanted}")
    say(f"{what}: {found}")


def answered_by(port: int) -> int:
    """Return how many submissions a server has answered, by its own count."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    pattern = r'^ledger_requests_total\{method="POST",route="/v1/records",status="201"\} (\S+)'
    found = re.search(pattern, text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def titles(client: httpx.Client, position: int) -> Iterator[str]:
    """Yield the title of every record in the list, once the list has reached a position."""
    cursor: dict[str, str] = {}
    while True:
        page = client.get(
            "/v1/records",
            params={"limit": 100} | cursor,
            headers={"Ledger-Position": str(position)},
        ).json()
        yield from (item["title"] for item in page["items"])
        if page["next"] is None:
            return
        cursor = {"cursor": page["next"]}


def walk(composed: Composed, seconds: float) -> None:
    """Walk through the file: start, load, a restart, a death, and look at the log."""
    composed.database()
    say(f"migrate: {composed.once('migrate').strip()}")
    say(f"migrate again: {composed.once('migrate').strip()}")
    say(f"log: {composed.once('log').splitlines()[0]}")
    for name in ("api-1", "api-2", "projector"):
        composed.start(name)
    composed.proxy()
    key = composed.once("api-1", "keys", "create", "--name", "drill", "--scope", "submit")
    address = f"http://127.0.0.1:{composed.ports['proxy']}"
    with httpx.Client(base_url=address, timeout=30) as client:
        named = client.get("/readyz", headers={"X-Request-ID": "walk-through"})
        expect("readyz through the proxy", named.json()["status"], "ready")
        expect("the request's name comes back", named.headers["X-Request-ID"], "walk-through")
        expect("metrics through the proxy", client.get("/metrics").status_code, 404)
        load = Load(address, key.split()[-1])
        time.sleep(seconds)
        shares = {name: answered_by(composed.ports[name]) for name in ("api-1", "api-2")}
        say(f"answered by each server: {shares}")
        expect("servers that answer none", sum(not each for each in shares.values()), 0)
        code = composed.programs["api-1"].stop()
        expect("api-1 was told to stop under load, exit code", code, 0)
        time.sleep(seconds / 2)
        composed.start("api-1")
        time.sleep(seconds / 2)
        composed.programs["api-2"].kill()
        say("api-2 was killed under load")
        time.sleep(seconds / 2)
        composed.start("api-2")
        time.sleep(seconds / 2)
        load.stop()
        say(f"answers to the clients: {dict(load.answers)}")
        last = max(load.acknowledged.values())
        listed = Counter(titles(client, last))
        expect("acknowledged", len(load.acknowledged), len(set(load.acknowledged.values())))
        expect("acknowledged and not in the list", len(set(load.acknowledged) - set(listed)), 0)
        expect("in the list and never acknowledged", len(set(listed) - set(load.acknowledged)), 0)
        expect("in the list twice", sum(count > 1 for count in listed.values()), 0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Walk through the compose file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="of load between two steps")
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs")
    asked = parser.parse_args(arguments)
    with workplace("composed", keep=asked.keep) as folder:
        composed = Composed(folder)
        try:
            walk(composed, asked.seconds)
        finally:
            composed.stop()


if __name__ == "__main__":
    main()
