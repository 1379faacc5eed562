//! What stands in the credentials directory besides records, and what is made of it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use moat::{ErrorCode, MAX_FILE_BYTES, UserId, Vault};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use support::{KEY, Store, as_root, expect, long, run, tool, write_private};

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
    let outside = Store::new();
    outside.put("anna", "outside");
    let target = outside.file("anna");
    let targets = ["bob.cred", "nowhere", "anna.cred", "/dev/null", target.to_str().unwrap()];
    for target in targets {
        symlink(target, store.file("anna")).unwrap();
        refused(&store, ErrorCode::Directory, "\"anna.cred\" is not a regular file");
        // Removing it removes the link alone.
        expect(0, &run(&mut store.moat(&["delete", "anna"])));
    }
    fs::hard_link(store.file("bob"), store.file("anna")).unwrap();
    refused(&store, ErrorCode::Directory, "has a second name");

    fs::remove_file(store.file("anna")).unwrap();

    for (store, user, password) in [(&store, "bob", "horse"), (&outside, "anna", "outside")] {
        let revealed = store.vault(KEY).reveal(&UserId::parse(user).unwrap()).unwrap();
        assert_eq!(revealed.credential().expose_password(), password);
    }
}

/// The files beside the records, of which a writer takes hold.
#[test]
fn links_in_place_of_the_lock_and_of_the_temporary_file_are_not_followed() {
    let store = Store::new();
    store.put("anna", "horse");
    let secret = store.beside("secret");
    write_private(&secret, b"of somebody else");

    symlink(&secret, store.path().join(".moat.tmp")).unwrap();
    expect(0, &run(&mut store.moat(&["touch", "anna"])));
    assert_eq!(store.names(), [".moat.lock", "anna.cred"]);
    fs::hard_link(&secret, store.path().join(".moat.tmp")).unwrap();
    expect(0, &run(&mut store.moat(&["touch", "anna"])));
    assert_eq!(store.names(), [".moat.lock", "anna.cred"]);

    let lock = store.path().join(".moat.lock");
    for target in [secret.as_path(), Path::new("nowhere")] {
        fs::remove_file(&lock).unwrap();
        symlink(target, &lock).unwrap();
        let (_, stderr) = expect(9, &run(&mut store.moat(&["touch", "anna"])));
        assert!(stderr.contains("locking the directory: Too many levels"), "{stderr}");
    }
    assert_eq!(fs::read(&secret).unwrap(), b"of somebody else");
    assert_eq!(store.names(), [".moat.lock", "anna.cred"]);
}

#[test]
fn what_is_no_file_is_refused_without_waiting() {
    let store = Store::new();
    let file = store.file("anna");
    let made = |command: &str, arguments: &[&str]| {
        expect(0, &run(Command::new(command).arg(&file).args(arguments)));
        refused(&store, ErrorCode::Directory, "is not a regular file");
        fs::remove_file(&file).unwrap();
    };
    made("mkfifo", &[]);
    // The one device that everybody may make, and /dev/null.
    made("mknod", &["c", "0", "0"]);
    if as_root("make a device that can be opened") {
        made("mknod", &["c", "1", "3"]);
    }

    fs::create_dir(&file).unwrap();
    refused(&store, ErrorCode::Directory, "is not a regular file");
    fs::remove_dir(&file).unwrap();

    let _socket = UnixListener::bind(&file).unwrap();
    refused(&store, ErrorCode::Directory, "is not a regular file");
}

/// JSON that is nested as deep as a file can be must not use up the stack.
#[test]
fn nesting_without_end_is_malformed() {
    let store = Store::new();
    let deep = MAX_FILE_BYTES - 100;
    for contents in [
        "[".repeat(deep),
        "{\"a\":".repeat(deep / 5),
        format!("{{\"user_id\":{}", "[".repeat(deep)),
        format!("{{\"user_id\":\"anna\",\"more\":{}", "[".repeat(deep)),
        format!(
            "{{\"user_id\":\"anna\",\"more\":{}{}}}",
            "[".repeat(deep / 2),
            "]".repeat(deep / 2)
        ),
    ] {
        write_private(&store.file("anna"), contents.as_bytes());
        refused(&store, ErrorCode::Malformed, "");
    }
    write_private(&store.file("anna"), "[".repeat(100_000).as_bytes());
    refused(&store, ErrorCode::TooLarge, "has 100000 bytes");
}

/// While the library reads or writes anna's record, another thread puts other things in its place and takes them
/// away again: links to a record outside, which the same key opens, and a FIFO.
fn while_the_record_is_swapped(
    operation: impl Fn(&Vault, &UserId) -> Result<(), moat::Error> + Sync,
) {
    let rounds = if long() { 100_000 } else { 2_000 };
    let (store, outside) = (Store::new(), Store::new());
    store.put("anna", "horse");
    outside.put("anna", "outside");
    let contents = fs::read(outside.file("anna")).unwrap();
    let (record, other) = (store.file("anna"), store.path().join("other"));
    let swap = || renameat_with(CWD, &record, CWD, &other, RenameFlags::EXCHANGE).unwrap();

    let read_or_write = || {
        let vault = store.vault(KEY);
        let anna = UserId::parse("anna").unwrap();
        let mut fine = 0;
        for _ in 0..rounds {
            match operation(&vault, &anna) {
                Ok(()) => fine += 1,
                Err(error) => {
                    // A conflict where the swap came between two looks at what is there.
                    let codes = [ErrorCode::Conflict, ErrorCode::Directory];
                    assert!(codes.contains(&error.code()), "{error}");
                }
            }
        }
        (fine, rounds - fine)
    };
    let (fine, refused) = thread::scope(|scope| {
        let running = scope.spawn(read_or_write);
        for kind in [0, 1, 2].into_iter().cycle() {
            match kind {
                0 => symlink(outside.file("anna"), &other).unwrap(),
                1 => fs::hard_link(outside.file("anna"), &other).unwrap(),
                _ => mknodat(CWD, &other, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
            }
            swap();
            thread::sleep(Duration::from_micros(10));
            swap();
            fs::remove_file(&other).unwrap();
            if running.is_finished() {
                break;
            }
            thread::sleep(Duration::from_micros(10));
        }
        running.join().unwrap()
    });
    println!("{rounds} rounds: {fine} fine, {refused} refused");
    assert!(fine > 0 && refused > 0, "{fine} fine, {refused} refused");
    assert_eq!(fs::read(outside.file("anna")).unwrap(), contents);
    let revealed = store.vault(KEY).reveal(&UserId::parse("anna").unwrap()).unwrap();
    assert_eq!(revealed.credential().expose_password(), "horse");
}

#[test]
fn a_record_that_is_swapped_during_a_read_shows_nothing_else() {
    while_the_record_is_swapped(|vault, anna| {
        let revealed = vault.reveal(anna)?;
        assert_eq!(revealed.credential().expose_password(), "horse");
        Ok(())
    });
}

#[test]
fn a_record_that_is_swapped_during_a_write_leads_nowhere_else() {
    while_the_record_is_swapped(|vault, anna| vault.mark_used(anna).map(drop));
}

/// Whoever holds the directory goes on with it. By its name another one is found, which has to be safe itself.
#[test]
fn a_directory_that_becomes_a_link_is_judged_by_what_it_leads_to() {
    let store = Store::new();
    store.put("anna", "horse");
    let vault = store.vault(KEY);
    let (moved, other) = (store.beside("moved"), Store::new());
    other.put("anna", "donkey");
    fs::rename(store.path(), &moved).unwrap();
    symlink(other.path(), store.path()).unwrap();

    let anna = UserId::parse("anna").unwrap();
    vault.mark_used(&anna).unwrap();
    assert_eq!(vault.reveal(&anna).unwrap().credential().expose_password(), "horse");
    let get = || run(&mut store.moat(&["get", "anna", "--field", "password"]));
    assert_eq!(expect(0, &get()).0, "donkey\n");
    fs::set_permissions(other.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    assert!(expect(9, &get()).1.contains("others can write to the directory (mode 1777)"));

    fs::remove_file(store.path()).unwrap();
    symlink("credentials", store.path()).unwrap();
    assert!(expect(9, &get()).1.contains("Too many levels of symbolic links"));
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
        support::MOAT.as_str(),
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
    let Some(strace) = tool("strace") else { return };
    let store = Store::new();
    store.put("anna", "horse");
    let trace = store.beside("trace");
    let mut strace = strace.command();
    strace.arg("-fy").arg("-o").arg(&trace).args([
        "-e",
        "trace=openat,openat2,fsync,fdatasync,rename,renameat,renameat2,chmod,fchmod,fchmodat",
    ]);
    expect(0, &run(&mut store.moat_under(strace, &["touch", "anna"])));
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
    let bytes = OsStr::from_bytes(b"\xff\xfe.cred");
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
    let (stdout, stderr) = expect(0, &run(&mut store.moat(&["list"])));
    assert_eq!(stdout, "anna\n");
    assert_eq!(
        stderr,
        "warning: skipped \\xff\\xfe.cred: its name is not UTF-8, so it can't be a user id; \
         rename it (mv $'OLD' NEW.cred) and run this again\n"
    );
}

/// Records and backups that no verb could work on are not passed over in silence.
#[test]
fn what_looks_like_a_record_but_is_not_utf8_is_named() {
    let store = Store::new();
    store.put("anna", "horse");
    for name in [&b"caf\xe9.cred"[..], b"\xff.cred.backup_20250101_000000", b"\xff.txt"] {
        write_private(&store.path().join(OsStr::from_bytes(name)), b"x");
    }
    let leftovers: Vec<_> = store.vault(KEY).leftovers().map(Result::unwrap).collect();
    let found: Vec<_> = leftovers
        .iter()
        .map(|leftover| (leftover.name.as_bytes(), leftover.needs_another_name()))
        .collect();
    assert_eq!(
        found,
        [
            (&b"caf\xe9.cred"[..], true),
            (b"\xff.cred.backup_20250101_000000", true),
            (b"\xff.txt", false),
        ]
    );

    for arguments in [&["migrate"][..], &["migrate", "--dry-run"]] {
        let (stdout, _) = expect(7, &run(&mut store.moat(arguments)));
        for line in [
            "failed         caf\\xe9.cred: its name is not UTF-8",
            "failed         \\xff.cred.backup_20250101_000000: its name is not UTF-8",
            "ignored        \\xff.txt: not a record",
            "1 unchanged, 2 failed; 0 backups left",
            "1 other files ignored",
        ] {
            assert!(stdout.contains(line), "{stdout}");
        }
    }
    let (stdout, _) = expect(0, &run(&mut store.moat(&["migrate", "--user", "anna"])));
    assert!(!stdout.contains("xe9"), "{stdout}");
    let (_, stderr) = expect(0, &run(&mut store.moat(&["list", "--json"])));
    assert!(stderr.contains(r"skipped caf\\xe9.cred: "), "{stderr}");
    assert!(!stderr.contains(".txt"), "{stderr}");

    let (stdout, _) = expect(1, &run(&mut store.moat(&["check"])));
    let finding = "fail  files         records without a user, because their names are not UTF-8: \
                   caf\\xe9.cred, \\xff.cred.backup_20250101_000000\n";
    assert!(stdout.contains(finding), "{stdout}");
    assert!(
        stdout.contains("warn  files         files that are not credentials: \\xff.txt\n"),
        "{stdout}"
    );

    // As the hint has it.
    fs::rename(store.path().join(OsStr::from_bytes(b"caf\xe9.cred")), store.file("caf\u{e9}"))
        .unwrap();
    assert_eq!(expect(0, &run(&mut store.moat(&["list"]))).0, "anna\ncaf\u{e9}\n");
}

/// `--fix` finds the file whatever its name is.
#[test]
fn a_mode_is_mended_whatever_the_name() {
    let store = Store::new();
    let path = store.path().join(OsStr::from_bytes(b"caf\xe9.cred"));
    write_private(&path, b"x");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let (stdout, _) = expect(1, &run(&mut store.moat(&["check", "--fix"])));
    assert!(stdout.contains("fixed: others can access caf\\xe9.cred"), "{stdout}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
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
    head.args(["-c", "\"$0\" list | head -1; echo ${PIPESTATUS[0]}", support::MOAT.as_str()]);
    head.env("FOSSAWORK_CREDENTIALS_DIR", store.path());
    let (stdout, stderr) = expect(0, &run(&mut head));
    assert_eq!((stdout.as_str(), stderr.as_str()), ("user00000\n0\n", ""));
}
