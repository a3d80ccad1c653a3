//! Exchange machines.
