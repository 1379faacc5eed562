//! Whatever becomes of the lock file while somebody writes, writers keep out of each other's way, in every host.
//!
//! The first writer is stopped after each of its calls in turn, from where it takes the lock. Then the lock file is
//! deleted, replaced or linked, a second one writes, and the first one goes on. By default a part is tried, with
//! `MOAT_LONG=1` everything.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use moat::{Credential, ErrorCode, PutOptions, UserId, Vault};
use sha2::{Digest, Sha256};
use support::traced::{CALLS, Point, Stopping, points, under};
use support::writers::{self, Writer};
use support::{KEY, Store, Tool, expect, long, run, run_with_input, tool, write_private};

const OLD: &str = "old";
const FIRST: &str = "of the first";
const SECOND: &str = "of the second";

/// What becomes of the lock file.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Deleted,
    Replaced,
    Linked,
    /// With all of Moat's own files, the temporary ones too.
    CleanedUp,
}

const MISHAPS: [Mishap; 4] = [Mishap::Deleted, Mishap::Replaced, Mishap::Linked, Mishap::CleanedUp];

impl Mishap {
    fn befall(self, store: &Store) {
        let lock = store.path().join(".moat.lock");
        match self {
            Self::Deleted => fs::remove_file(lock).unwrap(),
            Self::Replaced => {
                write_private(&store.beside("other"), b"");
                fs::rename(store.beside("other"), lock).unwrap();
            }
            Self::Linked => {
                let _ = fs::remove_file(store.beside("second name"));
                fs::hard_link(lock, store.beside("second name")).unwrap();
            }
            Self::CleanedUp => {
                for name in store.names().iter().filter(|name| name.starts_with(".moat.")) {
                    fs::remove_file(store.path().join(name)).unwrap();
                }
            }
        }
    }
}

/// What is done to anna's credential, or beside it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Write {
    Mark,
    PutBob,
    Put,
    Touch,
    Delete,
}

const WRITES: [Write; 5] = [Write::Mark, Write::PutBob, Write::Put, Write::Touch, Write::Delete];

/// Anna's password, how often it was marked and whether it was used; `None`: there is no credential.
type Anna = Option<(String, u32, bool)>;

impl Write {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Put => &["put", "anna", "--username", "anna", "--password-stdin"],
            Self::Mark => &["mark", "anna", "--valid"],
            Self::Touch => &["touch", "anna"],
            Self::Delete => &["delete", "anna"],
            Self::PutBob => &["put", "bob", "--username", "bob", "--password-stdin"],
        }
    }

    /// Does the same through the library.
    fn run(self, vault: &Vault) -> Result<(), moat::Error> {
        match self {
            Self::Put => put(vault, "anna", SECOND),
            Self::Mark => vault.mark_validated(&user("anna"), true).map(drop),
            Self::Touch => vault.mark_used(&user("anna")).map(drop),
            Self::Delete => vault.remove(&user("anna"), None).map(drop),
            Self::PutBob => put(vault, "bob", SECOND),
        }
    }

    /// What it makes of anna's credential.
    fn apply(self, password: &str, anna: Anna) -> Anna {
        match (self, anna) {
            (Self::Put, _) => Some((password.to_owned(), 0, false)),
            (Self::Mark, Some((password, marked, used))) => Some((password, marked + 1, used)),
            (Self::Touch, Some((password, marked, _))) => Some((password, marked, true)),
            (Self::Delete, _) => None,
            (_, anna) => anna,
        }
    }
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn put(vault: &Vault, name: &str, password: &str) -> Result<(), moat::Error> {
    vault.put(&user(name), &Credential::new(name, password), &PutOptions::default()).map(drop)
}

/// A directory of anna's credential, and the vault of the second writer.
struct Stage {
    store: Store,
    vault: Vault,
    second: Vault,
}

impl Stage {
    fn new() -> Self {
        let store = Store::new();
        let keys = moat::KeyRing::new(moat::MasterKey::new(KEY.as_bytes()));
        // Not without any wait: a child of this process holds all its locks for the moment before it is a program.
        let directory = store.directory().with_lock_wait(Duration::from_millis(50));
        let second = Vault::builder(directory, keys).build().unwrap();
        Self { vault: store.vault(KEY), second, store }
    }

    fn prepare(&self) {
        for name in ["anna", "bob"] {
            self.vault.remove(&user(name), None).unwrap();
        }
        put(&self.vault, "anna", OLD).unwrap();
    }

    /// The calls of a command from where it takes the lock.
    fn points(&self, strace: Tool, command: &Command) -> Vec<Point> {
        let trace = self.store.beside("trace");
        let mut strace = strace.command();
        strace.arg("-D").arg("-o").arg(&trace).args(["-e", &format!("trace={CALLS}")]);
        expect(0, &run_with_input(&mut under(strace, command), FIRST));
        points(&read_ended(&trace), ".moat.lock")
    }

    /// Runs the command, and in its middle the second write. Returns what became of both.
    fn interrupt(
        &self,
        strace: Tool,
        command: &Command,
        point: &Point,
        mishap: Mishap,
        second: Write,
    ) -> (Output, Result<(), moat::Error>, bool) {
        let trace = self.store.beside("trace");
        let _ = fs::remove_file(&trace);
        let mut first = Stopping::start(strace, command, FIRST, point, trace);
        let stopped = first.has_stopped();
        if stopped {
            mishap.befall(&self.store);
        }
        let written = second.run(&self.second);
        (first.go_on(), written, stopped)
    }

    fn anna(&self) -> Result<Anna> {
        match self.vault.reveal(&user("anna")) {
            Ok(revealed) => {
                let (summary, credential) = (revealed.summary(), revealed.credential());
                let password = credential.expose_password().to_owned();
                ensure!(["x", "anna"].contains(&summary.username.as_str()), "{summary:?}");
                Ok(Some((password, summary.validation_attempts, summary.last_used.is_some())))
            }
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether everything is as one of these orders of the reported writes leaves it, and nothing else is there.
    fn check(&self, orders: &[Vec<(Write, &str)>]) -> Result<()> {
        let before: Anna = Some((OLD.to_owned(), 0, false));
        let possible = |order: &Vec<(Write, &str)>| {
            order.iter().fold(before.clone(), |anna, (write, password)| write.apply(password, anna))
        };
        let possible: Vec<Anna> = orders.iter().map(possible).collect();
        let found = self.anna()?;
        ensure!(possible.contains(&found), "there is {found:?} instead of {possible:?}");
        if orders.iter().flatten().any(|(write, _)| *write == Write::PutBob) {
            let bob = self.vault.reveal(&user("bob"))?;
            ensure!(bob.credential().expose_password() == SECOND, "bob's is another's");
        }
        let names = self.store.names();
        let left = names.iter().any(|name| name.starts_with(".moat.tmp"));
        ensure!(!left, "left behind: {names:?}");
        Ok(())
    }
}

/// What `strace` wrote, which may end after the program.
fn read_ended(trace: &Path) -> String {
    loop {
        let text = fs::read_to_string(trace).unwrap();
        if text.contains("+++ exited") {
            return text;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether the second write may have ended like this. Returns whether it took place.
fn took_place(written: Result<(), moat::Error>) -> Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.code(), ErrorCode::Locked | ErrorCode::NotFound) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Goes through all these in two threads, each with a stage of its own. Fails if something was wrong.
fn sweep<T: Sync>(all: &[T], attempt: impl Fn(&Stage, &T) -> Result<()> + Sync) {
    let waiting = Mutex::new(all.iter());
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let stage = Stage::new();
                while let Some(case) = { waiting.lock().unwrap().next() } {
                    stage.prepare();
                    if let Err(error) = attempt(&stage, case) {
                        wrong.lock().unwrap().push(format!("{error:#}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    println!("{} points, {} of them wrong", all.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// P1 has written its temporary file when its lock is deleted, P2 has written its own when P1 goes on.
#[test]
fn the_record_of_another_writer_is_never_taken_for_ones_own() {
    let Some(strace) = tool("strace") else { return };
    let Stage { store, vault, .. } = Stage::new();
    put(&vault, "anna", OLD).unwrap();
    let synced = ("fsync".to_owned(), 1);
    let put = |user: &'static str| {
        store.moat(&["put", user, "--username", user, "--password-stdin", "--lock-wait", "0.2"])
    };
    let mut first = Stopping::start(strace, &put("anna"), FIRST, &synced, store.beside("first"));
    assert!(first.has_stopped());
    fs::remove_file(store.path().join(".moat.lock")).unwrap();
    let mut second = Stopping::start(strace, &put("bob"), SECOND, &synced, store.beside("second"));
    let both = second.has_stopped();
    expect(0, &first.go_on());
    let revealed = vault.reveal(&user("anna")).unwrap();
    assert_eq!(revealed.credential().expose_password(), FIRST);
    let (_, stderr) = expect(8, &second.go_on());
    assert!(!both && stderr.contains("another process holds the directory's lock"), "{stderr}");
    assert_eq!(store.names(), [".moat.lock", "anna.cred"]);
}

#[test]
fn a_lock_file_that_is_lost_at_any_call_of_a_write_loses_nothing() {
    let Some(strace) = tool("strace") else { return };
    let firsts: &[Write] =
        if long() { &[Write::Mark, Write::Put, Write::Delete] } else { &[Write::Mark] };
    let (mishaps, seconds) = if long() { (4, 5) } else { (1, 2) };
    let mut cases = Vec::new();
    for first in firsts {
        let stage = Stage::new();
        stage.prepare();
        for point in stage.points(strace, &stage.store.moat(first.arguments())) {
            for mishap in MISHAPS.iter().take(mishaps) {
                let second = WRITES.iter().take(seconds);
                cases.extend(second.map(|second| (*first, point.clone(), *mishap, *second)));
            }
        }
    }
    sweep(&cases, |stage, (first, point, mishap, second)| {
        let command = stage.store.moat(first.arguments());
        let (output, written, stopped) = stage.interrupt(strace, &command, point, *mishap, *second);
        let case = format!("{first:?} stopped after {point:?}, lock {mishap:?}, then {second:?}");
        let check = || {
            ensure!(stopped, "it didn't stop");
            let mut reported = Vec::new();
            match output.status.code() {
                Some(0) => reported.push((*first, FIRST)),
                // There was no credential any more.
                Some(3) if *second == Write::Delete => {}
                // What it was to rename was gone.
                Some(9) if matches!(mishap, Mishap::CleanedUp) => {}
                _ => anyhow::bail!("{output:?}"),
            }
            if took_place(written)? {
                reported.push((*second, SECOND));
            }
            let reversed = reported.iter().rev().copied().collect();
            stage.check(&[reported, reversed])
        };
        check().map_err(|error: anyhow::Error| error.context(case))
    });
}

/// A host's command that writes, over anna's credential, one with the first one's password.
fn replacing(host: &Writer, stage: &Stage) -> Command {
    let new = stage.store.beside("new");
    put(&stage.vault, "anna", FIRST).unwrap();
    fs::copy(stage.store.file("anna"), &new).unwrap();
    stage.prepare();
    let digest = Sha256::digest(fs::read(stage.store.file("anna")).unwrap());
    let revision: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    host.command(&stage.store, &["write", "anna.cred", new.to_str().unwrap(), &revision])
}

fn the_lock_is_lost_in(host: Option<Writer>) {
    let (Some(host), Some(strace)) = (host, tool("strace")) else { return };
    let stage = Stage::new();
    let all = stage.points(strace, &replacing(&host, &stage));
    let (step, mishaps, seconds) = if long() { (1, 4, 2) } else { (1 + all.len() / 12, 2, 1) };
    let mut cases = Vec::new();
    for point in all.iter().step_by(step) {
        for mishap in MISHAPS.iter().take(mishaps) {
            cases.extend(WRITES.iter().take(seconds).map(|second| (point, *mishap, *second)));
        }
    }
    let stops = AtomicUsize::new(0);
    sweep(&cases, |stage, (point, mishap, second)| {
        let command = replacing(&host, stage);
        let (output, written, stopped) = stage.interrupt(strace, &command, point, *mishap, *second);
        stops.fetch_add(usize::from(stopped), Ordering::Relaxed);
        let case = format!("stopped after {point:?}, lock {mishap:?}, then {second:?}");
        let check = || {
            let second = took_place(written)?.then_some((*second, SECOND));
            // It replaces the revision that it was given: it is the first one, or too late.
            let order = match std::str::from_utf8(&output.stdout)? {
                "done\n" => [Some((Write::Put, FIRST)), second],
                "conflict\n" if second == Some((Write::Mark, SECOND)) => [None, second],
                // What it was to rename was gone.
                "conflict\n" | "directory\n" if matches!(mishap, Mishap::CleanedUp) => {
                    [None, second]
                }
                _ => anyhow::bail!("{output:?}"),
            };
            stage.check(&[order.into_iter().flatten().collect()])
        };
        check().map_err(|error: anyhow::Error| error.context(case))
    });
    // How often a runtime makes a call before is not always the same.
    let stops = stops.into_inner();
    assert!(stops * 2 > cases.len(), "stopped at {stops} of {} points", cases.len());
}

#[test]
fn a_lock_file_that_is_lost_in_the_python_package_loses_nothing() {
    the_lock_is_lost_in(writers::in_python());
}

#[test]
fn a_lock_file_that_is_lost_in_the_npm_package_loses_nothing() {
    the_lock_is_lost_in(writers::in_node());
}

#[test]
fn a_lock_file_that_is_lost_in_the_host_in_c_loses_nothing() {
    the_lock_is_lost_in(writers::in_c());
}

/// Two write as fast as they can while the lock file is deleted all the time.
#[test]
fn writers_without_a_lasting_lock_file_lose_nothing() {
    let rounds = if long() { 1000 } else { 100 };
    let store = Store::new();
    put(&store.vault(KEY), "shared", OLD).unwrap();
    let done = AtomicBool::new(false);
    let mut deleted = 0;
    thread::scope(|scope| {
        let writers = ["one", "two"].map(|writer| {
            let vault = store.vault(KEY);
            scope.spawn(move || {
                for round in 0..rounds {
                    put(&vault, &format!("{writer} {round}"), writer).unwrap();
                    vault.mark_validated(&user("shared"), true).unwrap();
                }
            })
        });
        let deleting = scope.spawn(|| {
            let mut deleted = 0;
            while !done.load(Ordering::Relaxed) {
                deleted += usize::from(fs::remove_file(store.path().join(".moat.lock")).is_ok());
                thread::sleep(Duration::from_micros(50));
            }
            deleted
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        deleted = deleting.join().unwrap();
    });
    println!("{rounds} rounds of two, the lock deleted {deleted} times");
    assert!(deleted > rounds / 10, "{deleted}");
    let vault = store.vault(KEY);
    let summary = vault.describe(&user("shared")).unwrap();
    assert_eq!(summary.validation_attempts as usize, 2 * rounds);
    for writer in ["one", "two"] {
        for round in 0..rounds {
            let revealed = vault.reveal(&user(&format!("{writer} {round}"))).unwrap();
            assert_eq!(revealed.credential().expose_password(), writer);
        }
    }
    let left = store.names().into_iter().filter(|name| name.starts_with(".moat.tmp"));
    assert_eq!(left.count(), 0);
}

/// By somebody who isn't a writer: what he puts there is no record of anybody's.
#[test]
fn what_replaces_a_temporary_file_gets_no_records_name() {
    let Some(strace) = tool("strace") else { return };
    let stage = Stage::new();
    let stopped_and_replaced = |command: &Command| {
        let trace = stage.store.beside("trace");
        let _ = fs::remove_file(&trace);
        let mut writer = Stopping::start(strace, command, FIRST, &("fsync".to_owned(), 1), trace);
        assert!(writer.has_stopped());
        write_private(&stage.store.beside("other"), b"not a record");
        fs::rename(stage.store.beside("other"), stage.store.path().join(".moat.tmp")).unwrap();
        expect(0, &writer.go_on()).0
    };
    stage.prepare();
    // The component starts over.
    stopped_and_replaced(&stage.store.moat(Write::Put.arguments()));
    stage.check(&[vec![(Write::Put, FIRST)]]).unwrap();
    for host in &writers::all() {
        let answer = stopped_and_replaced(&replacing(host, &stage));
        assert_eq!(answer, "conflict\n", "{}", host.name);
        stage.check(&[Vec::new()]).unwrap();
    }
}

/// Of a hard link that is gone once it was opened, the number of links says nothing.
#[test]
fn a_file_of_elsewhere_is_not_read_when_its_name_here_is_gone() {
    let Some(strace) = tool("strace") else { return };
    for host in &writers::all() {
        let store = Store::new();
        let elsewhere = store.beside("elsewhere");
        write_private(&elsewhere, b"of somebody else");
        let command = host.command(&store, &["read", "anna.cred"]);
        let find = |trace: &str| {
            let lines = trace.lines().filter(|line| line.starts_with("openat("));
            lines.take_while(|line| !line.contains("anna.cred")).count() + 1
        };
        let trace = store.beside("trace");
        let mut traced = strace.command();
        traced.arg("-D").arg("-o").arg(&trace).args(["-e", "trace=openat"]);
        fs::hard_link(&elsewhere, store.file("anna")).unwrap();
        let (stdout, _) = expect(0, &run(&mut under(traced, &command)));
        assert_eq!(stdout, "directory\n", "{}", host.name);
        let opened = ("openat".to_owned(), find(&read_ended(&trace)));

        fs::remove_file(&trace).unwrap();
        let mut reader = Stopping::start(strace, &command, "", &opened, trace);
        assert!(reader.has_stopped(), "{}", host.name);
        fs::remove_file(store.file("anna")).unwrap();
        let (stdout, _) = expect(0, &reader.go_on());
        assert_eq!(stdout, "conflict\n", "{}", host.name);
    }
}

/// To look at a directory isn't to disturb its writers, nor to be mistaken about them.
#[test]
fn check_tells_a_writer_at_work_from_one_that_was_killed() {
    let Some(strace) = tool("strace") else { return };
    let Stage { store, vault, .. } = Stage::new();
    put(&vault, "anna", OLD).unwrap();
    let temporary = store.path().join(".moat.tmp");
    let check = |arguments: &[&str]| {
        let output = run(&mut store.moat(arguments));
        String::from_utf8(output.stdout).unwrap()
    };
    let synced = ("fsync".to_owned(), 1);
    let put = store.moat(Write::Put.arguments());
    let mut writer = Stopping::start(strace, &put, FIRST, &synced, store.beside("trace"));
    assert!(writer.has_stopped());
    for arguments in [&["check"][..], &["check", "--fix"]] {
        let found = check(arguments);
        assert!(!found.contains("an interrupted write"), "{found}");
        assert!(temporary.exists(), "{found}");
    }
    writer.kill();
    let ended = "an interrupted write left .moat.tmp";
    let found = check(&["check"]);
    assert!(found.contains(&format!("warn  files         {ended}")), "{found}");
    assert!(temporary.exists());
    let found = check(&["check", "--fix"]);
    assert!(found.contains(&format!("fixed: {ended}")), "{found}");
    assert!(!temporary.exists());
}
