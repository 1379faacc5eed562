//! Everything that the program accesses by name: paths, environment variables, processes. No other file of this
//! crate does so; they get the handles and values that are opened here.

pub(crate) mod draft;
mod private;
pub(crate) mod processes;

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, DirEntry, File, Metadata, Permissions};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use moat::UserId;
use moat::jiff::tz::TimeZone;
use moat::maintenance::sync_directory;
use zeroize::Zeroizing;

/// The longest secret that is read from a file, a command or a terminal, in bytes.
pub(crate) const MAX_SECRET_BYTES: usize = 64 * 1024;

/// The longest file with many secrets, in bytes.
pub(crate) const MAX_MANY_BYTES: usize = 256 * 1024 * 1024;

/// Where systemd puts a service's credentials, among them its master key.
const SYSTEMD_CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The system's time zone database (tzfile(5)).
const ZONES: &str = "/usr/share/zoneinfo";

/// The arguments of the process.
pub(crate) fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// An environment variable, byte for byte; `None` if it is unset.
pub(crate) fn variable(name: &str) -> Option<Zeroizing<Vec<u8>>> {
    std::env::var_os(name).map(|value| Zeroizing::new(value.into_vec()))
}

/// The time zone of this name in the system's database, of this file, or of this rule.
pub(crate) fn time_zone(name: &str) -> Option<TimeZone> {
    let name = name.strip_prefix(':').unwrap_or(name);
    if name.is_empty() || name.split('/').any(|part| part == "..") {
        return None;
    }
    let of_file = || TimeZone::tzif(name, &std::fs::read(Path::new(ZONES).join(name)).ok()?).ok();
    of_file().or_else(|| TimeZone::posix(name).ok())
}

/// The machine's time zone, as the variable `TZ` or `/etc/localtime` says it; UTC where neither does.
pub(crate) fn machine_time_zone() -> TimeZone {
    let named = std::env::var("TZ").ok().filter(|name| !name.is_empty());
    let name = named.as_deref().unwrap_or("/etc/localtime");
    time_zone(name).unwrap_or(TimeZone::UTC)
}

/// `moat/credentials` in the user's data directory; `None` if the environment specifies no home directory.
pub(crate) fn default_directory() -> Option<PathBuf> {
    Some(data_home()?.join("moat/credentials"))
}

/// The user's data directory according to the XDG Base Directory Specification.
fn data_home() -> Option<PathBuf> {
    absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))
}

/// Where a new file with a key goes if nothing else is specified: in `moat` in the XDG configuration directory.
pub(crate) fn default_key_file(name: &str) -> Option<PathBuf> {
    let configuration =
        absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(configuration.join("moat").join(name))
}

/// Where `pass` keeps its passwords, and where `gopass` does.
pub(crate) fn default_password_store(is_gopass: bool) -> Option<PathBuf> {
    if is_gopass {
        return Some(data_home()?.join("gopass/stores/root"));
    }
    absolute("PASSWORD_STORE_DIR").or_else(|| Some(absolute("HOME")?.join(".password-store")))
}

/// The absolute path in a variable.
fn absolute(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Opens a directory.
pub(crate) fn open_directory(path: &Path) -> io::Result<Dir> {
    Dir::open_ambient_dir(path, ambient_authority())
}

/// Opens a directory, creating it and its parents first if necessary, accessible only to the owner.
pub(crate) fn open_or_create_directory(path: &Path) -> io::Result<Dir> {
    match open_directory(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // After a crash, the directory must still exist if a credential in it was reported as stored.
    if let Some(parent) = path.canonicalize()?.parent() {
        sync_directory(&File::open(parent)?)?;
    }
    open_directory(path)
}

/// Opens the directory that contains a file, or will contain it, and returns the file's name in it.
pub(crate) fn open_parent(path: &Path) -> io::Result<(Dir, String)> {
    let name = path.file_name().and_then(OsStr::to_str);
    let name =
        name.ok_or_else(|| io::Error::other("the path doesn't end with a plain file name"))?;
    Ok((open_directory(parent(path))?, name.to_owned()))
}

/// The directory that contains a file, or will contain it.
pub(crate) fn parent(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Creates the directory that is to contain a file, and those above it, if necessary, accessible only to the owner.
pub(crate) fn create_parent(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(parent(path))
}

/// Whether an absolute path is inside a directory, neither of which has to exist.
pub(crate) fn is_inside(path: &Path, directory: &Path) -> bool {
    let directory = directory.canonicalize().or_else(|_| std::path::absolute(directory));
    let parent = path.ancestors().skip(1).find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        Some(above.canonicalize().ok()?.join(rest))
    });
    directory.is_ok_and(|directory| parent.is_some_and(|path| path.starts_with(directory)))
}

/// Whether anything exists at this path, including a dangling link.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether this is a file, and not a pipe or the like.
pub(crate) fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Why a file with a secret could not be read.
#[derive(Debug)]
pub(crate) enum SecretFileError {
    Io(io::Error),
    /// With these mode bits, others can read it, not only its owner.
    Exposed {
        mode: u32,
        owner: u32,
    },
    /// It belongs to this uid, which is neither the user's nor root's.
    Foreign(u32),
    TooLarge,
}

impl From<io::Error> for SecretFileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a file that contains a secret. It must belong to the user or to root, and must not be accessible to anyone
/// else, as [`private`] has it. A pipe that this process was started with (`/dev/fd/3`) may be anyone's: with sudo, it is the caller's.
pub(crate) fn read_secret_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR).into());
    }
    let (mode, owner) = (metadata.mode() & 0o777, metadata.uid());
    if !private::is_private(path, &metadata) {
        return Err(SecretFileError::Exposed { mode, owner });
    }
    let is_given = || metadata.file_type().is_fifo() && is_inherited(&file, &metadata);
    if !is_trusted(owner) && !is_given() {
        return Err(SecretFileError::Foreign(owner));
    }
    read_limited(file)
}

/// Whether another descriptor of this process is open on the same file.
fn is_inherited(file: &File, opened: &Metadata) -> bool {
    let this = file.as_raw_fd().to_string();
    let is_same = |descriptor: DirEntry| {
        let same = |found: Metadata| (found.dev(), found.ino()) == (opened.dev(), opened.ino());
        descriptor.file_name() != *this && std::fs::metadata(descriptor.path()).is_ok_and(same)
    };
    std::fs::read_dir("/proc/self/fd")
        .is_ok_and(|mut all| all.any(|found| found.is_ok_and(is_same)))
}

/// Whether this user may own what a secret depends on: the effective user or root.
fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == rustix::process::geteuid().as_raw()
}

/// The mode of a file with a secret, if others can access it.
pub(crate) fn exposed_mode(path: &Path) -> Option<u32> {
    let metadata = std::fs::metadata(path).ok().filter(|file| !file.is_dir())?;
    (!private::is_private(path, &metadata)).then(|| metadata.mode() & 0o777)
}

/// A directory whose entries others can replace.
pub(crate) struct OpenDirectory {
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    /// Its owner, if that is neither the user nor root.
    pub(crate) stranger: Option<u32>,
}

/// A directory on the way to this path in which others can replace what leads there.
pub(crate) fn open_directory_above(path: &Path) -> Option<OpenDirectory> {
    // As it is named, and where its links lead.
    let ways = [std::path::absolute(path).ok(), path.canonicalize().ok()];
    ways.iter().flatten().flat_map(|way| way.ancestors().skip(1)).find_map(|directory| {
        let metadata = std::fs::metadata(directory).ok()?;
        let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
        // The sticky bit leaves each entry to its owner and that of the directory.
        let others_can_write = mode & 0o022 != 0 && mode & 0o1000 == 0;
        let stranger = (!is_trusted(owner)).then_some(owner);
        (others_can_write || stranger.is_some()).then(|| OpenDirectory {
            path: directory.to_owned(),
            mode,
            stranger,
        })
    })
}

/// Reads a file with a value to be stored. Who else can read it is up to whoever wrote it.
pub(crate) fn read_value_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    read_limited(File::open(path)?)
}

/// Reads a file with many secrets to be stored.
pub(crate) fn read_file_of_many(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    read_within(MAX_MANY_BYTES, File::open(path)?)
}

/// Reads what is in an open file with a secret.
pub(crate) fn read_open_file(file: impl Read) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    read_limited(file)
}

/// Reads what this process was given as an open file descriptor.
pub(crate) fn read_descriptor(number: u32) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    read_value_file(&Path::new("/proc/self/fd").join(number.to_string()))
}

/// Reads a file that contains no secret.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// Makes a file accessible only to its owner. Doesn't follow links.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

/// Whether a directory contains records. One that can't be listed is assumed to.
pub(crate) fn holds_records(directory: &Path) -> bool {
    let is_record =
        |name: OsString| name.to_str().is_some_and(|name| UserId::from_file_name(name).is_some());
    match std::fs::read_dir(directory) {
        Ok(entries) => entries.flatten().any(|entry| is_record(entry.file_name())),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// The names in a directory; none if it can't be listed.
pub(crate) fn names(directory: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(directory);
    entries
        .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect())
        .unwrap_or_default()
}

/// A path with the home directory in place of `~`, as a shell has it.
pub(crate) fn without_tilde(path: &str) -> String {
    let home = std::env::var("HOME").unwrap_or_default();
    match path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        Some(rest) => home + rest,
        None => path.to_owned(),
    }
}

/// Whether a file is in this directory.
pub(crate) fn is_in(file: &Path, directory: &Path) -> bool {
    let parent = file.canonicalize().ok().and_then(|file| file.parent().map(Path::to_owned));
    parent.is_some() && parent == directory.canonicalize().ok()
}

/// The kernel's list of swap areas.
pub(crate) fn swaps() -> String {
    std::fs::read_to_string("/proc/swaps").unwrap_or_default()
}

/// Reads a credential that systemd passed to this service. Its mode is not checked: it reflects an access control list,
/// and nobody else can enter the directory anyway.
pub(crate) fn read_systemd_credential(
    name: &str,
) -> Result<Option<Zeroizing<Vec<u8>>>, SecretFileError> {
    let Some(directory) = std::env::var_os(SYSTEMD_CREDENTIALS) else {
        return Ok(None);
    };
    match File::open(Path::new(&directory).join(name)) {
        Ok(file) => read_limited(file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read_limited(file: impl Read) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    read_within(MAX_SECRET_BYTES, file)
}

/// Reads up to this many bytes.
fn read_within(limit: usize, mut file: impl Read) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    // One more than is allowed, so that what is too long is told from what just fits.
    let most = limit.saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(most.min(MAX_SECRET_BYTES + 1)));
    loop {
        let room = bytes.capacity() - bytes.len();
        let read = file.by_ref().take(room as u64).read_to_end(&mut bytes)?;
        if bytes.len() > limit {
            return Err(SecretFileError::TooLarge);
        }
        if read < room {
            return Ok(bytes);
        }
        // Not by the vector itself, which would leave copies behind.
        let capacity = bytes.capacity().saturating_mul(2).min(most);
        let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
        larger.extend_from_slice(&bytes);
        bytes = larger;
    }
}

/// All of standard input, up to the maximum length of a secret.
pub(crate) fn read_standard_input() -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    read_limited(standard_input()?)
}

/// All of a standard input with many secrets.
pub(crate) fn read_many_from_standard_input() -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    read_within(MAX_MANY_BYTES, standard_input()?)
}

/// Standard input without the buffer of `io::stdin`, which is never wiped.
fn standard_input() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Whether the process was started without standard output. Before `main`, std opens /dev/null in its place, so that
/// all output would be lost silently. That can't be detected later: a caller may have opened /dev/null on purpose.
static WITHOUT_STANDARD_OUTPUT: AtomicBool = AtomicBool::new(false);

/// Makes the loader run the function before std starts.
#[used]
#[allow(unsafe_code, reason = "the name of a section")]
// SAFETY: the section contains pointers to functions of this type. A loader may pass arguments, which they ignore.
#[unsafe(link_section = ".init_array")]
static LOOK_FOR_STANDARD_OUTPUT: extern "C" fn() = look_for_standard_output;

extern "C" fn look_for_standard_output() {
    // SAFETY: reads the flags of a descriptor, which need not be open.
    #[allow(unsafe_code, reason = "a descriptor that may be closed has no safe type")]
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    WITHOUT_STANDARD_OUTPUT.store(flags == -1, Ordering::Relaxed);
}

/// Standard output, unbuffered because the output may be secret. Fails if the process was started without it.
pub(crate) fn standard_output() -> io::Result<File> {
    if WITHOUT_STANDARD_OUTPUT.load(Ordering::Relaxed) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// The mode bits of the file that standard output goes to; `None` if it is not a regular file.
pub(crate) fn standard_output_file_mode() -> Option<u32> {
    let metadata = standard_output().and_then(|stdout| stdout.metadata()).ok()?;
    metadata.is_file().then_some(metadata.mode() & 0o777)
}

/// Whether standard input is a terminal.
pub(crate) fn standard_input_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Whether standard error is a terminal.
pub(crate) fn standard_error_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether standard output is a terminal.
pub(crate) fn standard_output_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether the terminal, as it is named, can't move its cursor.
pub(crate) fn terminal_is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb")
}

/// How many columns the terminal at standard error has, if it says so.
pub(crate) fn terminal_columns() -> Option<usize> {
    columns(io::stderr())
}

/// As [`terminal_columns`], at standard output.
pub(crate) fn output_columns() -> Option<usize> {
    columns(io::stdout())
}

fn columns(stream: impl AsFd) -> Option<usize> {
    let columns = rustix::termios::tcgetwinsize(stream).ok()?.ws_col;
    (columns > 0).then_some(columns.into())
}

/// Whether this process may write to the terminal at standard error without disturbing others: it is not in the
/// background of a shell.
pub(crate) fn has_the_terminal() -> bool {
    let foreground = rustix::termios::tcgetpgrp(io::stderr());
    foreground.map_or(true, |group| group == rustix::process::getpgrp())
}

/// The controlling terminal, independent of standard input and output. Opened in non-blocking mode.
pub(crate) fn terminal() -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
    let mut options = File::options();
    options.read(true).write(true).custom_flags(flags.bits().cast_signed()).open("/dev/tty")
}

/// Asks a question on standard error and reads a line of arbitrary bytes from standard input.
pub(crate) fn ask(question: &str) -> io::Result<Vec<u8>> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let mut answer = Vec::new();
    io::stdin().lock().read_until(b'\n', &mut answer)?;
    if !answer.ends_with(b"\n") {
        // Later output must not continue the line of the question.
        writeln!(stderr)?;
    }
    Ok(answer)
}

/// Writes a file that everyone may read, in place of the one that is there, if there is one.
pub(crate) fn write_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    std::fs::write(path, contents)
}

/// Writes a new file that everyone may read. Never overwrites.
pub(crate) fn write_new_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    write_new(path, 0o644, contents)
}

/// Writes a new file with a secret, accessible only to its owner, and syncs it and its directory so that it survives a
/// crash. Never overwrites, not even a dangling link.
pub(crate) fn write_new_secret_file(path: &Path, secret: &[u8]) -> io::Result<()> {
    write_new(path, 0o600, secret)?;
    let synced = File::open(parent(path)).and_then(|parent| sync_directory(&parent));
    if synced.is_err() {
        // The caller says that it failed, so that nobody uses this one.
        let _ = std::fs::remove_file(path);
    }
    synced
}

/// As [`write_new_secret_file`], in place of the file that is there, if there is one.
pub(crate) fn replace_secret_file(path: &Path, secret: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(temporary);
    write_new_secret_file(&temporary, secret)?;
    std::fs::rename(&temporary, path).inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}

fn write_new(path: &Path, mode: u32, contents: &[u8]) -> io::Result<()> {
    // `create_new` uses O_EXCL, which doesn't follow links.
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
    let written = file.write_all(contents).and_then(|()| file.sync_all());
    if written.is_err() {
        // An incomplete file would only prevent the next attempt.
        let _ = std::fs::remove_file(path);
    }
    written
}
