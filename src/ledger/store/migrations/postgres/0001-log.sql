-- The log of a ledger on PostgreSQL, and everything that is written together with it.

CREATE SCHEMA ledger;

-- One row: where the log ends.  Its lock is the ordering lock.
CREATE TABLE ledger.head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint NOT NULL,
    recorded_at bigint NOT NULL -- microseconds since 1970 in UTC
);
INSERT INTO ledger.head (position, recorded_at) VALUES (0, 0);

CREATE TABLE ledger.events (
    position bigint PRIMARY KEY,
    recorded_at bigint NOT NULL, -- microseconds since 1970 in UTC, strictly increasing
    originator_id text COLLATE "C" NOT NULL,
    originator_version bigint NOT NULL,
    topic text COLLATE "C" NOT NULL,
    state bytea NOT NULL,
    salt bytea NOT NULL,
    payload_commitment bytea NOT NULL,
    UNIQUE (originator_id, originator_version)
);

CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never updated or deleted' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.events
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TABLE ledger.documents (
    view text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (view, id)
);

CREATE TABLE ledger.reservations (
    kind text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, value)
);

CREATE TABLE ledger.idempotency (
    actor text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    originator_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at bigint NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_by_age ON ledger.idempotency (recorded_at);

-- The bytes that the log makes public, each with its size and where it was named first.
CREATE TABLE ledger.artifacts (
    digest text COLLATE "C" PRIMARY KEY,
    size_bytes bigint NOT NULL,
    position bigint NOT NULL
);

-- Append a batch.  Appends are numbered from 1; every list says for each row to which append it
-- belongs.  No two appends of a batch touch the same stream, name or key, so each is judged by what
-- the database holds.  Idempotency keys hold for ``p_life`` microseconds by the database's clock;
-- unless ``p_dense``, versions have to be new in their stream, not to follow on one another.
CREATE FUNCTION ledger.append(
    p_count integer, p_life bigint, p_dense boolean,
    e_append integer[], e_stream text[], e_version bigint[], e_topic text[],
    e_state bytea[], e_salt bytea[], e_commitment bytea[],
    d_append integer[], d_view text[], d_id text[], d_version bigint[], d_body bytea[],
    r_append integer[], r_kind text[], r_value text[], r_owner text[],
    g_append integer[], g_stream text[], g_version bigint[],
    k_append integer[], k_actor text[], k_key text[], k_fingerprint text[],
    a_append integer[], a_digest text[], a_size bigint[]
) RETURNS TABLE (
    append integer, outcome text, originator_id text, version bigint, "position" bigint,
    recorded_at bigint, kind text, value text, owner text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- One plan for batches of any size: planning anew would cost more than carrying it out.  The fences
-- (OFFSET 0) and these settings keep it looking rows up by index, however small the tables were.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    v_position bigint;
    v_recorded_at bigint;
BEGIN
    -- A statement of its own: what follows must see everything that was committed before the lock.
    SELECT head.position, head.recorded_at INTO v_position, v_recorded_at
    FROM ledger.head FOR UPDATE;
    v_recorded_at := greatest(
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, v_recorded_at + 1);

    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT * FROM unnest(
            e_append, e_stream, e_version, e_topic, e_state, e_salt, e_commitment
        ) WITH ORDINALITY AS e (append, stream, version, topic, state, salt, commitment, number)
    ), answered AS MATERIALIZED (
        SELECT k.append, k.fingerprint = i.fingerprint AS same, i.*
        FROM unnest(k_append, k_actor, k_key, k_fingerprint)
            AS k (append, actor, key, fingerprint)
        CROSS JOIN LATERAL (
            SELECT * FROM ledger.idempotency AS i
            WHERE i.actor = k.actor AND i.key = k.key AND i.recorded_at >= v_recorded_at - p_life OFFSET 0
        ) AS i
    ), moved AS (
        SELECT DISTINCT ON (g.append) g.append, g.stream
        FROM unnest(g_append, g_stream, g_version)
            WITH ORDINALITY AS g (append, stream, version, number)
        WHERE g.version <> coalesce((
            SELECT max(e.originator_version) FROM ledger.events AS e
            WHERE e.originator_id = g.stream), 0)
        ORDER BY g.append, g.number
    ), counted AS (
        SELECT append, stream, version, number,
            row_number() OVER (PARTITION BY append, stream ORDER BY number) AS nth
        FROM given
    ), stale AS (
        SELECT DISTINCT ON (append) append, stream FROM counted
        WHERE p_dense AND version <> nth + coalesce((
            SELECT max(e.originator_version) FROM ledger.events AS e
            WHERE e.originator_id = counted.stream), 0)
        ORDER BY append, number
    ), wanted AS MATERIALIZED (
        SELECT r.*, coalesce(
            (SELECT h.owner FROM ledger.reservations AS h
            WHERE h.kind = r.kind AND h.value = r.value),
            first_value(r.owner) OVER (PARTITION BY r.append, r.kind, r.value ORDER BY r.number)
        ) AS holder
        FROM unnest(r_append, r_kind, r_value, r_owner)
            WITH ORDINALITY AS r (append, kind, value, owner, number)
    ), taken AS (
        SELECT DISTINCT ON (append) append, kind, value, holder FROM wanted
        WHERE owner <> holder ORDER BY append, number
    ), judged AS MATERIALIZED (
        SELECT n AS append, CASE
            WHEN answered.same THEN 'replayed'
            WHEN answered.append IS NOT NULL THEN 'key'
            WHEN moved.append IS NOT NULL THEN 'guard'
            WHEN stale.append IS NOT NULL THEN 'version'
            WHEN taken.append IS NOT NULL THEN 'reserved'
            ELSE 'appended' END AS outcome,
            coalesce(answered.originator_id, moved.stream, stale.stream) AS originator_id,
            answered.version, answered.position, answered.recorded_at,
            taken.kind, taken.value, taken.holder AS owner
        FROM generate_series(1, p_count) AS n
        LEFT JOIN answered ON answered.append = n
        LEFT JOIN moved ON moved.append = n
        LEFT JOIN stale ON stale.append = n
        LEFT JOIN taken ON taken.append = n
    ), placed AS MATERIALIZED (
        SELECT given.*, row_number() OVER (ORDER BY given.append, given.number) AS place
        FROM given JOIN judged USING (append) WHERE judged.outcome = 'appended'
    ), last AS MATERIALIZED (
        SELECT DISTINCT ON (append) append, stream, version, v_position + place AS position,
            v_recorded_at + place - 1 AS recorded_at
        FROM placed ORDER BY append, place DESC
    ), put_events AS (
        INSERT INTO ledger.events
        SELECT v_position + place, v_recorded_at + place - 1, stream, version, topic, state, salt,
            commitment
        FROM placed ORDER BY place
    ), put_head AS (
        UPDATE ledger.head SET position = v_position + n, recorded_at = v_recorded_at + n - 1
        FROM (SELECT count(*) AS n FROM placed) AS written WHERE n > 0
    ), put_documents AS (
        INSERT INTO ledger.documents AS old
        SELECT d.view, d.id, d.version, last.position, last.recorded_at, d.body
        FROM unnest(d_append, d_view, d_id, d_version, d_body)
            AS d (append, view, id, version, body) JOIN last USING (append)
        ON CONFLICT (view, id) DO UPDATE SET version = excluded.version,
            position = excluded.position, recorded_at = excluded.recorded_at, body = excluded.body
    ), put_reservations AS (
        INSERT INTO ledger.reservations
        SELECT kind, value, owner FROM wanted JOIN last USING (append)
        ON CONFLICT DO NOTHING
    ), put_keys AS (
        INSERT INTO ledger.idempotency
        SELECT k.actor, k.key, k.fingerprint, last.stream, last.version, last.position,
            last.recorded_at
        FROM unnest(k_append, k_actor, k_key, k_fingerprint)
            AS k (append, actor, key, fingerprint) JOIN last USING (append)
        ON CONFLICT (actor, key) DO UPDATE SET fingerprint = excluded.fingerprint,
            originator_id = excluded.originator_id, version = excluded.version,
            position = excluded.position, recorded_at = excluded.recorded_at
    ), put_artifacts AS (
        INSERT INTO ledger.artifacts
        SELECT a.digest, a.size_bytes, last.position
        FROM unnest(a_append, a_digest, a_size)
            WITH ORDINALITY AS a (append, digest, size_bytes, number)
        JOIN last USING (append)
        ORDER BY a.number
        ON CONFLICT DO NOTHING
    ), told AS (
        SELECT pg_notify('ledger_log', (v_position + count(*))::text) FROM placed
        HAVING count(*) > 0
    )
    SELECT judged.append, judged.outcome,
        coalesce(last.stream, judged.originator_id), coalesce(last.version, judged.version),
        coalesce(last.position, judged.position), coalesce(last.recorded_at, judged.recorded_at),
        judged.kind, judged.value, judged.owner
    FROM judged LEFT JOIN last USING (append)
    LEFT JOIN told ON true
    ORDER BY judged.append;
END
$$;

-- Documents of a view that is being folded anew, until they are swapped in.
CREATE UNLOGGED TABLE ledger.fresh_documents (
    rebuild text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (rebuild, id)
);

-- Put freshly folded documents in the place of those written up to a position; what later appends
-- wrote is newer and stays.  What differs is found first, and only then is the ordering lock taken.
CREATE FUNCTION ledger.swap_documents(p_rebuild text, p_view text, p_upto bigint, p_count bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_gone text[];
BEGIN
    -- A server that restarted, or another that took over, has forgotten an unlogged table.
    IF p_count <> (SELECT count(*) FROM ledger.fresh_documents WHERE rebuild = p_rebuild) THEN
        RAISE EXCEPTION 'the freshly folded documents were lost on the way'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    v_gone := ARRAY(
        SELECT d.id FROM ledger.documents AS d
        WHERE d.view = p_view AND d.position <= p_upto AND NOT EXISTS (
            SELECT 1 FROM ledger.fresh_documents AS f WHERE f.rebuild = p_rebuild AND f.id = d.id));
    DELETE FROM ledger.fresh_documents AS f USING ledger.documents AS d
    WHERE f.rebuild = p_rebuild AND d.view = p_view AND d.id = f.id
        AND (d.version, d.position, d.recorded_at, d.body)
            IS NOT DISTINCT FROM (f.version, f.position, f.recorded_at, f.body);
    PERFORM 1 FROM ledger.head FOR UPDATE;
    DELETE FROM ledger.documents AS d
    WHERE d.view = p_view AND d.position <= p_upto AND d.id = ANY (v_gone);
    INSERT INTO ledger.documents AS d (view, id, version, position, recorded_at, body)
    SELECT p_view, f.id, f.version, f.position, f.recorded_at, f.body
    FROM ledger.fresh_documents AS f WHERE f.rebuild = p_rebuild
    ON CONFLICT (view, id) DO UPDATE SET version = excluded.version,
        position = excluded.position, recorded_at = excluded.recorded_at, body = excluded.body
    WHERE d.position <= p_upto;
    DELETE FROM ledger.fresh_documents AS f WHERE f.rebuild = p_rebuild;
END
$$;

-- Forget idempotency keys that are older than ``p_life`` microseconds, some at a time.
CREATE FUNCTION ledger.forget_keys(p_life bigint, p_limit integer)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM ledger.idempotency WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ledger.idempotency
        WHERE recorded_at < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - p_life
        LIMIT p_limit FOR UPDATE SKIP LOCKED));
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC;

-- The views of the projections; the application makes, swaps and drops its tables there.
CREATE SCHEMA ledger_views;
