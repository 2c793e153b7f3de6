"""A server outlives its PostgreSQL: clear refusals while it is away, then service again.

Real processes and a real PostgreSQL, stopped and killed.
"""

from __future__ import annotations

import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import given_postgres
from given_service import ANSWER_S
from given_terminal import Server, done, ledger, refused, serving
from given_views import eventually
from ledger.logs import REPEAT_S

pytestmark = pytest.mark.slow

BACK_S_MAX = 240
HASTY = {"LEDGER_TIMEOUT_S": "3"}
"""For a server that sees its database away: so long does each look at it take."""
BODY = {"content": {"title": "A small study", "publisher": "Example Research"}}


@pytest.fixture(scope="module")
def machine() -> Iterator[given_postgres.Server]:
    with given_postgres.running() as server:
        yield server


@pytest.fixture
def database(machine: given_postgres.Server) -> Iterator[given_postgres.Database]:
    name = f"ledger_{uuid.uuid4().hex}"
    yield machine.create_database(name)
    machine.drop_database(name)


@pytest.fixture
def founded(database: given_postgres.Database, tmp_path: Path) -> given_postgres.Database:
    done(tmp_path, "init", LEDGER_DATABASE_URL=database.owner_url)
    return database


def settings(database: given_postgres.Database) -> dict[str, str]:
    return {"LEDGER_DATABASE_URL": database.app_url}


def posted(server: Server, key: str, name: str) -> httpx.Response:
    sent = {"Authorization": f"Bearer {key}", "Idempotency-Key": name}
    return httpx.post(f"{server.address}/v1/records", json=BODY, headers=sent, timeout=ANSWER_S)


def issued(folder: Path, database: given_postgres.Database) -> str:
    words = ("keys", "create", "--name", "pipeline", "--scope", "submit")
    return done(folder, *words, **settings(database)).split()[-1]


def got(server: Server, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{server.address}{path}", headers=headers, timeout=ANSWER_S)


def answered(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask until the database is there; return the answer.

    A hasty server may find it away also when only the machine stands still for a while, and what
    appends finds it back a little later than what reads.
    """
    deadline = time.monotonic() + BACK_S_MAX
    while (answer := ask()).status_code == 503:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    return answer


def taken(server: Server, key: str, name: str) -> httpx.Response:
    """Return the answer to an append that is taken."""
    answer = answered(lambda: posted(server, key, name))
    assert answer.status_code == 201, answer.text
    return answer


def back(server: Server) -> None:
    """Wait until the server is ready again."""
    assert answered(lambda: got(server, "/readyz")).status_code == 200


def caught_up(server: Server, position: str) -> None:
    """Wait until the list has reached a position."""
    named = {"Ledger-Position": position}
    assert answered(lambda: got(server, "/v1/records", **named)).status_code == 200


def is_away(answer: httpx.Response) -> None:
    """Look that an answer is the refusal of a database that is away."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "store-unavailable"
    assert int(answer.headers["Retry-After"]) >= 1
    # Where the database is concerns nobody outside.
    assert "127.0.0.1" not in answer.text


def looks_away(server: Server, key: str) -> None:
    """Look that everything says that the database is away, and nothing hangs or fails."""
    assert got(server, "/healthz").status_code == 200
    ready = got(server, "/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "not-ready")
    store: dict[str, Any] = ready.json()["checks"]["store"]
    assert store["status"] == "not-ready"
    assert store["detail"].endswith(".")
    for path in ("SRCH:00000000", "10.5281/zenodo.1", str(uuid.uuid4())):
        is_away(got(server, f"/v1/records/{path}"))
    is_away(got(server, "/v1/records"))
    asked = {"records": ["SRCH:1"]}
    is_away(httpx.post(f"{server.address}/v1/status", json=asked, timeout=ANSWER_S))
    is_away(posted(server, key, "away"))
    assert "\nledger_store_up 0.0\n" in got(server, "/metrics").text


def is_quiet(err: str, since: float) -> None:
    """Look that the log complains in sentences, without tracebacks and not at every request."""
    assert "Traceback" not in err
    assert "psycopg" not in err
    same = r"^\S+ | \(and \d+ more like it\)| \[\S+\]$|\d+"
    said = Counter(re.sub(same, "", line) for line in err.splitlines())
    assert 0 < len(said) < 40, err
    assert max(said.values()) <= 2 + (time.monotonic() - since) / REPEAT_S, err


def test_a_server_that_starts_without_its_database_serves_when_it_comes(
    machine: given_postgres.Server, founded: given_postgres.Database, tmp_path: Path
) -> None:
    key, since = issued(tmp_path, founded), time.monotonic()
    machine.stop()
    try:
        with serving(tmp_path, 0, **settings(founded) | HASTY) as server:
            for _ in range(3):
                looks_away(server, key)
            machine.start()
            back(server)
            taken(server, key, "there")
            code, err = server.stop()
    finally:
        machine.stop()
        machine.start()
    assert code == 0
    is_quiet(err, since)


def test_a_database_that_dies_in_mid_flight_is_found_again(
    machine: given_postgres.Server, founded: given_postgres.Database, tmp_path: Path
) -> None:
    key, since = issued(tmp_path, founded), time.monotonic()
    with serving(tmp_path, 0, **settings(founded) | HASTY) as server:
        first = taken(server, key, "first")
        machine.kill()
        try:
            looks_away(server, key)
        finally:
            machine.start()
        back(server)
        # The same answer as before, and not a second record.
        assert taken(server, key, "first").json() == first.json()
        record = f"/v1/records/{first.json()['handle']}"
        assert answered(lambda: got(server, record)).status_code == 200
        later = taken(server, key, "away")
        assert later.json()["position"] == first.json()["position"] + 1
        caught_up(server, later.headers["Ledger-Position"])
        # That the views go on is said before what comes next is taken in.
        caught_up(server, taken(server, key, "next").headers["Ledger-Position"])
        code, err = server.stop()
    assert code == 0
    is_quiet(err, since)
    # Whoever is hindered says so once, and then that it is over; a machine that stands still may
    # hinder them again.
    for away, again in (
        (
            "ledger.views: The database of the views does not answer",
            "ledger.views: The database of the views answers again, after ",
        ),
        ("ledger.worker: The views wait", "ledger.worker: The views go on."),
    ):
        said = [line for line in err.splitlines() if away in line or again in line]
        assert len(said) >= 2, (away, err)
        assert (away in said[0], again in said[1]) == (True, True), said


def test_a_server_stops_also_while_its_database_is_away(
    machine: given_postgres.Server, founded: given_postgres.Database, tmp_path: Path
) -> None:
    machine.stop()
    try:
        with serving(tmp_path, 0, **settings(founded) | HASTY) as server:
            assert got(server, "/readyz").status_code == 503
            code, err = server.stop()
    finally:
        machine.start()
    assert code == 0
    assert "Traceback" not in err


def test_a_role_that_is_not_known_is_one_sentence(
    founded: given_postgres.Database, tmp_path: Path
) -> None:
    url = founded.server.url(founded.name, "stranger")
    wrong = {"LEDGER_DATABASE_URL": url} | HASTY
    eventually(lambda: "stranger" in refused(tmp_path, "keys", "list", **wrong))
    why = 'role "stranger" does not exist'
    with serving(tmp_path, 0, **wrong) as server:
        eventually(lambda: why in got(server, "/readyz").json()["checks"]["store"]["detail"])


def test_a_database_without_a_ledger_is_refused_and_init_named(
    database: given_postgres.Database, tmp_path: Path
) -> None:
    sentence = refused(tmp_path, "serve", "--port", "0", **settings(database))
    assert "ledger init" in sentence
    assert "[not-initialised]" in sentence


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM ledger.schema_migrations", "ledger init"),
        ("INSERT INTO ledger.schema_migrations VALUES (9999, 'later', '')", "9999"),
    ],
)
def test_another_schema_is_refused_at_the_start(
    founded: given_postgres.Database, tmp_path: Path, statement: str, words: str
) -> None:
    founded.server.execute(statement, founded.name)
    sentence = refused(tmp_path, "serve", "--port", "0", **settings(founded))
    assert words in sentence


def test_init_says_what_it_found(database: given_postgres.Database, tmp_path: Path) -> None:
    own = {"LEDGER_DATABASE_URL": database.owner_url}
    assert done(tmp_path, "init", **own).startswith("Created the ledger postgresql://")
    assert "nothing was changed" in done(tmp_path, "init", **own)
    # Whoever only serves can neither migrate nor give rights, and is not told that all is well.
    serves = ledger(tmp_path, "init", LEDGER_DATABASE_URL=database.app_url)
    assert serves.returncode == 0
    assert serves.stdout.endswith(" exists already, in this program's schema.\n")
    assert serves.stderr.startswith("Rights were not looked at: this role does not own the ledger.")


def test_a_role_that_did_not_make_the_views_is_told_which_one_serves(
    founded: given_postgres.Database, tmp_path: Path
) -> None:
    done(tmp_path, "rebuild", **settings(founded))
    with serving(tmp_path, LEDGER_DATABASE_URL=founded.owner_url) as server:
        answer = got(server, "/readyz")
    assert answer.status_code == 503
    assert "serve as the role that made them" in answer.json()["checks"]["views"]["detail"]


def test_a_password_is_never_said(tmp_path: Path) -> None:
    port = given_postgres.free_port()
    url = f"postgresql://me:s3cret-word@127.0.0.1:{port}/ledger?connect_timeout=1"
    for words in (("init",), ("keys", "list"), ("show", "SRCH:00000000")):
        ended = ledger(tmp_path, *words, LEDGER_DATABASE_URL=url, **HASTY)
        assert ended.returncode == 1
        assert len(ended.stderr.splitlines()) == 1
        assert "s3cret" not in ended.stdout + ended.stderr
