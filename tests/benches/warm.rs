//! What the protection of a call costs: a warm `get`, its derived key cached, through a vault and through a host
//! that has none of it (`tests/support/plain_host.rs`), turn by turn in one run.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when anything fails"
)]

use std::time::{Duration, Instant};

use moat::{Credential, PutOptions, UserId};
use support::plain_host;
use support::plain_host::Host;
use support::{KEY, Store};

const TURNS: usize = 2_000;

fn main() {
    let store = Store::new();
    let vault = store.vault(KEY);
    let anna = UserId::parse("anna").unwrap();
    vault.put(&anna, &Credential::new("anna", "horse"), &PutOptions::default()).unwrap();

    let component = plain_host::best();
    let plain = |cached: Option<Vec<u8>>| {
        let file = Some(std::fs::read(store.file("anna")).unwrap());
        let host = Host { file, cached, master_key: KEY.into(), ..Host::default() };
        let (component, mut instance) = plain_host::instance(&component, host);
        let reveal = component.fossawork_credentials_reveal();
        reveal.call_reveal(&mut instance, "anna").unwrap().unwrap();
        instance.into_data().remembered
    };
    let derived = plain(None);

    let mut runs = [const { Vec::new() }; 2];
    for _ in 0..TURNS {
        let begun = Instant::now();
        plain(derived.clone());
        let between = Instant::now();
        vault.reveal(&anna).unwrap();
        runs[0].push(between - begun);
        runs[1].push(between.elapsed());
    }
    let [plain, protected] = runs.map(|mut runs| {
        runs.sort();
        runs.get(TURNS / 2).map_or(0.0, Duration::as_secs_f64) * 1e6
    });
    println!("a warm get, median of {TURNS} turns in one run:");
    println!("  a host without protection {plain:6.0} us");
    println!("  a vault                   {protected:6.0} us");
    println!("the vault / without protection: {:.2}", protected / plain);
}
