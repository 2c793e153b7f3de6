"""How do the rooms come together?  Settings become store, ledger, views and projector, here.

The composition root: the only room that hands a projection's fold to the write side.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from ledger import errors
from ledger.application import OPERATOR, Ledger
from ledger.artifacts import Artifacts
from ledger.differing import CAUSES_BYTES_MAX, CAUSES_MAX, Difference, difference
from ledger.events import PageImported
from ledger.in_force import InForce
from ledger.past import Asked, Seen, seen
from ledger.settings import ProjectorPlace, Settings
from ledger.store import Observer, Store, adapters
from ledger.transparency.keeper import Keeper
from ledger.transparency.key_file import KeyFile
from ledger.transparency.lines import dated_line
from ledger.transparency.notes import SigningKey
from ledger.transparency.opening import open_log
from ledger.vocabulary import moment_text
from ledger.worker import Projector
from projections import ROLL_CALL, public_view, selection
from projections.catalogue import Catalogue
from projections.conflicts import Conflicts
from projections.corrections import Correction, Corrections, corrections_of
from projections.findings import Finding, Findings, examined
from projections.folded import Folded, Logged
from projections.opening import open_views
from projections.views import Views, ViewsBusy, ViewsDamaged, ViewsUnavailable

VIEWS_SUFFIX: Final = ".views"
VERSIONS_MAX: Final = 2**53


def create(settings: Settings) -> adapters.Made:
    """Create or migrate the ledger that the settings name; a new one gets its founding events.

    A new one in a file of its own gets a key for its log, too, unless there is one.
    """
    made = adapters.create(settings.database_url)
    with _open_store(settings) as store:
        asyncio.run(Ledger(store, public_view).found())
    if made == "created" and settings.is_sqlite:
        with contextlib.suppress(errors.LogKeyExists):
            KeyFile(settings.log_key).make(settings.log_name)
    return made


def _open_store(settings: Settings, observe: Observer | None = None) -> Store:
    return adapters.open_store(
        settings.database_url,
        queue_max=settings.queue_max,
        idempotency_days=settings.idempotency_days,
        timeout_s=settings.timeout_s,
        observe=observe,
    )


Answer = TypeVar("Answer")

FOLDING_MAX: Final = 2
"""Pasts and differences that are folded at once, so that no others wait for threads behind them."""


class Service:
    """An opened ledger: everything that doors need, from ``with Service(settings) as service``."""

    store: Store
    views: Views
    ledger: Ledger
    artifacts: Artifacts
    projector: Projector
    log: Keeper

    view_name: Final = public_view.NAME

    observe: Observer | None = None
    """Who hears of each batch of appends; set before the service is entered."""

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; nothing is opened before the service is entered."""
        self.settings = settings
        self._folding = asyncio.Semaphore(FOLDING_MAX)

    def __enter__(self) -> Self:
        """Open store and views and start the projector; refuses NotInitialised, WrongSchema."""
        with contextlib.ExitStack() as opened:
            self._open(opened)
            # Whatever fails on the way closes what was opened before; from here on, leaving does.
            self._opened = opened.pop_all()
        return self

    def _open(self, opened: contextlib.ExitStack) -> None:
        self.store = _open_store(self.settings, self.observe)
        opened.callback(self.store.close)
        self.views = _open_views(self.settings)
        opened.callback(self.views.close)
        self.ledger = Ledger(self.store, public_view)
        self.log = open_log(self.store, self.settings)
        opened.callback(self.log.stop)
        # A database that is older than what was published takes no append from the first on.
        self.log.check()
        self.ledger.may_append = self.log.may_append
        self.artifacts = Artifacts(
            self.settings.data_dir / "artifacts", self.settings.artifact_bytes_max
        )
        self.catalogue = Catalogue(self.views)
        self.conflicts = Conflicts(self.views)
        self.corrections = Corrections(self.views)
        self.findings = Findings(self.views)
        self.projector = Projector(self.store, self.views)
        if self.settings.projector is ProjectorPlace.INSIDE:
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

    def patience(self) -> AbstractAsyncContextManager[None]:
        """Refuse StoreUnavailable to what a server does not answer within LEDGER_TIMEOUT_S.

        A server that keeps its readers waiting holds every thread and connection, and whoever
        stands behind them would wait many times as long.  An append that is given up waiting for
        is carried out all the same.  SQLite's readers wait for nobody.
        """
        if self.settings.is_sqlite:
            return contextlib.nullcontext()
        return _Patience(self.settings.timeout_s)

    async def aside(self, act: Callable[..., Answer], *given: Any) -> Answer:
        """Return what ``act`` gives in a thread of its own; refuses as :meth:`patience` does."""
        async with self.patience():
            return await asyncio.to_thread(act, *given)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with self.patience():
            await self._folding.acquire()
        try:
            yield
        finally:
            self._folding.release()

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

    async def past(self, address: str, question: Asked) -> Seen:
        """Return a record as it was seen or held true in the past; refuses as ``past.seen``."""
        record_id = await self.ledger.resolve(address)
        async with self._turn():
            return await asyncio.to_thread(seen, self.store, selection, record_id, question)

    async def difference(
        self,
        address: str,
        points: Mapping[str, str],
        causes_max: int = CAUSES_MAX,
        bytes_max: int = CAUSES_BYTES_MAX,
    ) -> Difference:
        """Return what changed on a record between two points; refuses as ``differing`` does."""
        record_id = await self.ledger.resolve(address)
        found = partial(
            difference,
            self.store,
            public_view,
            record_id,
            points,
            causes_max=causes_max,
            bytes_max=bytes_max,
        )
        async with self._turn():
            return await asyncio.to_thread(found)

    async def findings_in(self, found: Seen) -> tuple[Finding, ...]:
        """Return the contradictions that today's rules find on a record as it was."""
        return await asyncio.to_thread(lambda: tuple(examined(_folded(found))))

    async def corrections_in(self, found: Seen) -> tuple[Correction, ...]:
        """Return the corrections on a record as it was, in the order of the log."""
        return await asyncio.to_thread(lambda: tuple(corrections_of(_folded(found))))

    async def history(
        self, record_id: str, after: int = 0, upto: int = VERSIONS_MAX
    ) -> list[dict[str, Any]]:
        """Return a record's events in order, each with its place, both times and its leaf.

        Those after a version, up to another, if such are named.
        """
        rows = await self.store.raw.stream(record_id, after, upto - after) if upto > after else []
        return await asyncio.to_thread(lambda: [json.loads(dated_line(row)) for row in rows])

    def begin_log(self, origin: str, reason: str) -> SigningKey:
        """Sign the log under a new name from now on; the first event under it names the old one.

        The old key and the memory of what it published are kept under other names.  Refuses
        LogKeyUnusable for what cannot be a name, and LogKeyExists for the name that it has.
        """
        files = KeyFile(self.settings.log_key)
        last = files.remembered()
        key = files.another(origin)
        before = None if last is None else (last[0].origin, last[0].size, last[0].root)
        # This one fact is appended while nothing else may be, and the memory is kept until it is.
        self.ledger.may_append = lambda: None
        asyncio.run(self.ledger.begin_log(origin, before, reason, OPERATOR))
        self.ledger.may_append = self.log.may_append
        files.begin_anew()
        self.log.check()
        return key

    async def in_force(self) -> InForce:
        """Return the gates and policies in force."""
        return await self.ledger.in_force()

    async def caught_up(self, position: int, view: str | None = None) -> bool:
        """Wait until views have reached a position, within the configured time; False if not.

        Without ``view``, every view that is written behind the log has to be there.
        """
        if position > await self.store.position():
            # The log is not that long, so there is nothing to wait for.
            return False
        names = [view] if view else [projection.NAME for projection in ASYNCHRONOUS]
        return await self.projector.reached(names, position, self.settings.wait_s)


class _Patience:
    """What :meth:`Service.patience` gives.

    A class, because every append goes through it, and a generator would cost as much again.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._timeout = asyncio.timeout(limit_s)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as late:
            message = f"The database did not answer within {self._limit_s:g} seconds."
            raise errors.StoreUnavailable(message) from late


def _folded(found: Seen) -> Folded:
    """Return a past record as projections are given one."""
    counted = found.counted
    pages = [n for n, e in enumerate(counted, 1) if isinstance(e.event, PageImported)]
    before = None
    if pages and pages[-1] < len(counted):
        imported = selection.folded(e.event for e in counted[: pages[-1]])
        before = public_view.document(imported, found.in_force)
    return Folded(
        record_id=found.record_id,
        entries=tuple(Logged(e.position, e.recorded_at, e.event) for e in counted),
        document=found.document,
        in_force=found.in_force,
        as_imported=before,
    )


def _open_views(settings: Settings) -> Views:
    place = settings.database_url
    if settings.is_sqlite:
        place = f"{settings.database_path}{VIEWS_SUFFIX}"
    try:
        return open_views(place, ASYNCHRONOUS, settings.timeout_s)
    except (ViewsDamaged, ViewsBusy, ViewsUnavailable) as trouble:
        shown = place if settings.is_sqlite else settings.database_shown
        message = (
            f"The views at {shown} cannot be opened ({trouble}); if they are damaged, delete the "
            "file: it is rebuilt from the log."
        )
        raise errors.StoreUnavailable(message) from trouble


ASYNCHRONOUS: Final = tuple(p for p in ROLL_CALL.values() if p is not public_view)
