//! The FOSSAWORK_… variables of the environment and of an `.env` file.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::dotenv::{self, Variable};
use super::failure::Failure;
use super::secret_file::unusable_file;
use crate::ambient;

const PREFIX: &str = "FOSSAWORK_";

/// What comes after [`PREFIX`] in the names of all variables that the program understands.
const NAMES: [&str; 14] = [
    "AUDIT",
    "AUDIT_HASH_USERS",
    "AUDIT_KEY_FILE",
    "AUDIT_LOG",
    "AUDIT_MAX_AGE",
    "AUDIT_MAX_SIZE",
    "CREDENTIALS_DIR",
    "KEYRING",
    "MASTER_KEY",
    "MASTER_KEY_COMMAND",
    "MASTER_KEY_FILE",
    "MASTER_KEY_PREVIOUS",
    "REQUIRE_CONFINEMENT",
    "TIME_ZONE",
];

/// The variables that the program understands.
#[derive(Default)]
pub(super) struct Environment {
    file: Option<PathBuf>,
    named: Vec<Variable>,
}

impl Environment {
    /// Reads the file, if one is specified. A variable with different values in the file and in the environment is
    /// refused: nobody should have to guess which key was used.
    pub(super) fn load(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let refused = |what: String, hint: String| {
            Failure::usage(format!("{}: {what}", path.display()), hint)
        };
        let refuse = |what| {
            refused(what, "write it as NAME='value', with no quote inside the value".to_owned())
        };
        let bytes = ambient::read_secret_file(path).map_err(|error| unusable_file(path, &error))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| refuse("not UTF-8".to_owned()))?;
        let named = dotenv::parse(text, is_ours, |text| !text.to_uppercase().contains(PREFIX))
            .map_err(refuse)?;
        for Variable { line, name, value } in &named {
            if !NAMES.iter().any(|known| name.strip_prefix(PREFIX) == Some(known)) {
                let hint = similar(name).map_or_else(
                    || "remove it; `moat manual` lists all variables".to_owned(),
                    |known| format!("did you mean {PREFIX}{known}?"),
                );
                return Err(refused(format!("line {line}: there is no variable {name}"), hint));
            }
            if ambient::variable(name).is_some_and(|other| *other != value.as_bytes()) {
                return Err(Failure::master_key(
                    format!(
                        "{name} has different values in the environment and in {}",
                        path.display()
                    ),
                    format!("unset it (unset {name}) or remove it from the file"),
                ));
            }
        }
        Ok(Self { file: Some(path.to_owned()), named })
    }

    /// The file, if one was specified.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// A variable, byte for byte; `None` if it is unset.
    pub(super) fn find(&self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        match self.named.iter().find(|variable| variable.name == name) {
            Some(variable) => Some(Zeroizing::new(variable.value.as_bytes().to_vec())),
            None => ambient::variable(name),
        }
    }

    /// A variable without a secret, parsed with this function; `None` if it is unset or empty.
    pub(super) fn parsed<T, E: Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Failure> {
        let Some(value) = self.find(name).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let refuse =
            |why| Failure::usage(format!("{name}: {why}"), format!("correct or unset {name}"));
        parse(&String::from_utf8_lossy(&value)).map(Some).map_err(refuse)
    }

    /// A variable that is 1 or 0; unset, it is 0.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        let flag = self.parsed(name, |text| match text {
            "1" => Ok(true),
            "0" => Ok(false),
            _ => Err("expected 1 or 0"),
        });
        Ok(flag?.unwrap_or(false))
    }
}

/// Whether it begins like the name of a variable of the program, however that is spelled.
fn is_ours(name: &str) -> bool {
    name.to_uppercase().replace('-', "_").starts_with(PREFIX)
}

/// The name that was probably meant, without [`PREFIX`].
fn similar(name: &str) -> Option<&'static str> {
    let name = name.to_uppercase().replace('-', "_");
    let distance = |known: &&str| {
        strsim::damerau_levenshtein(known, name.get(PREFIX.len()..).unwrap_or_default())
    };
    NAMES.into_iter().min_by_key(distance).filter(|known| distance(known) <= 3)
}
