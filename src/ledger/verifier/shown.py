"""Does a target without tables show what its log says?  Documents of a server, bytes of an archive.

What is needed of each event is written down while the log is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from ledger.in_force import InForce
from ledger.verifier.archive import Archive
from ledger.verifier.log import EVENTS, EVERY, Handler, Row
from ledger.verifier.notebook import Notebook
from ledger.verifier.remote import Remote
from ledger.verifier.report import Report
from ledger.verifier.views import LEDGER, TOLD_MAX, Facts, folded, members, read, records
from ledger.vocabulary import moment_text
from projections import public_view

FACTS: Final = "SELECT stream, version, position, at, topic, state FROM fact"


class Bytes:
    """The public artifacts of an archive."""

    def __init__(self, archive: Archive, notebook: Notebook, report: Report) -> None:
        """Begin before the first event."""
        self._archive = archive
        self._notebook = notebook
        self._report = report

    def handlers(self) -> Mapping[str, Handler]:
        """Return what has to see the events of a topic."""
        return {"artifact.attached:1": self._attached}

    def _attached(self, row: Row, body: dict[str, Any]) -> None:
        checked = body["basis"]["kind"] == "checked"
        if checked and body["visibility"] == "public" and body["digest"] is not None:
            self._notebook.write("artifact", body["digest"], body["size_bytes"], row.position)

    def compare(self, _rows: int) -> None:
        """Hold the files against their digests."""
        for (digest,) in self._notebook.read("SELECT DISTINCT digest FROM artifact ORDER BY 1"):
            if digest not in self._archive.missing:
                self._report.count("artifacts")
                found = self._archive.artifact(digest)
                self._report.expect("artifacts", digest, "bytes", digest, found)
        if self._archive.missing:
            number = len(self._archive.missing)
            self._report.note(f"{number} artifacts could not be exported, by the manifest's word.")


class Documents:
    """The public documents of a server."""

    def __init__(self, remote: Remote, notebook: Notebook, report: Report) -> None:
        """Begin before the first event."""
        self._remote = remote
        self._notebook = notebook
        self._report = report

    def handlers(self) -> Mapping[str, Handler]:
        """Return what has to see every event."""
        return {EVERY: self._seen}

    def _seen(self, row: Row, _body: dict[str, Any]) -> None:
        self._notebook.write(
            "fact", row.stream, row.version, row.position, row.at, row.topic, row.state
        )

    def compare(self, rows: int) -> None:
        """Ask for the document of every record, and hold it against the fold."""
        in_force = InForce()
        governing = self._notebook.read(f"{FACTS} WHERE stream = ? ORDER BY version", (LEDGER,))
        for fact in tuple(governing):
            try:
                in_force = in_force.after(read((*fact[:5], bytes(fact[5]))).event)
            except Exception as trouble:  # noqa: BLE001 - whatever it is, it is told by its place
                self._unreadable(fact[2], trouble)
        for facts in records(self._notebook.read(f"{FACTS} ORDER BY stream, version")):
            self._document(facts, in_force, rows)

    def _unreadable(self, position: int, trouble: Exception) -> None:
        said = f"{type(trouble).__name__}: {trouble}"
        self._report.differs(EVENTS, f"position {position}", "fold", "an event to fold", said)

    def _document(self, facts: Facts, in_force: InForce, rows: int) -> None:
        stream, _version, position, *_rest = facts[-1]
        try:
            entries = [read(fact) for fact in facts]
            document = public_view.encoded(folded(entries, in_force).document)
        except Exception as trouble:  # noqa: BLE001 - as above
            self._unreadable(position, trouble)
            return
        place = {"position": position, "recorded_at": moment_text(entries[-1].recorded_at)}
        found = self._remote.record(stream)
        if isinstance(found, dict) and _later(found.get("position"), rows):
            self._report.count("records that went on meanwhile")
            return
        self._report.count("public documents")
        if not isinstance(found, dict):
            self._report.differs("records", stream, "", "a document", "none")
            return
        for where, mine, other in islice(members(place | json.loads(document), found), TOLD_MAX):
            self._report.differs("records", stream, where, mine, other)


def _later(position: Any, rows: int) -> bool:
    return type(position) is int and position > rows
