//! The credentials directory, over a handle that was opened once.
//!
//! A file is replaced as a whole: written to a temporary file, synced, renamed, and the directory synced. Writers hold a
//! lock, so that temporary files belong to one of them, and the next writer removes what a crash left behind. Readers take
//! no lock: a rename shows them the old file or the new one. `host/docs/format.md` describes each step, for other hosts.

mod file;
mod lock;
mod names;
mod unlocked;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Once;
use std::time::Duration;

use cap_std::fs::{Dir, MetadataExt as _, OpenOptions, OpenOptionsExt};
use rustix::fs::{Advice, OFlags};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::contract::ErrorCode;
use crate::digest::hex;
use crate::error::Error;
pub use file::RefusedFile;
pub use lock::Lock;
use lock::WriteLock;
use moat_format::files::TEMPORARY;
use names::Names;

/// The largest file that is read or written, in bytes.
pub const MAX_FILE_BYTES: usize = moat_format::record::MAX_BYTES;

/// Where a file is written before it takes its name. No record can have such a name, since a user id doesn't
/// begin with a dot.
fn temporary(number: usize) -> String {
    match number {
        0 => TEMPORARY.to_owned(),
        _ => format!("{TEMPORARY}.{number}"),
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

impl Change {
    fn as_written(&self) -> Written<'_> {
        Written { name: &self.name, contents: &self.contents, replaces: self.replaces.as_deref() }
    }
}

/// As [`Change`], borrowed, since a copy of a ring's keys would have to be wiped.
#[derive(Clone, Copy)]
struct Written<'c> {
    name: &'c str,
    contents: &'c [u8],
    replaces: Option<&'c str>,
}

/// What came of the replacement of some files.
enum Replaced {
    All {
        /// Whether it is durable.
        synced: io::Result<()>,
    },
    /// Somebody has written to one of them, or has taken away or put another in place of what was to be renamed.
    NotAll,
}

/// A file that was replaced, and what was in it before; `None`: there was none.
type Before = Option<(file::Opened, Zeroizing<Vec<u8>>)>;

/// Why a directory isn't used: the source of an [`ErrorCode::Directory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedDirectory {
    /// It belongs to another user.
    OtherOwner {
        /// The user id of its owner.
        owner: u32,
        /// That of this process.
        user: u32,
    },
    /// Others than its owner can write to it.
    WritableByOthers {
        /// Its permissions.
        mode: u32,
    },
}

impl fmt::Display for RefusedDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherOwner { owner, user } => {
                write!(f, "the directory belongs to uid {owner}, not to uid {user}")
            }
            Self::WritableByOthers { mode } => {
                write!(f, "others can write to the directory (mode {mode:04o})")
            }
        }
    }
}

impl std::error::Error for RefusedDirectory {}

/// A directory that belongs to the caller and to which nobody else can write.
#[derive(Debug)]
pub struct Directory {
    dir: Dir,
    owner: u32,
    lock_wait: Duration,
    names: Names,
}

impl Directory {
    /// Takes an opened directory. It has to belong to the effective user, and nobody else may be able to write to it.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Directory`] when that isn't so, or can't be examined.
    pub fn new(dir: Dir) -> Result<Self, Error> {
        let metadata = dir
            .dir_metadata()
            .map_err(|error| Error::io("the directory can't be examined", error))?;
        let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
        let refused =
            |why: RefusedDirectory| Err(Error::caused(ErrorCode::Directory, why.to_string(), why));
        if owner != user {
            return refused(RefusedDirectory::OtherOwner { owner, user });
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o022 != 0 {
            return refused(RefusedDirectory::WritableByOthers { mode });
        }
        Ok(Self { dir, owner, lock_wait: Duration::from_secs(10), names: Names::default() })
    }

    /// How long a write waits for other writers; 10 s by default. Then it fails with [`ErrorCode::Locked`].
    #[must_use]
    pub fn with_lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// Reads a whole record, with its revision; `None` when there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<(Vec<u8>, String)>, Error> {
        let name = plain(name)?;
        let contents = unlocked::read_whole(|| file::open(&self.dir, name, self.owner))?;
        Ok(contents.map(|mut contents| {
            let revision = revision(&contents);
            (std::mem::take(&mut *contents), revision)
        }))
    }

    /// Replaces the file with the revision `replaces` (`None`: creates it), and returns the new revision.
    pub(crate) fn write(
        &self,
        name: &str,
        contents: &[u8],
        replaces: Option<&str>,
    ) -> Result<String, Error> {
        let written = Written { name: plain(name)?, contents, replaces };
        let lock = self.lock()?;
        self.check(written)?;
        match self.replace(&lock, &[written]) {
            Ok(Replaced::All { synced }) => {
                synced.map(|()| revision(contents)).map_err(|error| unsynced(name, error))
            }
            Ok(Replaced::NotAll) => Err(conflict(name)),
            Err(error) => Err(Error::io(format_args!("writing {name:?}"), error)),
        }
    }

    /// Replaces some files, and returns for each whether it was. They share their syncs: all are on the disk before
    /// the first takes its name. Where that fails, each is written by itself.
    pub(crate) fn write_all(&self, changes: &[Change]) -> Result<Vec<Result<(), Error>>, Error> {
        let lock = self.lock()?;
        let files = changes.iter().map(Change::as_written);
        let checked: Vec<_> = files.clone().map(|file| self.check(file)).collect();
        let sound: Vec<_> =
            files.zip(&checked).filter_map(|(file, ok)| ok.is_ok().then_some(file)).collect();
        if matches!(self.replace(&lock, &sound), Ok(Replaced::All { synced: Ok(()) })) {
            return Ok(checked);
        }
        drop(lock);
        let one_by_one = changes.iter().map(|change| {
            let Change { name, contents, replaces } = change;
            // It may have been done before the failure.
            if self.revision_of(name)?.as_deref() == Some(revision(contents).as_str()) {
                return sync(&self.dir).map_err(|error| unsynced(name, error));
            }
            self.write(name, contents, replaces.as_deref()).map(drop)
        });
        Ok(one_by_one.collect())
    }

    /// Whether this can be written over what is there.
    fn check(&self, written: Written<'_>) -> Result<(), Error> {
        let name = plain(written.name)?;
        if written.contents.len() > MAX_FILE_BYTES {
            return Err(file::too_large(name, written.contents.len() as u64));
        }
        if self.revision_of(name)?.as_deref() != written.replaces {
            return Err(conflict(name));
        }
        if written.replaces.is_none() && self.dir.symlink_metadata(name).is_ok() {
            return Err(taken(&self.dir, name));
        }
        Ok(())
    }

    /// Replaces some files, whose revisions were compared.
    fn replace(&self, lock: &WriteLock, files: &[Written<'_>]) -> io::Result<Replaced> {
        let mut replaced = Vec::with_capacity(files.len());
        let all = self.write_temporaries(files).and_then(|temporaries| {
            // The first one last, since it is the one that the next writer looks for after a crash.
            for (number, (written, file)) in files.iter().zip(&temporaries).enumerate().rev() {
                let temporary = temporary(number);
                // Again, since a program that takes no lock may have written while the disk was waited for.
                let Ok(Some(before)) = self.expected(written.name, written.replaces) else {
                    return Ok(false);
                };
                if !has_name(&self.dir, &temporary, file)? {
                    return Ok(false);
                }
                self.dir.rename(temporary, &self.dir, written.name)?;
                replaced.push((*written, before));
            }
            Ok(true)
        });
        if !matches!(all, Ok(true)) {
            // The first error is the one to report; what is left behind the next writer removes.
            let _ = self.remove_temporaries();
            if replaced.is_empty() {
                return all.map(|_| Replaced::NotAll);
            }
        }
        // First, since who has opened a file before it lost its name may take as long to write to it.
        let synced = lock.sync();
        let mut stands = true;
        for (written, before) in replaced {
            stands &= !self.put_back(lock, written.name, before, Some(written.contents))?;
        }
        Ok(if all? && stands { Replaced::All { synced } } else { Replaced::NotAll })
    }

    /// The file, if it has this revision still (`None`: if there is none).
    fn expected(&self, name: &str, revision: Option<&str>) -> Result<Option<Before>, Error> {
        let Some(mut opened) = file::open(&self.dir, name, self.owner)? else {
            return Ok(revision.is_none().then_some(None));
        };
        let contents = opened.contents()?;
        let is_same = revision == Some(&self::revision(&contents));
        Ok(is_same.then_some(Some((opened, contents))))
    }

    /// Puts back what a program that takes no lock has saved into a file in the moment in which it was replaced by these
    /// contents (`None`: removed), and returns whether there was something.
    fn put_back(
        &self,
        lock: &WriteLock,
        name: &str,
        before: Before,
        ours: Option<&[u8]>,
    ) -> io::Result<bool> {
        let saved =
            before.and_then(|(mut opened, contents)| unlocked::saved_since(&contents, &mut opened));
        let Some(saved) = saved else { return Ok(false) };
        let replaces = ours.map(revision);
        self.replace(lock, &[Written { name, contents: &saved, replaces: replaces.as_deref() }])?;
        Ok(true)
    }

    fn write_temporaries(&self, files: &[Written<'_>]) -> io::Result<Vec<File>> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut temporaries = Vec::with_capacity(files.len());
        for (number, written) in files.iter().enumerate() {
            let mut file = self.dir.open_with(temporary(number), &options)?.into_std();
            file.write_all(written.contents)?;
            if files.len() > 1 {
                // So that the disk is at work on all of them before the first is waited for.
                let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
            }
            temporaries.push(file);
        }
        temporaries.iter().try_for_each(File::sync_all)?;
        Ok(temporaries)
    }

    /// Removes all temporary files. The first one goes last, since it is the one that the next writer looks for.
    fn remove_temporaries(&self) -> io::Result<()> {
        let mut names = temporaries(&self.dir)?;
        names.sort();
        names.iter().rev().try_for_each(|name| self.dir.remove_file(name))
    }

    /// Removes a file of this revision (`None`: of any), and returns whether there was one. It need not be readable, but it
    /// has to be a file.
    pub(crate) fn remove(&self, name: &str, expected: Option<&str>) -> Result<bool, Error> {
        let name = plain(name)?;
        let lock = self.lock()?;
        let before = match expected {
            Some(_) => self.expected(name, expected)?.ok_or_else(|| conflict(name))?,
            None => None,
        };
        let failed = |error| Error::io(format_args!("removing {name:?}"), error);
        if !file::is_named(&self.dir, name).map_err(failed)? {
            return Ok(false);
        }
        match self.dir.remove_file(name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed(error)),
        }
        let synced = lock.sync();
        if self.put_back(&lock, name, before, None).map_err(failed)? {
            return Err(conflict(name));
        }
        synced.map_err(|error| {
            Error::io(
                format_args!("{name:?} is removed, but may be there again after a crash"),
                error,
            )
        })?;
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

    /// A sample of the names, in no particular order: at most `count` of those that `wanted` maps to something.
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

    /// Waits for the lock, and removes the temporary files of a writer that crashed: one may be a copy of the very record
    /// that is to be removed.
    fn lock(&self) -> Result<WriteLock, Error> {
        let lock = WriteLock::take(&self.dir, self.lock_wait)?;
        if self.dir.symlink_metadata(TEMPORARY).is_ok() {
            self.remove_temporaries().map_err(not_removed)?;
        }
        Ok(lock)
    }

    /// The names of the temporary files that interrupted writers left behind, whoever owns this directory; none while a
    /// writer is at work.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Directory`] when the directory can't be listed or locked.
    pub fn stale_temporaries(dir: &Dir) -> Result<Vec<String>, Error> {
        let listed = || match lock::if_free(dir)? {
            Some(_held) => temporaries(dir),
            None => Ok(Vec::new()),
        };
        listed().map_err(|error| Error::io("listing the directory", error))
    }

    /// Removes the temporary files that interrupted writers left behind.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Locked`] when another writer holds the lock for too long, [`ErrorCode::Directory`] when a file can't be
    /// removed.
    pub fn remove_stale_temporaries(&self) -> Result<(), Error> {
        let _lock = self.lock()?;
        self.remove_temporaries().map_err(not_removed)
    }

    /// Takes the lock of those who rewrite many records, or fails at once.
    pub(crate) fn lock_batch(&self) -> Result<Lock, Error> {
        Lock::batch(&self.dir)
    }

    fn revision_of(&self, name: &str) -> Result<Option<String>, Error> {
        let opened = file::open(&self.dir, name, self.owner)?;
        opened.map(|mut opened| Ok(revision(&opened.contents()?))).transpose()
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

/// The directory is flat: whatever the component names has to be one plain file name.
fn plain(name: &str) -> Result<&str, Error> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        let message = format!("{name:?} is not one plain file name");
        return Err(Error::new(ErrorCode::Denied, message));
    }
    Ok(name)
}

fn not_removed(error: io::Error) -> Error {
    Error::io("removing a temporary file that a crash left behind", error)
}

/// The names of all temporary files.
fn temporaries(dir: &Dir) -> io::Result<Vec<String>> {
    let names = dir.entries()?.map(|entry| Ok(entry?.file_name().into_string()));
    let names = names.collect::<io::Result<Vec<_>>>()?.into_iter().flatten();
    Ok(names.filter(|name| name.starts_with(TEMPORARY)).collect())
}

fn conflict(name: &str) -> Error {
    let message = format!("{name:?} was changed by somebody else in between");
    Error::new(ErrorCode::Conflict, message)
}

/// There is a file of another name that the file system takes for the same.
fn taken(dir: &Dir, name: &str) -> Error {
    let is_same = |other: &String| other.to_lowercase() == name.to_lowercase();
    let found = names::sample(dir, 1, |other| Some(other.to_owned()).filter(is_same));
    let other = found.ok().and_then(|mut names| names.pop());
    let other = other.map_or_else(|| "another name".to_owned(), |other| format!("{other:?}"));
    let message =
        format!("the file system doesn't distinguish {name:?} from {other}, which exists");
    Error::caused(ErrorCode::Conflict, message, io::Error::from(ErrorKind::AlreadyExists))
}

fn unsynced(name: &str, error: io::Error) -> Error {
    Error::io(format_args!("the new {name:?} is in place, but may be lost in a crash"), error)
}

/// Makes changes to a directory's names durable.
pub(crate) fn sync(dir: &Dir) -> io::Result<()> {
    sync_directory(&open_itself(dir)?)
}

/// Makes changes to a directory's names durable, as far as its file system can. Some can't, such as those of network
/// shares and of folders shared with virtual machines: this says so once.
///
/// # Errors
///
/// Any other error of the system, after which it is not known what is on the disk.
pub fn sync_directory(directory: &File) -> io::Result<()> {
    static WARNING: Once = Once::new();
    match directory.sync_all() {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            WARNING.call_once(|| {
                tracing::warn!(
                    "the file system can't sync a directory, so the last changes may be lost in a crash: {error}"
                );
            });
            Ok(())
        }
        synced => synced,
    }
}

/// Opens the directory itself: the handle may be opened with O_PATH, which can be neither synced nor locked.
fn open_itself(dir: &Dir) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags(OFlags::DIRECTORY));
    Ok(dir.open_with(".", &options)?.into_std())
}

/// Whether this is the name of the very file that was opened.
fn has_name(dir: &Dir, name: &str, file: &File) -> io::Result<bool> {
    let opened = file.metadata()?;
    match dir.symlink_metadata(name) {
        Ok(named) => Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// Opens a file as it is, without following a link and without waiting for a FIFO's other end.
pub(crate) fn open_in_place(
    dir: &Dir,
    name: &str,
    options: &mut OpenOptions,
) -> io::Result<cap_std::fs::File> {
    let safe = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    dir.open_with(name, options.custom_flags(flags(safe)))
}
