//! What the audit log costs a service: warm `get`s from many threads through a vault with a log and through one
//! without. The directory and the log are on the disk of `target`, since a log in memory would cost nothing to sync.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Instant;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use moat::audit::{AuditKey, AuditLog, Rotation};
use moat::{Credential, Directory, KeyRing, MasterKey, PutOptions, UserId, Vault};
use support::benchmark::{Group, Row, median};
use support::{KEY, long};

const THREADS: usize = 64;
const EACH: usize = 200;

pub(crate) fn group() -> Group {
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

    let turns = if long() { 9 } else { 1 };
    let mut runs = [const { Vec::new() }; 3];
    for _ in 0..turns {
        runs[0].push(time_a_get(&plain, &anna, THREADS));
        runs[1].push(time_a_get(&audited, &anna, THREADS));
        runs[2].push(time_a_get(&audited, &anna, 1));
    }
    let [plain, audited, alone] = runs.map(median);
    Group {
        name: "audit".to_owned(),
        title: "Reading with an audit log, in a running process".to_owned(),
        unit: "µs for each credential".to_owned(),
        columns: vec!["elapsed".to_owned()],
        rows: vec![
            Row::new("without a log, 64 threads", [plain]),
            Row::new("with a log, 64 threads", [audited]),
            Row::new("with a log, 1 thread", [alone]),
            Row::new("a sync of this disk", [sync_time(&root.path().join("file"))]),
        ],
    }
}

/// How long a call takes when so many threads make them, in µs.
fn time_a_get(vault: &Vault, user: &UserId, threads: usize) -> f64 {
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..EACH).for_each(|_| drop(vault.reveal(user).unwrap())));
        }
    });
    begun.elapsed().as_secs_f64() * 1e6 / (threads * EACH) as f64
}

/// The median of appending a line to a file and syncing it, in µs.
fn sync_time(path: &Path) -> Option<f64> {
    let mut file = File::create(path).unwrap();
    let times = (0..200).map(|_| {
        let begun = Instant::now();
        file.write_all(&[b'x'; 800]).unwrap();
        file.sync_data().unwrap();
        begun.elapsed().as_secs_f64() * 1e6
    });
    median(times.collect())
}
