//! Whole tokens through the whole verifier; what concerns one module alone is tested there.

mod acceptance;
mod attacks_on_claims;
mod attacks_on_header;
mod attacks_on_proofs;
mod attacks_on_signature;
mod configuration;
mod fixtures;
mod foreign;
mod keys;
mod mutation;
mod mutation_of_proofs;
mod profiles;
mod proofs;
mod published_keys;
mod vectors;
