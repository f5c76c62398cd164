//! The signer: takes records of calls from gateways, seals them into receipts, and keeps them durably.
//!
//! One writer thread owns the database and the key. It takes all batches that wait, appends them in one
//! transaction, waits for the disk, and only then acknowledges each: what was acknowledged survives `kill -9`. A
//! gateway repeats a batch until it is acknowledged; the signer knows a record by its id, so that it is stored once.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use airlock_signer::{Settings, State, Store, load_or_create_key, serve};
//!
//! let key = load_or_create_key("signer.key".as_ref())?;
//! let state = State::start(Store::open("receipts.db".as_ref())?, key, Settings::default())?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9410").await?;
//! serve(listener, state, std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```

mod append;
mod intake;
mod key_file;
mod reply;
mod routes;
mod state;
mod store;
mod token;
mod writer;

pub use airlock_receipt::{KeySet, PublicKey, Record, SigningKey};

pub use crate::append::{Appended, Rejection};
pub use crate::key_file::{KeyFileError, load_key, load_or_create_key, load_or_create_seed};
pub use crate::routes::{app, serve};
pub use crate::state::{AppendError, Settings, StartError, State};
pub use crate::store::{Page, Store, StoreError};
pub use crate::token::{BearerToken, BearerTokenError};
