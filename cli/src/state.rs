use std::{
    fs,
    io::Write,
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
        let directory = match &arguments.directory {
            Some(directory) => directory.clone(),
            None => default_directory().ok_or_else(|| {
                Failure::new(Exit::Unavailable, "there is no home directory to keep keys in")
                    .remedy("name one with `--state DIR`")
            })?,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| unavailable("create", &directory, &error))?;
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
        Ok(issue::SigningKey::from_seed(self.secret("development-issuer.key")?)
            .map_err(|error| Failure::new(Exit::Unavailable, error.to_string()))?)
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

    /// 32 secret bytes that stay the same from call to call.
    fn secret(&self, name: &str) -> Result<[u8; 32], Failure> {
        let path = self.path(name);
        match fs::read(&path) {
            Ok(bytes) => {
                let mode =
                    fs::metadata(&path).map_err(|error| unavailable("read", &path, &error))?.permissions();
                if mode.mode() & 0o077 != 0 {
                    let message = format!("`{}` can be read by others", path.display());
                    return Err(Failure::new(Exit::Unavailable, message)
                        .remedy(format!("remove it, or `chmod 600 {}`", path.display())));
                }
                bytes.try_into().map_err(|_| {
                    let message = format!("`{}` is not a key of 32 bytes", path.display());
                    Failure::new(Exit::Unavailable, message).remedy("remove it: a new one is made")
                })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => create_secret(&path),
            Err(error) => Err(unavailable("read", &path, &error)),
        }
    }
}

/// Makes a secret that appears whole or not at all, whoever else makes it at the same time.
fn create_secret(path: &Path) -> Result<[u8; 32], Failure> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Failure::new(Exit::Unavailable, format!("no random bytes: {error}")))?;
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(&secret).and_then(|()| file.sync_all()))
        // A link, not a rename: the first one to make the secret wins and nobody replaces it.
        .and_then(|()| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    match written {
        Ok(()) => Ok(secret),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => fs::read(path)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| Failure::new(Exit::Unavailable, format!("`{}` is not a key", path.display()))),
        Err(error) => Err(unavailable("write", path, &error)),
    }
}

fn default_directory() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("XDG_STATE_HOME")
        .or_else(|| named("HOME").map(|home| home.join(".local/state")))
        .map(|base| base.join("airlock"))
}

fn unavailable(action: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure { exit: Exit::Unavailable, ..Failure::file(action, path, error) }
}
