//! Key files: what a maker of secure elements and an operator hand each other (SPEC C1, C2).
#![forbid(unsafe_code)]
