//! Advisory locks (`flock`) that serialize writers. The system releases them when their holder dies.

use std::fs::{File, TryLockError};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};

use super::{has_name, open_in_place, open_itself, sync_directory};
use crate::contract::ErrorCode;
use crate::error::Error;
use moat_format::files::{BATCH_LOCK, LOCK};

/// How long to wait before trying again: short at first, since most writes are.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(5));

/// Holds a lock until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of those who rewrite many records, or fails at once.
    pub(super) fn batch(dir: &Dir) -> Result<Self, Error> {
        let lock = Wait::new(Duration::ZERO).until(|| lock_file(dir, BATCH_LOCK))?;
        let message = "another process is migrating or rotating this directory";
        let file = lock.ok_or_else(|| Error::new(ErrorCode::Locked, message))?;
        Ok(Self { _file: file })
    }
}

/// The lock of a writer, until it is dropped.
///
/// A lock file can be deleted or replaced while it is locked, and the next writer locks another one then. So the directory
/// itself is locked too: all who write to it share that, whatever happens to its files.
#[derive(Debug)]
pub(super) struct WriteLock {
    directory: File,
    _lock: File,
}

impl WriteLock {
    /// Waits for it for this long at most.
    pub(super) fn take(dir: &Dir, limit: Duration) -> Result<Self, Error> {
        let mut wait = Wait::new(limit);
        let lock = wait.until(|| lock_file(dir, LOCK))?;
        let directory = wait.until(|| {
            let directory = open_itself(dir)?;
            locked(directory.try_lock(), directory)
        })?;
        let (Some(lock), Some(directory)) = (lock, directory) else {
            let message = format!("another process holds the directory's lock (waited {limit:?})");
            return Err(Error::new(ErrorCode::Locked, message));
        };
        Ok(Self { directory, _lock: lock })
    }

    /// Makes renames and removals durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        sync_directory(&self.directory)
    }
}

/// Keeps writers out until it is dropped; `None` while one of them is writing.
pub(super) fn if_free(dir: &Dir) -> io::Result<Option<File>> {
    let directory = open_itself(dir)?;
    // Shared, so that others who just look aren't taken for writers.
    locked(directory.try_lock_shared(), directory)
}

/// Locks a lock file; `None` while somebody else holds it, or if it has lost its name meanwhile.
fn lock_file(dir: &Dir, name: &str) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    let file = open_in_place(dir, name, &mut options)?.into_std();
    match locked(file.try_lock(), file)? {
        Some(file) if has_name(dir, name, &file)? => Ok(Some(file)),
        _ => Ok(None),
    }
}

fn locked(outcome: Result<(), TryLockError>, file: File) -> io::Result<Option<File>> {
    match outcome {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Retries for a limited time.
struct Wait {
    begun: Instant,
    limit: Duration,
    pause: Duration,
}

impl Wait {
    fn new(limit: Duration) -> Self {
        Self { begun: Instant::now(), limit, pause: RETRY_AFTER.0 }
    }

    /// What an attempt yields, or `None` when the time is up.
    fn until<T>(
        &mut self,
        mut attempt: impl FnMut() -> io::Result<Option<T>>,
    ) -> Result<Option<T>, Error> {
        loop {
            let outcome = attempt().map_err(|error| Error::io("locking the directory", error))?;
            if outcome.is_some() || self.begun.elapsed() >= self.limit {
                return Ok(outcome);
            }
            thread::sleep(self.pause);
            self.pause = (self.pause * 2).min(RETRY_AFTER.1);
        }
    }
}
