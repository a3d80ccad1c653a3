//! OBF Resource Server: KMS, registry, authorisation, administration
