//! Several processes over one directory.

use std::fs::{self, File};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use moat::{Credential, ErrorCode, PutOptions, UserId};
use support::{KEY, Store, expect, run, run_with_input, tool};

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

/// A record that is removed after the directory was listed is not there, and that is no failure.
#[test]
fn what_is_removed_meanwhile_fails_nobody() {
    let Some(strace) = tool("strace") else { return };
    // The last call for names of the listing that the records are gone through by, during which one goes.
    for (verb, listing, summary) in [
        (&["verify"][..], 2, "2 ok, 0 failed"),
        (&["rotate"], 2, "0 rotated, 2 already encrypted with the primary key, 0 failed"),
        (&["migrate"], 2, "0 migrated, 2 unchanged, 0 failed;"),
        (&["check", "-q"], 4, "2 can be decrypted"),
    ] {
        let store = Store::new();
        ["anna", "bob", "carl"].iter().for_each(|user| store.put(user, "horse"));
        let trace = store.beside("trace");
        let mut strace = strace.command();
        let delay = format!("inject=getdents64:delay_exit=3000000:when={listing}");
        strace.args(["-f", "-e", "trace=getdents64", "-e", &delay, "-o"]).arg(&trace);
        let mut command = store.moat_under(strace, verb);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let listed = || fs::read_to_string(&trace).unwrap_or_default().matches(") = ").count();
        let begun = Instant::now();
        while listed() < listing - 1 && begun.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(5));
        }
        fs::remove_file(store.file("bob")).unwrap();
        let (text, _) = expect(0, &child.wait_with_output().unwrap());
        assert!(text.contains(summary), "{verb:?}: {text}");
        assert!(!text.contains("bob"), "{verb:?}: {text}");
    }
    // A caller that asks for it by name gets the reason.
    let store = Store::new();
    store.put("anna", "horse");
    let (text, _) = expect(5, &run(&mut store.moat(&["verify", "bob"])));
    assert!(text.contains("there is no credential"), "{text}");
}

/// Where the system gives no further thread, nothing panics: what can go on does, and what can't says why.
#[test]
fn without_threads_the_work_goes_on_or_says_why_it_does_not() {
    let Some(strace) = tool("strace") else { return };
    let store = Store::new();
    let users: Vec<String> = (0..9).map(|n| format!("user{n}")).collect();
    users.iter().for_each(|user| store.put(user, "horse"));
    let under = |threads: u32, arguments: &[&str]| {
        let mut strace = strace.command();
        let refuse = format!("inject=clone,clone3:error=EAGAIN:when={}+", threads + 1);
        strace.args(["-f", "-e", "trace=clone,clone3", "-e", &refuse, "-o", "/dev/null"]);
        run(&mut store.moat_under(strace, arguments))
    };
    for (verb, done) in [
        (&["verify"][..], "9 ok, 0 failed"),
        (&["rotate"], "0 rotated, 9 already encrypted with the primary key, 0 failed"),
        (&["migrate"], "0 migrated, 9 unchanged, 0 failed;"),
        (&["check", "-q"], "9 can be decrypted"),
    ] {
        let (mut went_on, mut refused) = (0, 0);
        for threads in 0..8 {
            let output = under(threads, verb);
            let code = output.status.code();
            let shown = [output.stdout, output.stderr].concat();
            let shown = String::from_utf8_lossy(&shown);
            if code == Some(0) {
                assert!(shown.contains(done), "{verb:?}, {threads} threads: {shown}");
                went_on += 1;
            } else {
                assert!(matches!(code, Some(1 | 11)), "{verb:?}, {threads} threads: {shown}");
                assert!(shown.contains("no thread can be started"), "{verb:?}: {shown}");
                assert!(shown.contains("allow this user or container more"), "{verb:?}: {shown}");
                assert!(!shown.contains("could be stored"), "{verb:?}: {shown}");
                refused += 1;
            }
        }
        assert!(went_on > 0 && refused > 0, "{verb:?}: {went_on} went on, {refused} didn't");
    }
    let output = under(0, &["exec", "user0", "--", "/bin/true"]);
    let (_, error) = expect(1, &output);
    assert!(error.contains("error: starting a process: "), "{error}");
    assert!(error.contains("allow this user or container more"), "{error}");
}
