//! Files that say what is expected.

use std::{fs, path::Path};

/// Set, it writes what was found over what was expected; look at the difference before you keep it.
const UPDATE: &str = "UPDATE_GOLDEN";

/// Compares with `file` of the repository.
pub(crate) fn compare(file: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(file);
    if std::env::var_os(UPDATE).is_some() {
        return fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let line = expected.lines().zip(found.lines()).take_while(|(expected, found)| expected == found).count();
    assert!(
        expected == found,
        "{file}:{}: not as expected; `{UPDATE}=1 cargo nextest run -p airlock-cli` writes what was found:\n{found}",
        line + 1
    );
}
