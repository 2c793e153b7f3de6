"""What can be done at the command line of the ledger's own machine?  One function per command.

It asks the service and prints what came of it; it must never decide what the ledger decides.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import typer
import uvicorn
from pydantic import TypeAdapter, ValidationError

from ledger import __version__, actors, console, errors, service
from ledger.application import OPERATOR
from ledger.console import Exit
from ledger.settings import Settings
from ledger.vocabulary import ActorId, Gate, Line, PolicyVersion, Prose, Scope, now
from projections import ROLL_CALL

Answer = TypeVar("Answer")

STOP_S_MAX: Final = 10
"""How long a server that was told to stop lets running requests finish, in seconds."""

EPILOG: Final = (
    "Exit codes: 0 done; 1 refused, with one sentence and its code on stderr; 2 the command line "
    "or a setting does not fit; 130 interrupted. Settings are read from the environment "
    "(LEDGER_DATABASE_URL, LEDGER_DATA_DIR, …)."
)

app = typer.Typer(
    name="ledger",
    help="Keep the public record of research outputs as an append-only log of facts.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
importing = typer.Typer(help="Read pages of other publishers into the log.", no_args_is_help=True)
keys = typer.Typer(help="Issue, list and revoke API keys.", no_args_is_help=True)
policy = typer.Typer(help="Say which policy version records are shown under.", no_args_is_help=True)
gate = typer.Typer(help="Say which gates of verification are live.", no_args_is_help=True)
app.add_typer(importing, name="import")
app.add_typer(keys, name="keys")
app.add_typer(policy, name="policy")
app.add_typer(gate, name="gate")

Record = Annotated[str, typer.Argument(metavar="ID", help="A record's id, handle or DOI.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it stays in the log.")]


class Basis(StrEnum):
    """Whose records a policy applies to."""

    CHECKED = "checked"
    STATED = "stated"


def main() -> None:
    """Run the ``ledger`` command."""
    console.run(app)


def _version(asked: bool) -> None:  # noqa: FBT001 - typer calls it with the flag
    if asked:
        console.say(f"ledger {__version__}")
        raise typer.Exit


@app.callback()
def _every_command(
    *,
    _version_asked: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Keep the public record of research outputs as an append-only log of facts."""


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as trouble:
        console.fail(console.misfit(trouble, "LEDGER_"), Exit.USAGE)


@contextmanager
def _opened() -> Iterator[service.Service]:
    with service.Service(_settings()) as opened:
        yield opened


def _wait(work: Coroutine[Any, Any, Answer]) -> Answer:
    return asyncio.run(work)


def _fitting(shape: Any, value: str, option: str) -> str:
    """Return an option's value if it fits; the ledger's own types say what fits."""
    try:
        fitted: str = TypeAdapter(shape).validate_python(value)
    except ValidationError as trouble:
        message = console.misfit(trouble).strip()
        raise typer.BadParameter(message, param_hint=option) from trouble
    return fitted


# ---------------------------------------------------------------- the ledger as a whole


@app.command()
def init() -> None:
    """Create the ledger that LEDGER_DATABASE_URL names; one that exists is left as it is."""
    settings = _settings()
    if service.create(settings):
        console.say(f"Created the ledger {settings.database_path}.")
    else:
        console.say(f"The ledger {settings.database_path} exists already; nothing was changed.")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port; 0 takes any free one.")
    ] = 8000,
    *,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Print one line per request to stderr.")
    ] = False,
) -> None:
    """Serve the pages and the API until Ctrl-C; running requests are finished first."""
    from ledger.web import create_app  # noqa: PLC0415 - only this command needs the web, and it is big

    settings = _settings()
    with service.Service(settings):
        # Opened and closed once: whatever is wrong with the database is said before we listen.
        pass
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as trouble:
        console.fail(f"Cannot listen on {host} port {port}: {trouble.strerror}.")
    config = uvicorn.Config(
        create_app(service.Service(settings)),
        log_level="info" if access_log else "warning",
        access_log=access_log,
        workers=1,
        timeout_graceful_shutdown=STOP_S_MAX,
    )
    server = _Server(config)
    # A supervisor's stop and Ctrl-C end the same way: finished, and with exit code 0.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
    if not server.started:
        raise SystemExit(Exit.REFUSED)


class _Server(uvicorn.Server):
    """A server that says where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or []:
            host, port = listening.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            console.say(f"Serving the ledger at http://{shown}:{port} (Ctrl-C stops it)")


@app.command()
def rebuild(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help=f"One of {', '.join(ROLL_CALL)}; all by default."),
    ] = None,
) -> None:
    """Rebuild views from the log; readers see the old ones until the new ones are whole."""
    if name is not None and name not in ROLL_CALL:
        message = f"there is no view {name!r}; there are {', '.join(ROLL_CALL)}"
        raise typer.BadParameter(message, param_hint="NAME")


# ---------------------------------------------------------------- records


@app.command()
def show(record: Record, *, as_json: AsJson = False) -> None:
    """Show the current public view of a record."""
    with _opened() as opened:
        view = _wait(opened.record(record))
    if view is None:
        raise errors.RecordUnknown
    if as_json:
        console.say(json.dumps(view, ensure_ascii=False, indent=2))
        return
    verdict, tier, level = view["verdict"], view["tier"], view["level"]
    corrections = view["corrections"]
    console.pairs(
        {
            "record": view["record_id"],
            "handle": view["handle"],
            "title": view["title"],
            "publisher": view["publisher"],
            "submitted": view["submitted_on"],
            "verdict": f"{verdict['label']} ({verdict['basis']}): {verdict['reason']['text']}",
            "gate": verdict["gate_label"],
            "level": f"L{level['level']} {level['label']}",
            "tier": f"{tier['label']} ({tier['source']})",
            "review score": view["review"] and view["review"]["mean"],
            "doi": view["doi"],
            "corrections": f"{corrections['state']}, {corrections['count']}",
            "standing": corrections["standing"],
            "superseded by": view["superseded_by"],
            "basis": f"{view['basis']}, policy {view['policy']['version']}",
            "version": f"{view['version']} at position {view['position']}",
            "recorded": view["recorded_at"],
        }
    )


@app.command()
def history(record: Record, *, as_json: AsJson = False) -> None:
    """Show everything that happened to a record, in order."""
    with _opened() as opened:
        record_id = _wait(opened.ledger.resolve(record))
        rows = _wait(opened.history(record_id))
    if not rows:
        raise errors.RecordUnknown
    if as_json:
        console.say(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    console.table(
        ("version", "position", "recorded", "type", "actor", "basis"),
        [
            (
                row["version"],
                row["position"],
                row["recorded_at"],
                row["type"],
                row["event"]["actor"],
                row["event"]["basis"]["kind"],
            )
            for row in rows
        ],
    )


# ---------------------------------------------------------------- keys


@keys.command("create")
def create_key(
    name: Annotated[
        str, typer.Option(metavar="N", help="The actor who will hold the key, such as pipeline-1.")
    ],
    scope: Annotated[
        list[Scope],
        typer.Option(metavar="S", help=f"What it may do; repeatable: {', '.join(Scope)}."),
    ],
) -> None:
    """Issue an API key; it is printed once, as the last line, and can never be shown again."""
    holder = _fitting(ActorId, name, "--name")
    with _opened() as opened:
        key, _receipt = _wait(opened.ledger.issue_key(holder, tuple(scope), OPERATOR))
    console.note(f"A key for {holder} with {', '.join(scope)}; keep it, it is not shown again:")
    console.say(key)


@keys.command("list")
def list_keys() -> None:
    """List every key that was issued, by its id; the keys themselves are not known."""
    with _opened() as opened:
        states = [json.loads(stored.body) for stored in opened.store.documents(actors.VIEW)]
    states.sort(key=lambda state: (state["holder"], state["key_id"]))
    console.table(
        ("name", "key id", "scopes", "state"),
        [
            (
                state["holder"],
                state["key_id"],
                ",".join(state["scopes"]),
                "revoked" if state["revoked"] else "valid",
            )
            for state in states
        ],
    )


@keys.command("revoke")
def revoke_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The actor who holds the key.")],
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As `ledger keys list` shows.")],
    reason: Reason,
) -> None:
    """Revoke an API key; requests that bear it are refused from now on."""
    holder = _fitting(ActorId, name, "NAME")
    why = _fitting(Line, reason, "--reason")
    with _opened() as opened:
        _wait(opened.ledger.revoke_key(holder, key_id, OPERATOR, why))
    console.say(f"Revoked the key {key_id} of {holder}.")


# ---------------------------------------------------------------- what is in force


@policy.command("adopt")
def adopt_policy(
    version: Annotated[PolicyVersion, typer.Argument(metavar="VERSION", help="v1 or v2.")],
    applies_to: Annotated[
        Basis,
        typer.Option("--for", help="Records that the ledger checked, or that a source stated."),
    ],
    reason: Reason,
) -> None:
    """Show all records of one basis under another policy version from now on."""
    why = _fitting(Prose, reason, "--reason")
    with _opened() as opened:
        receipt = _wait(
            opened.ledger.adopt_policy(version, applies_to.value, why, OPERATOR)  # type: ignore[arg-type]
        )
    console.say(
        f"Records with basis {applies_to} are under policy {version} since position "
        f"{receipt.position}."
    )


@gate.command("activate")
def activate_gate(
    which: Annotated[Gate, typer.Argument(metavar="GATE", help="gate-2 or gate-3.")],
    on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day it went live; today by default."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="What the pages call it.")] = None,
) -> None:
    """Record that a gate went live; evaluations of a gate that is not live are refused."""
    called = _fitting(Line, label, "--label") if label is not None else None
    day = (on or now()).date()
    with _opened() as opened:
        receipt = _wait(opened.ledger.activate_gate(which, day, OPERATOR, called))
    console.say(f"{which} is live since {day} (position {receipt.position}).")
