-- A witness that was away cosigns a published checkpoint later: lines are added to its note.

DROP TRIGGER checkpoints_are_never_updated;

-- A line of signature begins with a dash and a space, and no line is empty.
CREATE TRIGGER checkpoints_are_never_updated BEFORE UPDATE ON log_checkpoints
WHEN NOT coalesce(
    (NEW.size, NEW.root, NEW.published_at) IS (OLD.size, OLD.root, OLD.published_at)
    AND substr(NEW.note, 1, length(OLD.note)) = OLD.note
    AND substr(NEW.note, length(OLD.note) + 1, 4) = x'E2809420'
    AND instr(substr(NEW.note, length(OLD.note) + 1), x'0A0A') = 0, 0)
BEGIN
    SELECT RAISE(ABORT, 'checkpoints are never updated: cosignatures alone are added');
END;
