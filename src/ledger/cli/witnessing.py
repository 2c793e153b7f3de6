"""How is a witness made and served?  ``ledger witness keygen``, ``serve`` and ``evidence``.

A witness is a process of its own, best on another machine: it watches logs, and keeps no ledger.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from ledger import logs
from ledger.cli import console, running
from ledger.transparency.key_file import exposed
from ledger.transparency.notes import COSIGNATURE, BadKey, SigningKey, VerifierKey
from ledger.transparency.policy import BadPolicy, parse_policy
from ledger.transparency.witness import BadMemory, Witness, make_memory
from ledger.transparency.witness import evidence as kept

KEY_BYTES_MAX: Final = 4_096

witness = typer.Typer(no_args_is_help=True, help="Watch logs and cosign their checkpoints.")


@witness.command()
def keygen(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="What the witness is called, such as example.org/w1."),
    ],
    key: Annotated[Path, typer.Option("--key", help="The new file that the key goes into.")],
    memory: Annotated[
        Path, typer.Option("--memory", help="The new file that will remember what it cosigned.")
    ],
) -> None:
    """Draw a key for a witness, make its memory, and print the public half of the key."""
    try:
        made = SigningKey.generate(name, COSIGNATURE)
    except BadKey as bad:
        raise typer.BadParameter(f"{bad}.", param_hint="NAME") from bad
    for path in (key, memory):
        if path.exists():
            console.fail(f"There is a file {path} already; it is kept.")
    make_memory(memory, made.verifier)
    descriptor = os.open(key, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{made.secret()}\n")
        file.flush()
        os.fsync(file.fileno())
    console.say(str(made.verifier))


@witness.command()
def serve(
    key: Annotated[Path, typer.Option("--key", help="The file that holds the witness's key.")],
    memory: Annotated[
        Path,
        typer.Option("--memory", help="The file that was made with the key, and no older copy."),
    ],
    watched: Annotated[
        Path,
        typer.Option("--logs", help="The policy whose log lines name the logs to watch."),
    ],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port; 0 takes any free one.")
    ] = 8001,
) -> None:
    """Serve a witness for the logs of a policy until Ctrl-C."""
    from ledger.web.witness import create_app  # noqa: PLC0415 - big, and no other command needs it

    logs.set_up(as_json=False, access=False)
    signing = _key(key)
    try:
        opened = Witness(signing, memory, _watched(watched))
    except BadMemory as bad:
        console.fail(str(bad))
    if warning := exposed(key):
        logging.getLogger("ledger.witness").warning("%s", warning)
    with closing(opened):
        running.run(create_app(opened), host, port, f"the witness {signing.verifier}")


@witness.command()
def evidence(
    memory: Annotated[Path, typer.Option("--memory", help="The memory of the witness.")],
) -> None:
    """Print each checkpoint that was refused though its log's key had signed it, as JSON lines.

    It prints no line where there is none, says so on stderr, and ends with 0 either way.
    """
    try:
        found = kept(memory)
    except BadMemory as bad:
        console.fail(str(bad))
    if not found:
        console.note("There is none: no checkpoint that its log had signed was refused.")
    for each in found:
        told = {
            "origin": each.origin,
            "time": datetime.fromtimestamp(each.time, UTC).isoformat(),
            "why": each.why,
            "request": each.request.decode(),
            "held": each.held.decode() if each.held else None,
        }
        console.say(json.dumps(told, ensure_ascii=False))


def _key(file: Path) -> SigningKey:
    try:
        with file.open("rb") as data:
            key = SigningKey.parse(data.read(KEY_BYTES_MAX).decode("ascii").strip())
    except (BadKey, UnicodeDecodeError):
        console.fail(f"The file {file} holds no key; ledger witness keygen makes one.")
    if key.kind != COSIGNATURE:
        console.fail(f"The file {file} holds the key of a log; ledger witness keygen makes one.")
    return key


def _watched(file: Path) -> list[VerifierKey]:
    try:
        keys = [log.key for log in parse_policy(file.read_bytes()).logs]
    except BadPolicy as bad:
        console.fail(f"The file {file} is no policy: {bad}")
    if not keys:
        console.fail(f"The policy {file} names no log to watch.")
    return keys
