//! The tables in a PostgreSQL database, and the functions that make a bootstrap one round trip.

/// Whose tables these are, in `obf_schema`.
pub const OWNER: &str = "auth";
/// What is said when something ended.
pub const CHANNEL: &str = "obf_changes";

/// The n-th step leads from version n to n + 1. Steps are only ever appended. Identities are `kind octet ‖ text`, token ids
/// `RAND ‖ domain`, times seconds since 1970.
pub const MIGRATIONS: &[&str] = &[
    r#"
    CREATE TABLE devices (
        device bytea PRIMARY KEY,
        epoch bigint NOT NULL,
        counter bigint NOT NULL,
        minimum bigint NOT NULL
    ) WITH (fillfactor = 70);

    -- A challenge that a resynchronisation spent is a row without a device: one unique RAND for both, so that of two
    -- that use one, at whichever nodes, one waits for the other and finds it used.
    CREATE TABLE tokens (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        rand bytea NOT NULL UNIQUE,
        domain text COLLATE "C" NOT NULL,
        device bytea,
        user_name bytea,
        how bigint NOT NULL DEFAULT 0,
        epoch bigint NOT NULL DEFAULT 0,
        counter bigint NOT NULL DEFAULT 0,
        bootstrapped bigint NOT NULL DEFAULT 0,
        expires bigint NOT NULL,
        rights_at bigint NOT NULL DEFAULT 0,
        ks bytea,
        rights bytea NOT NULL DEFAULT '\x00',
        apps text[] COLLATE "C" NOT NULL DEFAULT '{}',
        revoked bigint NOT NULL DEFAULT 0
    );
    CREATE INDEX tokens_device ON tokens (device) WHERE ks IS NOT NULL;
    CREATE INDEX tokens_due ON tokens (expires) WHERE ks IS NOT NULL;
    CREATE INDEX tokens_gone ON tokens (expires) WHERE ks IS NULL;
    CREATE VIEW stored_tokens AS
        SELECT seq, rand, domain, rand || convert_to(domain, 'UTF8') AS id, device, user_name, how, epoch, counter,
               bootstrapped, expires, rights_at, ks, rights AS body, apps, revoked
        FROM tokens WHERE device IS NOT NULL;
    CREATE VIEW token_apps AS SELECT seq AS token, unnest(apps) AS app FROM tokens;
    CREATE TABLE fetched (
        token bigint NOT NULL REFERENCES tokens ON DELETE CASCADE,
        app text COLLATE "C" NOT NULL,
        PRIMARY KEY (token, app)
    );

    -- Who follows knows by the transaction whether it saw a change: numbers come to light in another order.
    CREATE TABLE changes (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        kind bigint NOT NULL,
        device bytea NOT NULL,
        token bytea,
        number bigint NOT NULL,
        counter bigint NOT NULL,
        at bigint NOT NULL
    );
    CREATE INDEX changes_xid ON changes (xid);
    -- Former tokens end a minute later: every bootstrap of a known device would say so, and who says something waits
    -- for everybody else who does.
    CREATE FUNCTION obf_tell() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify('obf_changes', ''); RETURN NULL; END $$;
    CREATE TRIGGER tell AFTER INSERT ON changes FOR EACH ROW WHEN (NEW.kind <> 3) EXECUTE FUNCTION obf_tell();

    -- Applications acknowledge all notices up to a number: none may come to light below one that was read. Whoever leaves
    -- some keeps the turn until its transaction ends. Everything else is locked by then.
    CREATE TABLE notices (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        app text COLLATE "C" NOT NULL,
        token bytea NOT NULL,
        device bytea NOT NULL,
        epoch bigint NOT NULL,
        at bigint NOT NULL,
        expires bigint NOT NULL
    );
    CREATE INDEX notices_app ON notices (app, seq);
    CREATE INDEX notices_expires ON notices (expires);
    CREATE FUNCTION obf_notices_in_turn() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(324733); RETURN NULL; END $$;
    CREATE TRIGGER in_turn BEFORE INSERT ON notices FOR EACH STATEMENT EXECUTE FUNCTION obf_notices_in_turn();

    CREATE TABLE cursors (
        app text COLLATE "C" NOT NULL,
        peer text COLLATE "C" NOT NULL,
        seq bigint NOT NULL,
        at bigint NOT NULL,
        PRIMARY KEY (app, peer)
    );
    CREATE TABLE sealing_keys (id bigint PRIMARY KEY, wrapped bytea NOT NULL, created bigint NOT NULL);

    -- 0: fresh; 1: used before; 2: the device's tokens were ended since the challenge was made.
    CREATE FUNCTION obf_spend(p_rand bytea, p_domain text, p_device bytea, p_epoch bigint, p_until bigint)
    RETURNS bigint LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM tokens WHERE rand = p_rand) THEN RETURN 1; END IF;
        IF EXISTS (SELECT 1 FROM devices WHERE device = p_device AND epoch > p_epoch) THEN RETURN 2; END IF;
        INSERT INTO tokens (rand, domain, expires) VALUES (p_rand, p_domain, p_until) ON CONFLICT (rand) DO NOTHING;
        RETURN CASE WHEN FOUND THEN 0 ELSE 1 END;
    END $$;

    -- 0: the counter of the new token; 1: used before; 2: the device's tokens were ended since; 3: the least algorithm.
    CREATE FUNCTION obf_commit(
        p_rand bytea, p_domain text, p_device bytea, p_user_name bytea, p_how bigint, p_algorithm bigint,
        p_epoch bigint, p_bootstrapped bigint, p_expires bigint, p_rights_at bigint, p_ks bytea, p_rights bytea,
        p_apps text, p_former_until bigint, p_most bigint,
        OUT answer bigint, OUT value bigint
    ) LANGUAGE plpgsql AS $$
    DECLARE
        known devices%ROWTYPE;
        next_counter bigint;
        older bigint[];
        others bigint;
    BEGIN
        SELECT * INTO known FROM devices WHERE device = p_device FOR UPDATE;
        IF NOT FOUND THEN
            INSERT INTO devices VALUES (p_device, p_epoch, 0, 0) ON CONFLICT (device) DO NOTHING;
            SELECT * INTO known FROM devices WHERE device = p_device FOR UPDATE;
        END IF;
        IF known.epoch > p_epoch OR known.minimum > p_algorithm THEN
            answer := CASE WHEN EXISTS (SELECT 1 FROM tokens WHERE rand = p_rand) THEN 1
                           WHEN known.epoch > p_epoch THEN 2 ELSE 3 END;
            value := known.minimum;
            RETURN;
        END IF;
        next_counter := known.counter + 1;
        INSERT INTO tokens (rand, domain, device, user_name, how, epoch, counter, bootstrapped, expires, rights_at, ks,
                            rights, apps)
        VALUES (p_rand, p_domain, p_device, p_user_name, p_how, p_epoch, next_counter, p_bootstrapped, p_expires,
                p_rights_at, p_ks, p_rights, string_to_array(p_apps, E'\n'))
        ON CONFLICT (rand) DO NOTHING;
        IF NOT FOUND THEN
            -- Sent again after its connection was lost, it is the same token.
            SELECT tokens.counter INTO value FROM tokens WHERE rand = p_rand AND ks = p_ks;
            answer := CASE WHEN FOUND THEN 0 ELSE 1 END;
            RETURN;
        END IF;
        IF known.epoch < p_epoch THEN
            -- The Resource Server ended this device's tokens and we missed its notice. Keys first, as in revoke.rs.
            WITH ended AS (
                UPDATE tokens SET ks = NULL, revoked = 1
                WHERE device = p_device AND epoch < p_epoch AND ks IS NOT NULL AND expires > p_bootstrapped
                RETURNING seq
            ) SELECT array_agg(seq) INTO older FROM ended;
            IF older IS NOT NULL THEN
                INSERT INTO notices (app, token, device, epoch, at, expires)
                SELECT told.app, id, p_device, p_epoch, p_bootstrapped, expires
                FROM stored_tokens JOIN (
                    SELECT token, app FROM token_apps WHERE token = ANY (older)
                    UNION SELECT token, app FROM fetched WHERE token = ANY (older)
                ) told ON told.token = seq;
            END IF;
            INSERT INTO changes (kind, device, number, counter, at) VALUES (1, p_device, p_epoch, 0, p_bootstrapped);
        END IF;
        SELECT count(*) INTO others FROM tokens
        WHERE device = p_device AND ks IS NOT NULL AND expires > p_bootstrapped AND rand <> p_rand;
        IF others >= p_most THEN
            UPDATE tokens SET expires = p_bootstrapped WHERE seq IN (
                SELECT seq FROM tokens
                WHERE device = p_device AND ks IS NOT NULL AND expires > p_bootstrapped AND rand <> p_rand
                ORDER BY counter LIMIT others - p_most + 1);
        END IF;
        IF others > 0 THEN
            UPDATE tokens SET expires = p_former_until
            WHERE device = p_device AND ks IS NOT NULL AND expires > p_former_until AND rand <> p_rand;
            IF FOUND OR others >= p_most THEN
                INSERT INTO changes (kind, device, token, number, counter, at)
                VALUES (3, p_device, p_rand || convert_to(p_domain, 'UTF8'), p_former_until, next_counter,
                        p_bootstrapped);
            END IF;
        END IF;
        UPDATE devices SET epoch = p_epoch, counter = next_counter, minimum = p_algorithm WHERE device = p_device;
        answer := 0;
        value := next_counter;
    END $$;
"#,
    r#"
    CREATE TABLE audit (
        seq bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
        at bigint NOT NULL,
        actor text COLLATE "C" NOT NULL,
        action text COLLATE "C" NOT NULL,
        object text COLLATE "C" NOT NULL,
        reason text COLLATE "C" NOT NULL,
        detail text COLLATE "C" NOT NULL
    );
    CREATE TABLE audit_seals (
        last_seq bigint PRIMARY KEY,
        seqs bytea NOT NULL,
        digests bytea NOT NULL,
        hash bytea NOT NULL,
        at bigint NOT NULL
    );
"#,
];
