//! The peer without a sandbox: the component's source as native code, in a program with nothing around it. It reads files by
//! their names, locks nothing, checks no grants and limits, wipes no memory and keeps no log. What it writes is as durable
//! as what the vault writes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::SystemTime;

use moat_guest_keys::contract::{self as keys, MasterKey, Slot};
use moat_guest_native::contract::{Credential, Error, ErrorCode, NamePage, PutOptions};
use moat_guest_records::contract::File as Contents;
use moat_guest_records::{Host, migration, vault};
use support::sha256;

/// How many users a call is for, the most that the vault's are for.
const PER_CALL: usize = 192;

/// What a derived key is known by.
type Place = (u32, Option<String>, String);

/// A directory, and the keys for it: the one that encrypts, and further ones.
pub(crate) struct Native {
    directory: PathBuf,
    keys: Vec<String>,
    cache: RefCell<HashMap<Place, Vec<u8>>>,
    /// What was written, but has yet to take its name.
    staged: RefCell<Vec<(String, File)>>,
}

impl Native {
    pub(crate) fn new(directory: PathBuf, keys: Vec<String>) -> Self {
        Self { directory, keys, cache: RefCell::default(), staged: RefCell::default() }
    }

    pub(crate) fn get(&self, user: &str) -> String {
        vault::reveal(self, user).unwrap().credential.password
    }

    pub(crate) fn put(&self, user: &str) {
        let credential = Credential {
            username: "anna".to_owned(),
            password: "correct horse".to_owned(),
            fields: Vec::new(),
            created_at: None,
            last_used: None,
            is_valid: true,
            validation_attempts: 0,
            expires: None,
        };
        let options = PutOptions {
            version: None,
            encoding: None,
            expected_revision: None,
            create_only: false,
            keep_fields: false,
        };
        vault::put(self, user, &credential, &options).unwrap();
        self.commit();
    }

    /// Gives all that was written its name.
    fn commit(&self) {
        let staged = self.staged.take();
        staged.iter().for_each(|(_, file)| file.sync_all().unwrap());
        for (name, _) in &staged {
            fs::rename(self.temporary(name), self.directory.join(name)).unwrap();
        }
        File::open(&self.directory).unwrap().sync_all().unwrap();
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.directory.join(format!(".{name}.native"))
    }
}

impl Host for Native {
    fn read(&self, name: &str) -> Result<Option<Contents>, Error> {
        match fs::read(self.directory.join(name)) {
            Ok(contents) => Ok(Some(Contents { revision: sha256(&contents), contents })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failure(ErrorCode::Directory, &error.to_string())),
        }
    }

    fn write(&self, name: &str, contents: &[u8], _: Option<&str>) -> Result<String, Error> {
        let mut options = File::options();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(self.temporary(name)).unwrap();
        file.write_all(contents).unwrap();
        self.staged.borrow_mut().push((name.to_owned(), file));
        Ok(sha256(contents))
    }

    fn remove(&self, _: &str, _: Option<&str>) -> Result<bool, Error> {
        Err(failure(ErrorCode::Denied, "the benchmark removes nothing"))
    }

    fn names(&self, _: Option<&str>, _: u32) -> Result<NamePage, Error> {
        let entries = fs::read_dir(&self.directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        Ok(NamePage { names, next: None })
    }

    moat_guest_native::provide_keys!();

    fn now(&self) -> u64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
    }

    fn random(&self) -> Result<[u8; 16], Error> {
        Err(failure(ErrorCode::Unavailable, "the directory has its settings, with their salt"))
    }
}

fn place(slot: &Slot) -> Place {
    (slot.ring_index, slot.user_id.clone(), slot.parameters.clone())
}

impl moat_guest_keys::Host for Native {
    fn ring(&self) -> Result<Vec<MasterKey>, keys::Error> {
        let key = |(number, key): (usize, &String)| MasterKey {
            id: None,
            primary: number == 0,
            material: key.as_bytes().to_vec(),
        };
        Ok(self.keys.iter().enumerate().map(key).collect())
    }

    fn lookup(&self, slot: &Slot) -> Option<Vec<u8>> {
        self.cache.borrow().get(&place(slot)).cloned()
    }

    fn remember(&self, slot: &Slot, key: &[u8]) {
        self.cache.borrow_mut().insert(place(slot), key.to_vec());
    }
}

/// This program as the peer: what to do, in which directory, with which keys, in how many threads.
pub(crate) fn command(what: &str, directory: PathBuf, keys: &[&str], threads: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["native", what]).arg(directory).arg(threads.to_string());
    command.env(KEYS, keys.join(" "));
    command
}

const KEYS: &str = "MOAT_NATIVE_KEYS";

/// What [`command`] starts.
pub(crate) fn run(mut arguments: impl Iterator<Item = String>) {
    let mut next = || arguments.next().unwrap();
    let (what, directory, threads) = (next(), PathBuf::from(next()), next().parse().unwrap());
    let keys = std::env::var(KEYS).unwrap();
    let keys: Vec<String> = keys.split(' ').map(str::to_owned).collect();
    let native = || Native::new(directory.clone(), keys.clone());
    match what.as_str() {
        "get" => println!("{}", native().get("anna")),
        "put" => native().put("anna"),
        "list" => users(&native()).iter().for_each(|user| println!("{user}")),
        "verify" => in_threads(threads, &users(&native()), native, |native, users| {
            vault::verify(native, users).into_iter().for_each(|summary| drop(summary.unwrap()));
        }),
        "rotate" => {
            // The settings first, which all threads read.
            rotate(&native(), &[]);
            in_threads(threads, &users(&native()), native, rotate);
        }
        other => panic!("{other}"),
    }
}

fn rotate(native: &Native, users: &[String]) {
    let rewritten = migration::rewrap(native, users, false);
    rewritten.into_iter().for_each(|rewritten| drop(rewritten.unwrap()));
    native.commit();
}

fn users(native: &Native) -> Vec<String> {
    vault::users(native, None, vault::MAX_PAGE).unwrap().user_ids
}

fn in_threads(
    threads: usize,
    users: &[String],
    native: impl Fn() -> Native + Sync,
    work: impl Fn(&Native, &[String]) + Sync,
) {
    thread::scope(|scope| {
        for some in users.chunks(users.len().div_ceil(threads)) {
            scope.spawn(|| {
                let native = native();
                some.chunks(PER_CALL).for_each(|users| work(&native, users));
            });
        }
    });
}

fn failure(code: ErrorCode, message: &str) -> Error {
    Error { code, message: message.to_owned() }
}
