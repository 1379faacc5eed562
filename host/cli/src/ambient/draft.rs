//! A text that a person edits in a program of their choice: in a directory that only this user can enter, in memory, which
//! is wiped and removed when this process ends, however it ends.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;
use rustix::fs::{OFlags, statfs};
use zeroize::Zeroizing;

use super::processes::{self, Afterwards};
use super::{MAX_SECRET_BYTES, SecretFileError, absolute, read_within};

/// The file systems whose files are in memory: tmpfs and ramfs, as statfs(2) has them.
const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];

/// How many secrets a text may take: what is escaped is six times as long.
const SECRETS: usize = 8;

/// What an editor may still write while it ends is waited for so often, so long.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// A text in a file. Dropping it removes it.
pub(crate) struct Draft {
    directory: PathBuf,
    file: PathBuf,
    _removal: Afterwards,
}

impl Draft {
    /// Makes the directory for a file of this name; `None` if there is no place in memory. Must be called before any thread
    /// is started.
    pub(crate) fn begin(name: &str) -> io::Result<Option<Self>> {
        let Some(place) = place() else { return Ok(None) };
        let mut random = [0; 8];
        SysRng.try_fill_bytes(&mut random).map_err(io::Error::other)?;
        let directory = place.join(format!("moat-edit.{:016x}", u64::from_le_bytes(random)));
        DirBuilder::new().mode(0o700).create(&directory)?;
        let removed = directory.clone();
        let removal = processes::afterwards(move || remove(&removed)).inspect_err(|_| {
            let _ = fs::remove_dir(&directory);
        })?;
        Ok(Some(Self { file: directory.join(name), directory, _removal: removal }))
    }

    /// Writes the text in place of what is there.
    pub(crate) fn write(&self, text: &[u8]) -> io::Result<()> {
        overwrite(&self.file)?;
        // O_EXCL, so that it is this program's own.
        File::options().write(true).create_new(true).mode(0o600).open(&self.file)?.write_all(text)
    }

    /// The text as it is now.
    pub(crate) fn read(&self) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
        let mut options = File::options();
        let file = options.read(true).custom_flags(no_link()).open(&self.file)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a file").into());
        }
        read_within(SECRETS * MAX_SECRET_BYTES, file)
    }

    /// Runs an editor on it.
    pub(crate) fn edit(&self, editor: &OsStr, options: &[&str]) -> io::Result<ExitStatus> {
        processes::run_editor(editor, options, &self.file, &self.directory)
    }
}

/// A directory in memory: the user's own, or else that of all.
fn place() -> Option<PathBuf> {
    let own = absolute("XDG_RUNTIME_DIR").filter(|path| path.metadata().is_ok_and(is_own));
    let is_in_memory =
        |path: &PathBuf| statfs(path).is_ok_and(|found| IN_MEMORY.contains(&(found.f_type as u32)));
    own.into_iter().chain([PathBuf::from("/dev/shm")]).find(is_in_memory)
}

fn is_own(metadata: Metadata) -> bool {
    let is_owner = metadata.uid() == rustix::process::geteuid().as_raw();
    metadata.is_dir() && is_owner && metadata.mode() & 0o077 == 0
}

/// Opening a file that others may have put there: no link, and no waiting for a pipe's other end.
fn no_link() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// Removes the directory with all that an editor has left there.
fn remove(directory: &Path) {
    for _ in 0..ATTEMPTS {
        match wipe(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => thread::sleep(PAUSE),
            _ => return,
        }
    }
}

fn wipe(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)?.flatten() {
        let path = entry.path();
        // What can't be removed now makes removing the directory fail.
        let _ = if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            wipe(&path)
        } else {
            overwrite(&path)
        };
    }
    fs::remove_dir(directory)
}

/// Overwrites a file with zeros, and removes it, if it is there.
fn overwrite(path: &Path) -> io::Result<()> {
    if let Ok(mut file) = File::options().write(true).custom_flags(no_link()).open(path)
        && let Some(length) = file.metadata().ok().filter(Metadata::is_file).map(|file| file.len())
    {
        let _ = io::copy(&mut io::Read::take(io::repeat(0), length), &mut file);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The file that a program of this name is, with links followed.
pub(crate) fn program_file(name: &OsStr) -> Option<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A name with a slash is a path by itself, and joining leaves an absolute one as it is.
    let folders = std::env::split_paths(&path).map(Some);
    let is_path = Path::new(name).components().count() > 1;
    let mut places: Vec<_> = if is_path { vec![None] } else { folders.collect() };
    let found = places.iter_mut().find_map(|folder| {
        let file = folder.take().map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
        file.canonicalize().ok().filter(|file| file.is_file())
    });
    found?.file_name().map(OsStr::to_owned)
}
