//! `exec`: the credential is opened in a confined process of its own, the program gets it and nothing that leads to the
//! key, and however either process ends, the other one doesn't stay behind.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use moat::{Credential, Field, PutOptions, UserId};
use rustix::process::{Pid, Signal, kill_process};
use support::{KEY, MOAT, Store, expect, run, tool, write_private};

fn store() -> Store {
    let store = Store::new();
    store.put("anna", "horse");
    store
}

/// The calls of a trace of `strace -f`, each with the id of its process or thread.
fn calls(trace: &str) -> Vec<(u32, &str)> {
    let call = |line| Some((str::split_once(line, ' ')?.0.parse().ok()?, line));
    trace.lines().filter_map(call).collect()
}

/// Code that takes over whatever opens the credential has no thread that isn't confined in its memory.
#[test]
fn what_opens_the_credential_is_confined_as_a_whole() {
    let Some(strace) = tool("strace") else { return };
    let store = store();
    let trace = store.beside("trace");
    let mut strace = strace.command();
    let filter =
        "trace=openat,openat2,clone,clone3,fork,vfork,seccomp,landlock_restrict_self,execve";
    strace.args(["-f", "-e", filter, "-o"]).arg(&trace);
    expect(0, &run(&mut store.moat_under(strace, &["exec", "anna", "--", "/bin/true"])));
    let trace = fs::read_to_string(&trace).unwrap();
    let calls = calls(&trace);

    let opened = calls.iter().position(|(_, call)| call.contains("\"anna.cred\"")).unwrap();
    let opener = calls[opened].0;
    let of_opener = || calls[..opened].iter().filter(|(process, _)| *process == opener);
    for confinement in ["landlock_restrict_self(", "seccomp("] {
        assert!(of_opener().any(|(_, call)| call.contains(confinement)), "{trace}");
    }
    // The first clone made it, with a memory of its own; there was no thread yet whose locks it could lack.
    let mut clones = calls.iter().map(|(_, call)| *call).filter(|call| call.contains("clone"));
    assert!(!clones.clone().next().unwrap().contains("CLONE_VM"), "{trace}");
    let made = clones.find(|call| call.contains(" = ")).unwrap();
    assert!(made.ends_with(&format!(" = {opener}")), "{trace}");
    let program = calls.iter().find(|(_, call)| call.contains("execve(\"/bin/true\"")).unwrap().0;
    assert_ne!(program, opener);
    assert!(!calls.iter().any(|call| call.0 == program && call.1.contains(".cred\"")), "{trace}");
}

#[test]
fn no_descriptor_leads_the_program_to_the_key() {
    let store = store();
    write_private(&store.beside("key"), KEY.as_bytes());
    let exec = "exec \"$0\" exec anna --master-key-file /dev/fd/3 -- sh -c 'ls /proc/self/fd; cat <&3' 3< \"$1\"";
    let mut shell = Command::new("sh");
    store.surround(&mut shell).env_remove("FOSSAWORK_MASTER_KEY");
    shell.args(["-c", exec, MOAT.as_str()]).arg(store.beside("key"));
    let output = run(&mut shell);
    // The fourth one is that of the listing.
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n1\n2\n3\n", "{output:?}");
    assert!(!output.status.success());
}

#[test]
fn no_variable_leads_the_program_to_the_key() {
    let store = store();
    let credentials = store.beside("systemd");
    fs::create_dir(&credentials).unwrap();
    write_private(&credentials.join("fossawork-master-key"), KEY.as_bytes());
    let exec = |script: &str, variable: &str, value: &str| {
        let mut exec = store.moat(&["exec", "anna", "--", "sh", "-c", script]);
        exec.env_remove("FOSSAWORK_MASTER_KEY").env(variable, value);
        expect(0, &run(&mut exec)).0
    };
    let credentials = credentials.to_str().unwrap();
    let script = "echo \"$MOAT_PASSWORD [$CREDENTIALS_DIRECTORY]\"";
    assert_eq!(exec(script, "CREDENTIALS_DIRECTORY", credentials), "horse []\n");
    let command = format!("printf %s {KEY}");
    assert!(!exec("env", "FOSSAWORK_MASTER_KEY_COMMAND", &command).contains("FOSSAWORK_MASTER"));
    // A key command may need it.
    let command = "cat \"$CREDENTIALS_DIRECTORY/fossawork-master-key\"";
    let mut get = store.moat(&["get", "anna", "--master-key-command", command]);
    expect(0, &run(get.env("CREDENTIALS_DIRECTORY", credentials)));
}

#[test]
fn a_variable_that_programs_obey_is_set_only_if_it_is_meant() {
    let store = Store::new();
    let anna = UserId::parse("anna").unwrap();
    let stored = |field: &str| {
        let credential =
            Credential::new("anna", "horse").with_field(Field::new(field, "/nowhere/lib.so"));
        store.vault(KEY).put(&anna, &credential, &PutOptions::default()).unwrap();
    };
    for (field, prefix, variable) in [
        ("ld-preload", "", "LD_PRELOAD"),
        ("path", "", "PATH"),
        ("bash_env", "", "BASH_ENV"),
        ("PythonPath", "", "PYTHONPATH"),
        ("ssh_command", "GIT_", "GIT_SSH_COMMAND"),
    ] {
        stored(field);
        let exec = |flags: &[&str]| {
            let end = ["--", "/usr/bin/printenv", variable];
            run(&mut store.moat(&[&["exec", "anna", "--prefix", prefix], flags, &end].concat()))
        };
        let (stdout, stderr) = expect(2, &exec(&[]));
        assert_eq!(stdout, "");
        let error = format!("error: {field:?} would become {variable}, which can make programs");
        assert!(stderr.contains(&error), "{stderr}");
        assert!(stderr.contains("pass --allow-special-variables"), "{stderr}");
        let (stdout, _) = expect(0, &exec(&["--allow-special-variables"]));
        assert_eq!(stdout, "/nowhere/lib.so\n");
    }
    stored("ld-preload");
    expect(0, &run(&mut store.moat(&["exec", "anna", "--", "printenv", "MOAT_LD_PRELOAD"])));
}

#[test]
fn exit_codes_messages_and_hints_are_those_of_other_commands() {
    let store = store();
    for arguments in [
        &["bob"][..],
        &["anna", "--master-key-file", "/nowhere"],
        &["anna", "--master-key-command", "echo another key, which decrypts nothing"],
        &["anna", "--dir", "/nowhere"],
    ] {
        for json in [&[][..], &["--json"]] {
            let exec =
                run(&mut store.moat(&[&["exec"], arguments, json, &["--", "true"]].concat()));
            let get = run(&mut store.moat(&[&["get"], arguments, json].concat()));
            assert!(!get.stderr.is_empty() && exec.stdout.is_empty());
            assert_eq!(exec.stderr, get.stderr, "{arguments:?}");
            assert_eq!(exec.status.code(), get.status.code(), "{arguments:?}");
        }
    }
    let (_, stderr) = expect(0, &run(&mut store.moat(&["exec", "anna", "--", "true"])));
    assert_eq!(stderr, "");
}

/// Even where the kernel, by the caller's wish, keeps no exit status of children.
#[test]
fn a_caller_may_ignore_the_signal_of_children() {
    let store = store();
    for (user, code) in [("anna", 0), ("bob", 3)] {
        let mut env = Command::new("env");
        env.arg("--ignore-signal=CHLD");
        let arguments = ["exec", user, "--", "grep", "SigIgn:", "/proc/self/status"];
        let (stdout, _) = expect(code, &run(&mut store.moat_under(env, &arguments)));
        // The program still finds it ignored.
        if let Some((_, ignored)) = stdout.trim().split_once('\t') {
            let ignored = u64::from_str_radix(ignored, 16).unwrap();
            assert_ne!(ignored & (1 << (libc::SIGCHLD - 1)), 0, "{stdout}");
        }
    }
}

#[test]
fn a_child_that_is_killed_is_reported_and_dumps_no_core() {
    let Some(strace) = tool("strace") else { return };
    let store = store();
    let mut strace = strace.command();
    // In the confined process, which reads the record.
    strace.args(["-f", "-e", "trace=landlock_restrict_self", "-o", "/dev/null"]);
    strace.args(["-e", "inject=landlock_restrict_self:signal=ABRT"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""]);
    shell.arg(strace.get_program()).args(strace.get_args());
    let (stdout, stderr) =
        expect(1, &run(&mut store.moat_under(shell, &["exec", "anna", "--", "echo", "started"])));
    assert_eq!(stdout, "");
    let error = "error: the process that opens the credentials was ended by signal: 6 (SIGABRT)\n";
    assert!(stderr.starts_with(error), "{stderr}");
}

/// The program while its child waits for a key command, and the child's id.
fn waiting(store: &Store) -> (Child, u32) {
    let arguments = ["exec", "anna", "--master-key-command", "exec sleep 60", "--", "true"];
    let program = store.moat(&arguments).stderr(Stdio::null()).spawn().unwrap();
    let children = |process: u32| {
        let path = format!("/proc/{process}/task/{process}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        children.split_whitespace().next().and_then(|child| child.parse::<u32>().ok())
    };
    let waits = |process: &u32| children(*process).is_some();
    let begun = Instant::now();
    let mut child = None;
    while child.is_none() {
        assert!(begun.elapsed() < Duration::from_secs(10), "no child waits");
        thread::sleep(Duration::from_millis(5));
        child = children(program.id()).filter(waits);
    }
    (program, child.unwrap())
}

#[test]
fn neither_process_outlives_the_other() {
    let store = store();
    let exists = |process: u32| fs::exists(format!("/proc/{process}/exe")).unwrap();
    let kill = |process: u32, signal| {
        kill_process(Pid::from_raw(process.cast_signed()).unwrap(), signal).unwrap();
    };
    let (mut program, child) = waiting(&store);
    kill(program.id(), Signal::TERM);
    assert_eq!(program.wait().unwrap().signal(), Some(libc::SIGTERM));
    let begun = Instant::now();
    while exists(child) {
        assert!(begun.elapsed() < Duration::from_secs(10), "the child goes on");
        thread::sleep(Duration::from_millis(5));
    }
    let (mut program, child) = waiting(&store);
    kill(child, Signal::TERM);
    assert_eq!(program.wait().unwrap().code(), Some(1));
}

#[test]
fn the_program_has_no_child() {
    let script = "read -r children < /proc/$$/task/$$/children; echo \"[$children]\"";
    let store = store();
    let (stdout, _) = expect(0, &run(&mut store.moat(&["exec", "anna", "--", "sh", "-c", script])));
    assert_eq!(stdout, "[]\n");
}
