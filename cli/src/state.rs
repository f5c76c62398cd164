use std::{fs, os::unix::fs::DirBuilderExt, path::PathBuf};

use airlock_jose::issue;
use airlock_signer::{KeyFileError, load_or_create_seed};
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
    fn secret(&self, name: &str) -> Result<[u8; 32], Failure> {
        load_or_create_seed(&self.path(name)).map_err(|error| unusable_key(&error))
    }
}

/// A key that cannot be read, made or kept secret.
pub(crate) fn unusable_key(error: &KeyFileError) -> Failure {
    let failure = Failure::new(Exit::Unavailable, error.to_string());
    match error.remedy() {
        Some(remedy) => failure.remedy(remedy),
        None => failure,
    }
}

fn default_directory() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("XDG_STATE_HOME")
        .or_else(|| named("HOME").map(|home| home.join(".local/state")))
        .map(|base| base.join("airlock"))
}
