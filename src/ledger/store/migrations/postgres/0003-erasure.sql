-- An ordered erasure: the one change that an event may undergo.
--
-- The last event of the log has to be the erasure of this very row, which is none itself, and to
-- name the SHA-256 of the body that takes its place; the salt becomes empty,
-- and everything else stays as it was.

CREATE FUNCTION ledger.refuse_rewriting() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_stream text;
    v_topic text;
    v_state bytea;
    v_fact jsonb;
BEGIN
    SELECT e.originator_id, e.topic, e.state INTO v_stream, v_topic, v_state
    FROM ledger.events AS e ORDER BY e.position DESC LIMIT 1;
    IF v_topic = 'payload.erased:1' AND v_stream = OLD.originator_id THEN
        v_fact := convert_from(v_state, 'UTF8')::jsonb;
        IF (v_fact ->> 'position')::bigint = OLD.position
            AND v_fact ->> 'redacted_digest' = 'sha256:' || encode(sha256(NEW.state), 'hex')
            AND OLD.topic NOT LIKE 'payload.erased:%'
            AND NEW.salt = ''::bytea
            AND (NEW.position, NEW.recorded_at, NEW.originator_id, NEW.originator_version,
                NEW.topic, NEW.payload_commitment)
                = (OLD.position, OLD.recorded_at, OLD.originator_id, OLD.originator_version,
                OLD.topic, OLD.payload_commitment)
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'events are never updated, unless the last event of the log erases from them'
        USING ERRCODE = 'restrict_violation';
END
$$;

DROP TRIGGER events_are_never_changed ON ledger.events;

CREATE TRIGGER events_are_never_removed BEFORE DELETE OR TRUNCATE ON ledger.events
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER events_are_never_rewritten BEFORE UPDATE ON ledger.events
FOR EACH ROW EXECUTE FUNCTION ledger.refuse_rewriting();

-- Put a redacted body in the place of the one at a position.  It is called in the transaction that
-- appended the erasure, which the trigger above looks for.
CREATE FUNCTION ledger.erase(p_position bigint, p_state bytea)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE ledger.events SET state = p_state, salt = '' WHERE position = p_position;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no event at position %', p_position
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN p_position;
END
$$;

REVOKE ALL ON FUNCTION ledger.erase(bigint, bytea), ledger.refuse_rewriting() FROM PUBLIC;
