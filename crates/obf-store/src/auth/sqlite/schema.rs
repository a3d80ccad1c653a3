//! The tables in a SQLite file.

use crate::Schema;

/// "OBFA".
const APPLICATION_ID: i32 = 0x4F42_4641;

/// The tables. Identities are `kind octet ‖ text`, token ids `RAND ‖ domain`, times seconds since 1970; how a
/// token came about is its four octets (`TokenFacts::origin`) as a number. Tokens lie in the
/// order in which they came, so that a commit of many touches few pages; a device's row says which are its own.
pub const SCHEMA: Schema = Schema {
    application_id: APPLICATION_ID,
    migrations: &["
        CREATE TABLE devices (
            device BLOB PRIMARY KEY,
            epoch INTEGER NOT NULL,
            counter INTEGER NOT NULL,
            minimum INTEGER NOT NULL,
            tokens BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE spent (rand BLOB PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE INDEX spent_until ON spent (until);
        CREATE TABLE rights (id INTEGER PRIMARY KEY, body BLOB NOT NULL UNIQUE) STRICT;
        CREATE TABLE rights_apps (
            app TEXT NOT NULL,
            rights INTEGER NOT NULL REFERENCES rights ON DELETE CASCADE,
            PRIMARY KEY (app, rights)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX rights_apps_rights ON rights_apps (rights);
        CREATE TABLE tokens (
            seq INTEGER PRIMARY KEY,
            rand BLOB NOT NULL UNIQUE,
            domain TEXT NOT NULL,
            device BLOB NOT NULL,
            user_name BLOB,
            how INTEGER NOT NULL,
            epoch INTEGER NOT NULL,
            counter INTEGER NOT NULL,
            bootstrapped INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            ks BLOB,
            rights INTEGER NOT NULL,
            rights_at INTEGER NOT NULL,
            revoked INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE INDEX tokens_due ON tokens (expires) WHERE ks IS NOT NULL;
        CREATE INDEX tokens_gone ON tokens (expires) WHERE ks IS NULL;
        CREATE TABLE fetched (token INTEGER NOT NULL, app TEXT NOT NULL, PRIMARY KEY (token, app)) STRICT, WITHOUT ROWID;
        CREATE TABLE changes (
            seq INTEGER PRIMARY KEY,
            kind INTEGER NOT NULL,
            device BLOB NOT NULL,
            token BLOB,
            number INTEGER NOT NULL,
            at INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE notices (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            app TEXT NOT NULL,
            token BLOB NOT NULL,
            device BLOB NOT NULL,
            epoch INTEGER NOT NULL,
            at INTEGER NOT NULL,
            expires INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX notices_app ON notices (app, seq);
        CREATE INDEX notices_expires ON notices (expires);
        CREATE TABLE cursors (
            app TEXT NOT NULL,
            peer TEXT NOT NULL,
            seq INTEGER NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY (app, peer)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE sealing_keys (id INTEGER PRIMARY KEY, wrapped BLOB NOT NULL, created INTEGER NOT NULL) STRICT;
    ", "
        ALTER TABLE changes ADD COLUMN counter INTEGER NOT NULL DEFAULT 0;
        CREATE VIEW stored_tokens AS
            SELECT seq, rand, domain, CAST(rand || domain AS BLOB) AS id, device, user_name, how, epoch, counter,
                   bootstrapped, expires, rights_at, ks, rights, body, revoked
            FROM tokens JOIN rights ON rights.id = tokens.rights;
        CREATE VIEW token_apps AS SELECT seq AS token, app FROM tokens JOIN rights_apps USING (rights);
    ", "
        UPDATE tokens SET how = ((how & 3) << 24) | (((how >> 2) & 3) << 16) | (((how >> 4) & 3) << 8) | (how >> 6);
    ", "
        CREATE TABLE audit (
            seq INTEGER PRIMARY KEY,
            at INTEGER NOT NULL,
            actor TEXT NOT NULL,
            action TEXT NOT NULL,
            object TEXT NOT NULL,
            reason TEXT NOT NULL,
            detail TEXT NOT NULL
        ) STRICT;
        CREATE TABLE audit_seals (
            last_seq INTEGER PRIMARY KEY,
            seqs BLOB NOT NULL,
            digests BLOB NOT NULL,
            hash BLOB NOT NULL,
            at INTEGER NOT NULL
        ) STRICT;
    "],
};
