//! Whole tokens through the whole verifier; what concerns one module alone is tested there.

mod acceptance;
mod attacks_on_claims;
mod attacks_on_header;
mod attacks_on_signature;
mod configuration;
mod fixtures;
mod keys;
mod mutation;
mod vectors;
