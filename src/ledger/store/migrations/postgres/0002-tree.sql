-- The Merkle tree over the log, and every checkpoint of it that was published.

-- One row: how many events the tree holds, and the hashes from which it grows on.
CREATE TABLE ledger.log_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    size bigint NOT NULL CHECK (size >= 0),
    frontier bytea NOT NULL CHECK (length(frontier) % 32 = 0)
);
INSERT INTO ledger.log_head (size, frontier) VALUES (0, '');

-- Full tiles alone, 256 hashes each; the rest is made from the rows when it is asked for.
CREATE TABLE ledger.log_tiles (
    level integer NOT NULL,
    idx bigint NOT NULL,
    data bytea NOT NULL CHECK (length(data) = 8192),
    PRIMARY KEY (level, idx)
);

-- For one size there is one root, for ever.
CREATE TABLE ledger.log_checkpoints (
    size bigint PRIMARY KEY CHECK (size > 0),
    root bytea NOT NULL CHECK (length(root) = 32),
    note bytea NOT NULL,
    published_at bigint NOT NULL -- microseconds since 1970 in UTC
);

CREATE FUNCTION ledger.refuse_tree_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is never changed so', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER tiles_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.log_tiles
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_tree_change();

CREATE TRIGGER checkpoints_are_never_changed
BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.log_checkpoints
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_tree_change();

CREATE TRIGGER the_tree_is_never_removed BEFORE DELETE OR TRUNCATE ON ledger.log_head
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_tree_change();

CREATE TRIGGER the_tree_never_shrinks BEFORE UPDATE ON ledger.log_head
FOR EACH ROW WHEN (NEW.size <= OLD.size) EXECUTE FUNCTION ledger.refuse_tree_change();

-- Grow the tree from one size to another; false when it has another size by now.
CREATE FUNCTION ledger.step_tree(
    p_before bigint, p_size bigint, p_frontier bytea,
    t_level integer[], t_idx bigint[], t_data bytea[]
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_size > (SELECT position FROM ledger.head) THEN
        RAISE EXCEPTION 'the tree cannot hold more events than the log'
            USING ERRCODE = 'check_violation';
    END IF;
    UPDATE ledger.log_head SET size = p_size, frontier = p_frontier WHERE size = p_before;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO ledger.log_tiles (level, idx, data)
    SELECT level, idx, data FROM unnest(t_level, t_idx, t_data) AS t (level, idx, data);
    RETURN true;
END
$$;

-- Keep a checkpoint; false when there is one of that size already.
CREATE FUNCTION ledger.put_checkpoint(p_size bigint, p_root bytea, p_note bytea, p_at bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_size > (SELECT size FROM ledger.log_head) THEN
        RAISE EXCEPTION 'the tree is not that large' USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO ledger.log_checkpoints (size, root, note, published_at)
    VALUES (p_size, p_root, p_note, p_at) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC;
