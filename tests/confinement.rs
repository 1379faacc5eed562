//! How the program confines itself, seen from outside. What the confinement then refuses is tested where it
//! is made.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::{KEY, MOAT, Store, expect, run, skipped, tool};

/// The program, held in the middle of its work because this test has the directory's lock.
fn waiting(store: &Store, lock: &File) -> Child {
    lock.lock().unwrap();
    let child = store.moat(&["touch", "anna"]).stdout(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !status(child.id()).iter().any(|line| line == "Seccomp:\t2") {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is never confined");
        thread::sleep(Duration::from_millis(5));
    }
    child
}

/// What the kernel reports of all threads of a process.
fn status(process: u32) -> Vec<String> {
    let mut lines = Vec::new();
    for thread in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap_or_default();
        lines.extend(status.lines().map(str::to_owned));
    }
    lines
}

fn lock(store: &Store) -> File {
    store.put("anna", "horse");
    File::open(store.path().join(".moat.lock")).unwrap()
}

#[test]
fn all_threads_are_confined() {
    let store = Store::new();
    let lock = lock(&store);
    let mut child = waiting(&store, &lock);
    // Until the call runs, whose deadline is kept by a thread of its own.
    let begun = Instant::now();
    while status(child.id()).iter().filter(|line| line.starts_with("Seccomp:")).count() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(10), "there is no second thread");
    }
    let status = status(child.id());
    for line in status.iter().filter(|line| line.starts_with("Seccomp:")) {
        assert_eq!(line, "Seccomp:\t2");
    }
    for line in status.iter().filter(|line| line.starts_with("NoNewPrivs:")) {
        assert_eq!(line, "NoNewPrivs:\t1");
    }
    lock.unlock().unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn no_core_is_dumped() {
    let store = Store::new();
    let lock = lock(&store);
    let crash = |program: &str| {
        // A core is written by the kernel only where the limit lets it be, into the working directory.
        let script = format!("ulimit -c unlimited; exec {program}");
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .current_dir(directory.path())
            .env("FOSSAWORK_CREDENTIALS_DIR", store.path())
            .env("FOSSAWORK_MASTER_KEY", KEY)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(300));
        // A shell's background jobs ignore SIGQUIT, this one nobody does.
        kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::ABORT).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(libc::SIGABRT));
        status.core_dumped()
    };
    lock.lock().unwrap();
    assert!(!crash(&format!("{} touch anna", MOAT.as_str())));
    assert!(crash("sleep 10"), "this machine writes no cores, so this test shows nothing");
}

#[test]
fn a_program_that_it_becomes_is_not_confined() {
    let store = Store::new();
    store.put("anna", "horse");
    let script = "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status; head -c 4 /etc/passwd";
    let (stdout, _) = expect(0, &run(&mut store.moat(&["exec", "anna", "--", "sh", "-c", script])));
    assert_eq!(stdout, "NoNewPrivs:\t0\nSeccomp:\t0\nroot");
}

#[test]
fn no_child_inherits_the_key() {
    let store = Store::new();
    store.put("anna", "horse");
    let (stdout, _) = expect(0, &run(&mut store.moat(&["exec", "anna", "--", "env"])));
    assert!(stdout.contains("MOAT_PASSWORD=horse") && !stdout.contains(KEY), "{stdout}");

    let command = format!("env >&2; printf %s {KEY}");
    let arguments = ["get", "anna", "--field", "password", "--master-key-command", &command];
    let mut get = store.moat(&arguments);
    let (stdout, stderr) = expect(0, &run(get.env("FOSSAWORK_MASTER_KEY", "of the environment")));
    assert_eq!(stdout, "horse\n");
    assert!(stderr.contains("PATH=") && !stderr.contains("of the environment"), "{stderr}");
}

/// Systems without Landlock or seccomp: how each answers the call that asks for it. The last are filters, such as that of
/// a unit with `SystemCallErrorNumber=EPERM`.
const LESSER_KERNELS: [(&str, &str); 7] = [
    ("landlock_create_ruleset:error=ENOSYS", "Landlock: this kernel doesn't support it"),
    ("landlock_create_ruleset:error=EOPNOTSUPP", "Landlock: not enabled in this kernel"),
    ("seccomp:error=EINVAL", "seccomp: this kernel doesn't support it"),
    ("seccomp:error=ENOSYS", "seccomp: this kernel doesn't support it"),
    ("seccomp:error=EPERM", "seccomp: a filter around this program forbids its system calls"),
    (
        "landlock_add_rule:error=EPERM",
        "Landlock: a filter around this program forbids its system calls",
    ),
    (
        "landlock_restrict_self:error=EACCES",
        "Landlock: a filter around this program forbids its system calls",
    ),
];

#[test]
fn where_the_kernel_can_not_confine_the_process_it_warns_or_fails_as_asked() {
    let Some(strace) = tool("strace") else { return };
    let store = Store::new();
    store.put("anna", "horse");
    for (injected, missing) in LESSER_KERNELS {
        let under = |arguments: &[&str]| {
            let mut strace = strace.command();
            let (call, _) = injected.split_once(':').unwrap();
            strace.args(["-f", "-o", "/dev/null", "-e", &format!("trace={call}")]);
            strace.args(["-e", &format!("inject={injected}")]);
            store.moat_under(strace, arguments)
        };
        let verbs: [&[&str]; 6] = [
            &["list"],
            &["get", "anna", "--field", "password"],
            &["touch", "anna"],
            &["exec", "anna", "--", "echo", "horse"],
            &["rotate"],
            &["component"],
        ];
        // Without a directory there is nothing to add a rule for.
        let is_called =
            |verb: &&[&str]| !injected.starts_with("landlock_add_rule") || verb != &["component"];
        for verb in verbs.into_iter().filter(is_called) {
            let (_, stderr) = expect(0, &run(&mut under(verb)));
            assert!(stderr.contains(&format!("warning: not in force: {missing}")), "{stderr}");

            let required = [&["--require-confinement"], verb].concat();
            let error =
                format!("error: the process is not confined as required: not in force: {missing}");
            for command in
                [&mut under(&required), under(verb).env("FOSSAWORK_REQUIRE_CONFINEMENT", "1")]
            {
                let (stdout, stderr) = expect(1, &run(command));
                assert_eq!(stdout, "", "{verb:?}");
                assert!(stderr.starts_with(&error), "{verb:?}: {stderr}");
            }
        }
        let (stdout, _) = expect(1, &run(&mut under(&["check", "--require-confinement"])));
        for finding in [
            format!(
                "fail  records       not examined: the process is not confined as required: not in force: {missing}\n"
            ),
            format!("fail  confinement   not in force: {missing}\n"),
        ] {
            assert!(stdout.contains(&finding), "{stdout}");
        }
    }
    let arguments = ["--require-confinement", "get", "anna", "--field", "password"];
    assert_eq!(expect(0, &run(&mut store.moat(&arguments))).0, "horse\n");
}

/// As a unit has it with `SystemCallFilter=@system-service` and `SystemCallErrorNumber=EPERM`.
#[test]
fn under_a_filter_that_knows_neither_everything_goes_on() {
    let Some(strace) = tool("strace") else { return };
    let store = Store::new();
    store.put("anna", "horse");
    let calls = "seccomp,landlock_create_ruleset,landlock_add_rule,landlock_restrict_self";
    for arguments in [&["exec", "anna", "--", "echo", "started"][..], &["verify"], &["list"]] {
        let mut filter = strace.command();
        filter.args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
        filter.args(["-e", &format!("inject={calls}:error=EPERM")]);
        let (_, stderr) = expect(0, &run(&mut store.moat_under(filter, arguments)));
        assert_eq!(stderr.matches("warning: not in force: ").count(), 2, "{stderr}");
    }
}

/// As a unit has it with `MemoryDenyWriteExecute=yes`: the component's code is executable from the start.
#[test]
fn nothing_has_to_be_made_executable() {
    const PR_SET_MDWE: i32 = 65;
    const REFUSE_EXEC_GAIN: libc::c_ulong = 1;
    const UNUSED: libc::c_ulong = 0;
    let store = Store::new();
    store.put("anna", "horse");
    let denied = |arguments: &[&str]| {
        let mut command = store.moat(arguments);
        // SAFETY: the call sets a flag of the process, and accesses no memory.
        unsafe {
            command.pre_exec(|| {
                match libc::prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, UNUSED, UNUSED, UNUSED) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let output = command.stdin(Stdio::null()).output();
        output
            .inspect_err(|error| skipped(&format!("this kernel has no PR_SET_MDWE: {error}")))
            .ok()
    };
    let Some(output) = denied(&["get", "anna", "--field", "password"]) else { return };
    assert_eq!(expect(0, &output).0, "horse\n");
    for arguments in
        [&["touch", "anna"][..], &["rotate"], &["exec", "anna", "--", "true"], &["component"]]
    {
        expect(0, &denied(arguments).unwrap());
    }
    let (findings, _) = expect(0, &denied(&["check"]).unwrap());
    assert!(findings.contains("ok    records       1 can be decrypted"), "{findings}");

    // systemd's own filter refuses the call, whatever it is for.
    let Some(strace) = tool("strace") else { return };
    let trace = store.beside("trace");
    let mut traced = strace.command();
    traced.args(["-f", "-e", "trace=mprotect,mmap", "-o"]).arg(&trace);
    expect(0, &run(&mut store.moat_under(traced, &["get", "anna"])));
    let trace = fs::read_to_string(trace).unwrap();
    let is_made_executable = |line: &&str| {
        line.contains("PROT_EXEC") && (line.contains("mprotect(") || line.contains("PROT_WRITE"))
    };
    assert_eq!(trace.lines().find(is_made_executable), None);
}

#[test]
fn the_component_verb_tells_what_is_in_force() {
    let store = Store::new();
    let (stdout, _) = expect(0, &run(&mut store.moat(&["component", "--json"])));
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["self_test"], "passed");
    let parts = report["confinement"].as_array().unwrap();
    assert_eq!(parts.len(), 5);
    for part in parts {
        // Which takes a privilege.
        let is_swap = part["what"].as_str().unwrap().contains("out of swap");
        assert!(is_swap || part["in_force"] == true, "{part}");
    }
}

#[test]
fn all_memory_is_locked_where_no_limit_binds_the_process() {
    let Some(strace) = tool("strace") else { return };
    let store = Store::new();
    let lock = lock(&store);
    let component = |injected: &[&str]| {
        let mut strace = strace.command();
        strace.args(["-o", "/dev/null", "-e", "trace=mlockall"]).args(injected);
        expect(0, &run(&mut store.moat_under(strace, &["component"]))).0
    };
    let refused = component(&["-e", "inject=mlockall:error=ENOMEM"]);
    let missing = "confinement   not in force: keeping all memory out of swap takes";
    assert!(refused.contains(missing), "{refused}");
    // The limit, which is nil for a moment, is the caller's again.
    let mut shell = Command::new("sh");
    let script = "ulimit -S -l; exec \"$0\" exec anna -- sh -c 'ulimit -S -l'";
    store.surround(&mut shell).args(["-c", script, MOAT.as_str()]);
    let (limits, _) = expect(0, &run(&mut shell));
    let (before, after) = limits.trim().split_once('\n').unwrap();
    assert_eq!(before, after);

    if !component(&[]).contains("confinement   all memory is kept out of swap\n") {
        skipped("all memory can be locked with CAP_IPC_LOCK or an unlimited `ulimit -l` only");
        return;
    }
    let mut child = waiting(&store, &lock);
    let kilobytes = |name: &str| {
        let line = status(child.id()).into_iter().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    // All but what the kernel itself has mapped there.
    assert!(kilobytes("VmLck:") + 64 > kilobytes("VmSize:"));
    lock.unlock().unwrap();
    assert!(child.wait().unwrap().success());
}
