-- The Merkle tree over the log, and every checkpoint of it that was published.

-- One row: how many events the tree holds, and the hashes from which it grows on.
CREATE TABLE log_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL CHECK (size >= 0),
    frontier BLOB NOT NULL CHECK (length(frontier) % 32 = 0)
) STRICT;

INSERT INTO log_head (one, size, frontier) VALUES (1, 0, x'');

-- Full tiles alone, 256 hashes each; the rest is made from the rows when it is asked for.
CREATE TABLE log_tiles (
    level INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    data BLOB NOT NULL CHECK (length(data) = 8192),
    UNIQUE (level, idx)
) STRICT;

-- For one size there is one root, for ever.
CREATE TABLE log_checkpoints (
    size INTEGER PRIMARY KEY CHECK (size > 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    note BLOB NOT NULL,
    published_at INTEGER NOT NULL -- microseconds since 1970 in UTC
) STRICT;

CREATE TRIGGER the_tree_never_shrinks BEFORE UPDATE ON log_head WHEN NEW.size <= OLD.size
BEGIN
    SELECT RAISE(ABORT, 'the tree never shrinks');
END;

CREATE TRIGGER the_tree_holds_what_the_log_holds BEFORE UPDATE ON log_head
WHEN NEW.size > (SELECT coalesce(max(position), 0) FROM events)
BEGIN
    SELECT RAISE(ABORT, 'the tree cannot hold more events than the log');
END;

CREATE TRIGGER the_tree_is_never_removed BEFORE DELETE ON log_head
BEGIN
    SELECT RAISE(ABORT, 'the tree is never removed');
END;

CREATE TRIGGER the_tree_is_never_replaced BEFORE INSERT ON log_head
BEGIN
    SELECT RAISE(ABORT, 'there is one tree');
END;

CREATE TRIGGER tiles_are_never_updated BEFORE UPDATE ON log_tiles
BEGIN
    SELECT RAISE(ABORT, 'tiles are never updated');
END;

CREATE TRIGGER tiles_are_never_deleted BEFORE DELETE ON log_tiles
BEGIN
    SELECT RAISE(ABORT, 'tiles are never deleted');
END;

-- INSERT OR REPLACE removes rows without waking the triggers above.
CREATE TRIGGER tiles_are_never_replaced BEFORE INSERT ON log_tiles
WHEN EXISTS (SELECT 1 FROM log_tiles WHERE level = NEW.level AND idx = NEW.idx)
BEGIN
    SELECT RAISE(ABORT, 'tiles are never replaced');
END;

CREATE TRIGGER checkpoints_are_never_updated BEFORE UPDATE ON log_checkpoints
BEGIN
    SELECT RAISE(ABORT, 'checkpoints are never updated');
END;

CREATE TRIGGER checkpoints_are_never_deleted BEFORE DELETE ON log_checkpoints
BEGIN
    SELECT RAISE(ABORT, 'checkpoints are never deleted');
END;

CREATE TRIGGER checkpoints_are_never_replaced BEFORE INSERT ON log_checkpoints
WHEN EXISTS (SELECT 1 FROM log_checkpoints WHERE size = NEW.size)
BEGIN
    SELECT RAISE(ABORT, 'checkpoints are never replaced');
END;

CREATE TRIGGER checkpoints_are_of_the_tree BEFORE INSERT ON log_checkpoints
WHEN NEW.size > (SELECT size FROM log_head)
BEGIN
    SELECT RAISE(ABORT, 'the tree is not that large');
END;
