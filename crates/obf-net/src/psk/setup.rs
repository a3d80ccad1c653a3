//! What both ends' OpenSSL contexts have in common.

use obf_rpa::Suite;
use openssl::{
    dh::Dh,
    error::ErrorStack,
    ssl::{SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode, SslVersion},
};

/// OpenSSL refused a setting: it lacks a suite or a group, or is broken.
#[derive(Debug, thiserror::Error)]
#[error("OpenSSL cannot be set up for TLS-PSK: {0}")]
pub struct PskSetupError(String);

impl From<ErrorStack> for PskSetupError {
    fn from(errors: ErrorStack) -> Self {
        Self(errors.to_string())
    }
}

/// TLS 1.2 and 1.3, the suites of RPA, no tickets, session ids, early data or renegotiation.
pub fn context() -> Result<SslContextBuilder, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls())?;
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_max_proto_version(Some(SslVersion::TLS1_3))?;
    context.set_cipher_list(&Suite::TLS12.map(|suite| suite.openssl).join(":"))?;
    context.set_ciphersuites(&Suite::TLS13.map(|suite| suite.openssl).join(":"))?;
    context.set_groups_list("X25519:P-256:P-384")?;
    context.set_options(
        SslOptions::NO_TICKET
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_COMPRESSION
            | SslOptions::CIPHER_SERVER_PREFERENCE,
    );
    context.set_mode(SslMode::RELEASE_BUFFERS);
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_num_tickets(0)?;
    Ok(context)
}

/// The group of DHE_PSK: ffdhe3072 (RFC 7919 A.2).
pub fn dh_group() -> Result<Dh<openssl::pkey::Params>, ErrorStack> {
    Dh::params_from_pem(FFDHE3072.as_bytes())
}

const FFDHE3072: &str = "\
-----BEGIN DH PARAMETERS-----
MIIBiAKCAYEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEfz9zeNVs7ZRkDW7w09N75nAI4YbRvydbmyQd62R0mkff3
7lmMsPrBhtkcrv4TCYUTknC0EwyTvEN5RPT9RFLi103TZPLiHnH1S/9croKrnJ32
nuhtK8UiNjoNq8Uhl5sN6todv5pC1cRITgq80Gv6U93vPBsg7j/VnXwl5B0rZsYu
N///////////AgEC
-----END DH PARAMETERS-----
";
