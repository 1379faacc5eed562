//! Writers take turns: an advisory lock (`flock`) on a file of its own, which the system releases when its
//! holder dies.

use std::fs::TryLockError;
use std::thread;
use std::time::{Duration, Instant};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};

use super::open_in_place;
use crate::contract::ErrorCode;
use crate::error::Error;

/// Held for the time of one write.
pub(super) const WRITE: &str = ".moat.lock";
/// Held while many records are rewritten.
pub(super) const BATCH: &str = ".moat.batch.lock";

/// How long to wait before trying again: short at first, since most writes are.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(5));

/// Holds a lock until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: std::fs::File,
}

/// Takes the lock of this name, waiting for it at most as long as this.
pub(super) fn acquire(dir: &Dir, name: &str, wait: Duration) -> Result<Lock, Error> {
    let failed = |error| Error::io("locking the directory", error);
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    let file = open_in_place(dir, name, &mut options).map_err(failed)?.into_std();
    let begun = Instant::now();
    let mut pause = RETRY_AFTER.0;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) if begun.elapsed() < wait => {
                thread::sleep(pause);
                pause = (pause * 2).min(RETRY_AFTER.1);
            }
            Err(TryLockError::WouldBlock) => {
                let message = match name {
                    BATCH => "another process is migrating or rotating this directory".to_owned(),
                    _ => format!("another process holds the directory's lock (waited {wait:?})"),
                };
                return Err(Error::new(ErrorCode::Locked, message));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}
