//! Information element identifiers, as the OsmoHLR manual numbers them, and how many tuples a result has.

/// The most tuples in a result (TS 29.002 17.7.1, `maxNumOfAuthenticationVectors`).
pub(crate) const MAX_TUPLES: usize = 5;

pub(crate) const IMSI: u8 = 0x01;
pub(crate) const CAUSE: u8 = 0x02;
pub(crate) const AUTH_TUPLE: u8 = 0x03;
pub(crate) const MESSAGE_CLASS: u8 = 0x0a;
pub(crate) const RAND: u8 = 0x20;
pub(crate) const SRES: u8 = 0x21;
pub(crate) const KC: u8 = 0x22;
pub(crate) const IK: u8 = 0x23;
pub(crate) const CK: u8 = 0x24;
pub(crate) const AUTN: u8 = 0x25;
pub(crate) const AUTS: u8 = 0x26;
pub(crate) const RES: u8 = 0x27;
pub(crate) const CN_DOMAIN: u8 = 0x28;
pub(crate) const VECTORS: u8 = 0x52;

/// What an element is called in errors.
pub(crate) const fn name(element: u8) -> &'static str {
    match element {
        IMSI => "IMSI",
        CAUSE => "cause",
        AUTH_TUPLE => "authentication tuple",
        MESSAGE_CLASS => "message class",
        RAND => "RAND",
        SRES => "SRES",
        KC => "Kc",
        IK => "IK",
        CK => "CK",
        AUTN => "AUTN",
        AUTS => "AUTS",
        RES => "RES",
        CN_DOMAIN => "CN domain",
        VECTORS => "number of vectors",
        _ => "an element of another kind",
    }
}
