//! No arguments and no `.env` file make the program panic, and what may be a secret in them never gets into what it
//! says is wrong. What it takes a value in an `.env` file for, it takes it for again in the spelling that it
//! recommends.
//!
//! The text is both: arguments, one a line, and the file.

#![no_main]
#![allow(dead_code, reason = "of the files of the program, this uses a part")]

#[path = "../../host/src/cli/age.rs"]
mod age;
#[path = "../../host/src/ambient.rs"]
mod ambient;
#[path = "../../host/src/cli/args.rs"]
mod args;
#[path = "../../host/src/cli/env_file.rs"]
mod env_file;
#[path = "../../host/src/cli/failure.rs"]
mod failure;
#[path = "../../host/src/cli/keys.rs"]
mod keys;
#[path = "../../host/src/cli/output.rs"]
mod output;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::sync::LazyLock;

use args::Arguments;
use clap::Parser;
use env_file::Environment;
use failure::Failure;
use libfuzzer_sys::fuzz_target;
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

fn check(failure: &Failure) {
    let said = format!("{failure:?}");
    assert!(!has_secret(said.as_bytes()), "{said}");
}

fn load(text: &[u8]) -> Result<Environment, Failure> {
    static FILE: LazyLock<NamedTempFile> =
        LazyLock::new(|| NamedTempFile::new().expect("there is room"));
    fs::write(FILE.path(), text).expect("there is room");
    Environment::load(Some(FILE.path()))
}

fuzz_target!(|text: &[u8]| {
    if has_secret(text) {
        return; // It could stand in a name.
    }
    let lines = || text.split(|byte| *byte == b'\n');

    let words = lines().map(argument);
    if let Err(error) = Arguments::try_parse_from([OsString::from("moat")].into_iter().chain(words))
        && error.use_stderr()
        && let Err(failure) = failure::from_clap(&error)
    {
        check(&failure);
    }

    let file: Vec<_> = lines().map(|line| with_secrets(line, name_length(line))).collect();
    match load(&file.join(&b'\n')) {
        Ok(environment) => {
            const NAME: &str = "FOSSAWORK_MASTER_KEY";
            if let Some(value) = environment.find(NAME) {
                let file = [NAME.as_bytes(), b"='", &value, b"'"].concat();
                let again = load(&file).expect("it is the recommended spelling");
                assert_eq!(again.find(NAME), Some(value));
            }
        }
        Err(failure) => check(&failure),
    }
});
