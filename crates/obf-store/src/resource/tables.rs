//! The tables.

use crate::Schema;

/// `OBFr`.
pub const SCHEMA: Schema = Schema { application_id: 0x4F42_4672, migrations: &[V1, V2] };

// `former_identities` remembers what a removed device had reached, so that one added again under the same identity
// neither hands an SQN out twice nor falls behind the epoch that ended its tokens.
const V1: &str = "
CREATE TABLE devices (
    id INTEGER PRIMARY KEY,
    home_network INTEGER NOT NULL CHECK (home_network IN (2, 3)),
    algorithm INTEGER NOT NULL CHECK (algorithm IN (1, 2)),
    wrapped_key BLOB NOT NULL,
    amf INTEGER NOT NULL CHECK (amf BETWEEN 0 AND 65535),
    initial_sqn INTEGER NOT NULL,
    sqn INTEGER NOT NULL CHECK (sqn BETWEEN 0 AND 281474976710655),
    epoch INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state IN (0, 1)),
    minimum_algorithm INTEGER NOT NULL CHECK (minimum_algorithm IN (1, 2)),
    kyc_expiry INTEGER,
    custodian TEXT,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE identities (
    value TEXT NOT NULL,
    kind INTEGER NOT NULL,
    device INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    rank INTEGER NOT NULL,
    PRIMARY KEY (value, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_of_device ON identities (device, rank);
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
    id TEXT PRIMARY KEY,
    cert_names TEXT NOT NULL,
    ua_classes TEXT NOT NULL,
    settings BLOB NOT NULL,
    discloses_identity INTEGER NOT NULL CHECK (discloses_identity IN (0, 1)),
    state INTEGER NOT NULL CHECK (state IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE grants (
    device INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    app TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    lifetime INTEGER,
    expires_at INTEGER,
    settings BLOB,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (device, app)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_of_app ON grants (app, device);
CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    addressee TEXT NOT NULL,
    kind INTEGER NOT NULL,
    identity_kind INTEGER,
    identity TEXT,
    epoch INTEGER,
    app TEXT,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX notices_of_addressee ON notices (addressee, id);
";

// One row. What refusals write so that they take as long as vectors; and how many there were.
const V2: &str = "
CREATE TABLE refused_vectors (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL
) STRICT;
INSERT INTO refused_vectors VALUES (1, 0);
";
