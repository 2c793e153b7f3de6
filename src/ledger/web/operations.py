"""Is it alive, is it ready, what has it counted?  The addresses for those who run the ledger.

They change nothing, need no key and are answered also when the store is away.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ledger import errors, metrics, vocabulary
from ledger.transparency.log_status import status_of
from ledger.web import urls
from ledger.worker import Standing
from projections.table import Standing as Written
from projections.views import ViewsBusy, ViewsClosed, ViewsDamaged, ViewsUnavailable

if TYPE_CHECKING:
    from ledger.metrics import Metrics
    from ledger.service import Service

JSON: Final = "application/json"
READY: Final = "ready"
DEGRADED: Final = "degraded"
NOT_READY: Final = "not-ready"
AWAY: Final = (ViewsBusy, ViewsClosed, ViewsDamaged, ViewsUnavailable)
"""What the views say when they cannot be asked."""


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found: whether the process can do its work, and what there is to know."""

    state: str
    told: dict[str, Any]


def router(service: Service, counted: Metrics) -> list[Route]:
    """Return the routes of liveness, readiness and metrics over a service."""
    watch = Watch(service, counted)
    return [
        Route(urls.HEALTHZ, alive),
        Route(urls.READYZ, watch.ready),
        Route(urls.METRICS, watch.metrics),
    ]


async def alive(_request: Request) -> Response:
    """Answer that the process lives; asks nothing of anybody."""
    return Response(b'{"status":"alive"}', media_type=JSON)


class Watch:
    """Looks at one service; each look ends within the configured timeout."""

    def __init__(self, service: Service, counted: Metrics) -> None:
        """Look at ``service`` and read ``counted``."""
        self._service = service
        self._metrics = counted
        self._limit_s = service.settings.timeout_s

    async def ready(self, _request: Request) -> Response:
        """Answer each check by its name: 200 when requests can be served, else 503.

        A view that an event stopped is named and makes the answer ``degraded``, still with 200:
        every process would say the same, and appends and the other reads go on.  So does a log
        that can publish nothing more.
        """
        looks = {
            "store": self._store,
            "artifacts": self._artifacts,
            "views": self._views,
            "projector": self._projector,
            "log": self._log,
        }
        # All at once, so that together they take no longer than one may.
        found_out = await asyncio.gather(*map(self._checked, looks.values()))
        checks = dict(zip(looks, found_out, strict=True))
        found = {check.state for check in checks.values()}
        state = next(each for each in (NOT_READY, DEGRADED, READY) if each in found)
        told = {name: {"status": check.state, **check.told} for name, check in checks.items()}
        status = HTTPStatus.SERVICE_UNAVAILABLE if state == NOT_READY else HTTPStatus.OK
        return Response(
            json.dumps({"status": state, "checks": told}, ensure_ascii=True),
            status_code=status,
            media_type=JSON,
            headers={"Cache-Control": "no-store"},
        )

    async def metrics(self, _request: Request) -> Response:
        """Answer the metrics in the text format of Prometheus."""
        await self._measured()
        return Response(self._metrics.text(), headers={"Content-Type": metrics.MEDIA_TYPE})

    # ------------------------------------------------------------ checks

    async def _checked(self, check: Callable[[], Awaitable[Check]]) -> Check:
        """Return what a check finds, within the timeout; a trouble is one sentence."""
        try:
            async with asyncio.timeout(self._limit_s):
                return await check()
        except TimeoutError:
            return Check(NOT_READY, {"detail": f"No answer within {self._limit_s:g} seconds."})
        except errors.Refusal as refusal:
            return Check(NOT_READY, {"detail": refusal.detail, "code": refusal.code})
        except OSError as trouble:
            return Check(NOT_READY, {"detail": f"{trouble.strerror or trouble}."})
        except AWAY as trouble:
            what = " ".join(str(trouble).split()) or type(trouble).__name__
            return Check(NOT_READY, {"detail": f"The views cannot be read: {what}."})

    async def _store(self) -> Check:
        await asyncio.to_thread(self._service.store.check)
        return Check(READY, {"position": await self._service.store.position()})

    async def _artifacts(self) -> Check:
        await asyncio.to_thread(self._write_artifact)
        return Check(READY, {})

    def _write_artifact(self) -> None:
        folder = self._service.settings.data_dir
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"ready?")

    async def _views(self) -> Check:
        standings = await self._standings(await self._service.store.position())
        states = {name: self._state(standing) for name, standing in standings.items()}
        found = set(states.values())
        state = next((each for each in (NOT_READY, DEGRADED) if each in found), READY)
        told = {
            name: {
                "status": states[name],
                "position": standing["position"],
                "lag": standing["lag"],
                "stopped_by": standing["error"],
            }
            for name, standing in standings.items()
        }
        return Check(state, {"views": told})

    async def _standings(self, head: int) -> dict[str, Standing]:
        """Return how every view stands while the log ends at ``head``, whoever keeps it up."""
        written = await asyncio.to_thread(self._service.views.standings)
        found = {}
        for name in self._service.projector.status():
            view = written.get(name, Written())
            # The current view is written with the appends: its checkpoint is that of a rebuild.
            position = head if name == self._service.view_name else view.checkpoint.position
            lag = max(0, head - position)
            # Only what is written: a process that remembers an error may not know of its end.
            found[name] = Standing(position=position, lag=lag, error=view.error)
        return found

    def _state(self, standing: Standing) -> str:
        if standing["error"] is not None:
            return DEGRADED
        return NOT_READY if standing["lag"] > self._service.settings.lag_max else READY

    async def _projector(self) -> Check:
        leads = await asyncio.to_thread(self._service.views.leads)
        return Check(READY, {"place": self._service.settings.projector.value, "leads": leads})

    async def _log(self) -> Check:
        log = self._service.log
        if log.standing.trouble is not None:
            return Check(DEGRADED, {"detail": log.standing.trouble, "code": log.standing.code})
        told = await asyncio.to_thread(status_of, self._service.store, log)
        signed = told["published"]
        return Check(
            READY,
            {
                "signed": told["origin"] is not None,
                "size": told["size"],
                "published": signed["size"] if signed else 0,
                "witnesses": told["witnesses"],
            },
        )

    # ------------------------------------------------------------ metrics

    async def _measured(self) -> None:
        """Ask for the figures that nobody counts as they happen."""
        counted = self._metrics
        counted.queue_depth.set(self._service.store.waiting)
        counted.queue_max.set(self._service.settings.queue_max)
        try:
            async with asyncio.timeout(self._limit_s):
                position = await self._service.store.position()
                standings = await self._standings(position)
                leads = await asyncio.to_thread(self._service.views.leads)
                ages = await asyncio.to_thread(self._ages, standings)
                log = await asyncio.to_thread(status_of, self._service.store, self._service.log)
        except (TimeoutError, errors.Unavailable, *AWAY):
            # What cannot be asked now keeps its last figure; that it cannot is a figure itself.
            counted.store_up.set(0)
            return
        counted.store_up.set(1)
        counted.position.set(position)
        counted.leader.set(leads)
        counted.log_told(log)
        for view, standing in standings.items():
            counted.view_position.labels(view).set(standing["position"])
            counted.view_lag.labels(view).set(standing["lag"])
            counted.view_lag_s.labels(view).set(ages[view])
            counted.view_stopped.labels(view).set(standing["error"] is not None)

    def _ages(self, standings: dict[str, Standing]) -> dict[str, float]:
        """Return for each view the age in seconds of the first event that it does not hold yet."""
        return {view: self._age(standing["position"]) for view, standing in standings.items()}

    def _age(self, position: int) -> float:
        for row in self._service.store.rows(after=position, upto=position + 1, page=1):
            return max(0.0, (vocabulary.now() - row.recorded_at).total_seconds())
        return 0.0
