//! `moat init`: creates the credentials directory and a master key.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use moat::{Directory, RingDocument};
use serde_json::json;

use crate::ambient;
use crate::args::Init;
use crate::context::Context;
use crate::failure::Failure;
use crate::ring_file;

pub(crate) fn run(context: &Context, init: &Init) -> Result<ExitCode, Failure> {
    // For the variables, which are used from other directories too.
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|error| Failure::unwritable(path, &error));
    let directory = absolute(&context.path()?)?;
    let key = absolute(&key_file(context, init)?)?;
    // All that could be in the way, before anything is created.
    if ambient::holds_records(&directory) {
        return Err(Failure::in_use(
            format!(
                "{} already holds credentials, which a new master key doesn't decrypt",
                directory.display()
            ),
            "nothing was changed; use their master key, or choose another directory with --dir PATH",
        ));
    }
    if ambient::exists(&key) {
        return Err(Failure::in_use(
            format!("{} already exists", key.display()),
            "nothing was changed; choose another file with --master-key-file PATH, because an existing key may be in use",
        ));
    }
    if ambient::is_inside(&key, &directory) {
        return Err(Failure::usage(
            "the master key would be in the credentials directory",
            "nothing was changed; keep it elsewhere: anyone who gets a copy of the directory could decrypt it",
        ));
    }

    let opened = ambient::open_or_create_directory(&directory)
        .map_err(|error| Failure::unwritable(&directory, &error))?;
    Directory::new(opened).map_err(|error| Failure::in_directory(&error, &directory))?;
    create_key(context, init, &key)?;

    let variable = if init.ring { "FOSSAWORK_KEYRING" } else { "FOSSAWORK_MASTER_KEY_FILE" };
    let mut exports = vec![format!("export {variable}={}", quoted(&key))];
    if ambient::default_directory().as_ref() != Some(&directory) {
        exports.push(format!("export FOSSAWORK_CREDENTIALS_DIR={}", quoted(&directory)));
    }
    let text = format!(
        "created the credentials directory {}\n\
         created the master key {}\n\
         Back up the master key now, apart from the credentials: without it they can't be decrypted, and anyone who has both can decrypt them.\n\
         To use them, put this into your shell's profile:\n{}",
        directory.display(),
        key.display(),
        exports.iter().map(|export| format!("  {export}")).collect::<Vec<_>>().join("\n"),
    );
    let value = json!({
        "directory": directory.display().to_string(),
        "master_key": key.display().to_string(),
        "environment": exports,
    });
    context.output.done(&text, &value)?;
    Ok(ExitCode::SUCCESS)
}

/// Where the key is to be: where the arguments or variables say that it is, else in the user's configuration.
fn key_file(context: &Context, init: &Init) -> Result<PathBuf, Failure> {
    let keys = context.master_key()?;
    match keys.file() {
        Some(path) if init.ring == keys.ring_file().is_some() => Ok(path.to_owned()),
        Some(_) if init.ring => Err(Failure::usage(
            format!("{keys} is not to hold a key ring"),
            "nothing was changed; name the file of the ring with --keyring PATH, or omit --ring",
        )),
        Some(_) => Err(Failure::usage(
            format!("{keys} is not to hold a single key"),
            "nothing was changed; add --ring, or name the key's file with --master-key-file PATH",
        )),
        None if keys.is_specified() => Err(Failure::in_use(
            format!("the master key comes from {keys} already"),
            "nothing was changed; `moat put` creates the directory; for a new key, unset that variable",
        )),
        None => ambient::default_key_file(if init.ring { "ring.json" } else { "master-key" })
            .ok_or_else(|| {
                Failure::usage(
                    "no home directory for the master key",
                    "name its file with --master-key-file PATH",
                )
            }),
    }
}

fn create_key(context: &Context, init: &Init, path: &Path) -> Result<(), Failure> {
    ambient::create_parent(path).map_err(|error| Failure::unwritable(path, &error))?;
    let key = moat::generate_key().map_err(|error| context.explain(&error))?;
    if !init.ring {
        return ambient::write_new_secret_file(path, key.as_bytes())
            .map_err(|error| Failure::unwritable(path, &error));
    }
    let (parent, name) =
        ambient::open_parent(path).map_err(|error| Failure::unwritable(path, &error))?;
    let mut ring = RingDocument::new(None, key.as_bytes()).map_err(ring_file::refused)?;
    Directory::new(parent)
        .and_then(|parent| ring.save(&parent, &name))
        .map_err(|error| Failure::in_directory(&error, path))
}

/// A path as a word of a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%,:=".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
