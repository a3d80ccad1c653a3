//! The tables, for both engines (PostgreSQL's words for the types: [`crate::postgres`]). Steps are only ever appended.
//!
//! Version 2 takes what a device authenticates with out of the table `devices`. SQLite drops no column that a `CHECK` of
//! the table names, so there the table is written anew; PostgreSQL drops the columns. Their order is the same afterwards:
//! a backup of the one is restored into the other.

use super::backup::Table;
use crate::Schema;

/// `OBFr`.
pub const SCHEMA: Schema = Schema { application_id: 0x4F42_4672, migrations: &[V1, V2_SQLITE, DENIALS] };
/// The same steps in PostgreSQL.
pub const POSTGRES: &[&str] = &[V1, V2_POSTGRES, DENIALS];

// `credentials`: modes and technologies are those of `obf_token`; state 1 active, 2 staged, so that the primary key lets
// a device have at most one of each in one mode; sources and algorithms: `credentials.rs`. A vector changes one row of
// it. A device of version 1 without a key lived in the only HLR that there was.
const V2_SQLITE: &str =
    concat!(include_str!("tables/version_2.sql"), include_str!("tables/version_2.sqlite.sql"));
const V2_POSTGRES: &str =
    concat!(include_str!("tables/version_2.sql"), include_str!("tables/version_2.postgresql.sql"));
/// Whose tables they are, where several nodes keep theirs in one PostgreSQL database.
pub const OWNER: &str = "resource";

/// What a backup holds, all columns of it, parents before children.
pub const BACKED_UP: &[Table] = &[
    Table::keyed("data_keys", &["id"]),
    Table::keyed("rotation", &["id"]),
    Table::keyed("entries", &["kind", "id"]),
    Table::keyed("administrators", &["id"]),
    Table::keyed("custodians", &["id"]),
    Table::numbered("kyc_records", &["id"]),
    Table::numbered("devices", &["id"]),
    Table::keyed("credentials", &["device", "mode", "state"]),
    Table::keyed("identities", &["value", "kind"]),
    Table::keyed("former_identities", &["value", "kind"]),
    Table::keyed("resynchronisations", &["device", "rand"]),
    Table::keyed("applications", &["id"]),
    Table::keyed("grants", &["device", "app"]),
    Table::keyed("groups", &["id"]),
    Table::keyed("group_members", &["device", "group_id"]),
    Table::keyed("group_grants", &["group_id", "app"]),
    Table::numbered("denials", &["id"]),
    Table::numbered("audit", &["seq"]),
    Table::keyed("audit_seals", &["last_seq"]),
];
/// What it leaves out: a restore tells everything anew; nobody repeats a request to a restored server.
#[cfg(test)]
const LEFT_OUT: &[&str] = &["notices", "idempotency", "refused_vectors"];

// States: 0 registered, 1 active, 2 suspended, 3 retired. `version` rises with every administrative change.
// `devices` repeats what stands in `identities`, the primary one and the others in order, so that a vector reads one row.
// `former_identities` remembers what a removed device had reached, so that one added again under the same identity
// neither hands an SQN out twice nor falls behind the epoch that ended its tokens.
// `refused_vectors` has one row: what refusals write so that they take as long as vectors; and how many there were.
const V1: &str = "
CREATE TABLE data_keys (
    id INTEGER PRIMARY KEY,
    kek TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE rotation (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    document TEXT NOT NULL
) STRICT;
CREATE TABLE entries (
    kind INTEGER NOT NULL,
    id TEXT NOT NULL,
    parent TEXT NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    version INTEGER NOT NULL,
    document TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX entries_of_parent ON entries (kind, parent, id);
CREATE TABLE administrators (
    id TEXT NOT NULL PRIMARY KEY,
    role TEXT NOT NULL,
    application_provider TEXT,
    token_sha256 BLOB NOT NULL UNIQUE,
    cert_name TEXT UNIQUE,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE custodians (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL CHECK (kind IN (0, 1)),
    contact TEXT,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE kyc_records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    custodian TEXT NOT NULL REFERENCES custodians (id) ON DELETE CASCADE,
    level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 3),
    valid_until INTEGER NOT NULL,
    reverify_by INTEGER,
    due_noted INTEGER NOT NULL CHECK (due_noted IN (0, 1)),
    revoked INTEGER NOT NULL CHECK (revoked IN (0, 1)),
    document TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX kyc_records_of_custodian ON kyc_records (custodian, id);
CREATE INDEX kyc_records_not_noted ON kyc_records (reverify_by) WHERE due_noted = 0 AND reverify_by IS NOT NULL;
CREATE TABLE devices (
    id INTEGER PRIMARY KEY,
    identity_kind INTEGER NOT NULL,
    identity TEXT NOT NULL,
    other_identities TEXT NOT NULL,
    home_network INTEGER NOT NULL CHECK (home_network IN (2, 3)),
    algorithm INTEGER CHECK (algorithm IN (1, 2)),
    wrapped_key BLOB,
    amf INTEGER NOT NULL CHECK (amf BETWEEN 0 AND 65535),
    initial_sqn INTEGER NOT NULL,
    sqn INTEGER NOT NULL CHECK (sqn BETWEEN 0 AND 281474976710655),
    epoch INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    minimum_algorithm INTEGER NOT NULL CHECK (minimum_algorithm IN (1, 2)),
    kyc_expiry INTEGER,
    custodian TEXT REFERENCES custodians (id),
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CHECK ((algorithm IS NULL) = (wrapped_key IS NULL))
) STRICT;
CREATE INDEX devices_of_custodian ON devices (custodian, id) WHERE custodian IS NOT NULL;
CREATE TABLE identities (
    value TEXT NOT NULL,
    kind INTEGER NOT NULL,
    device INTEGER NOT NULL,
    PRIMARY KEY (value, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE former_identities (
    value TEXT NOT NULL,
    kind INTEGER NOT NULL,
    sqn INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    PRIMARY KEY (value, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE resynchronisations (
    device INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    rand BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (device, rand)
) STRICT, WITHOUT ROWID;
CREATE TABLE applications (
    id TEXT NOT NULL PRIMARY KEY,
    provider TEXT NOT NULL,
    cert_names TEXT NOT NULL,
    protocols TEXT NOT NULL,
    ua_classes TEXT NOT NULL,
    max_lifetime INTEGER,
    kyc_level INTEGER NOT NULL CHECK (kyc_level BETWEEN 0 AND 3),
    settings BLOB NOT NULL,
    discloses_identity INTEGER NOT NULL CHECK (discloses_identity IN (0, 1)),
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    withheld INTEGER NOT NULL CHECK (withheld IN (0, 1)),
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX applications_of_provider ON applications (provider, id);
CREATE TABLE grants (
    device INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    app TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    lifetime INTEGER,
    expires_at INTEGER,
    settings BLOB,
    local_validity INTEGER,
    kyc_level INTEGER NOT NULL CHECK (kyc_level BETWEEN 0 AND 3),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (device, app)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_of_app ON grants (app, device);
CREATE TABLE groups (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE group_members (
    device INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    PRIMARY KEY (device, group_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_of_group ON group_members (group_id, device);
CREATE TABLE group_grants (
    group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    app TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    lifetime INTEGER,
    expires_at INTEGER,
    settings BLOB,
    local_validity INTEGER,
    kyc_level INTEGER NOT NULL CHECK (kyc_level BETWEEN 0 AND 3),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (group_id, app)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_grants_of_app ON group_grants (app, group_id);
CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    addressee TEXT NOT NULL,
    lane INTEGER NOT NULL CHECK (lane IN (0, 1)),
    kind INTEGER NOT NULL,
    identity_kind INTEGER,
    identity TEXT,
    epoch INTEGER,
    app TEXT,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX notices_of_addressee ON notices (addressee, lane, kind, id);
CREATE TABLE refused_vectors (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL
) STRICT;
INSERT INTO refused_vectors VALUES (1, 0);
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
CREATE TABLE idempotency (
    actor TEXT NOT NULL,
    key TEXT NOT NULL,
    request BLOB NOT NULL,
    status INTEGER,
    etag TEXT,
    body BLOB,
    at INTEGER NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (at);
";

// A denial is of a device or of a group; each pair has one at most (a null differs from every other).
const DENIALS: &str = "
CREATE TABLE denials (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device INTEGER REFERENCES devices (id) ON DELETE CASCADE,
    group_id TEXT REFERENCES groups (id) ON DELETE CASCADE,
    app TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    until INTEGER,
    reason TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (device, app),
    UNIQUE (group_id, app),
    CHECK ((device IS NULL) <> (group_id IS NULL))
) STRICT;
CREATE INDEX denials_of_app ON denials (app, id);
";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A table that a backup forgets would be lost unnoticed.
    #[test]
    fn a_backup_has_every_table_that_is_not_left_out() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        SCHEMA.migrations.iter().for_each(|step| connection.execute_batch(step).unwrap());
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
        let mut tables = connection.prepare(sql).unwrap();
        let there = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let there: BTreeSet<String> = there.map(Result::unwrap).collect();
        let named = BACKED_UP.iter().map(|table| table.name).chain(LEFT_OUT.iter().copied());
        assert_eq!(named.map(str::to_owned).collect::<BTreeSet<_>>(), there);
    }

    /// What no program of ours would write is not kept either.
    #[test]
    fn a_credential_is_whole_and_the_only_one_of_its_mode_and_state() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        SCHEMA.migrations.iter().for_each(|step| connection.execute_batch(step).unwrap());
        connection
            .execute_batch(
                "INSERT INTO devices VALUES (1, 1, '001010000000001', '', 2, 0, 1, NULL, NULL, 1, 0, 0);
                 INSERT INTO credentials VALUES (1, 1, 1, 1, 1, 1, NULL, 1, NULL, x'0000', 0, 1, 0, 0)",
            )
            .unwrap();
        for refused in [
            "state = 3",
            "source = 2",
            "wrapped_key = NULL",
            "algorithm = NULL",
            "hlr = 'west'",
            "sqn = NULL",
            "sqn = 281474976710656",
            "technology = 0",
            "keccak_iterations = 0",
        ] {
            let error = connection.execute(&format!("UPDATE credentials SET {refused}"), ()).unwrap_err();
            assert!(error.to_string().contains("CHECK"), "{refused}: {error}");
        }
        let another = |device: i64, state: i64| {
            let sql =
                "INSERT INTO credentials VALUES (?1, 1, ?2, 2, 1, 2, 'west', NULL, NULL, NULL, 0, 1, 0, 0)";
            connection.execute(sql, [device, state]).map_err(|error| error.to_string())
        };
        assert!(another(1, 1).unwrap_err().contains("UNIQUE"));
        assert!(another(2, 1).unwrap_err().contains("FOREIGN KEY"));
        assert_eq!(another(1, 2), Ok(1));
        connection.execute("DELETE FROM devices", ()).unwrap();
        let left: i64 =
            connection.query_row("SELECT count(*) FROM credentials", (), |row| row.get(0)).unwrap();
        assert_eq!(left, 0);
    }
}
