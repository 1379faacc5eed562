//! No arguments and no `.env` file make the program panic, and what may be a secret in them never gets into what it
//! says is wrong. What it takes a value in an `.env` file for, it takes it for again in the spelling that it
//! recommends.
//!
//! The text is both: arguments, one a line, and the file.

#![no_main]

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use moat_cli::fuzzing;
use tempfile::NamedTempFile;

/// Stands for a secret, wherever the text has a `?` that is not in what is repeated: the name of an option or variable.
const SECRET: &[u8] = b"hunter2";

fn with_secrets(line: &[u8], repeated: usize) -> Vec<u8> {
    let (name, value) = line.split_at(repeated);
    let value: Vec<_> = value.split(|byte| *byte == b'?').collect();
    [name, &value.join(SECRET)].concat()
}

fn name_length(line: &[u8]) -> usize {
    line.iter().position(|byte| *byte == b'=').unwrap_or(line.len())
}

fn argument(line: &[u8]) -> OsString {
    let repeated = match line {
        [b'-', b'-', ..] => name_length(line),
        [b'-', _, ..] => 2,
        _ => 0,
    };
    OsString::from_vec(with_secrets(line, repeated))
}

fn has_secret(text: &[u8]) -> bool {
    text.windows(SECRET.len()).any(|part| part == SECRET)
}

fn check(said: &str) {
    assert!(!has_secret(said.as_bytes()), "{said}");
}

/// The value of the variable in a file of this text.
fn load(text: &[u8]) -> Result<Option<Vec<u8>>, String> {
    static FILE: LazyLock<NamedTempFile> =
        LazyLock::new(|| NamedTempFile::new().expect("there is room"));
    fs::write(FILE.path(), text).expect("there is room");
    fuzzing::variable(FILE.path(), NAME)
}

const NAME: &str = "FOSSAWORK_MASTER_KEY";

fuzz_target!(|text: &[u8]| {
    if has_secret(text) {
        return; // It could stand in a name.
    }
    let lines = || text.split(|byte| *byte == b'\n');

    let words = lines().map(argument);
    if let Some(said) = fuzzing::complaint([OsString::from("moat")].into_iter().chain(words)) {
        check(&said);
    }

    let file: Vec<_> = lines().map(|line| with_secrets(line, name_length(line))).collect();
    match load(&file.join(&b'\n')) {
        Ok(Some(value)) => {
            // The recommended spelling, or the other one for a value with a quote in it.
            let quote: &[u8] = if value.contains(&b'\'') { b"\"" } else { b"'" };
            let file = [NAME.as_bytes(), b"=", quote, &value, quote].concat();
            let again = load(&file).expect("it is spelled as nobody reads otherwise");
            assert_eq!(again, Some(value));
        }
        Ok(None) => {}
        Err(said) => check(&said),
    }
});
