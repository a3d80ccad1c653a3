CREATE TABLE devices_anew (
    id INTEGER PRIMARY KEY,
    identity_kind INTEGER NOT NULL,
    identity TEXT NOT NULL,
    other_identities TEXT NOT NULL,
    home_network INTEGER NOT NULL CHECK (home_network IN (2, 3)),
    epoch INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    kyc_expiry INTEGER,
    custodian TEXT REFERENCES custodians (id),
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
INSERT INTO devices_anew
SELECT id, identity_kind, identity, other_identities, home_network, epoch, state, kyc_expiry, custodian, version,
       created_at, updated_at
FROM devices;
DROP TABLE devices;
ALTER TABLE devices_anew RENAME TO devices;
CREATE INDEX devices_of_custodian ON devices (custodian, id) WHERE custodian IS NOT NULL;
