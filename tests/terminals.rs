//! What is seen on the screens of terminals, as `host/docs/terminals.md` shows it.

use std::fs;
use std::os::unix::fs::symlink;

use support::callers::{below_host, python};
use support::{KEY, MOAT, Store, expect, run_with_input, write_private};

/// The blocks of the manual: the number of columns, the name of the terminal, and the transcript.
fn blocks(manual: &str) -> Vec<(String, String, String)> {
    let blocks = manual.split("```terminal ").skip(1).map(|rest| rest.split("```").next().unwrap());
    let parts = blocks.map(|block| {
        let (kind, transcript) = block.split_once('\n').unwrap();
        let (columns, name) = kind.split_once(' ').unwrap();
        (columns.to_owned(), name.to_owned(), transcript.to_owned())
    });
    parts.collect()
}

#[test]
fn the_screens_are_as_the_manual_shows_them() {
    let Some(python) = python() else { return };
    let manual = fs::read_to_string(below_host("docs/terminals.md")).unwrap();
    let blocks = blocks(&manual);
    for wanted in [("80", "xterm"), ("40", "xterm"), ("80", "dumb")] {
        assert!(
            blocks.iter().any(|(columns, name, _)| (columns.as_str(), name.as_str()) == wanted)
        );
    }
    // In the place where the home directory is in the manual, with the key in a file there.
    let store = Store::new();
    write_private(&store.beside("master-key"), KEY.as_bytes());
    fs::create_dir(store.beside("bin")).unwrap();
    symlink(MOAT.as_str(), store.beside("bin/moat")).unwrap();
    let path = format!("{}:{}", store.beside("bin").display(), std::env::var("PATH").unwrap());
    for (columns, name, transcript) in blocks {
        let mut script = python.script("pty_transcript.py");
        script.arg(columns).env("TERM", name).env("PATH", &path).env("NO_COLOR", "1");
        script.env_remove("FOSSAWORK_MASTER_KEY").env("FOSSAWORK_MASTER_KEY_FILE", "master-key");
        script.env("FOSSAWORK_CREDENTIALS_DIR", "credentials").current_dir(store.beside(""));
        let (seen, _) = expect(0, &run_with_input(&mut script, &transcript));
        snapbox::Assert::new().normalize_paths(false).eq(seen, transcript);
    }
}
