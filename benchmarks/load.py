"""The one load generator over HTTP, wrk, and pgbench for the database alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from figures import Measured
from servers import Postgres, Server, run

HERE = Path(__file__).resolve().parent
CONNECTIONS = 32
SCHEMA = """
    CREATE SEQUENCE limit_seq;
    CREATE TABLE limit_row (
        id uuid, version int, seq bigint UNIQUE, body text, PRIMARY KEY (id, version)
    )
"""
INSERT = "INSERT INTO limit_row VALUES (gen_random_uuid(), 1, nextval('limit_seq'), :body);\n"


def on_its_own_core() -> list[str]:
    """Return what keeps the load on the last core, so that it disturbs every arm alike."""
    if shutil.which("taskset") and (os.cpu_count() or 1) > 1:
        return ["taskset", "-c", str((os.cpu_count() or 1) - 1)]
    return []


def wrk(
    server: Server, method: str, given: Path, seconds: float, connections: int = CONNECTIONS
) -> Measured:
    """Load a server for a while with the bodies or the paths in a file."""
    url = server.urls[0] + (server.post if method == "POST" else "")
    command = [
        *on_its_own_core(), "wrk", "--threads", str(min(connections, len(server.urls))),
        "--connections", str(connections), "--duration", f"{seconds:.0f}s", "--timeout", "30s",
        "--script", str(HERE / "load.lua"), url, "--",
        method, str(given), str(time.time_ns()), *([server.key] if server.key else []),
    ]  # fmt: skip
    addresses = " ".join(url.removeprefix("http://") for url in server.urls)
    used = server.cpu_s()
    printed = run(command, ADDRESSES=addresses if len(server.urls) > 1 else "")
    found = json.loads(printed.rpartition("RESULT ")[2])
    return Measured(
        rate=(found["requests"] - found["failed"]) / found["microseconds"] * 1_000_000,
        p50_ms=found["p50"] / 1_000,
        p99_ms=found["p99"] / 1_000,
        failed=found["failed"],
        cpu_us=(server.cpu_s() - used) / max(1, found["requests"]) * 1_000_000,
    )


def pgbench(server: Postgres, database: str, body: str, clients: int, seconds: float) -> Measured:
    """Insert single rows, each in a transaction of its own: what the disk and the server allow."""
    script = server.folder / "insert.sql"
    script.write_text(INSERT, encoding="utf-8")
    command = [
        *on_its_own_core(), str(server.bin / "pgbench"), "--no-vacuum", "--protocol=prepared",
        f"--client={clients}", "--jobs=1", f"--time={seconds:.0f}", f"--define=body={body}",
        f"--file={script}", server.url(database),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    average = re.search(r"latency average = ([\d.]+)", done.stdout)
    failed = re.search(r"failed transactions: (\d+)", done.stdout)
    if done.returncode or rate is None or average is None:
        raise SystemExit(f"pgbench failed:\n{done.stdout}{done.stderr}")
    return Measured(
        float(rate[1]), p50_ms=float(average[1]), failed=int(failed[1]) if failed else 0
    )
