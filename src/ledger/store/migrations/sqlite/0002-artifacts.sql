-- The bytes that the log makes public, and keys that can be forgotten by age.

CREATE TABLE artifacts (
    digest TEXT PRIMARY KEY,
    size_bytes INTEGER NOT NULL,
    position INTEGER NOT NULL -- where they were named first
) STRICT;

CREATE INDEX idempotency_by_age ON idempotency (recorded_at);

-- Documents of a view that is being folded anew, until they are swapped in.
CREATE TABLE fresh_documents (
    rebuild TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (rebuild, id)
) STRICT;
