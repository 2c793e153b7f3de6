"""How do the rooms come together?  Settings become store, ledger, views and projector, here.

The composition root: the only room that hands a projection's fold to the write side.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ledger import errors
from ledger.application import Ledger
from ledger.artifacts import Artifacts
from ledger.in_force import InForce
from ledger.settings import Settings
from ledger.store import Observer, sqlite
from ledger.vocabulary import moment_text
from ledger.worker import Projector
from projections import ROLL_CALL, public_view
from projections.catalogue import Catalogue
from projections.corrections import Corrections
from projections.findings import Findings
from projections.sqlite import Views, ViewsBusy, ViewsDamaged

VIEWS_SUFFIX: Final = ".views"


def create(settings: Settings) -> bool:
    """Create the ledger that the settings name, with its founding events; False if it is there."""
    path = settings.database_path
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    sqlite.create(path)
    with Service(settings) as service:
        asyncio.run(service.ledger.found())
    return True


class Service:
    """An opened ledger: everything that doors need, from ``with Service(settings) as service``."""

    store: sqlite.SQLiteStore
    views: Views
    ledger: Ledger
    artifacts: Artifacts
    projector: Projector

    view_name: Final = public_view.NAME

    observe: Observer | None = None
    """Who hears of each batch of appends; set before the service is entered."""

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; nothing is opened before the service is entered."""
        self.settings = settings

    def __enter__(self) -> Self:
        """Open store and views and start the projector; refuses NotInitialised, WrongSchema."""
        with contextlib.ExitStack() as opened:
            self._open(opened)
            # Whatever fails on the way closes what was opened before; from here on, leaving does.
            self._opened = opened.pop_all()
        return self

    def _open(self, opened: contextlib.ExitStack) -> None:
        path = self.settings.database_path
        self.store = sqlite.open_store(
            path, queue_max=self.settings.queue_max, observe=self.observe
        )
        opened.callback(self.store.close)
        self.views = _views(Path(f"{path}{VIEWS_SUFFIX}"))
        opened.callback(self.views.close)
        self.ledger = Ledger(self.store, public_view)
        self.artifacts = Artifacts(
            self.settings.data_dir / "artifacts", self.settings.artifact_bytes_max
        )
        self.catalogue = Catalogue(self.views)
        self.corrections = Corrections(self.views)
        self.findings = Findings(self.views)
        self.projector = Projector(self.store, self.views)
        self.projector.start()
        opened.callback(self.projector.stop)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the projector, finish what was acknowledged, and let go of the files."""
        self._opened.close()

    async def record(self, address: str) -> dict[str, Any] | None:
        """Return the public view of a record with its place in the log, None for an unknown one."""
        try:
            record_id = await self.ledger.resolve(address)
        except errors.RecordUnknown:
            return None
        stored = await self.store.document(public_view.NAME, record_id)
        if stored is None:
            return None
        view: dict[str, Any] = json.loads(stored.body)
        place = {"position": stored.position, "recorded_at": moment_text(stored.recorded_at)}
        return place | view

    async def history(self, record_id: str) -> list[dict[str, Any]]:
        """Return a record's events in order, each with its place in the log."""
        return [
            {
                "version": row.originator_version,
                "position": row.position,
                "recorded_at": moment_text(row.recorded_at),
                "type": row.topic.rpartition(":")[0],
                "schema_version": int(row.topic.rpartition(":")[2]),
                "event": json.loads(row.state),
            }
            for row in await self.store.stream(record_id)
        ]

    async def in_force(self) -> InForce:
        """Return the gates and policies in force."""
        return await self.ledger.in_force()

    async def caught_up(self, position: int, view: str | None = None) -> bool:
        """Wait until views have reached a position, within the configured time; False if not.

        Without ``view``, every view that is written behind the log has to be there.
        """
        names = [view] if view else [projection.NAME for projection in ASYNCHRONOUS]
        wait = self.settings.wait_s
        reached = [
            await asyncio.to_thread(self.projector.wait, name, position, wait) for name in names
        ]
        return all(reached)


def _views(path: Path) -> Views:
    try:
        return Views(path, ASYNCHRONOUS)
    except (ViewsDamaged, ViewsBusy) as trouble:
        message = (
            f"The views at {path} cannot be opened ({trouble}); if they are damaged, delete the "
            "file: it is rebuilt from the log."
        )
        raise errors.StoreUnavailable(message) from trouble


ASYNCHRONOUS: Final = tuple(p for p in ROLL_CALL.values() if p is not public_view)
