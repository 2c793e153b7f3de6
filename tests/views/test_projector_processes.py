"""Of many projectors in processes of their own one works, and another when it dies.

Real processes, killed without a warning, on SQLite and on a PostgreSQL that is killed as well.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from eventsourcing.persistence import StoredEvent

import given_postgres
from given_patience import PATIENCE_S
from given_terminal import COMMAND, done, environment
from given_views import eventually
from ledger import codec, errors
from ledger.service import VIEWS_SUFFIX
from ledger.store import Append, Store, adapters
from ledger.worker import Projector
from projections import ROLL_CALL, public_view
from projections.opening import open_views
from projections.views import Views, ViewsUnavailable
from view_facts import submitted, uuid

pytestmark = pytest.mark.slow

BEHIND = [name for name in ROLL_CALL if name != public_view.NAME]
SHORT_S = 2
"""The patience of projectors whose server will be away, in seconds: it may run out at any time."""


class Projecting:
    """A ``ledger project`` with metrics."""

    def __init__(self, folder: Path, number: int, **given: str) -> None:
        self._log = folder / f"project-{number}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "project", "--metrics-port", "0"],
                cwd=folder,
                env=environment(folder, **given),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found
        self.address = found[0]

    def metric(self, name: str) -> float:
        """Return a figure of it."""
        text = httpx.get(self.address, timeout=PATIENCE_S).text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])

    def leads(self) -> bool:
        return self.metric("ledger_projector_leader") == 1

    def has_said(self, words: str) -> bool:
        """Whether its log has these words: those said again soon after are left out."""
        return words in self._log.read_text()

    def stop(self) -> None:
        """Tell it to stop as a supervisor does, which has to go well."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE_S)
        log = self._log.read_text()
        assert self.process.returncode == 0, log
        assert "Traceback" not in log


@contextmanager
def projecting(folder: Path, count: int, **given: str) -> Iterator[list[Projecting]]:
    with ExitStack() as ending:
        started = []
        for number in range(count):
            started.append(Projecting(folder, number, **given))
            ending.callback(started[-1].process.communicate)
            ending.callback(started[-1].process.kill)
        yield started


def leader(running: list[Projecting]) -> Projecting:
    """Wait until one of them leads; return it."""
    return eventually(lambda: next((each for each in running if each.leads()), None))


class Shared:
    """A ledger that this process shares with projectors."""

    def __init__(self, store: Store, views: Views, given: dict[str, str]) -> None:
        self.store = store
        self.views = views
        self.given = given
        self.submitted = 0

    def submit(self, count: int = 1) -> int:
        """Append records; return the position of the last one."""
        for _number in range(count):
            self.submitted += 1
            event = submitted(f"Study {self.submitted}")(uuid(self.submitted), 1)
            stored = StoredEvent(
                uuid(self.submitted), 1, codec.topic_of(event), codec.encode(event)
            )
            position = self.store.append(Append((stored,))).result().position
        return position

    def reached(self, position: int) -> bool:
        """Whether every view holds the log up to a position."""
        try:
            written = self.views.standings()
        except ViewsUnavailable:
            return False
        return all(written[name].checkpoint.position >= position for name in BEHIND)

    def dump(self) -> dict[str, list[Any]]:
        with self.views.reading() as reader:
            return {
                table.name: sorted(
                    reader.execute(f"SELECT {', '.join(table.fields)} FROM {table.name}")  # noqa: S608
                )
                for name in BEHIND
                for table in ROLL_CALL[name].TABLES
            }

    def is_whole(self) -> None:
        """Look that the views are what a fold of the log makes of it."""
        found = self.dump()
        # An append that was not acknowledged may have been written all the same.
        written = sum(row.topic.startswith("record.submitted") for row in self.store.rows())
        assert 0 < len(found["catalogue"]) == written <= self.submitted
        Projector(self.store, self.views).rebuild(*BEHIND)
        assert self.dump() == found


@contextmanager
def shared(
    folder: Path, machine: given_postgres.Server | None, patience_s: float = PATIENCE_S
) -> Iterator[Shared]:
    """Give a new ledger, in SQLite or on a server, and projectors this patience with it."""
    with ExitStack() as opened:
        if machine is None:
            owner = app = f"sqlite:///{folder / 'ledger.db'}"
            place = f"{folder / 'ledger.db'}{VIEWS_SUFFIX}"
        else:
            name = f"ledger_{uuid4().hex}"
            database = machine.create_database(name)
            opened.callback(machine.drop_database, name)
            owner, app = database.owner_url, database.app_url
            place = app
        done(folder, "init", LEDGER_DATABASE_URL=owner)
        store = adapters.open_store(app, queue_max=100, idempotency_days=1, timeout_s=PATIENCE_S)
        opened.callback(store.close)
        views = open_views(place, [ROLL_CALL[name] for name in BEHIND], PATIENCE_S)
        opened.callback(views.close)
        given = {"LEDGER_DATABASE_URL": app, "LEDGER_TIMEOUT_S": str(patience_s)}
        yield Shared(store, views, given)


@pytest.fixture(scope="module")
def machine() -> Iterator[given_postgres.Server]:
    with given_postgres.running() as server:
        yield server


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_when_the_leader_is_killed_another_takes_over(
    tmp_path: Path, machine: given_postgres.Server, database: str
) -> None:
    with (
        shared(tmp_path, machine if database == "postgresql" else None) as ledger,
        projecting(tmp_path, 3, **ledger.given) as running,
    ):
        for _kill in range(2):
            eventually(partial(ledger.reached, ledger.submit(30)))
            first = leader(running)
            ledger.submit(5)
            first.process.send_signal(signal.SIGKILL)
            first.process.wait(PATIENCE_S)
            running.remove(first)
        position = ledger.submit()
        eventually(lambda: ledger.reached(position))
        [last] = running
        assert last.leads()
        # It counts what it has done after it has done it.
        eventually(lambda: last.metric('ledger_view_position{view="catalogue"}') == position)
        eventually(lambda: last.metric("ledger_projected_events_total") > 0)
        assert last.metric('ledger_view_lag_events{view="catalogue"}') == 0
        last.stop()
        ledger.is_whole()


def test_a_projector_outlives_its_server(tmp_path: Path, machine: given_postgres.Server) -> None:
    with shared(tmp_path, machine, SHORT_S) as ledger:
        machine.stop()
        try:
            # It starts although the database is away, and goes on when it comes.
            with projecting(tmp_path, 2, **ledger.given) as running:
                assert running[0].metric("ledger_store_up") == 0
                for each in running:
                    eventually(partial(each.has_said, "The views wait"))
                machine.start()
                position = eventually(lambda: _appended(ledger))
                eventually(lambda: ledger.reached(position))
                eventually(partial(leader(running).has_said, "The views go on"))
                machine.kill()
                assert running[0].metric("ledger_store_up") == 0
                machine.start()
                position = eventually(lambda: _appended(ledger))
                eventually(lambda: ledger.reached(position))
                for each in running:
                    each.stop()
                ledger.is_whole()
        finally:
            machine.stop()
            machine.start()


def _appended(ledger: Shared) -> int | None:
    """Append a record if the store has found its server again; return its position."""
    try:
        return ledger.submit()
    except errors.Unavailable:
        return None
