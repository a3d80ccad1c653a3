//! HTTP Digest: RFC 7616, AKAv1 (RFC 3310) and AKAv2 (RFC 4169), both sides
