-- A database of schema version 1, as the sqlite3 shell dumped it.
PRAGMA application_id = 1329743474;
PRAGMA user_version = 1;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE data_keys (
    id INTEGER PRIMARY KEY,
    kek TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO data_keys VALUES(1,'file:4b',X'070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707',1800000000);
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
INSERT INTO custodians VALUES('acme','Acme',1,'fleet@acme.example',1,1,1800000000,1800000000);
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
INSERT INTO kyc_records VALUES(1,'acme',2,1800001000,NULL,0,0,'{}',1,1800000000,1800000000);
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
INSERT INTO devices VALUES(1,1,'000000000000001',replace('3 8900000000000000001\n','\n',char(10)),3,1,X'000000010203',4660,64,32035,1800000000,1,2,1800000001,'acme',1,1800000000,1800000000);
INSERT INTO devices VALUES(2,1,'000000000000002',replace('3 8900000000000000002\n','\n',char(10)),2,2,X'000000010909',0,0,0,1800000000,0,1,NULL,NULL,1,1800000000,1800000000);
INSERT INTO devices VALUES(3,1,'000000000000003',replace('3 8900000000000000003\n','\n',char(10)),3,NULL,NULL,0,0,0,1800000000,1,1,1800000001,NULL,1,1800000000,1800000000);
CREATE TABLE identities (
    value TEXT NOT NULL,
    kind INTEGER NOT NULL,
    device INTEGER NOT NULL,
    PRIMARY KEY (value, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO identities VALUES('000000000000001',1,1);
INSERT INTO identities VALUES('000000000000002',1,2);
INSERT INTO identities VALUES('000000000000003',1,3);
INSERT INTO identities VALUES('8900000000000000001',3,1);
INSERT INTO identities VALUES('8900000000000000002',3,2);
INSERT INTO identities VALUES('8900000000000000003',3,3);
CREATE TABLE former_identities (
    value TEXT NOT NULL,
    kind INTEGER NOT NULL,
    sqn INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    PRIMARY KEY (value, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO former_identities VALUES('000000000000004',1,35,1800000001);
INSERT INTO former_identities VALUES('8900000000000000004',3,35,1800000001);
CREATE TABLE resynchronisations (
    device INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    rand BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (device, rand)
) STRICT, WITHOUT ROWID;
INSERT INTO resynchronisations VALUES(1,X'01010101010101010101010101010101',1800000000);
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
INSERT INTO applications VALUES('a.example','',replace('a.example\nproxy.example','\n',char(10)),'mqtt','tls-psk',NULL,0,X'09',1,1,0,1,1800000000,1800000000);
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
INSERT INTO grants VALUES(2,'a.example',NULL,NULL,NULL,NULL,0,1800000000);
INSERT INTO grants VALUES(3,'a.example',NULL,NULL,NULL,NULL,0,1800000000);
CREATE TABLE groups (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "groups" VALUES('fleet',NULL,2,1800000000,1800000000);
CREATE TABLE group_members (
    device INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    PRIMARY KEY (device, group_id)
) STRICT, WITHOUT ROWID;
INSERT INTO group_members VALUES(1,'fleet');
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
INSERT INTO group_grants VALUES('fleet','a.example',NULL,NULL,NULL,NULL,0,1800000000);
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
INSERT INTO notices VALUES(1,'as1',0,1,1,'000000000000004',1800000001,NULL,1800000000);
CREATE TABLE refused_vectors (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL
) STRICT;
INSERT INTO refused_vectors VALUES(1,0);
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
INSERT INTO audit VALUES(1,1800000000,'tester','kms.add-data-key','1','a test','file:4b');
INSERT INTO audit VALUES(2,1800000000,'tester','custodian.add','acme','a test','');
INSERT INTO audit VALUES(3,1800000000,'tester','kyc.add','acme','a test','record 1');
INSERT INTO audit VALUES(4,1800000000,'tester','device.import','imsi:000000000000001','a test','4 devices, up to imsi:000000000000004');
INSERT INTO audit VALUES(5,1800000000,'tester','app.add','a.example','a test','');
INSERT INTO audit VALUES(6,1800000000,'tester','group.add','fleet','a test','');
INSERT INTO audit VALUES(7,1800000000,'tester','group.put-in','fleet','a test','1 devices');
INSERT INTO audit VALUES(8,1800000000,'tester','grant.put','group:fleet a.example','a test','');
INSERT INTO audit VALUES(9,1800000000,'tester','grant.put','imsi:000000000000002 a.example','a test','');
INSERT INTO audit VALUES(10,1800000000,'tester','grant.put','imsi:000000000000003 a.example','a test','');
INSERT INTO audit VALUES(11,1800000000,'as.example#0','key.use','imsi:000000000000001','vector','');
INSERT INTO audit VALUES(12,1800000000,'as.example#0','key.use','imsi:000000000000001','resynchronisation','');
INSERT INTO audit VALUES(13,1800000000,'as.example#0','key.use','imsi:000000000000004','vector','');
INSERT INTO audit VALUES(14,1800000000,'tester','device.remove','imsi:000000000000004','a test','');
CREATE TABLE audit_seals (
    last_seq INTEGER PRIMARY KEY,
    seqs BLOB NOT NULL,
    digests BLOB NOT NULL,
    hash BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT;
INSERT INTO audit_seals VALUES(14,X'000000000000000100000000000000020000000000000003000000000000000400000000000000050000000000000006000000000000000700000000000000080000000000000009000000000000000a000000000000000b000000000000000c000000000000000d000000000000000e',X'3f95d337c2c66dfe7e9d602867b65e2935e3d6aefc287a4505548721b1989cf8c5cf73b266eb06943faf8d4dbc74f327ecea3274837ea17505fe4ab068599861e3cb259f734a1c6c37ce387a82ac26b875dc078f747d1db8a73e7907c98a569ca197c64153ecc5ac98f4cd1e7e7c7408402c137ac8b5ae8b8b9ffd24186ad924bdf0a6ee03261e5aa1a442d01040f89cb0eb54542b4799587a1dcadd8ae6000bfd49583def5e847c',X'ccc6677768cd2986014bbea06344f61aade6758b83d68b8942507e2f9c1d8521',1800000000);
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
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('kyc_records',1);
INSERT INTO sqlite_sequence VALUES('notices',1);
CREATE INDEX entries_of_parent ON entries (kind, parent, id);
CREATE INDEX kyc_records_of_custodian ON kyc_records (custodian, id);
CREATE INDEX kyc_records_not_noted ON kyc_records (reverify_by) WHERE due_noted = 0 AND reverify_by IS NOT NULL;
CREATE INDEX devices_of_custodian ON devices (custodian, id) WHERE custodian IS NOT NULL;
CREATE INDEX applications_of_provider ON applications (provider, id);
CREATE INDEX grants_of_app ON grants (app, device);
CREATE INDEX members_of_group ON group_members (group_id, device);
CREATE INDEX group_grants_of_app ON group_grants (app, group_id);
CREATE INDEX notices_of_addressee ON notices (addressee, lane, kind, id);
CREATE INDEX idempotency_by_age ON idempotency (at);
COMMIT;
