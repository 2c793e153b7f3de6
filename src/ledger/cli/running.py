"""How is a ledger made, served and kept in order?  ``ledger init``, ``serve`` and ``rebuild``.

The server that runs here is one process; what it answers is the web's to say.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Final

import typer
import uvicorn

from ledger import errors, logs, service
from ledger.cli import console, given
from ledger.cli.projecting import GC_THRESHOLDS
from ledger.settings import LogFormat, ProjectorPlace
from ledger.worker import Poison
from projections import ROLL_CALL
from projections.views import Overtaken, ViewsBusy

STOP_S_MAX: Final = 10
"""How long a server that was told to stop lets running requests finish, in seconds."""

KEEP_S: Final = 75
"""How long an idle connection is kept, in seconds: longer than clients and proxies keep theirs (5 s
with httpx, 60 s with nginx), so that none is closed just as they send."""

WAITING_CONNECTIONS_MAX: Final = 2_048


def init() -> None:
    """Create the ledger that LEDGER_DATABASE_URL names, or bring it to this program's schema."""
    settings = given.settings()
    name, had_key = settings.database_shown, settings.log_key.exists()
    match service.create(settings):
        case "created":
            console.say(f"Created the ledger {name}.")
            if not had_key and settings.log_key.exists():
                console.say(f"Made the key of its log, {settings.log_name}: {settings.log_key}")
        case "migrated":
            console.say(f"Migrated the ledger {name} to this program's schema.")
        case "unchanged":
            console.say(f"The ledger {name} exists already; nothing was changed.")
        case "not owned":
            console.say(f"The ledger {name} exists already, in this program's schema.")
            console.note(
                "Rights were not looked at: this role does not own the ledger. After a restore, or "
                "to let other roles in, run ledger init as its owner."
            )


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port; 0 takes any free one.")
    ] = 8000,
    *,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Log one line for each request.")
    ] = False,
) -> None:
    """Serve the pages and the API until Ctrl-C; running requests are finished first."""
    from ledger.web import create_app  # noqa: PLC0415 - big, and no other command needs it

    settings = given.settings()
    logs.set_up(as_json=settings.log_format is LogFormat.JSON, access=access_log)
    with service.Service(settings):
        # Opened and closed once: what is wrong with the database is said before anybody connects.
        pass
    app = create_app(service.Service(settings))
    run(app, host, port, "the ledger", app.state.feed.pulse.end)


def run(
    app: Callable[..., Any], host: str, port: int, named: str, end: Callable[[], None] | None = None
) -> None:
    """Serve an application until Ctrl-C; ``named`` says what it is, once it listens.

    ``end`` is called before running requests are waited for, to end those that have no end.
    """
    listening = _listen(host, port)
    config = uvicorn.Config(
        app,
        # Its log goes where ours goes, and the line for each request is written by ourselves.
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_S,
        timeout_graceful_shutdown=STOP_S_MAX,
    )
    server = _Server(config, named, end or (lambda: None))
    # Requests make and drop many small objects; what was imported so far never becomes garbage.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    # A supervisor's stop and Ctrl-C end the same way: what runs is finished, the exit code is 0.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
    if not server.started:
        raise SystemExit(console.Exit.REFUSED)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=WAITING_CONNECTIONS_MAX)
    except OSError as trouble:
        console.fail(f"Cannot listen on {host} port {port}: {os.strerror(trouble.errno or 0)}.")


class _Server(uvicorn.Server):
    """A server that says what it serves and where, once it listens."""

    def __init__(self, config: uvicorn.Config, named: str, end: Callable[[], None]) -> None:
        super().__init__(config)
        self._end = end
        self._named = named

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or []:
            host, port = listening.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            console.say(f"Serving {self._named} at http://{shown}:{port} (Ctrl-C stops it)")


def rebuild(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help=f"One of {', '.join(ROLL_CALL)}; without a name, all of them.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Rebuild views from the log; readers see the old ones until the new ones are whole."""
    if name is not None and name not in ROLL_CALL:
        message = f"There is no view {name!r}; there are {', '.join(ROLL_CALL)}."
        raise typer.BadParameter(message, param_hint="NAME")
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    # Its own projector would begin the same work, and one of the two would be in vain.
    with given.opened(projector=ProjectorPlace.APART) as opened:
        _rebuild(opened, [name] if name else list(ROLL_CALL))


def _rebuild(opened: service.Service, views: list[str]) -> None:
    began = time.monotonic()
    total = given.wait(opened.store.position())
    named = ", ".join(views)
    try:
        with console.progress(named, total) as told:
            opened.projector.rebuild(*views, progress=told)
    except Poison as poison:
        message = f"The views are as they were ({named}): {poison}."
        raise errors.UnreadableEvent(message) from poison
    except Overtaken:
        console.fail(f"Another rebuild of {named} was done first; this one changed nothing.")
    except ViewsBusy as busy:
        raise errors.StoreUnavailable from busy
    seconds = time.monotonic() - began
    rate = total / seconds if seconds else 0
    console.say(f"Rebuilt {named} from {total} events in {seconds:.1f} s ({rate:.0f} events/s).")
