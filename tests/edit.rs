//! `moat edit`: the text is exact, private, and gone afterwards, however it ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::callers::python;
use support::{MOAT, Store, as_root, expect, run, run_with_input, sha256, tool, wait_until};

use crate::values::every_kind_of_character;

/// Where the texts are, unless the user has a directory in memory.
const MEMORY: &str = "/dev/shm";

/// A credential with a field, and a place for the texts of this test alone.
struct Desk {
    store: Store,
    runtime: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let store = Store::new();
        store.put("anna", "horse");
        expect(0, &run(&mut store.moat(&["set", "anna", "--field", "pin=4711"])));
        let runtime = tempfile::tempdir_in(MEMORY).unwrap();
        fs::set_permissions(runtime.path(), Permissions::from_mode(0o700)).unwrap();
        Self { store, runtime }
    }

    /// The editor: a script of the shell, with the file as `$1`.
    fn script(&self, script: &str) -> PathBuf {
        let path = self.store.beside(&format!("editor-{}", &sha256(script.as_bytes())[..8]));
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        path
    }

    fn edit(&self, editor: impl AsRef<Path>, arguments: &[&str]) -> Command {
        let mut command = self.store.moat(&[&["edit", "anna"], arguments].concat());
        command.env("EDITOR", editor.as_ref()).env("XDG_RUNTIME_DIR", self.runtime.path());
        command
    }

    /// All of the credential.
    fn credential(&self) -> Value {
        let output = run(&mut self.store.moat(&["get", "anna", "--reveal", "--json"]));
        let value: Value = serde_json::from_str(&expect(0, &output).0).unwrap();
        json!({ "username": value["username"], "password": value["password"], "fields": value["fields"] })
    }

    /// Whether nothing of any text is left.
    fn is_clean(&self) -> bool {
        fs::read_dir(self.runtime.path()).unwrap().next().is_none()
    }

    #[track_caller]
    fn check_clean(&self) {
        assert!(self.is_clean());
    }

    /// Starts an editor that waits, and returns once it runs.
    fn waiting(&self) -> Child {
        let ready = self.store.beside("ready");
        let script = format!(
            "cp \"$1\" \"$1.copy\"; echo $$ > {0}.new; mv {0}.new {0}; exec sleep 60",
            ready.display()
        );
        let mut command = self.edit(self.script(&script), &[]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        wait_until(|| ready.exists());
        child
    }
}

#[test]
fn what_is_saved_is_stored_and_nothing_else_changes() {
    let desk = Desk::new();
    let sed = |script: &str| desk.script(&format!("sed -i '{script}' \"$1\""));
    let changed = |editor: PathBuf| {
        let (stdout, stderr) = expect(0, &run(&mut desk.edit(editor, &[])));
        let file = desk.store.file("anna");
        assert_eq!(
            (stdout, stderr),
            (format!("changed anna in {}\n", file.display()), String::new())
        );
        desk.check_clean();
        desk.credential()
    };
    let expected = |username: &str, password: &str, fields: Value| json!({ "username": username, "password": password, "fields": fields });
    let after = changed(sed("s/someone/anna/"));
    assert_eq!(after, expected("anna", "horse", json!({ "pin": "4711" })));
    let after = changed(sed(r#"s/"pin": "4711"/"pin": "1", "new\\"é": "\\r\\n"/"#));
    assert_eq!(after, expected("anna", "horse", json!({ "pin": "1", "new\"é": "\r\n" })));
    let after = changed(sed(r#"s/horse/staple/; s/"pin": "1",//"#));
    assert_eq!(after, expected("anna", "staple", json!({ "new\"é": "\r\n" })));
    let without = r#"{"username":"","password":"staple"}"#;
    let after =
        changed(desk.script(&format!("echo '{without}' > \"$1.new\"; mv \"$1.new\" \"$1\"")));
    assert_eq!(after, expected("", "staple", json!({})));
}

/// The log says so too: somebody has looked, and nobody has written.
#[test]
fn nothing_is_written_without_a_change() {
    let desk = Desk::new();
    let before = fs::read(desk.store.file("anna")).unwrap();
    fs::create_dir(desk.store.beside("log")).unwrap();
    let log = desk.store.beside("log/audit.log");
    for script in [":", "touch \"$1\"", r#"sed -i 's/^ *//; s/"4711"/"\\u0034711"/' "$1""#] {
        let mut edit = desk.edit(desk.script(script), &[]);
        let (stdout, stderr) = expect(0, &run(edit.env("FOSSAWORK_AUDIT_LOG", &log)));
        assert_eq!((stdout.as_str(), stderr.as_str()), ("anna: not changed\n", ""), "{script}");
        desk.check_clean();
    }
    let (stdout, _) = expect(0, &run(&mut desk.edit("true", &["--json"])));
    assert_eq!(stdout, "{\"user_id\":\"anna\",\"changed\":false}\n");
    assert_eq!(fs::read(desk.store.file("anna")).unwrap(), before);
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("\"reveal\"") && !log.contains("\"change\""), "{log}");
}

#[test]
fn the_text_is_the_owners_alone_and_in_memory() {
    let desk = Desk::new();
    let seen = desk.store.beside("seen");
    let script = format!(
        "exec > {}; stat -c '%a %h' \"$1\"; stat -c %a \"${{1%/*}}\"; stat -fc %T \"$1\"; \
         echo \"${{1%/*}} ${{1##*/}} $TMPDIR\"; echo $(ls /proc/self/fd); env",
        seen.display()
    );
    let editor = desk.script(&script);
    let check = |command: &mut Command, place: &str| {
        expect(0, &run(command));
        let found = fs::read_to_string(&seen).unwrap();
        let lines: Vec<&str> = found.lines().collect();
        assert_eq!(lines[..3], ["600 1", "700", "tmpfs"]);
        let names: Vec<&str> = lines[3].split(' ').collect();
        assert!(names[0].starts_with(&format!("{place}/moat-edit.")), "{names:?}");
        assert_eq!(names[1..], ["anna.json", names[0]]);
        // Nothing leads to the key: `ls` has the directory that it lists.
        assert_eq!(lines[4], "0 1 2 3");
        assert!(!found.contains("FOSSAWORK_MASTER_KEY"), "{found}");
    };
    check(&mut desk.edit(&editor, &[]), desk.runtime.path().to_str().unwrap());
    // Somebody else could enter that one.
    fs::set_permissions(desk.runtime.path(), Permissions::from_mode(0o750)).unwrap();
    check(&mut desk.edit(&editor, &[]), MEMORY);
    for other in ["/proc", "relative", "", "/tmp/nothing"] {
        check(desk.edit(&editor, &[]).env("XDG_RUNTIME_DIR", other), MEMORY);
    }
}

#[test]
fn without_a_place_in_memory_nothing_is_written() {
    let Some(unshare) = tool("unshare") else { return };
    if !as_root("hide a directory behind another") {
        return;
    }
    let desk = Desk::new();
    let mut command = unshare.command();
    // An ordinary directory in its place.
    command.args(["--mount", "sh", "-c", "mount --bind /var/tmp /dev/shm && exec \"$@\"", "sh"]);
    let mut command = desk.store.moat_under(command, &["edit", "anna"]);
    let (_, stderr) = expect(1, &run(command.env("EDITOR", "touch /tmp/was-edited")));
    assert!(
        stderr.contains("there is no directory in memory") && stderr.contains("tmpfs"),
        "{stderr}"
    );
    assert!(stderr.contains("`moat set`") && !Path::new("/tmp/was-edited").exists());
}

#[test]
fn an_editor_that_fails_changes_nothing() {
    let desk = Desk::new();
    let before = fs::read(desk.store.file("anna")).unwrap();
    let spoil = "echo canary > \"$1\"";
    for (editor, message, hint) in [
        (
            desk.script(&format!("{spoil}; exit 3")),
            "failed with exit status: 3",
            "end without an error",
        ),
        (
            desk.script(&format!("{spoil}; kill -9 $$")),
            "failed with signal: 9",
            "end without an error",
        ),
        ("no-such-editor".into(), "can't be run", "an editor that is installed"),
        (desk.store.path(), "can't be run", "an editor that is installed"),
    ] {
        let (stdout, stderr) = expect(1, &run(&mut desk.edit(&editor, &[])));
        assert!(stdout.is_empty() && stderr.contains(message) && stderr.contains(hint), "{stderr}");
        assert!(stderr.contains("nothing was changed") && !stderr.contains("canary"), "{stderr}");
        desk.check_clean();
    }
    assert_eq!(fs::read(desk.store.file("anna")).unwrap(), before);
}

#[test]
fn a_text_that_is_no_credential_changes_nothing() {
    let desk = Desk::new();
    let before = fs::read(desk.store.file("anna")).unwrap();
    let long = "x".repeat(600_000);
    for (text, message) in [
        ("", "is not as expected (line 1, column 0)"),
        (
            "{\"username\": \"u\",\n\"password\": \"canary\",\n}",
            "is not as expected (line 3, column 1)",
        ),
        ("{\"username\":\"u\",\"password\":\"canary\",\"user\":\"x\"}", "is not as expected"),
        ("{\"password\":\"canary\"}", "has no \"username\""),
        ("{\"username\":\"u\"}", "has no \"password\""),
        ("{\"username\":\"u\",\"password\":\"\"}", "has an empty password"),
        (
            "{\"username\":\"u\",\"password\":\"x\",\"fields\":{\"pin\":\"4711\",\"pin\":\"1\"}}",
            "has a field twice",
        ),
        ("{\"username\":\"u\",\"password\":\"x\",\"fields\":{\"password\":\"canary\"}}", "a field"),
        (&long, "too large"),
    ] {
        fs::write(desk.store.beside("text"), text).unwrap();
        let script = format!("cat {} > \"$1\"", desk.store.beside("text").display());
        let (_, stderr) = expect(2, &run(&mut desk.edit(desk.script(&script), &[])));
        assert!(
            stderr.contains(message) && stderr.contains("nothing was changed"),
            "{text:.99}: {stderr}"
        );
        assert!(!stderr.contains("canary"), "{stderr}");
        desk.check_clean();
    }
    for (script, message) in [
        ("rm \"$1\"", "No such file"),
        ("rm \"$1\"; mkdir \"$1\"", "not a file"),
        ("rm \"$1\"; ln -s /etc/passwd \"$1\"", "symbolic links"),
        ("rm \"$1\"; mkfifo \"$1\"", "not a file"),
        ("printf '\\377' > \"$1\"", "not UTF-8"),
    ] {
        let (_, stderr) = expect(2, &run(&mut desk.edit(desk.script(script), &[])));
        assert!(
            stderr.contains(message) && stderr.contains("nothing was changed"),
            "{script}: {stderr}"
        );
        desk.check_clean();
    }
    assert_eq!(fs::read(desk.store.file("anna")).unwrap(), before);
    // What can't be opened isn't edited.
    let (_, stderr) = expect(
        5,
        &run(desk.edit("touch", &[]).env("FOSSAWORK_MASTER_KEY", "another key of enough bytes")),
    );
    assert!(stderr.contains("provide the master key"), "{stderr}");
    desk.check_clean();
}

#[test]
fn a_change_by_somebody_else_is_not_undone() {
    let desk = Desk::new();
    let script = desk.script(&format!(
        "FOSSAWORK_MASTER_KEY={} {} set anna --field pin=theirs --quiet; sed -i s/horse/mine/ \"$1\"",
        support::KEY,
        MOAT.as_str()
    ));
    let (_, stderr) = expect(8, &run(&mut desk.edit(script, &[])));
    assert!(stderr.contains("error: anna: ") && stderr.contains("nothing was changed"), "{stderr}");
    assert_eq!(desk.credential()["password"], "horse");
    assert_eq!(desk.credential()["fields"]["pin"], "theirs");
    desk.check_clean();
}

/// At a terminal: after an error the text is there still, and after a conflict with what others have changed.
#[test]
fn a_person_can_edit_again() {
    let Some(python) = python() else { return };
    let desk = Desk::new();
    let at_a_terminal = |code: i32, script: &str, answers: &[&str]| {
        let mut command = python.script("pty_prompt.py");
        command
            .args([&MOAT, "edit", "anna"])
            .env("TERM", "xterm")
            .env("EDITOR", desk.script(script));
        command.env("XDG_RUNTIME_DIR", desk.runtime.path());
        command
            .env("FOSSAWORK_CREDENTIALS_DIR", desk.store.path())
            .env("COUNT", desk.store.beside("count"));
        let typed: String = answers
            .iter()
            .map(|answer| {
                answer.bytes().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n"
            })
            .collect();
        let shown = expect(code, &run_with_input(&mut command, &typed)).0;
        desk.check_clean();
        let _ = fs::remove_file(desk.store.beside("count"));
        shown
    };
    // The first time, and after that.
    let twice = |first: &str, then: &str| {
        format!("if [ -e $COUNT ]; then {then}; else touch $COUNT; {first}; fi")
    };
    let script = twice("sed -i 's/horse/mine/; s/^{/[/' \"$1\"", "sed -i 's/^\\[/{/' \"$1\"");
    let shown = at_a_terminal(2, &script, &["n\n"]);
    assert!(shown.contains("is not as expected"), "{shown}");
    assert!(shown.contains("edit again? [Y/n] "), "{shown}");
    assert_eq!(desk.credential()["password"], "horse");
    at_a_terminal(2, &script, &["\u{4}"]);
    assert_eq!(desk.credential()["password"], "horse");
    at_a_terminal(0, &script, &["\n"]);
    assert_eq!(desk.credential()["password"], "mine");

    let theirs = format!(
        "FOSSAWORK_MASTER_KEY={} {} set anna --field pin=theirs --quiet",
        support::KEY,
        MOAT.as_str()
    );
    let script = twice(&format!("sed -i s/mine/newer/ \"$1\"; {theirs}"), "grep -q theirs \"$1\"");
    let shown = at_a_terminal(0, &script, &["y\n"]);
    assert!(shown.contains("error:") && shown.contains("edit again? [Y/n] "), "{shown}");
    let expected =
        json!({ "username": "someone", "password": "newer", "fields": { "pin": "theirs" } });
    assert_eq!(desk.credential(), expected);

    // What can't be read after a conflict takes nothing of the text with it.
    let (record, away) = (desk.store.file("anna"), desk.store.beside("away"));
    let [record, away] = [&record, &away].map(|path| path.to_str().unwrap());
    let put = format!("{} put anna --username x --password-stdin --quiet", MOAT.as_str());
    let another_key = format!("echo x | FOSSAWORK_MASTER_KEY='another key of enough bytes' {put}");
    let script = twice(
        &format!("sed -i s/newer/newest/ \"$1\"; mv {record} {away}; {another_key}"),
        &format!("grep -q newest \"$1\" && mv {away} {record}"),
    );
    let shown = at_a_terminal(0, &script, &["y\n", "y\n"]);
    assert_eq!(shown.matches("edit again? [Y/n] ").count(), 2, "{shown}");
    assert_eq!(desk.credential()["password"], "newest");

    // The keys are the editor's, until it has ended.
    let shown = at_a_terminal(1, "trap 'exit 7' INT; kill -INT 0; sleep 9", &[]);
    assert!(shown.contains("failed with exit status: 7"), "{shown}");
}

#[test]
fn every_way_to_end_it_removes_the_text() {
    for signal in ["TERM", "HUP", "KILL", "QUIT", "INT"] {
        let desk = Desk::new();
        let mut child = desk.waiting();
        assert!(!desk.is_clean());
        let program = child.id().to_string();
        let editor = fs::read_to_string(desk.store.beside("ready")).unwrap();
        let editor = editor.trim_end();
        // The keys' signals go to the editor, as all of its terminal.
        let target = if ["QUIT", "INT"].contains(&signal) { editor } else { &program };
        expect(0, &run(Command::new("kill").args([&format!("-{signal}"), target])));
        child.wait().unwrap();
        wait_until(|| desk.is_clean());
        wait_until(|| !Path::new("/proc").join(editor).exists());
    }
}

#[test]
fn what_an_editor_leaves_is_removed_with_the_text() {
    let desk = Desk::new();
    let outside = desk.store.beside("outside");
    fs::write(&outside, "stays").unwrap();
    let script = format!(
        "cd \"${{1%/*}}\"; cp \"$1\" \"$1~\"; mkdir -p .swaps/x; cp \"$1\" .swaps/x/y; chmod 400 .swaps/x/y; \
         ln -s {0} link; ln -s {1} folder; ln \"$1\" hard; mkfifo pipe; mktemp > /dev/null",
        outside.display(),
        desk.store.path().display()
    );
    expect(0, &run(&mut desk.edit(desk.script(&script), &[])));
    desk.check_clean();
    assert_eq!(fs::read_to_string(outside).unwrap(), "stays");
    assert_eq!(fs::metadata(desk.store.file("anna")).unwrap().nlink(), 1);
}

/// Real editors, each with settings that would leave copies all over the home directory.
fn by_a_real_editor(editor: &'static str, script: &str) {
    let (Some(_), Some(python)) = (tool(editor), python()) else { return };
    let desk = Desk::new();
    let home = desk.store.beside("home");
    fs::create_dir_all(home.join("copies")).unwrap();
    let copies = home.join("copies").display().to_string();
    let vimrc = format!(
        "set backup writebackup undofile swapfile updatecount=1\n\
         set backupdir={copies} undodir={copies} directory={copies} viminfo='9,<99,n{copies}/info\n"
    );
    fs::write(home.join(".vimrc"), &vimrc).unwrap();
    fs::create_dir_all(home.join(".config/nvim")).unwrap();
    fs::write(home.join(".config/nvim/init.vim"), vimrc).unwrap();
    fs::write(
        home.join(".emacs"),
        format!("(setq make-backup-files t backup-directory-alist '((\".\" . \"{copies}\")))"),
    )
    .unwrap();
    fs::write(
        home.join(".nanorc"),
        format!("set backup\nset backupdir \"{copies}\"\nset historylog\nset positionlog\n"),
    )
    .unwrap();
    let all = every_kind_of_character();
    let document = json!({ "username": all, "password": format!("x{all}"), "fields": { "all": all, "é": "\n" } });
    expect(
        0,
        &run_with_input(
            &mut desk.store.moat(&["set", "anna", "--json-stdin"]),
            &document.to_string(),
        ),
    );
    let mut command = python.script("pty_editor.py");
    command.args([script, MOAT.as_str(), "edit", "anna"]).env("TERM", "xterm").env("HOME", &home);
    command.env("EDITOR", editor).env("XDG_RUNTIME_DIR", desk.runtime.path());
    command.env("FOSSAWORK_CREDENTIALS_DIR", desk.store.path()).env("LC_ALL", "C.UTF-8");
    let shown = expect(0, &run(&mut command)).0;
    assert!(shown.contains("changed anna in "), "{shown}");
    let mut expected = document.clone();
    expected["fields"]["pin"] = json!("4712");
    assert_eq!(desk.credential(), expected);
    desk.check_clean();
    let left = |folder: &Path| fs::read_dir(folder).map_or(0, Iterator::count);
    assert_eq!(left(&home.join("copies")), 0);
    assert_eq!(left(&home.join(".local/share/nano")), 0);
    // What is there was there before, but for folders with nothing of it.
    assert!(!holds(&home, "4711") && !holds(&home, "4712"));
}

/// Whether some file below this folder has a text in it.
fn holds(folder: &Path, text: &str) -> bool {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().any(|path| match path.is_dir() {
        true => holds(&path, text),
        false => memchr::memmem::find(&fs::read(path).unwrap(), text.as_bytes()).is_some(),
    })
}

#[test]
fn neovim_leaves_no_copy() {
    by_a_real_editor("nvim", ":%s/4711/4712/\r:wq\r");
}

#[test]
fn emacs_leaves_no_copy() {
    // Go to the number, replace it, save, leave.
    by_a_real_editor("emacs", "\u{13}4711\r\u{7f}2\u{18}\u{13}\u{18}\u{3}");
}

#[test]
fn vim_leaves_no_copy() {
    by_a_real_editor("vim", ":%s/4711/4712/\r:wq\r");
}

#[test]
fn nano_leaves_no_copy() {
    // Search and replace: `4711`, `4712`, all; save; leave.
    by_a_real_editor("nano", "\u{1c}4711\r4712\ra\u{f}\r\u{18}");
}
