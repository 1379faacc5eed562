//! `migrate` and `rotate` over whole directories: time, cores at work, peak memory, and the cost of a derived key
//! beside native Rust's and Python's, all within one run. 10,000 users; with `MOAT_LONG=1` 100,000.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when anything fails"
)]

use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use support::callers::{Python, python};
use support::{KEY, Store, Taken, long, measure, write_private};

const NEW_KEY: &str = "tomorrow's key, which is to be the primary one";

/// Users with a record of version 1.0, each of which takes two derivations to rotate.
const FEW: u32 = 200;
/// Keys that the peers derive.
const DERIVED: u32 = 50;

/// A directory of the application's oldest kind, which is the quickest to make.
fn legacy(users: u32) -> Store {
    let store = Store::new();
    let credential =
        r#"{"username": "someone", "password": "a password", "created_at": "2025-02-03T08:09:10"}"#;
    let encoded = URL_SAFE.encode(credential);
    for user in (0..users).map(|n| format!("user{n:06}")) {
        let record = format!(
            r#"{{"user_id": "{user}", "encrypted_data": "{encoded}", "created_at": "2025-02-03T08:09:10", "crypto_available": false}}"#
        );
        write_private(&store.file(&user), record.as_bytes());
    }
    store
}

fn rotate(store: &Store) -> Command {
    let mut command = store.moat(&["rotate"]);
    command.env("FOSSAWORK_MASTER_KEY", NEW_KEY).env("FOSSAWORK_MASTER_KEY_PREVIOUS", KEY);
    command
}

fn tell(what: &str, taken: &Taken) {
    let Taken { wall, cpu, peak } = taken;
    let cores = cpu.as_secs_f64() / wall.as_secs_f64();
    println!("{what:42} {:7.2} s, {cores:.2} cores, peak {} MiB", wall.as_secs_f64(), peak / 1024);
}

fn milliseconds(taken: Duration, keys: u32) -> f64 {
    taken.as_secs_f64() * 1e3 / f64::from(keys)
}

fn native() -> Duration {
    let begun = Instant::now();
    for n in 0..DERIVED {
        let mut key = [0; 32];
        pbkdf2::pbkdf2_hmac::<sha2::Sha256>(KEY.as_bytes(), &n.to_be_bytes(), 100_000, &mut key);
        std::hint::black_box(key);
    }
    begun.elapsed()
}

fn in_python(python: &Python) -> Duration {
    let script = format!(
        "import hashlib, time\nt = time.perf_counter()\nfor n in range({DERIVED}):\n    \
         hashlib.pbkdf2_hmac('sha256', b'key', n.to_bytes(16, 'big'), 100_000)\n\
         print(time.perf_counter() - t)"
    );
    let output = python.eval(&script).output().unwrap();
    let seconds = String::from_utf8(output.stdout).unwrap();
    Duration::from_secs_f64(seconds.trim().parse().unwrap())
}

fn main() {
    let Some(python) = python() else { return };
    let few = legacy(FEW);
    tell(
        &format!("migrate {FEW} to version 1.0"),
        &measure(&mut few.moat(&["migrate", "--accept-plaintext"])),
    );
    let taken = measure(&mut rotate(&few));
    tell(&format!("rotate {FEW} of version 1.0"), &taken);
    let sandbox = milliseconds(taken.cpu, 2 * FEW);
    let (native, python) =
        (milliseconds(native(), DERIVED), milliseconds(in_python(&python), DERIVED));
    println!(
        "a derived key of version 1.0, of one core: {sandbox:.1} ms in the sandbox, {native:.1} ms native Rust, {python:.1} ms Python"
    );
    println!(
        "sandbox / native: {:.2}; sandbox / Python: {:.2}",
        sandbox / native,
        sandbox / python
    );

    let users = if long() { 100_000 } else { 10_000 };
    let many = legacy(users);
    let migrated = measure(&mut many.moat(&["migrate", "--to", "2.0", "--accept-plaintext"]));
    tell(&format!("migrate {users} to version 2.0"), &migrated);
    tell(&format!("rotate {users} of version 2.0 (10,000: < 5 s)"), &measure(&mut rotate(&many)));
    tell(&format!("list {users}"), &measure(&mut many.moat(&["list"])));
}
