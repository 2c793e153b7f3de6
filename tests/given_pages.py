"""The sample pages that come with the program, read as imported pages are."""

from __future__ import annotations

from importlib.resources import files

from ledger.importing.page import StatedPage, parse


def load_samples() -> tuple[StatedPage, ...]:
    """Return the sample pages in the order of their names."""
    folder = files("ledger").joinpath("samples")
    pages = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".txt")),
        key=lambda entry: entry.name,
    )
    return tuple(parse(entry.read_bytes(), entry.name) for entry in pages)
