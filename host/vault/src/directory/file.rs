//! Reading one file, after looking at what was opened.

use std::fmt;
use std::io::{self, Read, Seek};
use std::time::{Duration, SystemTime};

use cap_std::fs::{Dir, File, Metadata, MetadataExt, OpenOptions};
use zeroize::Zeroizing;

use super::{MAX_FILE_BYTES, conflict, open_in_place};
use crate::contract::ErrorCode;
use crate::error::Error;

/// Why a file isn't read, whatever is in it, which may well be a sound record: the source of an
/// [`ErrorCode::Directory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedFile {
    /// It is a symbolic link, which may lead out of the directory.
    SymbolicLink,
    /// It is a directory, a FIFO, a socket or a device.
    NotRegular,
    /// It has a second name, which may be outside the directory.
    HardLink,
    /// It belongs to another user than the directory does.
    OtherOwner,
}

impl fmt::Display for RefusedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SymbolicLink => "is not a regular file, but a symbolic link",
            Self::NotRegular => "is not a regular file",
            Self::HardLink => "has a second name (hard link)",
            Self::OtherOwner => "belongs to another user",
        })
    }
}

impl std::error::Error for RefusedFile {}

/// Whether the directory has this very name, and not one that its file system takes for the same because it differs in
/// case only: that is another user's.
pub(super) fn is_named(dir: &Dir, name: &str) -> io::Result<bool> {
    let in_other_case = |c: char| {
        if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
    };
    match dir.symlink_metadata(name.chars().map(in_other_case).collect::<String>()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        // Either there are both, or the file system doesn't distinguish them.
        _ => Ok(dir.entries()?.flatten().any(|entry| entry.file_name() == name)),
    }
}

/// Opens a file; `None` when there is none. It has to be a regular file without a second link, of this owner.
pub(super) fn open(dir: &Dir, name: &str, owner: u32) -> Result<Option<Opened>, Error> {
    let failed = |error| Error::io(format_args!("reading {name:?}"), error);
    let file = match open_in_place(dir, name, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let kind = dir.symlink_metadata(name).map(|metadata| metadata.file_type());
            return Err(match kind {
                Ok(kind) if kind.is_symlink() => refused(name, RefusedFile::SymbolicLink),
                Ok(kind) if !kind.is_file() => refused(name, RefusedFile::NotRegular),
                _ => failed(error),
            });
        }
    };
    if !is_named(dir, name).map_err(failed)? {
        return Ok(None);
    }
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(refused(name, RefusedFile::NotRegular));
    }
    if metadata.nlink() > 1 {
        return Err(refused(name, RefusedFile::HardLink));
    }
    if !is_nowhere_else(dir, name, &file, &metadata).map_err(failed)? {
        return Err(conflict(name));
    }
    if metadata.uid() != owner {
        return Err(refused(name, RefusedFile::OtherOwner));
    }
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o777;
        tracing::warn!("others can reach {name:?} (mode {mode:04o}); the next write makes it 0600");
    }
    Ok(Some(Opened { file, name: name.to_owned() }))
}

/// A file that was opened, whatever has its name now.
pub(super) struct Opened {
    file: File,
    name: String,
}

impl Opened {
    /// All that is in it, not larger than [`MAX_FILE_BYTES`]. There may be keys in it, so what is read is wiped.
    pub(super) fn contents(&mut self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let length = self.metadata()?.len();
        if length > MAX_FILE_BYTES as u64 {
            return Err(too_large(&self.name, length));
        }
        // With room for all of it and one byte more, it is read at once.
        let mut contents = Zeroizing::new(Vec::with_capacity(length as usize + 1));
        let limit = MAX_FILE_BYTES as u64 + 1;
        let read = self
            .file
            .rewind()
            .and_then(|()| (&mut self.file).take(limit).read_to_end(&mut contents));
        read.map_err(|error| self.failed(error))?;
        if contents.len() > MAX_FILE_BYTES {
            return Err(too_large(&self.name, contents.len() as u64));
        }
        Ok(contents)
    }

    /// How long ago it was written to; nothing when that is in the future.
    pub(super) fn age(&self) -> Result<Duration, Error> {
        let modified = self.metadata()?.modified().map_err(|error| self.failed(error))?.into_std();
        Ok(SystemTime::now().duration_since(modified).unwrap_or_default())
    }

    fn metadata(&self) -> Result<Metadata, Error> {
        self.file.metadata().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::io(format_args!("reading {:?}", self.name), error)
    }
}

/// Whether the file that was opened is this directory's alone. Its number of links doesn't show that: the name may have
/// been a hard link to a file elsewhere, and be gone since.
fn is_nowhere_else(dir: &Dir, name: &str, file: &File, opened: &Metadata) -> io::Result<bool> {
    match dir.symlink_metadata(name) {
        Ok(named) if (named.dev(), named.ino()) == (opened.dev(), opened.ino()) => {
            Ok(named.nlink() <= 1)
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        // A writer was faster: what was opened is whole, if no longer the latest, and has no name left.
        _ => Ok(file.metadata()?.nlink() == 0),
    }
}

pub(super) fn too_large(name: &str, bytes: u64) -> Error {
    let message = format!("{name:?} has {bytes} bytes, more than the {MAX_FILE_BYTES} allowed");
    Error::new(ErrorCode::TooLarge, message)
}

fn refused(name: &str, why: RefusedFile) -> Error {
    Error::caused(ErrorCode::Directory, format!("{name:?} {why}"), why)
}
