//! The credentials directory, over a handle that was opened once.
//!
//! A file is replaced whole: written under a temporary name, synced, renamed, and the directory synced. All
//! writers take turns by a lock file, so temporary files are one writer's, and whoever writes or removes next clears
//! away what a crash left of them. Readers take no lock: a rename shows them the old file or
//! the new one.

mod file;
mod lock;
mod names;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use cap_std::fs::{Dir, File, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{Advice, OFlags};
use sha2::{Digest, Sha256};

use crate::component::hex;
use crate::contract::ErrorCode;
use crate::error::Error;
pub use file::RefusedFile;
pub use lock::Lock;
use names::Names;

/// The largest file that is read or written, in bytes.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

/// Where a file is written before it takes its name. No record can have such a name, since a user id doesn't
/// begin with a dot.
fn temporary(number: usize) -> String {
    match number {
        0 => ".moat.tmp".to_owned(),
        _ => format!(".moat.tmp.{number}"),
    }
}

/// A file that is to be written.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) contents: Vec<u8>,
    /// The revision of the file that it replaces; `None`: there must be none.
    pub(crate) replaces: Option<String>,
}

/// A directory whose owner is the caller and in which nobody else can write.
#[derive(Debug)]
pub struct Directory {
    dir: Dir,
    owner: u32,
    lock_wait: Duration,
    names: Names,
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
        Ok(Self { dir, owner, lock_wait: Duration::from_secs(10), names: Names::default() })
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
        let change = Change {
            name: plain(name)?.to_owned(),
            contents: contents.to_vec(),
            replaces: replaces.map(str::to_owned),
        };
        let _lock = self.lock()?;
        self.check(&change)?;
        self.replace(&[&change])
            .map_err(|error| Error::io(format_args!("writing {name:?}"), error))?;
        Ok(revision(contents))
    }

    /// Replaces some files, and tells of each whether it was. They share their syncs: all are on the disk before
    /// the first takes its name. Where that fails, each is written by itself.
    pub(crate) fn write_all(&self, changes: &[Change]) -> Result<Vec<Result<(), Error>>, Error> {
        let lock = self.lock()?;
        let checked: Vec<_> = changes.iter().map(|change| self.check(change)).collect();
        let sound: Vec<_> =
            changes.iter().zip(&checked).filter_map(|(c, ok)| ok.is_ok().then_some(c)).collect();
        if self.replace(&sound).is_ok() {
            return Ok(checked);
        }
        drop(lock);
        let one_by_one = changes.iter().map(|change| {
            let Change { name, contents, replaces } = change;
            // It may have been done before the failure.
            if self.revision_of(name)?.as_deref() == Some(revision(contents).as_str()) {
                return self.sync().map_err(|e| Error::io(format_args!("writing {name:?}"), e));
            }
            self.write(name, contents, replaces.as_deref()).map(drop)
        });
        Ok(one_by_one.collect())
    }

    /// Whether this can be written over what is there.
    fn check(&self, change: &Change) -> Result<(), Error> {
        let name = plain(&change.name)?;
        if change.contents.len() > MAX_FILE_BYTES {
            return Err(file::too_large(name, change.contents.len() as u64));
        }
        if self.revision_of(name)? != change.replaces {
            return Err(conflict(name));
        }
        Ok(())
    }

    fn replace(&self, changes: &[&Change]) -> io::Result<()> {
        let written = self.write_temporaries(changes).and_then(|()| {
            // The last one first, so that what a crash leaves is numbered without a gap.
            changes.iter().enumerate().rev().try_for_each(|(number, change)| {
                self.dir.rename(temporary(number), &self.dir, &change.name)
            })
        });
        if written.is_err() {
            // The first error is the one to report; what is left behind the next writer removes.
            let _ = self.remove_temporaries();
        }
        written?;
        self.sync()
    }

    fn write_temporaries(&self, changes: &[&Change]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut files = Vec::with_capacity(changes.len());
        for (number, change) in changes.iter().enumerate() {
            let mut file = self.dir.open_with(temporary(number), &options)?;
            file.write_all(&change.contents)?;
            if changes.len() > 1 {
                // So that the disk is at work on all of them before the first is waited for.
                let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
            }
            files.push(file);
        }
        files.iter().try_for_each(File::sync_all)
    }

    /// Removes what a writer that crashed left behind.
    fn remove_temporaries(&self) -> io::Result<()> {
        let missing = |number: &usize| self.dir.symlink_metadata(temporary(*number)).is_err();
        let count = (0..).find(missing).unwrap_or(0);
        (0..count).rev().try_for_each(|number| self.dir.remove_file(temporary(number)))
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

    /// The names after `cursor`, in the order of `wit/directory.wit`, and where the next page begins.
    pub(crate) fn names(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        self.names
            .page(&self.dir, cursor, limit)
            .map_err(|error| Error::io("listing the directory", error))
    }

    /// Some of the names, as the directory has them first: at most `count` of those that `wanted` makes something of.
    pub(crate) fn sample<T>(
        &self,
        count: usize,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        names::sample(&self.dir, count, wanted)
            .map_err(|error| Error::io("listing the directory", error))
    }

    /// The names that are not UTF-8, in ascending order of their bytes.
    pub(crate) fn names_not_utf8(&self) -> Result<Vec<OsString>, Error> {
        names::not_utf8(&self.dir).map_err(|error| Error::io("listing the directory", error))
    }

    /// Waits for the turn, and removes what a writer that crashed left behind: it may be a copy of the very
    /// record that is to go.
    fn lock(&self) -> Result<Lock, Error> {
        let lock = lock::acquire(&self.dir, lock::WRITE, self.lock_wait)?;
        self.remove_temporaries()
            .map_err(|error| Error::io("removing what a crash left behind", error))?;
        Ok(lock)
    }

    /// Removes what writers that crashed left behind.
    pub fn clear(&self) -> Result<(), Error> {
        self.lock().map(drop)
    }

    /// Takes the turn of those who rewrite many records; they don't wait for each other.
    pub(crate) fn batch(&self) -> Result<Lock, Error> {
        lock::acquire(&self.dir, lock::BATCH, Duration::ZERO)
    }

    fn revision_of(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(file::read(&self.dir, name, self.owner)?.map(|contents| revision(&contents)))
    }

    /// Makes renames and removals durable.
    fn sync(&self) -> io::Result<()> {
        sync(&self.dir)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// The revision of a file: the first half of its SHA-256.
pub(crate) fn revision(contents: &[u8]) -> String {
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

/// Makes what has happened to a directory's names durable. The handle itself may be opened with O_PATH, which
/// can't be synced.
pub(crate) fn sync(dir: &Dir) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags(OFlags::DIRECTORY));
    dir.open_with(".", &options)?.sync_all()
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// Opens a file as it stands, without following a link and without waiting for a FIFO's other end.
pub(crate) fn open_in_place(dir: &Dir, name: &str, options: &mut OpenOptions) -> io::Result<File> {
    let safe = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    dir.open_with(name, options.custom_flags(flags(safe)))
}
