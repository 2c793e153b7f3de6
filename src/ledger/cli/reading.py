"""What does the ledger say of a record?  ``ledger show`` and ``ledger history``.

It prints what the views and the log hold, and leaves out nothing that it was not told to leave out.
"""

from __future__ import annotations

import json
from typing import Any

from ledger import errors
from ledger.cli import console, given


def show(record: given.Record, *, as_json: given.AsJson = False) -> None:
    """Show the current public view of a record."""
    with given.opened() as opened:
        view = given.wait(opened.record(record))
    if view is None:
        raise errors.RecordUnknown
    if as_json:
        console.say(json.dumps(view, ensure_ascii=False, indent=2))
    else:
        console.pairs(_for_people(view))


def _for_people(view: dict[str, Any]) -> dict[str, object]:
    verdict, tier, level = view["verdict"], view["tier"], view["level"]
    corrections = view["corrections"]
    return {
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


def history(record: given.Record, *, as_json: given.AsJson = False) -> None:
    """Show everything that happened to a record, in order."""
    with given.opened() as opened:
        record_id = given.wait(opened.ledger.resolve(record))
        rows = given.wait(opened.history(record_id))
    if not rows:
        raise errors.RecordUnknown
    if as_json:
        console.say(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    columns = ("version", "position", "recorded", "type", "actor", "basis")
    console.table(columns, [_line(row) for row in rows])


def _line(row: dict[str, Any]) -> tuple[object, ...]:
    event = row["event"]
    place = (row["version"], row["position"], row["recorded_at"], row["type"])
    return (*place, event["actor"], event["basis"]["kind"])
