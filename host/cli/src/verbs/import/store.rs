//! The directory of pass or gopass: a file for each entry, encrypted for `gpg` or with age.

use std::path::{Path, PathBuf};

use super::entry::{Item, Name};
use super::pass::{self, Dialect};
use crate::age_file::{self, Identities};
use crate::ambient::{self, SecretFileError, processes};
use crate::failure::Failure;
use crate::secret_file::describe;
use cap_std::fs::{Dir, DirEntry};

/// Reads all entries below a directory. No link is followed.
pub(super) fn read(
    path: Option<&Path>,
    identity: Option<&Path>,
    dialect: Dialect,
) -> Result<Vec<Item>, Failure> {
    let is_gopass = dialect == Dialect::Gopass;
    let path = match path {
        Some(path) => path.to_owned(),
        None => ambient::default_password_store(is_gopass).ok_or_else(|| {
            let program = if is_gopass { "gopass" } else { "pass" };
            let hint = format!("name it: moat import {program} STORE");
            Failure::usage("no home directory that a password store could be in", hint)
        })?,
    };
    let unreadable = |path: &Path, error: &std::io::Error| {
        Failure::usage(
            format!("{}: {error}", path.display()),
            "nothing was changed; name the directory of the password store, such as ~/.password-store",
        )
    };
    let root = ambient::open_directory(&path).map_err(|error| unreadable(&path, &error))?;
    let store = Store { root, dialect, identities: identity.map(Identities::read).transpose()? };
    let mut items = Vec::new();
    let mut folders = vec![PathBuf::from(".")];
    while let Some(folder) = folders.pop() {
        let failed = |error: &_| unreadable(&path.join(&folder), error);
        let entries = store.root.read_dir(&folder).map_err(|error| failed(&error))?;
        let mut entries: Vec<DirEntry> =
            entries.collect::<Result<_, _>>().map_err(|error| failed(&error))?;
        entries.sort_by_key(DirEntry::file_name);
        let mut below = Vec::new();
        for entry in entries {
            let kind = entry.file_type().map_err(|error| failed(&error))?;
            let name = entry.file_name();
            let place = folder.strip_prefix(".").unwrap_or(&folder).join(&name);
            if name.as_encoded_bytes().starts_with(b".") {
                // What the programs keep for themselves, such as `.git` and `.gpg-id`.
            } else if kind.is_dir() {
                below.push(place);
            } else if kind.is_file() {
                items.push(store.entry(&place)?);
            } else {
                let why = "it is not a file, but a link or something else";
                items.push(Item::Ignored { place: place.display().to_string(), why });
            }
        }
        folders.extend(below.into_iter().rev());
    }
    Ok(items)
}

struct Store<'i> {
    root: Dir,
    dialect: Dialect,
    identities: Option<Identities<'i>>,
}

impl Store<'_> {
    /// What is in this file.
    fn entry(&self, path: &Path) -> Result<Item, Failure> {
        let shown = path.display().to_string();
        let ignored = |why| Ok(Item::Ignored { place: shown.clone(), why });
        let Some(name) = path.to_str() else {
            return ignored("its name is not UTF-8");
        };
        let (name, text) = if let Some(name) = name.strip_suffix(".gpg") {
            let text = self.open(path).map_err(SecretFileError::from);
            (name, text.and_then(processes::decrypt_with_gpg))
        } else if let Some(name) = name.strip_suffix(".age") {
            let text = self.open(path).map_err(SecretFileError::from);
            (name, text.and_then(ambient::read_open_file))
        } else {
            return ignored("it is not encrypted by gpg or age");
        };
        let text = match text {
            Ok(text) if path.extension().is_some_and(|end| end == "age") => {
                let identities = self.identities.as_ref();
                identities
                    .ok_or_else(|| age_file::without_identity(&shown))?
                    .decrypt(&shown, &text)?
            }
            Ok(text) => text,
            Err(SecretFileError::TooLarge) => return ignored("it has more than 64 KiB"),
            Err(error) => return Err(undecrypted(&shown, &error)),
        };
        let Ok(text) = std::str::from_utf8(&text) else {
            return ignored("it is not UTF-8 text; `moat set --base64 --field-file` stores it");
        };
        let (folder, own) = name.rsplit_once('/').unwrap_or(("", name));
        let name = Name::path(folder, own);
        Ok(pass::parse(text, self.dialect).finish(name.shown(), name))
    }

    /// Not outside the store, even if somebody has put a link there meanwhile.
    fn open(&self, path: &Path) -> std::io::Result<std::fs::File> {
        Ok(self.root.open(path)?.into_std())
    }
}

/// An entry that `gpg` can't decrypt, or that can't be read.
fn undecrypted(shown: &str, error: &SecretFileError) -> Failure {
    let is_missing =
        matches!(error, SecretFileError::Io(error) if error.kind() == std::io::ErrorKind::NotFound);
    let (what, hint) = if is_missing {
        ("running gpg", "nothing was changed; install gpg (GnuPG), which decrypts the entries")
    } else {
        (
            shown,
            "nothing was changed; `gpg --decrypt` has to decrypt this file; to import a part of the store, name its directory",
        )
    };
    Failure::usage(describe(what, error), hint)
}
