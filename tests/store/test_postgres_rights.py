"""Who may do what in a ledger's database: the role that serves, and the owner."""

from __future__ import annotations

import uuid

import psycopg
import pytest
from psycopg import sql

import given_postgres
from given_patience import PATIENCE_S
from given_postgres import Database
from given_stores import one, positions
from ledger import errors
from ledger.store import adapters, postgres
from ledger.store.migrations import steps

OPEN = "CREATE OR REPLACE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql "
OWN = "CREATE TRIGGER mine BEFORE INSERT ON ledger.events FOR EACH ROW EXECUTE FUNCTION "
OVER = "INSERT INTO ledger.events SELECT * FROM ledger.events ON CONFLICT (position) DO UPDATE "


@pytest.fixture(scope="module")
def database() -> Database:
    made = given_postgres.fresh_database()
    with postgres.open_store(made.app_url, timeout_s=PATIENCE_S) as store:
        store.append(one("s")).result(60)
    return made


def refused(url: str, statement: str, why: type[psycopg.Error]) -> None:
    with psycopg.connect(url, autocommit=True) as connection, pytest.raises(why):
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.events SET state = ''",
        "UPDATE ledger.events SET position = position WHERE false",
        "DELETE FROM ledger.events",
        "TRUNCATE ledger.events",
        "INSERT INTO ledger.events VALUES (2, 2, 's', 9, 't', '', '', '')",
        "COPY ledger.events FROM STDIN",
        "ALTER TABLE ledger.events DISABLE TRIGGER ALL",
        "DROP TRIGGER events_are_never_rewritten ON ledger.events",
        "DROP TRIGGER events_are_never_removed ON ledger.events",
        OPEN + "AS 'BEGIN RETURN NEW; END'",
        "DROP TABLE ledger.events",
        "CREATE TABLE ledger.mine (x int)",
        OWN + "ledger.refuse_change()",
        "UPDATE ledger.head SET position = 0",
        "DELETE FROM ledger.idempotency",
        "INSERT INTO ledger.reservations VALUES ('doi', 'x', 's')",
        "UPDATE ledger.documents SET body = ''",
        "INSERT INTO ledger.artifacts VALUES ('d', 1, 1)",
        "INSERT INTO ledger.schema_migrations VALUES (99, 'x', 'x')",
        f"SET ROLE {given_postgres.OWNER}",
        "SET session_replication_role = replica",
    ],
)
def test_the_role_that_serves_changes_nothing_but_by_appending(
    database: Database, statement: str
) -> None:
    refused(database.app_url, statement, psycopg.errors.InsufficientPrivilege)
    with postgres.open_store(database.app_url, timeout_s=PATIENCE_S) as store:
        assert positions(store) == [1]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.events SET state = ''",
        "DELETE FROM ledger.events",
        "DELETE FROM ledger.events WHERE false",
        "TRUNCATE ledger.events",
        "TRUNCATE ledger.events CASCADE",
        OVER + "SET state = ''",
    ],
)
def test_not_even_the_owner_changes_an_event(database: Database, statement: str) -> None:
    refused(database.owner_url, statement, psycopg.errors.RestrictViolation)


def test_the_role_that_serves_cannot_call_for_an_erasure_that_is_not_in_the_log(
    database: Database,
) -> None:
    for position in (1, 2):
        refused(
            database.app_url,
            f"SELECT ledger.erase({position}, '{{}}')",
            psycopg.errors.RestrictViolation,
        )


def test_the_role_that_serves_keeps_tables_for_views(database: Database) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE ledger_views.mine (x int)")
        connection.execute("DROP TABLE ledger_views.mine")


def test_strangers_may_not_even_look(database: Database) -> None:
    name = f"stranger_{uuid.uuid4().hex}"
    create = sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name))
    database.server.execute(create)
    url = database.server.url(database.name, name)
    with postgres.open_store(url, timeout_s=PATIENCE_S) as store:
        with pytest.raises(errors.StoreUnavailable, match="permission denied for schema ledger"):
            store.check()
        with pytest.raises(errors.StoreUnavailable, match="permission denied for schema ledger"):
            store.append(one("x")).result(60)
    refused(url, "SELECT ledger.forget_keys(0, 1)", psycopg.errors.InsufficientPrivilege)


def test_a_database_becomes_a_ledger_once(caplog: pytest.LogCaptureFixture) -> None:
    empty = given_postgres.session_server().create_database(f"ledger_{uuid.uuid4().hex}")
    with pytest.raises(errors.NotInitialised, match="run ledger init first"):
        postgres.open_store(empty.app_url, timeout_s=PATIENCE_S)
    with pytest.raises(errors.StoreUnavailable, match="permission denied"):
        adapters.create(empty.app_url)
    assert adapters.create(empty.owner_url) == "created"
    assert adapters.create(empty.owner_url) == "unchanged"
    with postgres.open_store(empty.app_url, timeout_s=PATIENCE_S) as store:
        assert store.append(one("a")).result(60).position == 1
    found = empty.server.execute("SELECT version, name, sha256 FROM ledger.schema_migrations",
                                 empty.name)  # fmt: skip
    assert found == [(s.version, s.name, s.digest) for s in steps("postgres")]
    assert caplog.text == ""


def test_another_schema_is_refused_by_its_version() -> None:
    database = given_postgres.fresh_database()
    needed = steps("postgres")[-1].version
    newer = "INSERT INTO ledger.schema_migrations VALUES (99, 'later', '')"
    database.server.execute(newer, database.name)
    with pytest.raises(errors.WrongSchema, match=f"version 99, this program has {needed}: use its"):
        postgres.open_store(database.app_url, timeout_s=PATIENCE_S)
    with pytest.raises(errors.WrongSchema, match="at version 99"):
        adapters.create(database.owner_url)
    older = "DELETE FROM ledger.schema_migrations"
    database.server.execute(older, database.name)
    with pytest.raises(errors.WrongSchema, match="run ledger init to migrate it"):
        postgres.open_store(database.app_url, timeout_s=PATIENCE_S)
