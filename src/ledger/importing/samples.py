"""Which records come with the program?  Five real ones as pages, for demonstrations and tests.

Their figures, dates and defects are facts; their running texts are retold.  They take the same way
as any imported page and are never given to a ledger unasked.
"""

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
