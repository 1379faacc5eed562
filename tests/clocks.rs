//! Clocks that are wrong, and what they have dated once they are right again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::callers::python;
use support::{KEY, Store, expect, run, run_with_input};

/// A library that gives the program the time so many years from now, in front of the system's own.
fn clock(store: &Store, years: i32) -> PathBuf {
    let source = format!(
        r#"
        #define _GNU_SOURCE
        #include <sys/syscall.h>
        #include <time.h>
        #include <unistd.h>
        int clock_gettime(clockid_t clock, struct timespec *time) {{
            int result = syscall(SYS_clock_gettime, clock, time);
            if (clock == CLOCK_REALTIME) time->tv_sec += {years} * 365L * 86400;
            return result;
        }}
        "#
    );
    let (file, library) = (store.beside("clock.c"), store.beside("clock.so"));
    fs::write(&file, source).unwrap();
    let mut compiler = Command::new("cc");
    expect(0, &run(compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &file])));
    library
}

#[test]
fn a_clock_that_is_ten_years_back() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let library = clock(&store, -10);

    store.put("anna", "horse");
    let mut write = python.script("exchange.py");
    write.arg("write").arg(store.path()).args(["bob", "bob", "donkey", "--form", "app"]);
    expect(0, &run(&mut write));
    let year = |store: &Store| {
        let (stdout, _) = expect(0, &run(&mut store.moat(&["inspect", "anna", "--json"])));
        let envelope: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        envelope["encrypted_at"].as_str().unwrap()[..4].parse::<i32>().unwrap()
    };
    let now = year(&store);
    for (user, password) in [("anna", "horse\n"), ("bob", "donkey\n")] {
        let mut get = store.moat(&["get", user, "--field", "password"]);
        let (stdout, _) = expect(0, &run(get.env("LD_PRELOAD", &library)));
        assert_eq!(stdout, password);
    }
    // The clock did go back, and what is written then opens afterwards.
    expect(0, &run(store.moat(&["touch", "anna"]).env("LD_PRELOAD", &library)));
    assert_eq!(year(&store), now - 10);
    expect(0, &run(&mut store.moat(&["get", "anna"])));
}

#[test]
fn what_a_clock_has_dated_ahead_is_not_exempt_from_what_depends_on_its_age() {
    let store = Store::new();
    let library = clock(&store, 10);
    let (ring, log) = (store.beside("ring.json"), store.beside("audit.log"));
    let moat = |arguments: &[&str]| {
        let mut command = store.moat(arguments);
        command.env_remove("FOSSAWORK_MASTER_KEY");
        command.env("FOSSAWORK_KEYRING", &ring).env("FOSSAWORK_AUDIT_LOG", &log);
        command
    };
    let ahead = |arguments: &[&str], input: &str| {
        let mut command = moat(arguments);
        expect(0, &run_with_input(command.env("LD_PRELOAD", &library), input));
    };
    ahead(&["keys", "add", "--id", "old", "--key-stdin"], KEY);
    ahead(&["put", "anna", "--username", "anna", "--password-stdin"], "horse");

    let findings = || String::from_utf8(run(&mut moat(&["check"])).stdout).unwrap();
    let found = findings();
    for finding in [
        "warn  key ring      the primary key \"old\" was added in the future, at 20",
        "warn  records       dated in the future: anna\n",
        "warn  audit log     2 entries, the first of them entry 1, are dated in the future",
    ] {
        assert!(found.contains(finding), "{finding}\n{found}");
    }
    assert_eq!(found.matches("set the clock (timedatectl), then").count(), 2, "{found}");

    let (listed, _) = expect(0, &run(&mut moat(&["list", "--older-than", "90d"])));
    assert_eq!(listed, "anna\n");
    let due = ["rotate", "--if-older-than", "90d", "--new-key", "--audit-max-age", "30d"];
    let (rotated, _) = expect(0, &run(&mut moat(&due)));
    assert!(rotated.ends_with(": 1 rotated, 0 failed; retired: old\n"), "{rotated}");
    assert!(store.beside("audit.log.000000000001").exists());
    // Once, and not again and again.
    let (again, _) = expect(0, &run(&mut moat(&due)));
    assert!(again.starts_with("nothing to do"), "{again}");
    // The remedies.
    let put = ["put", "anna", "--username", "anna", "--password-stdin"];
    expect(0, &run_with_input(&mut moat(&put), "horse"));
    let found = findings();
    assert!(!found.contains("was added in the future"), "{found}");
    assert!(!found.contains("records       dated in the future"), "{found}");
}
