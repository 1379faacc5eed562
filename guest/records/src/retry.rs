//! Writing again what another writer was faster with.

use crate::contract::{Error, ErrorCode};

/// How often a write is tried again while others write the same file.
const ATTEMPTS: usize = 16;

/// Runs an attempt to write until it doesn't lose to another writer, but not for ever.
pub(crate) fn until_written<T>(mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..ATTEMPTS {
        match attempt() {
            Err(error) if error.code == ErrorCode::Conflict => {}
            outcome => return outcome,
        }
    }
    attempt()
}
