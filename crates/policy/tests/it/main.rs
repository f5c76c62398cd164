//! What the policy crate promises to those who write policies.
#![cfg(test)]

mod capabilities;
mod document;
mod examples;
mod lint;
mod properties;
mod semantics;
mod support;
