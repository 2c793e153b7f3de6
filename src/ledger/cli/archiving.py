"""How is a whole ledger taken out and brought back?  ``ledger export`` and ``import archive``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger import errors, moving
from ledger.archive.form import Manifest
from ledger.cli import console, given
from ledger.transparency.notes import encoded
from ledger.worker import Poison


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The archive; made when missing.")],
) -> None:
    """Write the log as static files, or bring such an archive up to date."""
    settings = given.signing()
    with console.progress("exporting", 0) as told:
        report, trouble = moving.export_archive(settings, folder, told)
    manifest = report.manifest
    console.say(
        f"Exported {manifest.size} events to {folder}; {report.kept} were there already, "
        f"{report.copied} artifacts were copied.",
        _root(manifest),
    )
    if report.left:
        why = f": {trouble}" if trouble else "."
        console.note(
            f"No checkpoint covers the last {report.left} events, which are not in it{why}"
        )
    for digest in manifest.artifacts.missing:
        console.note(f"missing or damaged: {digest}")


def archive(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An archive that was exported.")],
    *,
    vkey: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="The key that has to have signed it.", show_default=False),
    ] = None,
) -> None:
    """Make a ledger out of an archive, the same to the byte; the database must hold none."""
    settings = given.settings()
    try:
        with console.progress("importing", 0) as told:
            read, anew = moving.import_archive(settings, folder, vkey, told)
    except Poison as poison:
        message = f"An event of the archive fits into no view ({poison})."
        raise errors.BrokenArchive(message) from poison
    manifest, name = read.manifest, settings.database_shown
    if anew:
        console.say(f"Imported {manifest.size} events into {name}.")
    else:
        console.say(f"The ledger {name} held these {manifest.size} events already.")
    console.say(_root(manifest))
    console.say("Lists and searches are made when it is served, or by ledger rebuild.")
    if manifest.signed and vkey is None:
        console.note("The archive's own key was used: give --vkey to know who signed it.")
    for digest in manifest.artifacts.missing:
        console.note(f"missing from the archive: {digest}")


def _root(manifest: Manifest) -> str:
    """Return the root as a checkpoint writes it, in base64; the manifest has it in hexadecimal."""
    signed = "signed" if manifest.signed else "not signed"
    return f"Root {encoded(bytes.fromhex(manifest.root))}, {signed} for {manifest.origin}."
