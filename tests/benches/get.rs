//! What one `get` costs as a whole process, beside the way of the Python application: interpreter, imports,
//! PBKDF2, Fernet. Both read the same record, turn by turn, and are compared within one run.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when anything fails"
)]

use support::callers::python;
use support::{Store, expect, measure, run};

const ROUNDS: usize = 31;

fn main() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let mut write = python.script("exchange.py");
    write.arg("write").arg(store.path()).args(["anna", "anna", "correct horse", "--form", "app"]);
    expect(0, &run(&mut write));

    let mut application = python.script("fossawork_way.py");
    application.arg(store.path()).arg("anna");
    let mut peers = [
        ("the Python application's way", application),
        ("moat get anna --field password", store.moat(&["get", "anna", "--field", "password"])),
        ("moat inspect anna (no key derived)", store.moat(&["inspect", "anna"])),
    ];
    let mut runs = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for ((_, command), runs) in peers.iter_mut().zip(&mut runs) {
            runs.push(measure(command));
        }
    }
    println!("whole processes, {ROUNDS} turns in one run:");
    let fastest = peers.iter().zip(runs).map(|((name, _), mut runs)| {
        runs.sort_by_key(|taken| taken.wall);
        let [fastest, median] = [0, ROUNDS / 2].map(|place| runs[place].wall.as_secs_f64() * 1e3);
        let peak = runs.iter().map(|taken| taken.peak / 1024).max().unwrap_or(0);
        println!(
            "  {name:36} fastest {fastest:6.1} ms   median {median:6.1} ms   peak {peak:3} MiB"
        );
        fastest
    });
    let fastest: Vec<f64> = fastest.collect();
    // The fastest turns are those that nothing else on the machine disturbed.
    println!("moat get / Python: {:.2} (at most 0.65)", fastest[1] / fastest[0]);
    println!(
        "start to first call into the sandbox: under {:.1} ms, the whole of inspect (at most 5)",
        fastest[2]
    );
}
