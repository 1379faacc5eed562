//! The hosts in other languages make the same of what stands in a directory as the Rust host does.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use moat::{Credential, Directory, Error, KeyRing, MasterKey, PutOptions, UserId, Vault};
use rustix::fs::{CWD, FileType, FlockOperation, Mode, flock, mknodat};
use support::writers::{self, Writer};
use support::{KEY, Store, as_root, expect, run, sha256, write_private};

/// What is made of a directory in which anna's credential is.
type Prepare = fn(&Store);

fn lock(store: &Store) -> PathBuf {
    store.path().join(".moat.lock")
}

fn temporary(store: &Store) -> PathBuf {
    store.path().join(".moat.tmp")
}

fn elsewhere(store: &Store) -> PathBuf {
    store.beside("elsewhere.cred")
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Puts what `make` makes in place of anna's record.
fn in_place(store: &Store, make: impl FnOnce(&Path)) {
    fs::remove_file(store.file("anna")).unwrap();
    make(&store.file("anna"));
}

/// What stands in the directory, and what comes of reading anna's record and of replacing what it was.
const CASES: &[(&str, Prepare, &str, &str)] = &[
    ("all is well", |_| (), "read", "done"),
    ("no record", |s| in_place(s, |_| ()), "not-found", "conflict"),
    (
        "another revision",
        |s| _ = fs::copy(elsewhere(s), s.file("anna")).unwrap(),
        "read",
        "conflict",
    ),
    (
        "a link to a record",
        |s| in_place(s, |path| symlink(elsewhere(s), path).unwrap()),
        "directory",
        "directory",
    ),
    (
        "a link to nowhere",
        |s| in_place(s, |path| symlink("nowhere", path).unwrap()),
        "directory",
        "directory",
    ),
    (
        "a link to itself",
        |s| in_place(s, |path| symlink("anna.cred", path).unwrap()),
        "directory",
        "directory",
    ),
    (
        "a hard link",
        |s| in_place(s, |path| fs::hard_link(elsewhere(s), path).unwrap()),
        "directory",
        "directory",
    ),
    ("a FIFO", |s| in_place(s, fifo), "directory", "directory"),
    (
        "a directory",
        |s| in_place(s, |path| fs::create_dir(path).unwrap()),
        "directory",
        "directory",
    ),
    (
        "a socket",
        |s| in_place(s, |path| drop(UnixListener::bind(path).unwrap())),
        "directory",
        "directory",
    ),
    (
        "a file without an end",
        |s| in_place(s, |path| fs::File::create(path).unwrap().set_len(1 << 40).unwrap()),
        "too-large",
        "too-large",
    ),
    (
        "a directory that others can write to",
        |s| fs::set_permissions(s.path(), PermissionsExt::from_mode(0o770)).unwrap(),
        "directory",
        "directory",
    ),
    // Readers have no use for these.
    (
        "what a crash left, one of three missing",
        |s| {
            write_private(&temporary(s), b"of a batch");
            write_private(&s.path().join(".moat.tmp.2"), b"of the same");
        },
        "read",
        "done",
    ),
    (
        "a temporary file that is a link",
        |s| symlink(elsewhere(s), temporary(s)).unwrap(),
        "read",
        "done",
    ),
    (
        "a temporary file that is a link to nowhere",
        |s| symlink("nowhere", temporary(s)).unwrap(),
        "read",
        "done",
    ),
    (
        "a temporary file that is a hard link",
        |s| fs::hard_link(elsewhere(s), temporary(s)).unwrap(),
        "read",
        "done",
    ),
    ("a temporary file that is a FIFO", |s| fifo(&temporary(s)), "read", "done"),
    (
        "a temporary file that is a directory",
        |s| fs::create_dir(temporary(s)).unwrap(),
        "read",
        "directory",
    ),
    (
        "a lock file that is a link",
        |s| symlink(elsewhere(s), lock(s)).unwrap(),
        "read",
        "directory",
    ),
    (
        "a lock file that is a link to nowhere",
        |s| symlink("nowhere", lock(s)).unwrap(),
        "read",
        "directory",
    ),
    ("a lock file that is a FIFO", |s| fifo(&lock(s)), "read", "directory"),
    ("a lock file that is a directory", |s| fs::create_dir(lock(s)).unwrap(), "read", "directory"),
];

/// What only root can make.
const CASES_OF_ROOT: &[(&str, Prepare, &str, &str)] = &[
    (
        "a record of somebody else",
        |s| chown(s.file("anna"), Some(12345), None).unwrap(),
        "directory",
        "directory",
    ),
    (
        "a directory of somebody else",
        |s| chown(s.path(), Some(12345), None).unwrap(),
        "directory",
        "directory",
    ),
    (
        "a device",
        |s| {
            in_place(s, |path| {
                let mode = Mode::RUSR | Mode::WUSR;
                let null = rustix::fs::makedev(1, 3);
                mknodat(CWD, path, FileType::CharacterDevice, mode, null).unwrap();
            });
        },
        "directory",
        "directory",
    ),
];

/// The records that all directories are made with.
struct Records {
    old: Vec<u8>,
    /// What is to replace it, sealed with the same key.
    new: Vec<u8>,
    /// The revision of the old one.
    revision: String,
}

impl Records {
    fn new() -> Self {
        let store = Store::new();
        let [old, new] = ["old", "new"].map(|password| {
            store.put("anna", password);
            fs::read(store.file("anna")).unwrap()
        });
        let revision = sha256(&old)[..32].to_owned();
        Self { old, new, revision }
    }

    fn store(&self) -> Store {
        let store = Store::new();
        write_private(&store.file("anna"), &self.old);
        write_private(&elsewhere(&store), &self.new);
        store
    }
}

/// Reads anna's record, or replaces the one of this revision, as the Rust host does it.
fn in_rust(store: &Store, replaces: Option<&str>) -> String {
    let attempt = || -> Result<&str, Error> {
        let dir = Dir::open_ambient_dir(store.path(), ambient_authority()).unwrap();
        let keys = KeyRing::new(MasterKey::new(KEY.as_bytes()));
        let vault = Vault::builder(Directory::new(dir)?, keys).build()?;
        let anna = UserId::parse("anna").unwrap();
        let Some(revision) = replaces else { return vault.reveal(&anna).map(|_| "read") };
        let options = PutOptions::default().expected_revision(revision);
        vault.put(&anna, &Credential::new("someone", "new"), &options).map(|_| "done")
    };
    attempt().map_or_else(|error| error.code().name().to_owned(), str::to_owned)
}

/// The same in another language, with this record.
fn in_another(writer: &Writer, store: &Store, replaces: Option<&str>) -> String {
    let new = elsewhere(store);
    let arguments = match replaces {
        None => vec!["read", "anna.cred"],
        Some(revision) => vec!["write", "anna.cred", new.to_str().unwrap(), revision],
    };
    expect(0, &run(&mut writer.command(store, &arguments))).0.trim_end().to_owned()
}

#[test]
fn every_host_makes_the_same_of_what_stands_in_a_directory() {
    let records = Records::new();
    let writers = writers::all();
    let mut cases = CASES.to_vec();
    if as_root("make devices, and files of others") {
        cases.extend(CASES_OF_ROOT);
    }
    let mut wrong = Vec::new();
    for (name, prepare, reads, writes) in cases {
        for replaces in [None, Some(records.revision.as_str())] {
            let expected = if replaces.is_none() { reads } else { writes };
            for writer in std::iter::once(None).chain(writers.iter().map(Some)) {
                let store = records.store();
                prepare(&store);
                let host = writer.map_or("rust", |writer| writer.name);
                let answer = writer.map_or_else(
                    || in_rust(&store, replaces),
                    |writer| in_another(writer, &store, replaces),
                );
                if answer != expected {
                    wrong.push(format!("{host}: {name}: {answer} instead of {expected}"));
                }
                assert_eq!(fs::read(elsewhere(&store)).unwrap(), records.new, "{host}: {name}");
                if answer == "done" {
                    assert_eq!(store.names(), [".moat.lock", "anna.cred"], "{host}: {name}");
                    assert_ne!(
                        fs::read(store.file("anna")).unwrap(),
                        records.old,
                        "{host}: {name}"
                    );
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whichever of the two locks it is.
#[test]
fn every_host_waits_for_other_writers_and_gives_up() {
    let records = Records::new();
    let writers = writers::all();
    thread::scope(|scope| {
        for locked in [Store::path, lock] {
            for writer in std::iter::once(None).chain(writers.iter().map(Some)) {
                let records = &records;
                scope.spawn(move || {
                    let store = records.store();
                    write_private(&lock(&store), b"");
                    let file = fs::File::open(locked(&store)).unwrap();
                    flock(&file, FlockOperation::LockExclusive).unwrap();
                    let replaces = Some(records.revision.as_str());
                    let answer = writer.map_or_else(
                        || in_rust(&store, replaces),
                        |writer| in_another(writer, &store, replaces),
                    );
                    let host = writer.map_or("rust", |writer| writer.name);
                    assert_eq!(answer, "locked", "{host}: {}", locked(&store).display());
                    assert_eq!(fs::read(store.file("anna")).unwrap(), records.old, "{host}");
                });
            }
        }
    });
}
