//! What one `get` costs as a whole process, beside the way of the Python application (interpreter, imports, PBKDF2, Fernet),
//! which reads the same record, and beside `age -d` where it is installed. Turn by turn, compared within one run.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when anything fails"
)]

use std::path::Path;
use std::process::Command;

use support::callers::python;
use support::{Store, Taken, expect, measure, run, run_with_input};

const ROUNDS: usize = 31;

/// A peer that decrypts a file of one line with a key pair.
fn age(directory: &Path) -> Option<Command> {
    let [identity, file] = ["age.txt", "secret.age"].map(|name| directory.join(name));
    let made = Command::new("age-keygen").arg("-o").arg(&identity).output().ok()?;
    expect(0, &made);
    let mut encrypt = Command::new("age");
    encrypt.args(["-e", "-i"]).arg(&identity).arg("-o").arg(&file);
    expect(0, &run_with_input(&mut encrypt, "correct horse\n"));
    let mut decrypt = Command::new("age");
    decrypt.args(["-d", "-i"]).arg(identity).arg(file);
    Some(decrypt)
}

fn main() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let mut write = python.script("exchange.py");
    write.arg("write").arg(store.path()).args(["anna", "anna", "correct horse", "--form", "app"]);
    expect(0, &run(&mut write));
    let strong = Store::new();
    let key = moat::generate_key().unwrap();
    let get = |store: &Store| store.moat(&["get", "anna", "--field", "password"]);
    let with_key = |mut command: Command| {
        command.env("FOSSAWORK_MASTER_KEY", key.as_str());
        command
    };
    let put = strong.moat(&["put", "anna", "--username", "anna", "--password-stdin"]);
    expect(0, &run_with_input(&mut with_key(put), "correct horse"));

    let mut application = python.script("fossawork_way.py");
    application.arg(store.path()).arg("anna");
    let mut peers = vec![
        ("the Python application's way", application),
        ("moat get, version 1.0", get(&store)),
        ("moat get, version 2.0, strong key", with_key(get(&strong))),
        ("moat inspect (no key derived)", store.moat(&["inspect", "anna"])),
    ];
    peers.extend(age(&strong.beside("")).map(|age| ("age -d", age)));
    let mut runs: Vec<Vec<Taken>> = peers.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for ((_, command), runs) in peers.iter_mut().zip(&mut runs) {
            runs.push(measure(command));
        }
    }
    println!("whole processes, {ROUNDS} turns in one run:");
    let medians: Vec<f64> = peers
        .iter()
        .zip(runs)
        .map(|((name, _), mut runs)| {
            let peak = runs.iter().map(|taken| taken.peak / 1024).max().unwrap_or(0);
            runs.sort_by_key(|taken| taken.wall);
            let wall = runs[ROUNDS / 2].wall.as_secs_f64() * 1e3;
            runs.sort_by_key(|taken| taken.cpu);
            let cpu = runs[ROUNDS / 2].cpu.as_secs_f64() * 1e3;
            println!("  {name:34} median {wall:6.1} ms, of CPU {cpu:6.1} ms, peak {peak:3} MiB");
            cpu
        })
        .collect();
    println!("of CPU, version 1.0 / Python: {:.2} (at most 0.68)", medians[1] / medians[0]);
    println!("of CPU, version 2.0 / Python: {:.3} (at most 0.12)", medians[2] / medians[0]);
    match medians.get(4) {
        Some(age) => println!("of CPU, version 2.0 / age: {:.2} (at most 1.3)", medians[2] / age),
        None => println!("SKIPPED the comparison with age, which is not installed"),
    }
}
