//! What end-to-end tests are made of.
