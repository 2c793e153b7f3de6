"""Do the views of many processes stay one: one leader, one writer, no half view, no long wait?"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import pytest

from given_patience import PATIENCE_S
from given_views import Place, eventually, fill, place, shelf
from projections import ROLL_CALL, public_view
from projections import table as tables
from projections.catalogue import Catalogue, Query
from projections.opening import open_views
from projections.table import Checkpoint, Standing
from projections.views import Views, ViewsDamaged
from view_facts import submitted, uuid

__all__ = ["place"]

BEHIND = [projection for projection in ROLL_CALL.values() if projection is not public_view]
OPEN = (
    "import sys; from projections import ROLL_CALL, public_view;"
    "from projections.opening import open_views;"
    "behind = [p for p in ROLL_CALL.values() if p is not public_view];"
    f"views = open_views(sys.argv[1], behind, {PATIENCE_S});"
)


def started(place: str, script: str) -> subprocess.Popen[str]:
    """Start another process that has the views open."""
    return subprocess.Popen(
        [sys.executable, "-c", OPEN + script, place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(pipe: IO[str] | None) -> str:
    assert pipe is not None
    return pipe.readline().strip()


class TestLeading:
    def test_one_of_two_processes_leads_until_it_is_killed(self, place: Place) -> None:
        views = place.open()
        with started(place.address, "print(views.try_lead(), flush=True); input()") as other:
            try:
                assert line(other.stdout) == "True"
                assert not views.try_lead()
                assert not views.leads()
            finally:
                other.send_signal(signal.SIGKILL)
        eventually(views.try_lead)
        assert views.leads()
        assert views.try_lead()

    def test_who_resigns_or_closes_leads_no_more(self, place: Place) -> None:
        first, second = place.open(), place.open()
        assert first.try_lead()
        assert not second.try_lead()
        first.resign()
        assert not first.leads()
        eventually(second.try_lead)
        second.close()
        assert not second.leads()
        eventually(first.try_lead)

    def test_leading_does_not_hold_others_up(self, place: Place) -> None:
        first, second = place.open(Catalogue), place.open(Catalogue)
        assert first.try_lead()
        fill(second, shelf(1))
        assert Catalogue(first).page(Query()).total == 1

    def test_closed_views_do_not_lead(self, place: Place) -> None:
        views = place.open()
        views.close()
        assert not views.try_lead()


class TestStandings:
    def test_another_process_reads_what_stopped_a_view(self, place: Place) -> None:
        script = "views.report('catalogue', 'position 7: bad'); print('told', flush=True); input()"
        views = place.open(Catalogue)
        fill(views, shelf(2))
        with started(place.address, script) as other:
            try:
                assert line(other.stdout) == "told"
                assert views.standings()["catalogue"] == Standing(
                    Checkpoint(3, 1), "position 7: bad"
                )
            finally:
                other.kill()

    def test_what_moves_is_not_stopped(self, place: Place) -> None:
        views = place.open(*BEHIND)
        for name in ("catalogue", "findings", public_view.NAME):
            views.report(name, "stopped")
        assert {s.error for s in views.standings().values()} == {"stopped", None}
        fill(views, shelf(1))
        views.move(public_view.NAME, Checkpoint(2, 1))
        views.rebuild(ROLL_CALL["findings"], [], Checkpoint(2, 1))
        assert {s.error for s in views.standings().values()} == {None}
        views.report("catalogue", "again")
        views.report("catalogue", None)
        assert views.standings()["catalogue"] == Standing(Checkpoint(2, 1), None)

    def test_a_report_moves_nothing(self, place: Place) -> None:
        views = place.open(Catalogue)
        fill(views, shelf(1))
        views.report("catalogue", "stopped")
        assert views.checkpoint("catalogue") == Checkpoint(2, 1)
        assert Catalogue(views).page(Query()).total == 1


class TestManyProcesses:
    def test_may_start_at_the_same_moment(self, place: Place) -> None:
        script = "input(); views.close(); print('well')"
        others = [started(place.address, script) for _ in range(6)]
        answers = [other.communicate("\n")[0].strip() for other in others]
        assert answers == ["well"] * 6
        assert set(place.open().standings()) == {p.NAME for p in BEHIND}

    def test_take_turns_in_writing(self, place: Place) -> None:
        views = [place.open(Catalogue) for _ in range(3)]
        log = shelf(30)
        applied: list[int] = []

        def follow(own: Views) -> None:
            for position in range(1, len(log.logged) + 1):
                stream = log.logged[position - 1].event.originator_id
                touched = [] if stream == "ledger" else [log.folded(stream)]
                if own.apply(Catalogue, touched, Checkpoint(position, 1), position - 1):
                    applied.append(position)

        threads = [threading.Thread(target=follow, args=(own,)) for own in views]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(applied) == list(range(1, 32))

    def test_read_while_tables_are_swapped_by_another(self, place: Place) -> None:
        """Every page is whole: the old titles with the old total, or the new with the new."""
        views, other = place.open(Catalogue), place.open(Catalogue)
        old, new = shelf(40, "old "), shelf(60, "new ")
        fill(views, old)
        done = threading.Event()
        seen: set[tuple[str, int, int]] = set()
        troubles: list[Exception] = []

        def read() -> None:
            while not done.is_set():
                try:
                    page = Catalogue(views).page(Query(limit=100))
                except Exception as trouble:  # noqa: BLE001 - whatever it is, it fails the test
                    troubles.append(trouble)
                    return
                titles = "/".join(sorted({entry.title.split()[0] for entry in page.items}))
                seen.add((titles, page.total, len(page.items)))

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        eventually(lambda: seen or troubles)
        for again in range(12):
            log = (new, old)[again % 2]
            other.rebuild(Catalogue, log.all(), Checkpoint(1_000 + again, 1))
        done.set()
        for reader in readers:
            reader.join()
        assert not troubles
        assert seen <= {("old", 40, 40), ("new", 60, 60)}

    def test_a_read_that_has_begun_sees_nothing_of_a_swap(self, place: Place) -> None:
        views, other = place.open(Catalogue), place.open(Catalogue)
        fill(views, shelf(3))
        swap = threading.Thread(
            target=other.rebuild, args=(Catalogue, shelf(5).all(), Checkpoint(99, 1))
        )
        with views.reading() as reader:
            before = tables.checkpoint(reader, "catalogue")
            swap.start()
            time.sleep(0.3)  # so that the swap stands before the tables, or has happened
            (count,) = reader.execute("SELECT count(*) FROM catalogue").fetchone()
            assert (before, count) == (Checkpoint(4, 1), 3)
            assert tables.checkpoint(reader, "catalogue") == before
        swap.join()
        assert Catalogue(views).page(Query()).total == 5

    def test_a_view_goes_on_while_it_is_rebuilt(self, place: Place) -> None:
        views = place.open(Catalogue)
        log = shelf(4)
        fill(views, log)

        fresh = views.fresh(Catalogue)
        fresh.load(log.all())
        upto = len(log.logged)
        log.add(uuid(9), submitted("9"))
        assert views.apply(Catalogue, [log.folded(uuid(9))], Checkpoint(upto + 1, 1), upto)
        fresh.index()
        assert not fresh.swap(Checkpoint(upto, 1))
        fresh.put([log.folded(uuid(9))])
        assert fresh.swap(Checkpoint(upto + 1, 1))
        assert Catalogue(views).page(Query()).total == 5


def test_a_file_of_something_else_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "ledger.views"
    path.write_bytes(b"no database at all" * 1_000)
    with pytest.raises(ViewsDamaged):
        open_views(path)
