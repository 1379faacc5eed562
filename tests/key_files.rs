//! The files that keys come from: what is not a regular file is examined too, before anything of it is used.

use std::fs;
use std::io::{Write, pipe};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown, fchown, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use support::{KEY, Store, as_root, done, expect, run};

const STRANGER: u32 = 12345;

fn store() -> Store {
    let store = Store::new();
    store.put("anna", "horse");
    store
}

fn get(store: &Store, key_file: &Path) -> Command {
    let mut get = store.moat(&["get", "anna", "--field", "password", "--master-key-file"]);
    get.arg(key_file).env_remove("FOSSAWORK_MASTER_KEY");
    get
}

#[track_caller]
fn refused(output: &Output, why: &str) {
    let (_, stderr) = expect(4, output);
    assert!(stderr.contains(why), "{stderr}");
}

/// What the program says to a FIFO of this mode and owner, with the key in it.
fn from_fifo(store: &Store, mode: u32, owner: Option<u32>) -> Output {
    let fifo = store.beside("fifo");
    done(Command::new("mkfifo").arg(&fifo));
    fs::set_permissions(&fifo, PermissionsExt::from_mode(mode)).unwrap();
    chown(&fifo, owner, None).unwrap();
    let output = thread::scope(|scope| {
        // The program may close it without having read anything.
        scope.spawn(|| drop(fs::write(&fifo, KEY)));
        run(&mut get(store, &fifo))
    });
    fs::remove_file(fifo).unwrap();
    output
}

#[test]
fn a_fifo_is_examined_as_a_file_is() {
    let store = store();
    assert_eq!(expect(0, &from_fifo(&store, 0o600, None)).0, "horse\n");
    refused(&from_fifo(&store, 0o666, None), "fifo: others can read it (mode 0666)");
    if as_root("give a FIFO to somebody else") {
        refused(&from_fifo(&store, 0o600, Some(STRANGER)), "fifo: it belongs to uid 12345");
    }
}

/// As with sudo, whose caller's pipe belongs to the caller. Through a name that somebody planted, it is refused.
#[test]
fn a_pipe_of_somebody_else_is_taken_from_whoever_starts_the_program_only() {
    if !as_root("read the pipe of somebody else") {
        return;
    }
    let store = store();
    let pipe_with_key = || {
        let (reader, mut writer) = pipe().unwrap();
        fchown(&reader, Some(STRANGER), None).unwrap();
        writer.write_all(KEY.as_bytes()).unwrap();
        reader
    };
    let mut given = get(&store, Path::new("/dev/stdin"));
    let output = given.stdin(Stdio::from(pipe_with_key())).output().unwrap();
    assert_eq!(expect(0, &output).0, "horse\n");

    let reader = pipe_with_key();
    let planted = store.beside("planted");
    let descriptor = reader.as_raw_fd();
    symlink(format!("/proc/{}/fd/{descriptor}", std::process::id()), &planted).unwrap();
    refused(&run(&mut get(&store, &planted)), "planted: it belongs to uid 12345");
}
