//! The credentials directory, over a handle that was opened once.
//!
//! A file is replaced whole: written under a temporary name, synced, renamed, and the directory synced. All
//! writers take turns by a lock file, so there is never more than one temporary file, and whoever writes or
//! removes next clears away what a crash left of it. Readers take no lock: a rename shows them the old file or
//! the new one.

mod file;
mod lock;
mod names;

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use cap_std::fs::{Dir, File, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use crate::component::hex;
use crate::contract::ErrorCode;
use crate::error::Error;
pub use lock::Lock;

/// The largest file that is read or written, in bytes.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

/// Where a file is written before it takes its name. No record can have this name, since a user id doesn't
/// begin with a dot.
const TEMPORARY: &str = ".moat.tmp";

/// A directory whose owner is the caller and in which nobody else can write.
#[derive(Debug)]
pub struct Directory {
    dir: Dir,
    owner: u32,
    lock_wait: Duration,
}

impl Directory {
    /// Takes an opened directory. It has to belong to the effective user, and nobody else may write in it.
    pub fn new(dir: Dir) -> Result<Self, Error> {
        let metadata = dir
            .dir_metadata()
            .map_err(|error| Error::io("the directory can't be examined", error))?;
        let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
        let refuse = |message: String| {
            let cause = io::Error::from(io::ErrorKind::PermissionDenied);
            Err(Error::caused(ErrorCode::Directory, message, cause))
        };
        if owner != user {
            return refuse(format!("the directory belongs to uid {owner}, not to uid {user}"));
        }
        if metadata.mode() & 0o022 != 0 {
            let mode = metadata.mode() & 0o7777;
            return refuse(format!("others can write in the directory (mode {mode:04o})"));
        }
        Ok(Self { dir, owner, lock_wait: Duration::from_secs(10) })
    }

    /// How long a write waits for other writers; 10 s by default. Then it fails with [`ErrorCode::Locked`].
    #[must_use]
    pub fn with_lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// Reads a whole file, with its revision; `None` when there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<(Vec<u8>, String)>, Error> {
        let contents = file::read(&self.dir, plain(name)?, self.owner)?;
        Ok(contents.map(|contents| {
            let revision = revision(&contents);
            (contents, revision)
        }))
    }

    /// Replaces the file with the revision `replaces` (`None`: creates it), and returns the new revision.
    pub(crate) fn write(
        &self,
        name: &str,
        contents: &[u8],
        replaces: Option<&str>,
    ) -> Result<String, Error> {
        let name = plain(name)?;
        if contents.len() > MAX_FILE_BYTES {
            return Err(file::too_large(name, contents.len() as u64));
        }
        let _lock = self.lock()?;
        if self.revision_of(name)?.as_deref() != replaces {
            return Err(conflict(name));
        }
        self.replace(name, contents)
            .map_err(|error| Error::io(format_args!("writing {name:?}"), error))?;
        Ok(revision(contents))
    }

    fn replace(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        let written = self
            .write_temporary(contents)
            .and_then(|()| self.dir.rename(TEMPORARY, &self.dir, name));
        if written.is_err() {
            // The first error is the one to report; what is left behind the next writer removes.
            let _ = self.dir.remove_file(TEMPORARY);
        }
        written?;
        self.sync()
    }

    fn write_temporary(&self, contents: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = self.dir.open_with(TEMPORARY, &options)?;
        file.write_all(contents)?;
        file.sync_all()
    }

    /// Removes a file of this revision (`None`: of any), and tells whether there was one. What stands there
    /// need not be readable, but it has to be a file.
    pub(crate) fn remove(&self, name: &str, expected: Option<&str>) -> Result<bool, Error> {
        let name = plain(name)?;
        let _lock = self.lock()?;
        if expected.is_some() && self.revision_of(name)?.as_deref() != expected {
            return Err(conflict(name));
        }
        match self.dir.remove_file(name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::io(format_args!("removing {name:?}"), error)),
        }
        self.sync().map_err(|error| Error::io(format_args!("removing {name:?}"), error))?;
        Ok(true)
    }

    /// The names after `cursor`, in ascending order of their bytes, and where the next page begins.
    pub(crate) fn names(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        names::page(&self.dir, cursor, limit)
            .map_err(|error| Error::io("listing the directory", error))
    }

    /// Waits for the turn, and removes what a writer that crashed left behind: it may be a copy of the very
    /// record that is to go.
    fn lock(&self) -> Result<Lock, Error> {
        let lock = lock::acquire(&self.dir, lock::WRITE, self.lock_wait)?;
        match self.dir.remove_file(TEMPORARY) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(format_args!("removing {TEMPORARY:?}"), error))
            }
            _ => Ok(lock),
        }
    }

    /// Takes the turn of those who rewrite many records; they don't wait for each other.
    pub(crate) fn batch(&self) -> Result<Lock, Error> {
        lock::acquire(&self.dir, lock::BATCH, Duration::ZERO)
    }

    fn revision_of(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(file::read(&self.dir, name, self.owner)?.map(|contents| revision(&contents)))
    }

    /// Makes renames and removals durable. The handle itself may be opened with O_PATH, which can't be synced.
    fn sync(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags(OFlags::DIRECTORY));
        self.dir.open_with(".", &options)?.sync_all()
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// The revision of a file: the first half of its SHA-256.
fn revision(contents: &[u8]) -> String {
    let digest = Sha256::digest(contents);
    let (half, _) = digest.split_at(16);
    hex(half)
}

/// The directory is flat: whatever the sandbox names has to be one file name.
fn plain(name: &str) -> Result<&str, Error> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        let message = format!("{name:?} is not one plain file name");
        return Err(Error::new(ErrorCode::Denied, message));
    }
    Ok(name)
}

fn conflict(name: &str) -> Error {
    let message = format!("{name:?} was changed by somebody else in between");
    Error::new(ErrorCode::Conflict, message)
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// Opens a file as it stands, without following a link and without waiting for a FIFO's other end.
fn open_in_place(dir: &Dir, name: &str, options: &mut OpenOptions) -> io::Result<File> {
    let safe = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    dir.open_with(name, options.custom_flags(flags(safe)))
}
