//! What stands in the credentials directory besides records, and what is made of it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use moat::{ErrorCode, UserId};
use support::{KEY, Store, expect, run, tool, write_private};

/// Opens anna's credential, which has to fail like this, for reading and for writing.
fn refused(store: &Store, code: ErrorCode, message: &str) {
    let vault = store.vault(KEY);
    let anna = UserId::parse("anna").unwrap();
    for error in [vault.reveal(&anna).err().unwrap(), vault.mark_used(&anna).err().unwrap()] {
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn links_are_not_followed() {
    let store = Store::new();
    store.put("bob", "horse");
    symlink("bob.cred", store.file("anna")).unwrap();
    refused(&store, ErrorCode::Malformed, "\"anna.cred\" is not a regular file");
    fs::remove_file(store.file("anna")).unwrap();

    symlink("nowhere", store.file("anna")).unwrap();
    refused(&store, ErrorCode::Malformed, "is not a regular file");
    fs::remove_file(store.file("anna")).unwrap();

    fs::hard_link(store.file("bob"), store.file("anna")).unwrap();
    refused(&store, ErrorCode::Malformed, "has a second name");
}

#[test]
fn what_is_no_file_is_refused_without_waiting() {
    let store = Store::new();
    let made = Command::new("mkfifo").arg(store.file("anna")).status().unwrap();
    assert!(made.success());
    refused(&store, ErrorCode::Malformed, "is not a regular file");
    fs::remove_file(store.file("anna")).unwrap();

    fs::create_dir(store.file("anna")).unwrap();
    refused(&store, ErrorCode::Malformed, "is not a regular file");
    fs::remove_dir(store.file("anna")).unwrap();

    let _socket = UnixListener::bind(store.file("anna")).unwrap();
    refused(&store, ErrorCode::Malformed, "is not a regular file");
}

#[test]
fn a_file_over_the_limit_is_refused_by_its_size() {
    let store = Store::new();
    fs::File::create(store.file("anna")).unwrap().set_len(1 << 40).unwrap();
    refused(&store, ErrorCode::TooLarge, "has 1099511627776 bytes, more than the 65536 allowed");
}

#[test]
fn every_file_is_for_its_owner_alone_from_the_start() {
    let store = Store::new();
    // Whatever the umask, and whatever the file before had.
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "umask 000; printf x | \"$0\" put anna --username anna --password-stdin",
        support::MOAT,
    ]);
    shell.env("FOSSAWORK_CREDENTIALS_DIR", store.path()).env("FOSSAWORK_MASTER_KEY", KEY);
    expect(0, &run(&mut shell));
    fs::set_permissions(store.file("anna"), PermissionsExt::from_mode(0o644)).unwrap();
    let (_, stderr) = expect(0, &run(&mut store.moat(&["touch", "anna"])));
    assert!(stderr.contains("warning: others can reach \"anna.cred\" (mode 0644)"), "{stderr}");
    for name in store.names() {
        let mode = fs::metadata(store.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
}

/// From a trace of the system calls: the new file is made for its owner alone, synced before it takes its
/// name, and the directory is synced after.
#[test]
fn a_write_is_synced_in_the_right_order() {
    let store = Store::new();
    store.put("anna", "horse");
    let trace = store.beside("trace");
    let mut strace = tool("strace");
    strace
        .args([
            "-f",
            "-y",
            "-e",
            "trace=openat,openat2,fsync,fdatasync,rename,renameat,renameat2,chmod,fchmod,fchmodat",
        ])
        .arg("-o")
        .arg(&trace)
        .args([support::MOAT, "touch", "anna"])
        .env("FOSSAWORK_CREDENTIALS_DIR", store.path())
        .env("FOSSAWORK_MASTER_KEY", KEY);
    expect(0, &run(&mut strace));
    let trace = fs::read_to_string(trace).unwrap();
    let lines: Vec<&str> = trace.lines().collect();
    let find = |what: &dyn Fn(&str) -> bool| {
        lines.iter().position(|line| what(line)).unwrap_or_else(|| panic!("not found in:\n{trace}"))
    };
    let created = find(&|line| {
        line.contains(".moat.tmp") && line.contains("O_CREAT|O_EXCL") && line.contains("0600")
    });
    let synced = find(&|line| line.contains("sync(") && line.contains(".moat.tmp"));
    let renamed = find(&|line| line.contains("rename") && line.contains("\"anna.cred\""));
    let directory = find(&|line| line.contains("sync(") && line.contains("/credentials>)"));
    assert!(created < synced && synced < renamed && renamed < directory, "{trace}");
    assert!(!trace.contains("chmod("), "{trace}");
}

#[test]
fn user_ids_are_taken_as_they_are() {
    let store = Store::new();
    let longest = format!("{}é", "x".repeat(UserId::MAX_BYTES - 2));
    let users = [
        "anna@example.com",
        "Anna Smith",
        "🔑",
        "con",
        "e\u{301}",
        "é",
        "-rf",
        "a.cred",
        "a\\b",
        &longest,
    ];
    let vault = store.vault(KEY);
    for user in users {
        let credential = moat::Credential::new("x", user);
        vault
            .put(&UserId::parse(user).unwrap(), &credential, &moat::PutOptions::default())
            .unwrap();
    }
    for user in users {
        let revealed = vault.reveal(&UserId::parse(user).unwrap()).unwrap();
        assert_eq!(revealed.credential().expose_password(), user);
    }
    let mut sorted = users.map(str::to_owned);
    sorted.sort();
    let listed: Vec<String> = vault.users().map(|user| user.unwrap().to_string()).collect();
    assert_eq!(listed, sorted);
    let (stdout, _) =
        expect(0, &run(&mut store.moat(&["get", "--field", "password", "--", "-rf"])));
    assert_eq!(stdout, "-rf\n");
}

#[test]
fn foreign_files_are_no_users() {
    let store = Store::new();
    store.put("anna", "horse");
    let bytes = std::ffi::OsStr::from_bytes(b"\xff\xfe.cred");
    write_private(&store.path().join(bytes), b"x");
    for name in [
        ".cred",
        ".hidden.cred",
        "notes.txt",
        "anna.cred.tmp",
        "anna.cred.backup_20250101_000000",
        "a\nb.cred",
    ] {
        write_private(&store.path().join(name), b"x");
    }
    let (stdout, _) = expect(0, &run(&mut store.moat(&["list"])));
    assert_eq!(stdout, "anna\n");
}

/// More users than a page of the directory holds.
#[test]
fn long_lists_are_whole_and_sorted() {
    let store = Store::new();
    for n in 0..10_000 {
        fs::File::create(store.file(&format!("user{n:05}"))).unwrap();
    }
    let (stdout, _) = expect(0, &run(&mut store.moat(&["list"])));
    let expected: String = (0..10_000).map(|n| format!("user{n:05}\n")).collect();
    assert_eq!(stdout, expected);
    let mut head = Command::new("bash");
    head.args(["-c", "\"$0\" list | head -1; echo ${PIPESTATUS[0]}", support::MOAT]);
    head.env("FOSSAWORK_CREDENTIALS_DIR", store.path());
    let (stdout, stderr) = expect(0, &run(&mut head));
    assert_eq!((stdout.as_str(), stderr.as_str()), ("user00000\n0\n", ""));
}
