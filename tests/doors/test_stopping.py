"""A server that is told to stop under load finishes what it took: a real process, real clients."""

from __future__ import annotations

import json
import signal
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from given_service import ANSWER_S
from given_terminal import Server, done, serving

pytestmark = pytest.mark.slow

CLIENTS = 8
ENOUGH = 200


class Load:
    """Clients that submit records until the server takes no more."""

    def __init__(self, address: str, key: str) -> None:
        self.answered: set[str] = set()
        self.trouble: list[str] = []
        self.enough = threading.Event()
        self._address = address
        self._key = key
        self._threads = [threading.Thread(target=self._submit) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _submit(self) -> None:
        with httpx.Client(base_url=self._address, timeout=ANSWER_S) as client:
            while True:
                title = str(uuid.uuid4())
                body = {"content": {"title": title, "publisher": "Example Research"}}
                sent = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": title}
                try:
                    answer = client.post("/v1/records", json=body, headers=sent)
                except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError):
                    # Not taken any more; what the log says of it is looked at below.
                    return
                if answer.status_code != 201:
                    self.trouble.append(answer.text)
                    return
                self.answered.add(title)
                if len(self.answered) >= ENOUGH:
                    self.enough.set()

    def ended(self) -> None:
        for thread in self._threads:
            thread.join(2 * ANSWER_S)
            assert not thread.is_alive()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Server, str]]:
    done(tmp_path, "init")
    key = done(tmp_path, "keys", "create", "--name", "pipeline", "--scope", "submit").split()[-1]
    with serving(tmp_path) as server:
        yield server, key


def logged(folder: Path) -> list[str]:
    """Return the title of every submission in the log, asked of a server of its own."""
    with (
        serving(folder) as server,
        httpx.Client(base_url=server.address, timeout=ANSWER_S) as client,
    ):
        position = json.loads(client.get("/readyz").text)["checks"]["store"]["position"]
        titles, cursor = [], None
        while True:
            page = client.get(
                "/v1/records",
                params={"limit": 100} | ({"cursor": cursor} if cursor else {}),
                headers={"Ledger-Position": str(position)},
            ).json()
            titles += [item["title"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                return titles


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_what_was_taken_is_answered_and_what_was_answered_is_in_the_log(
    server: tuple[Server, str], tmp_path: Path, by: signal.Signals
) -> None:
    running, key = server
    load = Load(running.address, key)
    assert load.enough.wait(300)
    code, err = running.stop(by)
    load.ended()
    assert (code, err, load.trouble) == (0, "", [])
    titles = logged(tmp_path)
    assert len(titles) == len(set(titles))
    assert set(titles) == load.answered
