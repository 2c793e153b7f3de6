"""Do the views say what the log says, and what would another policy say?  ``ledger replay``.

It writes nothing: neither to the log nor to the views.
"""

from __future__ import annotations

import gc
import json
import time
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from ledger import errors, past
from ledger.cli import console, given
from ledger.cli.projecting import GC_THRESHOLDS
from ledger.service import ASYNCHRONOUS, Service
from ledger.settings import ProjectorPlace
from ledger.vocabulary import PolicyVersion
from ledger.worker import Poison, replaying
from ledger.worker.repolicing import shifts

SHOWN_MAX: Final = 200
"""Characters of a value in a table."""


def replay(
    to: Annotated[
        str | None,
        typer.Option(
            metavar="POINT",
            help="Fold the log up to a position, or up to a recorded moment or day.",
            show_default=False,
        ),
    ] = None,
    record: Annotated[
        str | None,
        typer.Option(metavar="ID", help=given.RECORD_HELP, show_default=False),
    ] = None,
    policy: Annotated[
        PolicyVersion | None,
        typer.Option(help="Tell what this policy would change instead.", show_default=False),
    ] = None,
    *,
    as_json: given.AsJson = False,
) -> None:
    """Fold the log anew beside the live views and compare them byte by byte.

    It ends with 1 if they differ, or if a view is behind or stopped and could not be compared.

    What has changed since the end of the fold is not compared, and counted.
    """
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    settings = given.settings().model_copy(update={"projector": ProjectorPlace.APART})
    with Service(settings) as opened:
        record_id = None
        if record is not None:
            record_id = given.wait(opened.ledger.resolve(record))
            if not opened.store.rows_of(record_id):
                raise errors.RecordUnknown
        upto = None if to is None else past.position_at(opened.store, {"to": to}, "to")
        try:
            if policy is not None:
                _under(opened, policy, upto, record_id, as_json=as_json)
            else:
                _compared(opened, upto, record_id, as_json=as_json)
        except Poison as poison:
            raise errors.UnreadableEvent(f"The log cannot be folded: {poison}.") from poison


def _compared(opened: Service, upto: int | None, record_id: str | None, *, as_json: bool) -> None:
    head = opened.store.head()
    wanted = {projection.NAME: projection for projection in ASYNCHRONOUS}
    for name in wanted:
        # A view that is behind for the moment is waited for; one that stays behind is told of.
        opened.projector.wait(name, head if upto is None else upto, opened.settings.wait_s)
    began = time.monotonic()
    with console.progress("replaying", head if upto is None else upto) as told:
        found = replaying.replay(
            opened.store, opened.views, wanted, told, upto=upto, record_id=record_id
        )
    seconds = time.monotonic() - began
    if as_json:
        console.say(json.dumps(found.told | {"seconds": seconds}, ensure_ascii=False, indent=2))
    else:
        _tell(found, seconds)
    if not found.is_right:
        raise SystemExit(console.Exit.REFUSED)


def _tell(found: replaying.Replayed, seconds: float) -> None:
    rate = found.events / seconds if seconds else 0
    console.say(
        f"Replayed {found.events} events of {found.records} records up to position "
        f"{found.position} in {seconds:.1f} s ({rate:.0f} events/s).",
        f"Documents: {found.digest}",
    )
    for view, count in found.compared.items():
        console.say(f"Compared with {view}: {count} rows.")
    for view, why in found.passed_over.items():
        console.say(f"Not compared with {view}: {why}.")
    if found.moved_on:
        console.say(f"Changed since, and not compared: {found.moved_on} records.")
    if not found.different:
        others = "No difference in the others." if found.compared else "Nothing was compared."
        console.say(others if found.passed_over else "No difference.")
        return
    console.say(f"Differences: {found.different}.")
    columns = ("view", "record", "field", "expected", "found")
    rows = [(d.view, d.record, d.field, _short(d.expected), _short(d.found))
            for d in found.differences]  # fmt: skip
    console.table(columns, rows)


def _under(
    opened: Service,
    policy: PolicyVersion,
    upto: int | None,
    record_id: str | None,
    *,
    as_json: bool,
) -> None:
    total = opened.store.head() if upto is None else upto
    with console.progress(f"under {policy.value}", total) as told:
        found = [*shifts(opened.store, policy, told, upto=upto, record_id=record_id)]
    if as_json:
        body = {"policy": policy.value, "position": total, "changes": [*map(asdict, found)]}
        console.say(json.dumps(body, ensure_ascii=False, indent=2))
        return
    rows = [(one.handle, one.record_id, one.field, one.now, one.then) for one in found]
    console.table(("handle", "record", "field", "now", f"under {policy.value}"), rows)
    records = len({one.record_id for one in found})
    console.note(f"Policy {policy.value} would change {records} records up to position {total}.")


def _short(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"
