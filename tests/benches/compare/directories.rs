//! Whole directories of records of version 2.0, in memory: what a disk takes is the same for all.

use std::cell::RefCell;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use support::benchmark::{Group, Row};
use support::callers::Python;
use support::{KEY, Store, done, long, measure, write_private};

use crate::native;

/// In memory, where this is a directory.
const MEMORY: &str = "/dev/shm";

/// How often each is measured, and of how many records at most; of more, once. The fastest counts.
const TURNS: u32 = 3;
const MOST_IN_TURNS: u32 = 10_000;

/// The most records that Python, which derives a slow key for each, is given.
const MOST_IN_PYTHON: u32 = 100;

/// The ways to work on a directory: name, threads, and whether by the program.
const WAYS: [(&str, usize, bool); 4] = [
    ("moat, 1 thread", 1, true),
    ("moat, 2 threads", 2, true),
    ("native Rust, 1 thread", 1, false),
    ("native Rust, 2 threads", 2, false),
];

pub(crate) fn groups(python: &Python) -> Vec<Group> {
    let sizes: &[u32] = if long() { &[10, 100, 1_000, 10_000, 100_000] } else { &[10, 1_000] };
    let keys = [(); 2].map(|()| moat::generate_key().unwrap().to_string());
    let mut groups = ["list", "verify", "rotate"].map(|what| {
        let ways = WAYS.iter().filter(|(_, threads, _)| what != "list" || *threads == 1);
        let mut rows: Vec<_> = ways.map(|(name, ..)| Row::new(name, [])).collect();
        if what == "verify" {
            rows.push(Row::new("the Python application's way, 1.0", []));
        }
        let columns = sizes.iter().map(|size| with_commas(*size)).collect();
        let title = match what {
            "list" => "Listing the users of a directory",
            "verify" => "Verifying all records of a directory",
            _ => "Re-encrypting all records with another key",
        };
        let unit = "ms elapsed, the fastest".to_owned();
        Group { name: what.to_owned(), title: title.to_owned(), unit, columns, rows }
    });
    for size in sizes {
        let directory = Directory::new(*size, keys.clone());
        let legacy = (*size <= MOST_IN_PYTHON).then(|| Directory::legacy(*size));
        let turns = if long() && *size <= MOST_IN_TURNS { TURNS } else { 1 };
        for Group { name: what, rows, .. } in &mut groups {
            rows.iter_mut().for_each(|row| row.values.push(None));
            for _ in 0..turns {
                for row in rows.iter_mut() {
                    let way = WAYS.iter().find(|(name, ..)| *name == row.name);
                    let taken = match (way, &legacy) {
                        (Some((_, threads, by_program)), _) => {
                            Some(directory.time(what, *threads, *by_program))
                        }
                        (None, Some(legacy)) => Some(legacy.in_python(python)),
                        (None, None) => None,
                    };
                    row.keep_fastest(taken);
                }
            }
        }
    }
    groups.into()
}

/// A directory of so many records, in memory.
struct Directory {
    store: Store,
    users: u32,
    /// The first one decrypts the records.
    keys: RefCell<[String; 2]>,
}

impl Directory {
    /// Records of version 2.0.
    fn new(users: u32, keys: [String; 2]) -> Self {
        let directory = Self::unencrypted(users, keys);
        directory.migrate(&["--to", "2.0"]);
        directory
    }

    /// Records of version 1.0, as the application has them.
    fn legacy(users: u32) -> Self {
        let directory = Self::unencrypted(users, [KEY.to_owned(), String::new()]);
        directory.migrate(&["--token-encoding", "app"]);
        directory
    }

    /// Records of the application's oldest kind, which is the quickest to make.
    fn unencrypted(users: u32, keys: [String; 2]) -> Self {
        let memory = Path::new(MEMORY);
        let store = if memory.is_dir() { Store::below(memory) } else { Store::new() };
        let credential = r#"{"username": "someone", "password": "a password", "created_at": "2025-02-03T08:09:10"}"#;
        let encoded = URL_SAFE.encode(credential);
        for user in (0..users).map(|n| format!("user{n:06}")) {
            let record = format!(
                r#"{{"user_id": "{user}", "encrypted_data": "{encoded}", "created_at": "2025-02-03T08:09:10", "crypto_available": false}}"#
            );
            write_private(&store.file(&user), record.as_bytes());
        }
        Self { store, users, keys: keys.into() }
    }

    /// Runs the program with the key that decrypts the records.
    fn migrate(&self, arguments: &[&str]) {
        let mut command =
            self.store.moat(&[&["migrate", "--accept-plaintext"], arguments].concat());
        done(command.env("FOSSAWORK_MASTER_KEY", &self.keys.borrow()[0]));
    }

    /// How long it takes, in ms.
    fn time(&self, what: &str, threads: usize, by_program: bool) -> f64 {
        if what == "rotate" {
            self.keys.borrow_mut().swap(0, 1);
        }
        let [primary, previous] = self.keys.borrow().clone();
        let mut command = if by_program {
            // A thread for each core that it may use.
            let mut cores = Command::new("taskset");
            cores.args(["--cpu-list", &format!("0-{}", threads - 1)]);
            let mut command = self.store.moat_under(cores, &[what]);
            command.env("FOSSAWORK_MASTER_KEY", &primary);
            if what == "rotate" {
                command.env("FOSSAWORK_MASTER_KEY_PREVIOUS", &previous);
            }
            command
        } else {
            native::command(what, self.store.path(), &[&primary, &previous], threads)
        };
        measure(&mut command).wall.as_secs_f64() * 1e3
    }

    /// How long the application's way takes for all users, in ms.
    fn in_python(&self, python: &Python) -> f64 {
        let mut application = python.script("fossawork_way.py");
        application.arg(self.store.path()).args((0..self.users).map(|n| format!("user{n:06}")));
        measure(&mut application).wall.as_secs_f64() * 1e3
    }
}

fn with_commas(number: u32) -> String {
    match number {
        1_000.. => format!("{},{:03}", number / 1_000, number % 1_000),
        _ => number.to_string(),
    }
}
