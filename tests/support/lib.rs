//! What the tests share: a vault of one's own in a new directory, the program, and what else a machine may have.

#![allow(
    missing_docs,
    clippy::new_without_default,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken test environment has to stop the test"
)]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use moat::{Directory, KeyRing, MasterKey, Vault};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub mod benchmark;
pub mod callers;
pub mod plain_host;
pub mod traced;
pub mod writers;

/// A master key for tests.
pub const KEY: &str = "dOeYXjxXfw4nRNKwE-4Pwbdn9R7ctlgGN9weENuP-S0";

/// The program under test, which cargo builds along with the tests.
pub static MOAT: LazyLock<String> = LazyLock::new(|| {
    let program = profile().join("moat-under-test");
    assert!(program.is_file(), "{program:?} is missing");
    program.into_os_string().into_string().unwrap()
});

/// Where cargo puts what it builds in the profile of the tests, which themselves are in `deps` there.
pub fn profile() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    profile().parent().unwrap().to_owned()
}

/// A directory for what tests make and keep.
pub fn target_tmpdir() -> PathBuf {
    target().join("tmp")
}

/// A credentials directory that goes away with the test.
pub struct Store {
    root: TempDir,
}

impl Store {
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// One in a new directory below this one.
    pub fn below(place: &Path) -> Self {
        let store = Self { root: tempfile::tempdir_in(place).unwrap() };
        fs::create_dir(store.path()).unwrap();
        fs::set_permissions(store.path(), PermissionsExt::from_mode(0o700)).unwrap();
        store
    }

    /// The credentials directory.
    pub fn path(&self) -> PathBuf {
        self.root.path().join("credentials")
    }

    /// A place beside the credentials directory.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The file of a user.
    pub fn file(&self, user: &str) -> PathBuf {
        self.path().join(format!("{user}.cred"))
    }

    pub fn directory(&self) -> Directory {
        Directory::new(Dir::open_ambient_dir(self.path(), ambient_authority()).unwrap()).unwrap()
    }

    /// A vault over the directory, under this master key.
    pub fn vault(&self, key: &str) -> Vault {
        let keys = KeyRing::new(MasterKey::new(key.as_bytes()));
        Vault::builder(self.directory(), keys).build().unwrap()
    }

    /// The program over this directory, with nothing of the test's own environment but the path.
    pub fn moat(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&*MOAT);
        self.surround(&mut command).args(arguments);
        command
    }

    /// The same, started by another program, such as `strace` with its options.
    pub fn moat_under(&self, mut starter: Command, arguments: &[&str]) -> Command {
        self.surround(&mut starter).arg(&*MOAT).args(arguments);
        starter
    }

    /// Gives a command this directory and the master key, and of the test's own environment just the path.
    pub fn surround<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("FOSSAWORK_CREDENTIALS_DIR", self.path())
            .env("FOSSAWORK_MASTER_KEY", KEY)
    }

    /// Stores a credential through the program.
    pub fn put(&self, user: &str, password: &str) {
        let mut command = self.moat(&["put", user, "--username", "someone", "--password-stdin"]);
        expect(0, &run_with_input(&mut command, password));
    }

    /// The names of all files, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Runs a command with this text on its standard input.
pub fn run_with_input(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may end without having read it all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Runs a command without any input.
pub fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// What a process took.
pub struct Taken {
    pub wall: Duration,
    pub cpu: Duration,
}

/// Runs a command that has to succeed, without input or output.
pub fn measure(command: &mut Command) -> Taken {
    measure_with_input(command, Stdio::null())
}

/// Runs a command that has to succeed, with this input and without output.
pub fn measure_with_input(command: &mut Command, input: Stdio) -> Taken {
    let begun = Instant::now();
    #[allow(clippy::zombie_processes, reason = "`wait4` waits for it")]
    let child = command.stdin(input).stdout(Stdio::null()).spawn().unwrap();
    let mut status = 0;
    // SAFETY: all zeroes is a valid `rusage`.
    #[allow(unsafe_code, reason = "the standard library has no child's time and memory")]
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let pid = child.id().cast_signed();
    // SAFETY: the child is this process's own and is waited for only here; both pointers are valid.
    #[allow(unsafe_code, reason = "the standard library has no child's time and memory")]
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    assert_eq!((waited, status), (pid, 0), "{command:?}");
    Taken { wall: begun.elapsed(), cpu: cpu(&usage) }
}

/// The CPU time that this process has taken.
pub fn cpu_time() -> Duration {
    // SAFETY: all zeroes is a valid `rusage`.
    #[allow(unsafe_code, reason = "the standard library has no CPU time")]
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid.
    #[allow(unsafe_code, reason = "the standard library has no CPU time")]
    let asked = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    assert_eq!(asked, 0);
    cpu(&usage)
}

fn cpu(usage: &libc::rusage) -> Duration {
    let time = |of: libc::timeval| {
        Duration::from_secs(of.tv_sec.unsigned_abs())
            + Duration::from_micros(of.tv_usec.unsigned_abs())
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Checks the exit code and returns standard output, standard error.
pub fn expect(code: i32, output: &Output) -> (String, String) {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "stdout: {stdout}\nstderr: {stderr}");
    (stdout, stderr)
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, contents: &[u8]) {
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(contents).unwrap();
}

/// Waits until it is so.
pub fn wait_until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether to take the time to try everything: `MOAT_LONG=1`.
pub fn long() -> bool {
    std::env::var_os("MOAT_LONG").is_some_and(|value| value == "1")
}

/// Says that a test, or a part of it, does not take place, and why. With `MOAT_REQUIRE_ALL` set, that is a failure.
pub fn skipped(why: &str) {
    // The harness names its threads after their tests.
    let thread = thread::current();
    let test = thread.name().filter(|name| *name != "main").unwrap_or("a test");
    let message = format!("SKIPPED {test}: {why}\n");
    assert!(std::env::var_os("MOAT_REQUIRE_ALL").is_none(), "{message}");
    // Unlike what is printed by a macro, this is not held back by the harness.
    std::io::stderr().write_all(message.as_bytes()).unwrap();
}

/// Whether this is root, who alone can do this; for others, it is skipped.
pub fn as_root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skipped(&format!("only root can {what}"));
    }
    root
}

/// The directory of tests.
pub fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A fixture as JSON.
pub fn fixture(name: &str) -> serde_json::Value {
    let path = tests().join("fixtures").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A program that this machine has, though not every machine does.
#[derive(Clone, Copy)]
pub struct Tool(&'static str);

impl Tool {
    pub fn command(self) -> Command {
        Command::new(self.0)
    }
}

/// A tool by its name or path. Without it the test is skipped.
pub fn tool(name: &'static str) -> Option<Tool> {
    let found = is_installed(name);
    if !found {
        skipped(&format!("{name} is missing; tests/setup installs it"));
    }
    found.then_some(Tool(name))
}

/// Whether there is a program of this name.
pub fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// A file or directory in the target directory, which is made again when what it is made of has changed.
pub fn set_up(name: &str, made_of: &[u8], make: impl FnOnce(&Path)) -> PathBuf {
    let path = target_tmpdir().join(name);
    let beside = |end: &str| path.with_file_name(format!("{name}.{end}"));
    // Test programs may run side by side.
    let lock = File::create(beside("lock")).unwrap();
    lock.lock().unwrap();
    if fs::read(beside("stamp")).ok().as_deref() != Some(made_of) {
        make(&path);
        fs::write(beside("stamp"), made_of).unwrap();
    }
    path
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16);
    let halves = Sha256::digest(bytes).into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    halves.filter_map(digit).collect()
}

/// Runs a command that has to succeed.
pub fn done(command: &mut Command) {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {output:?}");
}
