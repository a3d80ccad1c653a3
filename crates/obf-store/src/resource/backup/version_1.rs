//! Backups of schema version 1, in which a device and the one credential that it had were one row.

use super::RestoreError;
use crate::sql::{Session, Value};

/// The columns of its table `devices`.
pub const COLUMNS: &str = "id, identity_kind, identity, other_identities, home_network, algorithm, wrapped_key, amf, \
                           initial_sqn, sqn, epoch, state, minimum_algorithm, kyc_expiry, custodian, version, \
                           created_at, updated_at";
/// How many those are.
pub const WIDTH: usize = 18;

/// Puts such a row into the tables of today, as the migration does (`tables/version_2.sql`).
pub fn insert(s: &mut dyn Session, row: &[Value<'_>]) -> Result<(), RestoreError> {
    let &[
        id,
        identity_kind,
        identity,
        other_identities,
        home_network,
        algorithm,
        wrapped_key,
        amf,
        initial_sqn,
        sqn,
        epoch,
        state,
        minimum_algorithm,
        kyc_expiry,
        custodian,
        version,
        created_at,
        updated_at,
    ] = row
    else {
        return Err(RestoreError::Malformed("a record is cut short"));
    };
    s.execute(
        "INSERT INTO devices (id, identity_kind, identity, other_identities, home_network, epoch, state, kyc_expiry,
                              custodian, version, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        &[
            id,
            identity_kind,
            identity,
            other_identities,
            home_network,
            epoch,
            state,
            kyc_expiry,
            custodian,
            version,
            created_at,
            updated_at,
        ],
    )?;
    let has_key = !matches!(wrapped_key, Value::Null);
    let (source, hlr) = if has_key { (1_u8, None) } else { (2, Some("default")) };
    let keccak_iterations = matches!(algorithm, Value::Integer(2)).then_some(1_u8);
    s.execute(
        "INSERT INTO credentials (device, mode, state, key_index, technology, source, hlr, algorithm,
                                  keccak_iterations, wrapped_key, amf, minimum_algorithm, initial_sqn, sqn)
         VALUES (?1, 1, 1, 1, 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        &[
            id,
            source.into(),
            hlr.into(),
            algorithm,
            keccak_iterations.into(),
            wrapped_key,
            amf,
            minimum_algorithm,
            initial_sqn,
            sqn,
        ],
    )?;
    Ok(())
}
