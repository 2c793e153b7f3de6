-- The schema of a ledger on SQLite.  Rowid tables: bodies of about a kilobyte want them.

CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    recorded_at INTEGER NOT NULL, -- microseconds since 1970 in UTC, strictly increasing
    originator_id TEXT NOT NULL,
    originator_version INTEGER NOT NULL,
    topic TEXT NOT NULL,
    state BLOB NOT NULL,
    salt BLOB NOT NULL,
    payload_commitment BLOB NOT NULL,
    UNIQUE (originator_id, originator_version)
) STRICT;

CREATE TRIGGER events_are_never_updated BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never updated');
END;

CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never deleted');
END;

-- INSERT OR REPLACE removes rows without waking the trigger above, so it has to be stopped here.
CREATE TRIGGER events_are_only_added_at_the_end BEFORE INSERT ON events
WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM events)
BEGIN
    SELECT RAISE(ABORT, 'events are only added at the end');
END;

CREATE TRIGGER events_are_never_replaced BEFORE INSERT ON events
WHEN EXISTS (
    SELECT 1 FROM events
    WHERE originator_id = NEW.originator_id AND originator_version = NEW.originator_version
)
BEGIN
    SELECT RAISE(ABORT, 'events are never replaced');
END;

CREATE TABLE documents (
    view TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (view, id)
) STRICT;

CREATE TABLE reservations (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (kind, value)
) STRICT;

CREATE TABLE idempotency (
    actor TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    originator_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT;
