//! The one OpenSSL function that its Rust binding lacks.
#![expect(unsafe_code, reason = "openssl 0.10 has no binding for SSL_CTX_use_psk_identity_hint")]

use openssl::{error::ErrorStack, ssl::SslContextBuilder};
use std::ffi::{CStr, c_char, c_int, c_void};

unsafe extern "C" {
    fn SSL_CTX_use_psk_identity_hint(context: *mut c_void, hint: *const c_char) -> c_int;
}

/// The hint that the server's TLS 1.2 ServerKeyExchange carries (RFC 4279 2).
pub fn set_identity_hint(context: &mut SslContextBuilder, hint: &CStr) -> Result<(), ErrorStack> {
    // SAFETY: the context is valid for the call, the hint NUL-terminated; OpenSSL copies it.
    let done = unsafe { SSL_CTX_use_psk_identity_hint(context.as_ptr().cast(), hint.as_ptr()) };
    if done == 1 { Ok(()) } else { Err(ErrorStack::get()) }
}
