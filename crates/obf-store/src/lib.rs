//! Storage traits and backends
