use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use airlock_signer::{Store, StoreError};
use serde_json::json;

use crate::{
    arguments::Receipts,
    console::{Console, counted},
    failure::{Exit, Failure},
    state::State,
    verify::keys_beside,
};

/// How a bundle begins.
const BUNDLE: &[u8] = b"{\"payload\":";

/// How a key set begins.
const KEYS: &[u8] = b"{\"keys\":";

/// `airlock receipts`.
///
/// # Errors
/// A [`Failure`] if the database cannot be read or the bundle cannot be written.
pub fn run(command: &Receipts, console: Console) -> Result<Exit, Failure> {
    let Receipts::Export { file, state } = command;
    let database = State::named(state)?.receipts();
    if !database.is_file() {
        return Err(Failure::new(
            Exit::BadInput,
            format!("there are no receipts in `{}`", database.display()),
        )
        .remedy("name the state directory of a gateway or signer that has run with `--state DIR`"));
    }
    let store = open(&database)?;
    let keys = keys_beside(file);
    may_replace(file, BUNDLE)?;
    may_replace(&keys, KEYS)?;
    let jwks = store.keys().map_err(|error| broken(&database, &error))?.to_jwks();
    // The keys first: a bundle that is there can be verified.
    replace(&keys, |output| output.write_all(jwks.as_bytes()))?;
    let count = replace(file, |output| store.export(output).map_err(io::Error::other))?;
    let text =
        format!("{} in {}, public keys in {}", counted(count, "receipt"), file.display(), keys.display());
    let json = json!({ "receipts": count, "bundle": file.to_string_lossy(), "keys": keys.to_string_lossy() });
    console.print(&text, &json);
    Ok(Exit::Success)
}

/// Opens a signer's database to read it, also while the signer runs.
///
/// # Errors
/// A [`Failure`] that names the file.
pub fn open(database: &Path) -> Result<Store, Failure> {
    Store::open_read_only(database).map_err(|error| broken(database, &error))
}

/// A database that cannot be read.
pub fn broken(database: &Path, error: &StoreError) -> Failure {
    Failure::new(Exit::BadInput, format!("`{}`: {error}", database.display()))
}

/// Refuses to write over anything but an older file of the same kind: a key or the database itself could be named by
/// mistake, and nothing brings them back.
fn may_replace(path: &Path, start: &[u8]) -> Result<(), Failure> {
    let unreadable = |error: io::Error| Failure::file("write", path, &error);
    let foreign = || {
        let message =
            format!("`{}` is something else than an older export and is not overwritten", path.display());
        Failure::new(Exit::BadInput, message).remedy("remove it, or name another file")
    };
    let file = match path.metadata() {
        Ok(metadata) if metadata.is_file() => File::open(path).map_err(unreadable)?,
        Ok(_) => return Err(foreign()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Vec::new();
    file.take(start.len() as u64).read_to_end(&mut found).map_err(unreadable)?;
    if found.is_empty() || found == start { Ok(()) } else { Err(foreign()) }
}

/// Writes a file that appears whole or not at all. A bundle that was cut off would verify: a chain does not show that
/// its end is missing.
fn replace<T>(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>) -> Result<T, Failure> {
    let mut name = OsString::from(path);
    name.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(name);
    let written = File::create(&new).and_then(|file| {
        let mut output = BufWriter::new(file);
        let result = write(&mut output)?;
        output.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&new, path)?;
        Ok(result)
    });
    written.map_err(|error| {
        let _ = std::fs::remove_file(&new);
        Failure::file("write", path, &error)
    })
}
