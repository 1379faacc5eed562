//! The names of the files in a credentials directory that are not records.
//!
//! No user can have a record of such a name: a user id doesn't begin with a dot, and a record ends in `.cred`.

/// The directory's [settings](crate::settings).
pub const SETTINGS: &str = "moat.json";

/// How the names of all other files of the program's own begin.
pub const PREFIX: &str = ".moat.";

/// The lock that every writer takes.
pub const LOCK: &str = ".moat.lock";

/// The lock of those who rewrite many records.
pub const BATCH_LOCK: &str = ".moat.batch.lock";

/// How the names of temporary files begin.
pub const TEMPORARY: &str = ".moat.tmp";

/// Whether a file of this name belongs to the program itself and is no record.
pub fn is_own(name: &str) -> bool {
    name == SETTINGS || name.starts_with(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_its_own_files_from_others() {
        for name in [SETTINGS, LOCK, BATCH_LOCK, TEMPORARY, ".moat.anything"] {
            assert!(is_own(name), "{name}");
        }
        for name in ["anna.cred", "moat.json.cred", "moat", ".moat", "x.moat.lock", ""] {
            assert!(!is_own(name), "{name}");
        }
    }
}
