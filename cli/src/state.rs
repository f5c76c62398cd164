use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use airlock_jose::issue;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    arguments::StateDirectory,
    failure::{Exit, Failure},
};

/// `iss` of the development issuer.
pub const DEVELOPMENT_ISSUER: &str = "urn:airlock:development-issuer";

/// `aud` of development tokens.
pub const DEVELOPMENT_AUDIENCE: &str = "urn:airlock:development";

/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// The directory of this user's keys and receipts.
#[derive(Clone, Debug)]
pub struct State {
    directory: PathBuf,
}

impl State {
    /// Opens the directory, creating it readable by its owner only.
    ///
    /// # Errors
    /// A [`Failure`] that names the directory, or says how to name one.
    pub fn open(arguments: &StateDirectory) -> Result<Self, Failure> {
        let state = Self::named(arguments)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&state.directory)
            .map_err(|error| Failure::own_file("create", &state.directory, &error))?;
        Ok(state)
    }

    /// The directory without creating it, for commands that only read.
    ///
    /// # Errors
    /// A [`Failure`] that says how to name a directory.
    pub fn named(arguments: &StateDirectory) -> Result<Self, Failure> {
        let named = arguments.directory.clone().or_else(default_directory);
        let directory = named.ok_or_else(|| {
            Failure::new(Exit::Unavailable, "there is no home directory to keep keys in")
                .remedy("name one with `--state DIR`")
        })?;
        Ok(Self { directory })
    }

    /// A file of that name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The signer's database.
    pub fn receipts(&self) -> PathBuf {
        self.path("receipts.db")
    }

    /// The signer's private key.
    pub fn signing_key(&self) -> PathBuf {
        self.path("signer.key")
    }

    /// The development issuer's key, made when it is first asked for.
    ///
    /// # Errors
    /// A [`Failure`] if the key cannot be read or kept secret.
    pub fn development_issuer(&self) -> Result<issue::SigningKey, Failure> {
        issue::SigningKey::from_seed(self.secret("development-issuer.key")?)
            .map_err(|error| Failure::new(Exit::Unavailable, error.to_string()))
    }

    /// The key of this gateway's digests, base64url.
    ///
    /// # Errors
    /// A [`Failure`] if the key cannot be read or kept secret.
    pub fn digest_key(&self) -> Result<String, Failure> {
        Ok(URL_SAFE_NO_PAD.encode(self.secret("digest.key")?))
    }

    /// The configuration under which tokens of the development issuer are accepted.
    ///
    /// # Errors
    /// A [`Failure`] if the issuer's key cannot be read or kept secret.
    pub fn development_identity(&self) -> Result<Value, Failure> {
        Ok(json!({
            "issuers": [{
                "issuer": DEVELOPMENT_ISSUER,
                "audiences": [DEVELOPMENT_AUDIENCE],
                "algorithms": ["EdDSA"],
                "jwks": { "keys": [self.development_issuer()?.public_jwk()] },
            }],
        }))
    }

    /// Secret bytes that stay the same from call to call.
    fn secret(&self, name: &str) -> Result<[u8; SECRET_BYTES], Failure> {
        let path = self.path(name);
        if let Some(secret) = read_secret(&path)? {
            return Ok(secret);
        }
        create_secret(&path)?;
        // Read back, because another process may have been faster: then its secret is the one that stays.
        read_secret(&path)?
            .ok_or_else(|| Failure::new(Exit::Unavailable, format!("`{}` has been removed", path.display())))
    }
}

/// Reads a secret, if there is one.
fn read_secret(path: &Path) -> Result<Option<[u8; SECRET_BYTES]>, Failure> {
    let unreadable = |error: io::Error| Failure::own_file("read", path, &error);
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    if file.metadata().map_err(unreadable)?.permissions().mode() & 0o077 != 0 {
        let message = format!("others may access `{}`, so they may know the key", path.display());
        return Err(Failure::new(Exit::Unavailable, message).remedy(format!(
            "remove it and a new one is made, or keep it with `chmod 600 {}`",
            path.display()
        )));
    }
    let mut bytes = Vec::new();
    file.take(SECRET_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let secret = bytes.try_into().map_err(|_| {
        let message = format!("`{}` is not a key of {SECRET_BYTES} bytes", path.display());
        Failure::new(Exit::Unavailable, message).remedy("remove it: a new one is made")
    })?;
    Ok(Some(secret))
}

/// Makes a secret that appears whole or not at all, and never in the place of one that is there.
fn create_secret(path: &Path) -> Result<(), Failure> {
    let mut random = [0; SECRET_BYTES + 8];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::new(Exit::Unavailable, format!("no random bytes: {error}")))?;
    let (secret, suffix) = random.split_at(SECRET_BYTES);
    let temporary = path.with_extension(format!("{}.new", URL_SAFE_NO_PAD.encode(suffix)));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(secret).and_then(|()| file.sync_all()))
        // A link, not a rename: the first one to make the secret wins and nobody replaces it.
        .and_then(|()| match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
    let _ = fs::remove_file(&temporary);
    written.map_err(|error| Failure::own_file("write", path, &error))
}

fn default_directory() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("XDG_STATE_HOME")
        .or_else(|| named("HOME").map(|home| home.join(".local/state")))
        .map(|base| base.join("airlock"))
}
