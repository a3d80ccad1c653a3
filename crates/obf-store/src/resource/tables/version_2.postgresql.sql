ALTER TABLE devices DROP COLUMN algorithm, DROP COLUMN wrapped_key, DROP COLUMN amf, DROP COLUMN initial_sqn,
    DROP COLUMN sqn, DROP COLUMN minimum_algorithm;
