"""Change every table of a ledger past the ledger, and see how ``ledger verify`` finds it.

For each database and each change a fresh copy is changed, verified and thrown away.  The tables of
what was found are written as Markdown; the drill fails if anything is found less than it should be.

    drills/tamper.py [FILE] [--only sqlite|postgres]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import given_tampering  # noqa: E402 - the tests' own, found by the line above
from given_tampering import Stand  # noqa: E402
from ledger.verifier.report import Outcome, Report  # noqa: E402
from tampering import CHANGES, Change, rewritten  # noqa: E402

KINDS: Final = ("sqlite", "postgres")
SHOWN: Final = 110

Line = tuple[str, str, str, bool]
"""A table, a change, how it was found, and whether that is as it should be."""


def tampered(stand: Stand, kind: str) -> Iterator[Line]:
    """Yield how each change was found."""
    for each in CHANGES:
        if each.only in ("", kind):
            with stand.changed(each.do) as copy:
                report = stand.verified(copy, state=remembered(stand))
            yield found(each, report)


def found(change: Change, report: Report) -> Line:
    """Return how a change was found."""
    if not change.found:
        fine = report.outcome is Outcome.VERIFIED
        return change.table, change.name, f"not found: {change.why}", fine
    for each in report.differences:
        if each.line().startswith(change.found):
            return change.table, change.name, shortened(each.line()), True
    return change.table, change.name, f"MISSED ({report.outcome.name})", False


def whole(stand: Stand) -> Iterator[Line]:
    """Yield how an older copy and a rewritten history were found, and by whom alone."""
    for name, options in (
        ("an older copy, nothing remembered", {}),
        ("an older copy, with --state", {"state": remembered(stand)}),
    ):
        yield told("all tables", name, stand.verified(stand.older, **options), bool(options))
    with stand.changed(rewritten) as copy:
        given_tampering.signed_anew(stand.ledger, copy)
        for name, options in (
            ("rewritten with the key at hand, nothing remembered", {}),
            ("rewritten with the key at hand, with --state", {"state": remembered(stand)}),
            (
                "rewritten with the key at hand, with --witness",
                {"witnesses": (given_tampering.WITNESS,)},
            ),
        ):
            yield told("all tables", name, stand.verified(copy, **options), bool(options))


def told(table: str, name: str, report: Report, expected: bool) -> Line:  # noqa: FBT001 - of three
    """Return how something was found that one difference names."""
    lines = [each.line() for each in report.differences]
    said = shortened(lines[0]) if lines else "not found: by itself it is a whole ledger"
    return table, name, said, bool(lines) is expected


def shortened(line: str) -> str:
    """Return a line that fits a table."""
    line = line.replace("|", "\\|")
    return line if len(line) <= SHOWN else line[:SHOWN] + "…"


def remembered(stand: Stand) -> Path:
    """Return a copy of what was remembered, which a verification may replace."""
    return Path(shutil.copy(stand.state, stand.state.with_suffix(".copy")))


def main() -> int:
    """Run the drill; 0 if everything was found as it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("file", nargs="?", type=Path, help="where the Markdown goes")
    parser.add_argument("--only", choices=KINDS)
    given = parser.parse_args()
    lines, missed = [], 0
    with tempfile.TemporaryDirectory(prefix="ledger-tamper-") as folder:
        for kind in [given.only] if given.only else KINDS:
            stand = given_tampering.stand(Path(folder) / kind, kind)
            lines += ["", f"## {kind}", "", "| table | change | found as |", "|---|---|---|"]
            count = 0
            for table, name, said, fine in (*tampered(stand, kind), *whole(stand)):
                lines.append(f"| {table} | {name} | {said} |")
                print(f"{kind}: {table}: {name}: {said}", flush=True)
                missed += not fine
                count += 1
            print(f"{kind}: {count} changes, {missed} not as they should be", flush=True)
    if given.file:
        given.file.write_text(
            "# What was changed, and how it was found\n" + "\n".join(lines) + "\n"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
