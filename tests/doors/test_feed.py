"""The feed of the whole log: pages, lines and live streams, and cursors that prove themselves."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import given_postgres
import given_terminal
from given_service import ANSWER_S, Api, founded, served, settings_in
from ledger.service import Service, create
from ledger.store import Store
from ledger.transparency import merkle
from ledger.transparency.lines import event_line, leaf_of


@contextmanager
def serving(*services: Service) -> Iterator[list[Api]]:
    """Give a client of each of some servers over one ledger."""
    with ExitStack() as stack:
        found = []
        for service in services:
            address = stack.enter_context(served(service))
            client = stack.enter_context(httpx.Client(base_url=address, timeout=ANSWER_S))
            found.append(Api(client, service))
        yield found


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serving(founded(tmp_path_factory.mktemp("feed"))) as (client,):
        for _n in range(3):
            assert client.submit().status_code == 201
        yield client


@pytest.fixture(params=["sqlite", "postgres"])
def twins(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Api]]:
    """Two servers over one ledger."""
    if request.param == "sqlite":
        settings = settings_in(tmp_path)
        create(settings)
    else:
        database = given_postgres.fresh_database()
        create(settings_in(tmp_path, database_url=database.owner_url))
        settings = settings_in(tmp_path, database_url=database.app_url)
    with serving(Service(settings), Service(settings)) as clients:
        yield clients


def root_of(store: Store, size: int) -> str:
    """Return the root over the first events, hashed anew from the rows."""
    return merkle.root_of([leaf_of(row) for row in store.rows(upto=size)]).hex()


def streamed(client: httpx.Client, count: int, query: str = "", **headers: str) -> list[Any]:
    """Return the ids and lines of so many events of a live stream."""
    sent = {"Accept": "text/event-stream", **headers}
    found: list[Any] = []
    with client.stream("GET", f"/v1/events{query}", headers=sent) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        while len(found) < count:
            line = next(lines)
            if line.startswith("id: "):
                name, text = int(line[4:]), next(lines)
                assert text.startswith("data: ")
                found.append((name, text.removeprefix("data: ").encode()))
    return found


def until_free(client: httpx.Client) -> int:
    """Return the answer to one more live stream, once there is room for it or it takes too long."""
    deadline = time.monotonic() + 120
    while True:
        with client.stream("GET", "/v1/events", headers={"Accept": "text/event-stream"}) as answer:
            if answer.status_code == 200 or time.monotonic() > deadline:
                return answer.status_code


# ------------------------------------------------------------ pages


def test_pages_hold_the_lines_of_the_log_and_lead_to_its_end(ledger: Api) -> None:
    store = ledger.service.store
    path: str | None = "/v1/events?limit=3"
    seen: list[bytes] = []
    while path is not None:
        answer = ledger.client.get(path)
        items, told = answer.json()["items"], answer.json()["next"]
        place = items[-1]["position"]
        assert told == {"position": place, "size": place, "root": root_of(store, place)}
        assert answer.headers["Ledger-Log-Root"] == told["root"]
        assert int(answer.headers["Ledger-Log-Size"]) == place
        seen.append(answer.content)
        path = answer.links.get("next", {}).get("url")
    lines = [event_line(row) for row in store.rows()]
    assert len(seen) == -(-len(lines) // 3)
    assert all(any(line in page for page in seen) for line in lines)


def test_lines_are_the_same_bytes_one_each(ledger: Api) -> None:
    answer = ledger.client.get("/v1/events", headers={"Accept": "application/x-ndjson"})
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    wanted = [event_line(row) + b"\n" for row in ledger.service.store.rows()]
    assert answer.content == b"".join(wanted)
    assert int(answer.headers["Ledger-Position"]) == len(wanted)
    assert answer.headers["Vary"] == "Accept"


def test_at_the_end_there_is_an_empty_page_with_the_same_cursor(ledger: Api) -> None:
    head = ledger.service.store.head()
    answer = ledger.client.get(f"/v1/events?after={head}")
    assert answer.json()["items"] == []
    assert answer.json()["next"]["position"] == head
    assert "Link" not in answer.headers


@pytest.mark.parametrize(
    "query",
    [
        "after=-1",
        "after=x",
        "limit=0",
        "limit=1001",
        "size=1",
        "root=" + "a" * 64,
        "size=1&root=" + "a" * 63,
        "size=1&root=" + "A" * 64,
        "size=-1&root=" + "a" * 64,
        "since=1",
        "after=1&after=2",
    ],
)
def test_a_question_that_is_none_is_refused(ledger: Api, query: str) -> None:
    answer = ledger.client.get(f"/v1/events?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")


# ------------------------------------------------------------ cursors


def test_a_cursor_of_this_log_is_followed(ledger: Api) -> None:
    head = ledger.service.store.head()
    for size in range(head + 1):
        root = root_of(ledger.service.store, size)
        answer = ledger.client.get(f"/v1/events?after={size}&size={size}&root={root}")
        assert [item["position"] for item in answer.json()["items"]] == [*range(size + 1, head + 1)]


def test_a_cursor_of_another_log_is_refused(ledger: Api) -> None:
    head = ledger.service.store.head()
    for size in range(head + 1):
        answer = ledger.client.get(f"/v1/events?size={size}&root={'0' * 64}")
        assert (answer.status_code, answer.json()["code"]) == (409, "history-diverged")
        assert answer.json()["root"] == root_of(ledger.service.store, size)
    answer = ledger.client.get(f"/v1/events?size={head + 1}&root={'0' * 64}")
    assert (answer.status_code, answer.json()["head"]) == (409, head)
    answer = ledger.client.get(f"/v1/events?after={head + 1}")
    assert (answer.status_code, answer.json()["code"]) == (409, "history-diverged")
    live = {"Accept": "text/event-stream"}
    answer = ledger.client.get(f"/v1/events?size={head}&root={'0' * 64}", headers=live)
    assert (answer.status_code, answer.json()["code"]) == (409, "history-diverged")


def test_a_restored_copy_that_went_on_otherwise_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with serving(founded(tmp_path / "one")) as (one,):
        one.submit()
    # The copy is older than what the reader sees next, and is then written to on its own.
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    with serving(Service(settings_in(tmp_path / "one"))) as (one,):
        one.submit()
        cursor = one.client.get("/v1/events").json()["next"]
    seen = f"/v1/events?after={cursor['position']}&size={cursor['size']}&root={cursor['root']}"
    with serving(Service(settings_in(tmp_path / "two"))) as (two,):
        shorter = two.client.get(seen)
        while two.service.store.head() < cursor["position"]:
            assert two.submit().status_code == 201
        forked = two.client.get(seen)
    for answer in (shorter, forked):
        assert (answer.status_code, answer.json()["code"]) == (409, "history-diverged")


# ------------------------------------------------------------ live


def test_a_stream_goes_on_behind_what_the_reader_has(ledger: Api) -> None:
    lines = [(row.position, event_line(row)) for row in ledger.service.store.rows()]
    assert streamed(ledger.client, len(lines)) == lines
    assert streamed(ledger.client, len(lines) - 2, "?after=2") == lines[2:]
    again = streamed(ledger.client, len(lines) - 3, "?after=1", **{"Last-Event-ID": "3"})
    assert again == lines[3:]


def test_no_event_is_missed_whichever_process_wrote_it(twins: list[Api]) -> None:
    one, two = twins
    each = 15
    wanted = one.service.store.head() + 2 * each

    def write(client: Api) -> None:
        for _n in range(each):
            assert client.submit().status_code == 201

    with (
        httpx.Client(base_url=one.client.base_url, timeout=ANSWER_S) as reader,
        ThreadPoolExecutor(3) as pool,
    ):
        following = pool.submit(streamed, reader, wanted)
        for written in [pool.submit(write, client) for client in twins]:
            written.result()
        found = following.result()
    assert [position for position, _line in found] == [*range(1, wanted + 1)]
    assert found == [(row.position, event_line(row)) for row in two.service.store.rows()]


def test_a_quiet_stream_beats_and_tells_its_cursor(
    ledger: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.web.feed.HEARTBEAT_S", 0.2)
    store, live = ledger.service.store, {"Accept": "text/event-stream"}
    head = store.head()
    with ledger.client.stream("GET", "/v1/events", headers=live) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("retry: ")
        assert next(line for line in lines if line.startswith("event: ")) == "event: cursor"
        told = json.loads(next(lines).removeprefix("data: "))
        assert told == {"position": head, "size": head, "root": root_of(store, head)}
        assert next(line for line in lines if line.startswith(":")) == ": nothing new"


def test_a_stream_takes_no_limit_and_no_broken_id(ledger: Api) -> None:
    live = {"Accept": "text/event-stream"}
    limited = ledger.client.get("/v1/events?limit=5", headers=live)
    broken = ledger.client.get("/v1/events", headers={**live, "Last-Event-ID": "x"})
    for answer in (limited, broken):
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    head = ledger.client.head("/v1/events", headers=live)
    assert (head.status_code, head.content) == (200, b"")


def test_there_is_a_bound_on_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.web.feed.STREAMS_MAX", 1)
    live = {"Accept": "text/event-stream"}
    with serving(founded(tmp_path)) as (one,):
        with one.client.stream("GET", "/v1/events", headers=live) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("retry: ")
            refused = one.client.get("/v1/events", headers=live)
            assert (refused.status_code, refused.json()["code"]) == (503, "too-many-streams")
            assert "Retry-After" in refused.headers
        # Whoever has gone leaves the place to others, as soon as the server sees it.
        assert until_free(one.client) == 200


def test_a_reader_that_takes_nothing_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.web.feed.STREAMS_MAX", 1)
    monkeypatch.setattr("ledger.web.feed.SEND_S_MAX", 0.5)
    with serving(founded(tmp_path)) as (client,), socket.socket() as idle:
        text = "W" * 49_000
        content = {"title": "T", "publisher": "P", "note": text, "research_question": text}
        # More than the sockets of both ends can hold.
        for _n in range(120):
            assert client.submit(content=content).status_code == 201
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        url = client.client.base_url
        idle.connect((url.host, url.port))
        idle.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
        assert idle.recv(12) == b"HTTP/1.1 200"
        assert until_free(client.client) == 200
        # It was let go in the midst of the log, with what had been sent to it by then.
        told = b"".join(iter(lambda: idle.recv(1 << 20), b""))
        assert b"\nid: 1\n" in told
        assert b"\nid: %d\n" % client.service.store.head() not in told


def test_a_server_that_stops_ends_its_streams(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    create(settings)
    with (
        given_terminal.serving(tmp_path) as server,
        httpx.Client(base_url=server.address, timeout=ANSWER_S) as client,
        client.stream("GET", "/v1/events", headers={"Accept": "text/event-stream"}) as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines).startswith("retry: ")
        assert next(line for line in lines if line.startswith("data: "))
        server.process.send_signal(signal.SIGTERM)
        # The stream is ended as a whole answer is, and nobody waits for the limit on stopping: who
        # reaches it says so.
        assert [line for line in lines if line.startswith("id: ")] == ["id: 2", "id: 3", "id: 4"]
        _out, err = server.process.communicate(timeout=ANSWER_S)
        assert (server.process.returncode, err) == (0, "")
