//! Development only: real peers and process harness for the tests
