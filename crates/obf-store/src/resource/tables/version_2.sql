CREATE TABLE credentials (
    device INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    mode INTEGER NOT NULL CHECK (mode BETWEEN 1 AND 255),
    state INTEGER NOT NULL CHECK (state IN (1, 2)),
    key_index INTEGER NOT NULL CHECK (key_index BETWEEN 0 AND 255),
    technology INTEGER NOT NULL CHECK (technology BETWEEN 1 AND 255),
    source INTEGER NOT NULL CHECK (source BETWEEN 1 AND 255),
    hlr TEXT,
    algorithm INTEGER,
    keccak_iterations INTEGER CHECK (keccak_iterations BETWEEN 1 AND 255),
    wrapped_key BLOB,
    amf INTEGER CHECK (amf BETWEEN 0 AND 65535),
    minimum_algorithm INTEGER,
    initial_sqn INTEGER,
    sqn INTEGER CHECK (sqn BETWEEN 0 AND 281474976710655),
    PRIMARY KEY (device, mode, state),
    CHECK ((source = 1) = (wrapped_key IS NOT NULL)),
    CHECK ((source = 1) = (algorithm IS NOT NULL)),
    CHECK ((source = 2) = (hlr IS NOT NULL)),
    CHECK (mode <> 1 OR (amf IS NOT NULL AND minimum_algorithm IS NOT NULL AND initial_sqn IS NOT NULL AND sqn IS NOT NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO credentials (device, mode, state, key_index, technology, source, hlr, algorithm, keccak_iterations,
                         wrapped_key, amf, minimum_algorithm, initial_sqn, sqn)
SELECT id, 1, 1, 1, 1, CASE WHEN wrapped_key IS NULL THEN 2 ELSE 1 END,
       CASE WHEN wrapped_key IS NULL THEN 'default' END, algorithm, CASE WHEN algorithm = 2 THEN 1 END,
       wrapped_key, amf, minimum_algorithm, initial_sqn, sqn
FROM devices;
