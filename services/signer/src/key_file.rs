//! Keys on disk: 32 random bytes that only their owner may access.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use airlock_receipt::SigningKey;
use thiserror::Error;

const SEED_BYTES: usize = 32;

/// Why there is no key.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file cannot be read or created.
    #[error("cannot {action} the key `{path}`: {cause}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The key file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        cause: io::Error,
    },
    /// Others may read the file, so the key may be known to them.
    #[error("others may access the key `{path}` (mode {mode:04o}), so they may know it")]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Something else than a regular file.
    #[error("the key `{path}` is not a regular file")]
    NotAFile {
        /// The key file.
        path: PathBuf,
    },
    /// Not the 32 bytes of a seed.
    #[error("`{path}` is not a key of {SEED_BYTES} bytes")]
    Malformed {
        /// The key file.
        path: PathBuf,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes for a key")]
    Random,
}

impl KeyFileError {
    /// What a person can do about it, where there is something.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Exposed { path, .. } => {
                let path = path.display();
                Some(format!("remove it and a new one is made, or keep it with `chmod 600 {path}`"))
            }
            Self::NotAFile { .. } | Self::Malformed { .. } => Some("remove it: a new one is made".to_owned()),
            Self::Io { .. } | Self::Random => None,
        }
    }
}

/// Reads the signer's key from a file that only its owner may access.
///
/// # Errors
/// [`KeyFileError`] for a file that is missing, accessible to others, or no seed.
pub fn load_key(path: &Path) -> Result<SigningKey, KeyFileError> {
    SigningKey::from_seed(load_seed(path)?).map_err(|_| KeyFileError::Malformed { path: path.to_owned() })
}

/// Reads the signer's key, or creates one if there is no file.
///
/// # Errors
/// [`KeyFileError`] as for [`load_key`], or if the file cannot be created.
pub fn load_or_create_key(path: &Path) -> Result<SigningKey, KeyFileError> {
    let seed = load_or_create_seed(path)?;
    SigningKey::from_seed(seed).map_err(|_| KeyFileError::Malformed { path: path.to_owned() })
}

fn load_seed(path: &Path) -> Result<[u8; SEED_BYTES], KeyFileError> {
    let mut file = File::open(path).map_err(io_error("open", path))?;
    let metadata = file.metadata().map_err(io_error("inspect", path))?;
    if !metadata.is_file() {
        return Err(KeyFileError::NotAFile { path: path.to_owned() });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    if metadata.len() != SEED_BYTES as u64 {
        return Err(KeyFileError::Malformed { path: path.to_owned() });
    }
    let mut seed = [0; SEED_BYTES];
    file.read_exact(&mut seed).map_err(io_error("read", path))?;
    Ok(seed)
}

/// Reads 32 secret bytes, or makes them if there is no file.
///
/// The file appears complete or not at all, and never replaces a key: of several processes that start at once, one
/// creates the key and all use it.
///
/// # Errors
/// [`KeyFileError`] for a file that is accessible to others or of another size, or that cannot be created.
pub fn load_or_create_seed(path: &Path) -> Result<[u8; SEED_BYTES], KeyFileError> {
    match load_seed(path) {
        Err(KeyFileError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let mut suffix = [0; 8];
    let mut seed = [0; SEED_BYTES];
    getrandom::fill(&mut suffix).map_err(|_| KeyFileError::Random)?;
    getrandom::fill(&mut seed).map_err(|_| KeyFileError::Random)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{:016x}.new", u64::from_be_bytes(suffix)));
    let temporary = PathBuf::from(temporary);

    let written = write_durably(&temporary, &seed).and_then(|()| publish(&temporary, path));
    let removed = fs::remove_file(&temporary);
    written.map_err(io_error("create", path))?;
    removed.map_err(io_error("create", path))?;
    sync_directory(path).map_err(io_error("create", path))?;
    // Read back: another process may have been faster, and then its key is the one that stays.
    load_seed(path)
}

fn write_durably(path: &Path, seed: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(seed)?;
    file.sync_all()
}

// A link, unlike a rename, does not replace a key that another process has created meanwhile.
fn publish(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyFileError {
    let path = path.to_owned();
    move |cause| KeyFileError::Io { action, path, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_is_created_once_and_only_for_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("signer.key");
        let created = load_or_create_key(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(load_or_create_key(&path).unwrap().public(), created.public());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn processes_that_start_at_once_agree_on_the_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("signer.key");
        let start = || {
            std::thread::scope(|scope| {
                let threads: Vec<_> =
                    (0..8).map(|_| scope.spawn(|| load_or_create_key(&path).unwrap())).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            })
        };
        let keys = start();
        assert!(keys.iter().all(|key| key.public() == keys[0].public()));
    }

    #[test]
    fn doubtful_files_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("signer.key");
        assert!(matches!(load_key(&path), Err(KeyFileError::Io { action: "open", .. })));
        load_or_create_key(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            set_mode(&path, mode);
            assert!(
                matches!(load_or_create_key(&path), Err(KeyFileError::Exposed { mode: found, .. }) if found == mode)
            );
        }
        set_mode(&path, 0o400);
        assert!(load_key(&path).is_ok());
        set_mode(&path, 0o600);
        for bytes in [vec![], vec![1; 31], vec![1; 33], vec![0; 32]] {
            fs::write(&path, &bytes).unwrap();
            assert!(
                matches!(load_or_create_key(&path), Err(KeyFileError::Malformed { .. })),
                "{}",
                bytes.len()
            );
        }
        set_mode(directory.path(), 0o700);
        assert!(matches!(load_key(directory.path()), Err(KeyFileError::NotAFile { .. })));
    }
}
