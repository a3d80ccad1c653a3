//! One line a record, under a transport key.
//!
//! ```text
//! #obf-keys,1,<name of the transport key>,A256KW,HS256,<MAC key, wrapped>
//! imsi,iccid,algorithm,technology,k,opc,amf,sqn,mac
//! 001010000000001,8988211000000000018,milenage,3gpp,<K, wrapped>,<OPc, wrapped>,0000,000000000000,<MAC>
//! #end,1,<MAC>
//! ```
//!
//! Secrets are wrapped with AES Key Wrap (RFC 3394) under the transport key (`A128KW` for one of 16 octets); octets are
//! hex digits. A record's MAC is HMAC-SHA-256 under the MAC key over `obf-keys row`, a line feed, the heading, a line
//! feed, and the record up to the comma before the MAC; the end's over `obf-keys end`, a line feed, and the number of
//! records. There is no quoting.

mod reader;
mod writer;

pub use reader::CsvReader;
pub use writer::CsvWriter;

const MAGIC: &str = "#obf-keys";
const VERSION: &str = "1";
const END: &str = "#end";
const MAC: &str = "HS256";
/// Octets of the MAC key.
const MAC_KEY_LEN: usize = 32;
const ROW: &[u8] = b"obf-keys row\n";
const LAST: &[u8] = b"obf-keys end\n";

fn wrapping(key_len: usize) -> &'static str {
    if key_len == 16 { "A128KW" } else { "A256KW" }
}
