//! What the audit log costs a service: warm `get`s from many threads through a vault with a log and through one
//! without, turn by turn in one run. The directory and the log are on the disk of `target`, since a log in
//! memory would cost nothing to sync.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when anything fails"
)]

use std::fs::File;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use moat::audit::{AuditKey, AuditLog, Rotation};
use moat::{Credential, Directory, KeyRing, MasterKey, PutOptions, UserId, Vault};
use support::KEY;

const THREADS: usize = 64;
const EACH: usize = 200;
const TURNS: usize = 5;

fn main() {
    let root = tempfile::tempdir_in(support::target_tmpdir()).unwrap();
    let open = |name: &str| {
        let path = root.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Dir::open_ambient_dir(path, ambient_authority()).unwrap()
    };
    let vault = |log: Option<AuditLog>| {
        let keys = KeyRing::new(MasterKey::new(KEY.as_bytes()));
        let builder = Vault::builder(Directory::new(open("credentials")).unwrap(), keys);
        log.into_iter().fold(builder, |builder, log| builder.audit(log)).build().unwrap()
    };
    let key = AuditKey::new(KEY.as_bytes()).unwrap();
    let log = AuditLog::new(open("log"), "audit.log", key, Rotation::default());
    let [plain, audited] = [vault(None), vault(Some(log))];
    let anna = UserId::parse("anna").unwrap();
    plain.put(&anna, &Credential::new("anna", "horse"), &PutOptions::default()).unwrap();

    let mut runs = [const { Vec::new() }; 3];
    for _ in 0..TURNS {
        runs[0].push(get_from_threads(&plain, &anna, THREADS));
        runs[1].push(get_from_threads(&audited, &anna, THREADS));
        runs[2].push(get_from_threads(&audited, &anna, 1));
    }
    let [plain, audited, alone] = runs.map(|mut runs| {
        runs.sort_by(f64::total_cmp);
        runs.get(TURNS / 2).copied().unwrap_or_default()
    });
    let sync = sync_time(&root.path().join("file"));
    println!("warm gets a second, median of {TURNS} turns in one run:");
    println!("  without a log, {THREADS} threads {plain:8.0}");
    println!("  with a log, {THREADS} threads    {audited:8.0}");
    println!("  with a log, 1 thread      {alone:8.0}");
    println!("a sync of this disk takes {:.0} us", sync.as_secs_f64() * 1e6);
    println!("with / without a log: {:.2}", audited / plain);
}

/// How many calls a second so many threads make.
fn get_from_threads(vault: &Vault, user: &UserId, threads: usize) -> f64 {
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..EACH).for_each(|_| drop(vault.reveal(user).unwrap())));
        }
    });
    (threads * EACH) as f64 / begun.elapsed().as_secs_f64()
}

/// The median of appending a line to a file and syncing it.
fn sync_time(path: &std::path::Path) -> Duration {
    let mut file = File::create(path).unwrap();
    let mut times: Vec<_> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&[b'x'; 800]).unwrap();
            file.sync_data().unwrap();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times.get(100).copied().unwrap_or_default()
}
