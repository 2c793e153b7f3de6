-- An ordered erasure: the one change that an event may undergo.
--
-- The last event of the log has to be the erasure of this very row, which is none itself; the salt
-- becomes empty, and everything but the body stays as it was.

DROP TRIGGER events_are_never_updated;

CREATE TRIGGER events_are_never_updated BEFORE UPDATE ON events
WHEN NOT coalesce(
    OLD.topic NOT LIKE 'payload.erased:%'
    AND length(NEW.salt) = 0
    AND (NEW.position, NEW.recorded_at, NEW.originator_id, NEW.originator_version, NEW.topic,
        NEW.payload_commitment)
        IS (OLD.position, OLD.recorded_at, OLD.originator_id, OLD.originator_version, OLD.topic,
        OLD.payload_commitment)
    AND EXISTS (
        SELECT 1 FROM events AS erasure
        WHERE erasure.position = (SELECT max(position) FROM events)
        AND erasure.originator_id = OLD.originator_id
        AND CASE WHEN erasure.topic = 'payload.erased:1'
            THEN json_extract(CAST(erasure.state AS TEXT), '$.position') END = OLD.position
    ), 0)
BEGIN
    SELECT RAISE(ABORT, 'events are never updated, unless the last event of the log erases from them');
END;
