-- A witness that was away cosigns a published checkpoint later: lines are added to its note.

CREATE FUNCTION ledger.refuse_other_checkpoint() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_added bytea := substr(NEW.note, length(OLD.note) + 1);
BEGIN
    -- A line of signature begins with a dash and a space, and no line is empty.
    IF (NEW.size, NEW.root, NEW.published_at) = (OLD.size, OLD.root, OLD.published_at)
        AND substr(NEW.note, 1, length(OLD.note)) = OLD.note
        AND substr(v_added, 1, 4) = '\xe2809420'::bytea
        AND position('\x0a0a'::bytea IN v_added) = 0
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'checkpoints are never changed: cosignatures alone are added'
        USING ERRCODE = 'restrict_violation';
END
$$;

DROP TRIGGER checkpoints_are_never_changed ON ledger.log_checkpoints;

CREATE TRIGGER checkpoints_are_never_removed BEFORE DELETE OR TRUNCATE ON ledger.log_checkpoints
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_tree_change();

CREATE TRIGGER checkpoints_are_never_changed BEFORE UPDATE ON ledger.log_checkpoints
FOR EACH ROW EXECUTE FUNCTION ledger.refuse_other_checkpoint();

-- Put a note with more lines in the place of the one that was read; false when it changed meanwhile.
CREATE FUNCTION ledger.cosign_checkpoint(p_size bigint, p_before bytea, p_note bytea)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE ledger.log_checkpoints SET note = p_note WHERE size = p_size AND note = p_before;
    RETURN FOUND;
END
$$;

REVOKE ALL ON FUNCTION
    ledger.cosign_checkpoint(bigint, bytea, bytea), ledger.refuse_other_checkpoint() FROM PUBLIC;
