//! Each verb that writes, killed at every one of its system calls on files, and with every one of them failing.
//! Whatever happens: the old record stands there or the new one, and nothing else has changed.
//!
//! A first run under `strace` lists the calls, then each further run has `strace` kill or fail one of them. They
//! are counted from the first call that names the credentials directory; what comes before, the loader and the
//! arguments, has nothing yet that it could harm. By default a part is tried, with `MOAT_LONG=1` everything.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Output;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, ensure};
use moat::{Credential, ErrorCode, PutOptions, UserId, Vault};
use support::traced::{CALLS, Point, points};
use support::{KEY, Store, Tool, expect, long, run_with_input, tool};

const OLD: &str = "the old password";
const NEW: &str = "the new password";

/// A password, and whether it was used; `None`: there is no credential.
type State = Option<(&'static str, bool)>;

struct Verb {
    name: &'static str,
    arguments: &'static [&'static str],
    in_new_directory: bool,
    before: State,
    after: State,
}

const PUT: &[&str] = &["put", "anna", "--username", "anna", "--password-stdin"];
/// The first two are the part that is tried by default.
const VERBS: [Verb; 5] = [
    Verb {
        name: "put over",
        arguments: PUT,
        in_new_directory: false,
        before: Some((OLD, false)),
        after: Some((NEW, false)),
    },
    Verb {
        name: "delete",
        arguments: &["delete", "anna"],
        in_new_directory: false,
        before: Some((OLD, false)),
        after: None,
    },
    Verb {
        name: "put new",
        arguments: PUT,
        in_new_directory: false,
        before: None,
        after: Some((NEW, false)),
    },
    Verb {
        name: "put first",
        arguments: PUT,
        in_new_directory: true,
        before: None,
        after: Some((NEW, false)),
    },
    Verb {
        name: "touch",
        arguments: &["touch", "anna"],
        in_new_directory: false,
        before: Some((OLD, false)),
        after: Some((OLD, true)),
    },
];

/// The first four are the part that is tried by default.
const FAULTS: [&str; 8] = ["KILL", "ENOSPC", "EIO", "EINTR", "EDQUOT", "EROFS", "EMFILE", "EACCES"];

/// A directory of bob's and, mostly, anna's credentials, whose keys are in the vault's cache.
struct Stage {
    strace: Tool,
    store: Store,
    vault: Vault,
    anna: UserId,
}

impl Stage {
    fn new(strace: Tool) -> Self {
        let store = Store::new();
        store.put("bob", "a donkey");
        Self { strace, vault: store.vault(KEY), store, anna: UserId::parse("anna").unwrap() }
    }

    fn prepare(&self, verb: &Verb) {
        if verb.in_new_directory {
            fs::remove_dir_all(self.store.path()).unwrap();
        } else if let Some((password, _)) = verb.before {
            let credential = Credential::new("anna", password);
            self.vault.put(&self.anna, &credential, &PutOptions::default()).unwrap();
        }
    }

    /// Runs the verb under `strace`, and returns the trace too.
    fn run(&self, verb: &Verb, options: &[&str]) -> (Output, String) {
        let trace = self.store.beside("trace");
        let mut strace = self.strace.command();
        strace.arg("-f").arg("-o").arg(&trace).args(options);
        let output = run_with_input(&mut self.store.moat_under(strace, verb.arguments), NEW);
        (output, fs::read_to_string(trace).unwrap())
    }

    /// The calls of a run in which nothing goes wrong: each with the how manieth of its name it is.
    fn calls(&self, verb: &Verb) -> Vec<Point> {
        self.prepare(verb);
        let (output, trace) = self.run(verb, &["-e", &format!("trace={CALLS}")]);
        expect(0, &output);
        points(&trace, &format!("{:?}", self.store.path()))
    }

    /// Lets one call of the verb go wrong.
    fn attempt(&mut self, verb: &Verb, call: &str, occurrence: usize, fault: &str) -> Result<()> {
        self.prepare(verb);
        let others = if verb.in_new_directory { Vec::new() } else { self.others() };
        let kill = fault == "KILL";
        let kind = if kill { "signal" } else { "error" };
        let traced = format!("trace={call}");
        let inject = format!("inject={call}:{kind}={fault}:when={occurrence}");
        let (output, trace) = self.run(verb, &["-e", &traced, "-e", &inject]);

        let took_place =
            if kill { output.status.signal() == Some(9) } else { trace.contains("(INJECTED)") };
        ensure!(took_place, "strace did not do it: {output:?}\n{trace}");
        check_report(&output, kill)?;

        if !self.store.path().exists() {
            ensure!(!output.status.success(), "there is no directory: {output:?}");
            fs::create_dir(self.store.path())?;
            fs::set_permissions(self.store.path(), PermissionsExt::from_mode(0o700))?;
        }
        ensure!(mode(&self.store.path()) == 0o700, "others can enter the directory");
        for name in self.store.names() {
            ensure!(mode(&self.store.path().join(&name)) == 0o600, "others can reach {name}");
        }
        if verb.in_new_directory {
            self.vault = self.store.vault(KEY);
        }
        let found = self.state()?;
        let found = found.as_ref().map(|(password, used)| (password.as_str(), *used));
        let old = found == verb.before && !output.status.success();
        ensure!(found == verb.after || old, "there is {found:?} after {output:?}");

        self.vault.remove(&self.anna, None).context("the next command")?;
        ensure!(self.others() == others, "others have changed");
        let hidden = self.store.names().into_iter().filter(|name| name.starts_with('.'));
        ensure!(hidden.eq([".moat.lock"]), "left behind: {:?}", self.store.names());
        Ok(())
    }

    fn state(&self) -> Result<Option<(String, bool)>> {
        match self.vault.reveal(&self.anna) {
            Ok(revealed) => {
                let used = revealed.summary().last_used.is_some();
                Ok(Some((revealed.credential().expose_password().to_owned(), used)))
            }
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The files that are none of anna's business.
    fn others(&self) -> Vec<(String, Vec<u8>)> {
        let names = self.store.names().into_iter();
        let others = names.filter(|name| !name.starts_with('.') && name != "anna.cred");
        others.map(|name| (name.clone(), fs::read(self.store.path().join(name)).unwrap())).collect()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What the program says of a failure: a documented exit code, an error and a hint, no secret.
fn check_report(output: &Output, killed: bool) -> Result<()> {
    let stdout = String::from_utf8(output.stdout.clone())?;
    let stderr = String::from_utf8(output.stderr.clone())?;
    for secret in [KEY, OLD, NEW] {
        ensure!(!stdout.contains(secret) && !stderr.contains(secret), "a secret in {output:?}");
    }
    if killed || output.status.success() {
        ensure!(stderr.is_empty(), "{stderr}");
    } else {
        ensure!(matches!(output.status.code(), Some(1..=9 | 11)), "{output:?}");
        let lines: Vec<&str> = stderr.lines().collect();
        let [error, hint] = lines[..] else { anyhow::bail!("not two lines: {stderr}") };
        ensure!(error.starts_with("error: ") && hint.starts_with("hint: "), "{stderr}");
    }
    Ok(())
}

#[test]
fn a_crash_or_a_failure_of_any_call_leaves_the_old_record_or_the_new_one() {
    let Some(strace) = tool("strace") else { return };
    let (verbs, faults) =
        if long() { (&VERBS[..], &FAULTS[..]) } else { (&VERBS[..2], &FAULTS[..4]) };
    let mut violations = Vec::new();
    println!("points tried, and how many of them went wrong");
    print!("{:10}", "");
    faults.iter().for_each(|fault| print!("{fault:>10}"));
    println!();
    for verb in verbs {
        let calls = Stage::new(strace).calls(verb);
        print!("{:10}", verb.name);
        for fault in faults {
            let waiting = Mutex::new(calls.iter());
            let wrong = Mutex::new(Vec::new());
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        let mut stage = Stage::new(strace);
                        while let Some((call, occurrence)) = { waiting.lock().unwrap().next() } {
                            let attempt = stage.attempt(verb, call, *occurrence, fault);
                            if let Err(error) = attempt {
                                let point =
                                    format!("{}, {fault} at {call} {occurrence}", verb.name);
                                wrong.lock().unwrap().push(format!("{point}: {error:#}"));
                            }
                        }
                    });
                }
            });
            let wrong = wrong.into_inner().unwrap();
            print!("{:>10}", format!("{}/{}", calls.len(), wrong.len()));
            violations.extend(wrong);
        }
        println!();
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}
