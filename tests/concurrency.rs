//! Several processes over one directory.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs::File;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use moat::{Credential, ErrorCode, PutOptions, UserId};
use support::{KEY, Store, expect, run, run_with_input};

#[test]
fn two_processes_that_write_at_once_lose_nothing() {
    const ROUNDS: usize = 25;
    let store = Store::new();
    store.put("anna", "horse");
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    expect(0, &run(&mut store.moat(&["mark", "anna", "--valid"])));
                }
            });
        }
    });
    let anna = UserId::parse("anna").unwrap();
    let summary = store.vault(KEY).describe(&anna).unwrap();
    assert_eq!(summary.validation_attempts, 2 * ROUNDS as u32);
    assert_eq!(store.names(), [".moat.lock", "anna.cred"]);
}

#[test]
fn a_reader_sees_the_old_record_or_the_new_one() {
    let store = Store::new();
    let anna = UserId::parse("anna").unwrap();
    let (writer, reader) = (store.vault(KEY), store.vault(KEY));
    let passwords = ["a".repeat(20), "b".repeat(20_000)];
    let put = |password: &String| {
        let credential = Credential::new("anna", password.as_str());
        writer.put(&anna, &credential, &PutOptions::default()).unwrap();
    };
    put(&passwords[0]);
    thread::scope(|scope| {
        let writing = scope.spawn(|| (0..100).for_each(|round| put(&passwords[round % 2])));
        let mut reads = 0;
        while !writing.is_finished() || reads == 0 {
            let revealed = reader.reveal(&anna).unwrap();
            assert!(
                passwords
                    .iter()
                    .any(|password| password == revealed.credential().expose_password())
            );
            reads += 1;
        }
    });
}

#[test]
fn only_one_of_many_creates_a_credential() {
    let store = Store::new();
    let mut created = 0;
    let mut refused = 0;
    let outcomes: Vec<_> = thread::scope(|scope| {
        let put = |n: usize| {
            let arguments = ["put", "anna", "--username", "x", "--password-stdin", "--create-only"];
            run_with_input(&mut store.moat(&arguments), &format!("password {n}"))
        };
        let running: Vec<_> = (0..6).map(|n| scope.spawn(move || put(n))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for output in outcomes {
        match output.status.code() {
            Some(0) => created += 1,
            Some(8) => refused += 1,
            code => panic!("{code:?}"),
        }
    }
    assert_eq!((created, refused), (1, 5));
}

#[test]
fn a_held_lock_is_waited_for_and_then_told() {
    let store = Store::new();
    store.put("anna", "horse");
    let lock = File::open(store.path().join(".moat.lock")).unwrap();
    lock.lock().unwrap();

    let touch = ["touch", "anna", "--lock-wait", "0.3"];
    let (_, stderr) = expect(8, &run(&mut store.moat(&touch)));
    assert!(
        stderr.contains("another process holds the directory's lock (waited 300ms)"),
        "{stderr}"
    );
    assert!(stderr.contains("--lock-wait SECONDS"), "{stderr}");
    // Readers need no lock.
    expect(0, &run(&mut store.moat(&["get", "anna"])));

    let waiting = store.moat(&["touch", "anna"]).stdout(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_millis(300));
    drop(lock);
    assert!(waiting.wait_with_output().unwrap().status.success());
}

#[test]
fn waiting_for_the_lock_does_not_count_against_the_deadline() {
    let store = Store::new();
    store.put("anna", "horse");
    let lock = File::open(store.path().join(".moat.lock")).unwrap();
    lock.lock().unwrap();
    let mut limits = moat::Limits::default();
    limits.deadline = Duration::from_secs(1);
    let directory = store.directory().with_lock_wait(Duration::from_secs(2));
    let keys = moat::KeyRing::new(moat::MasterKey::new(KEY.as_bytes()));
    let vault = moat::Vault::builder(directory, keys).limits(limits).build().unwrap();
    let begun = Instant::now();
    let error = vault.mark_used(&UserId::parse("anna").unwrap()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Locked);
    assert!(begun.elapsed() >= Duration::from_secs(2));
}
