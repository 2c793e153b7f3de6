"""The failover drill: three PostgreSQL nodes, five leaders killed under load, nothing lost.

    just drill-failover [--kills N] [--programs DIR] [--keep]

Prints a table of the kills and what was found afterwards; exits 1 if anything is not as promised.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import clients
import cluster
import found
import machine
import processes
from clients import Kept
from cluster import RECOVERY_S_MAX, Cluster, Node

from ledger.settings import ProjectorPlace, Settings

QUIET_S = 4.0
"""Load before each kill, and after the cluster is whole again."""
DOWN_S = 3.0
"""How long a killed node stays away after another one leads."""


@dataclass
class Kill:
    """One killed leader, and what the clients saw of it; times of the monotonic clock."""

    node: str
    what: str
    at: float
    acknowledged: int
    whole_s: float = 0.0

    def first_s(self, kept: Kept) -> float:
        """Seconds from the kill to the first acknowledgement of a request sent after it."""
        return min(kept.recovered(self.at).values(), default=float("inf"))

    def everybody_s(self, kept: Kept) -> float:
        """Seconds from the kill until every client had such an acknowledgement."""
        first = kept.recovered(self.at)
        return max(first.values()) if len(first) == clients.CLIENTS else float("inf")


async def killed(nodes: Cluster, kept: Kept, number: int) -> Kill:
    """Kill the leader, by turns its whole node or its PostgreSQL alone; wait for all to be well."""
    leader = await asyncio.to_thread(nodes.leader)
    if leader is None:
        raise machine.DrillFailed("there is no leader to kill")
    whole_node = number % 2 == 0
    kill = Kill(leader.name, "node" if whole_node else "PostgreSQL", 0, len(kept.acknowledged))
    await asyncio.to_thread(leader.kill_node if whole_node else leader.kill_server)
    kill.at = time.monotonic()
    await asyncio.to_thread(_another_leads, nodes, leader)
    if whole_node:
        await asyncio.sleep(DOWN_S)
        leader.patroni.start()
    await asyncio.to_thread(machine.until, "all nodes well", cluster.START_S_MAX, nodes.whole)
    kill.whole_s = time.monotonic() - kill.at
    return kill


def _another_leads(nodes: Cluster, old: Node) -> None:
    machine.until(
        "another leader",
        cluster.START_S_MAX,
        lambda: (leader := nodes.leader()) is not None and leader is not old,
    )


async def drilled(
    nodes: Cluster, ledger: processes.Processes, kills: int
) -> tuple[Kept, list[Kill]]:
    """Append from all clients and kill the leader again and again."""
    done: list[Kill] = []
    async with clients.at_work(ledger.urls, ledger.api_key) as kept:
        for number in range(kills):
            await asyncio.sleep(QUIET_S)
            done.append(await killed(nodes, kept, number))
            print(f"kill {number + 1}: {done[-1].what} of {done[-1].node}", file=sys.stderr)
        await asyncio.sleep(QUIET_S)
    return kept, done


def told(kept: Kept, kills: list[Kill], seen: found.Found) -> list[str]:
    """Print what happened as Markdown and return everything that is not as promised."""
    print("| kill | node | killed | first append after, s | all 16 clients after, s "
          "| whole again after, s | acknowledged so far | found | duplicates | lost |")  # fmt: skip
    print("|---" * 10 + "|")
    for number, kill in enumerate(kills, start=1):
        seconds = (kill.first_s(kept), kill.everybody_s(kept), kill.whole_s)
        cells = (number, kill.node, kill.what, *(f"{s:.1f}" for s in seconds))
        print(_row(*cells, *seen.counted(kept.acknowledged[: kill.acknowledged])))
    print(_row("end", "", "", "", "", "", *seen.counted(kept.acknowledged)))
    first = [kill.first_s(kept) for kill in kills]
    print(f"\nUnavailable: median {statistics.median(first):.1f} s, longest {max(first):.1f} s; "
          f"bound {RECOVERY_S_MAX:.0f} s. {len(seen.rows)} events in the log.")  # fmt: skip
    print("Answers: " + ", ".join(f"{n} x {what}" for what, n in kept.answers.most_common()) + ".")
    for name, what in seen.views.items():
        print(f"The view {name} equals its fold: {what}.")
    late = [
        f"kill {number}: clients recovered after {kill.everybody_s(kept):.1f} s"
        for number, kill in enumerate(kills, start=1)
        if kill.everybody_s(kept) > RECOVERY_S_MAX
    ]
    twice = [f"carried out {n} times: {key}" for key, n in seen.marked.items() if n > 1]
    return [*kept.wrong, *seen.faults, *twice, *late]


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def main() -> int:
    """Run the drill; returns the exit code."""
    asked = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    asked.add_argument("--kills", type=int, default=5, help="how many leaders (5)")
    asked.add_argument("--programs", type=Path, help="folder of another PostgreSQL's programs")
    asked.add_argument("--keep", action="store_true", help="keep the folder with logs and data")
    given = asked.parse_args()
    processes.without_ledger_settings()
    programs = given.programs or cluster.postgres_programs()
    with (
        machine.workplace("failover", keep=given.keep) as folder,
        Cluster(folder, programs) as nodes,
    ):
        owner, application = nodes.ledger_urls()
        processes.made(processes.environment(folder, owner))
        env = processes.environment(folder, application)
        with processes.running(folder, env) as ledger:
            kept, kills = asyncio.run(drilled(nodes, ledger, given.kills))
            programs_ended = [
                p.name for p in ledger.all if p.process and p.process.poll() is not None
            ]
        settings = Settings(
            database_url=application,
            data_dir=folder / "artifacts",
            projector=ProjectorPlace.APART,
        )
        faults = told(kept, kills, found.looked_at(settings, kept))
        faults += [f"{name} has ended by itself" for name in programs_ended]
        faults += [f"{p.name}: {line}" for p in ledger.all for line in processes.complaints(p)]
    for fault in faults:
        print(f"FAILED: {fault}", file=sys.stderr)
    print("FAILED" if faults else "\nEverything is as promised.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
