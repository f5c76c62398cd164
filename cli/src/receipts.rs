use std::{fs::File, io::BufWriter, path::Path};

use airlock_signer::Store;
use serde_json::json;

use crate::{
    arguments::Receipts,
    console::Console,
    failure::{Exit, Failure},
    state::State,
    verify::keys_beside,
};

/// `airlock receipts`.
///
/// # Errors
/// A [`Failure`] if the database cannot be read or the bundle cannot be written.
pub fn run(command: &Receipts, console: Console) -> Result<Exit, Failure> {
    let Receipts::Export { file, state } = command;
    let store = open(&State::open(state)?.receipts())?;
    let broken = |error: airlock_signer::StoreError| Failure::new(Exit::Unavailable, error.to_string());
    let keys = keys_beside(file);
    let output = File::create(file).map_err(|error| Failure::file("write", file, &error))?;
    let count = store.export(&mut BufWriter::new(output)).map_err(broken)?;
    let jwks = store.keys().map_err(broken)?.to_jwks();
    std::fs::write(&keys, jwks).map_err(|error| Failure::file("write", &keys, &error))?;
    let text = format!("{count} receipts in {}, public keys in {}", file.display(), keys.display());
    console.print(&text, &json!({ "receipts": count, "bundle": file, "keys": keys }));
    Ok(Exit::Success)
}

/// Opens a signer's database to read it, also while the signer runs.
///
/// # Errors
/// A [`Failure`] that names the file.
pub fn open(database: &Path) -> Result<Store, Failure> {
    Store::open_read_only(database).map_err(|error| {
        Failure::new(Exit::BadInput, error.to_string())
            .remedy("name the state directory of a gateway or signer that has run with `--state DIR`")
    })
}
