//! Where the master key comes from. It is read only if a command needs it, and only once.
//!
//! If a specified source can't be used, no hint suggests a new key: the records are encrypted with a key that exists
//! somewhere, and with a second one no single key would decrypt all of them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use moat::{Error, ErrorCode, KeyRing, KeySource, KeyStrength, MasterKey, RingDocument};
use zeroize::Zeroizing;

use crate::ambient::{self, processes};
use crate::env_file::Environment;
use crate::failure::{Failure, MISTYPED_HINT, Remedy};
use crate::key_text;
use crate::secret_file::{describe, file_remedy, without_newline};

const VARIABLE: &str = "FOSSAWORK_MASTER_KEY";
/// Decrypt-only keys, one per line.
const PREVIOUS_VARIABLE: &str = "FOSSAWORK_MASTER_KEY_PREVIOUS";
/// The path of a key ring.
const RING_VARIABLE: &str = "FOSSAWORK_KEYRING";
const FILE_VARIABLE: &str = "FOSSAWORK_MASTER_KEY_FILE";
const COMMAND_VARIABLE: &str = "FOSSAWORK_MASTER_KEY_COMMAND";
const SYSTEMD_CREDENTIAL: &str = "fossawork-master-key";

/// Where the master key comes from, and the ring once it has been read.
pub(super) struct MasterKeySource {
    place: Place,
    /// The file of variables, in which there may be no key.
    env_file: Option<PathBuf>,
    previous: Zeroizing<Vec<u8>>,
    ring: OnceLock<KeyRing>,
    /// What is odd about the text of the key, once it has been read.
    oddity: OnceLock<Option<&'static str>>,
    warned: OnceLock<()>,
}

enum Place {
    /// A file with a ring document.
    Ring(PathBuf),
    Variable(Zeroizing<Vec<u8>>),
    File(PathBuf),
    Command(String),
    /// The systemd credential, or nothing at all.
    Systemd,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring(path) => write!(f, "the key ring {}", path.display()),
            Self::Variable(_) => f.write_str(VARIABLE),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Command(_) => f.write_str("the master key command"),
            Self::Systemd => write!(f, "the systemd credential {SYSTEMD_CREDENTIAL}"),
        }
    }
}

impl MasterKeySource {
    /// The source specified by a flag; else by one variable; else systemd. Two variables at once are refused: with the
    /// wrong one, credentials would be encrypted that the right one can't decrypt.
    pub(super) fn choose(
        environment: &Environment,
        ring: Option<&Path>,
        file: Option<&Path>,
        command: Option<&str>,
    ) -> Result<Self, Failure> {
        let place = match (ring, file, command) {
            (Some(path), _, _) => Place::Ring(path.to_owned()),
            (None, Some(path), _) => Place::File(path.to_owned()),
            (None, None, Some(command)) => Place::Command(command.to_owned()),
            (None, None, None) => Self::from_environment(environment)?,
        };
        let previous = environment.find(PREVIOUS_VARIABLE).unwrap_or_default();
        Ok(Self {
            place,
            env_file: environment.file().map(Path::to_owned),
            previous,
            ring: OnceLock::new(),
            oddity: OnceLock::new(),
            warned: OnceLock::new(),
        })
    }

    fn from_environment(environment: &Environment) -> Result<Place, Failure> {
        let text = |name: &str, value: Zeroizing<Vec<u8>>| match std::str::from_utf8(&value) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Failure::master_key(
                format!("{name} is not UTF-8"),
                format!("set {name} to valid UTF-8"),
            )),
        };
        let mut found = Vec::new();
        for name in [VARIABLE, RING_VARIABLE, FILE_VARIABLE, COMMAND_VARIABLE] {
            if let Some(value) = environment.find(name).filter(|value| !value.is_empty()) {
                found.push((name, value));
            }
        }
        let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
        if names.len() > 1 {
            return Err(Failure::master_key(
                format!("the master key has more than one source: {}", names.join(" and ")),
                "unset all but one of them, or choose one with --keyring, --master-key-file or --master-key-command",
            ));
        }
        match found.pop() {
            Some((VARIABLE, value)) => Ok(Place::Variable(value)),
            Some((RING_VARIABLE, value)) => Ok(Place::Ring(text(RING_VARIABLE, value)?.into())),
            Some((FILE_VARIABLE, value)) => Ok(Place::File(text(FILE_VARIABLE, value)?.into())),
            Some((_, value)) => Ok(Place::Command(text(COMMAND_VARIABLE, value)?)),
            None => Ok(Place::Systemd),
        }
    }

    fn read(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error| unusable(describe(&what, &error), self.remedy())
        };
        let key = match &self.place {
            Place::Variable(key) => return Ok(key.clone()),
            // Unchanged, because the document may be written back.
            Place::Ring(path) => return read_file(path),
            Place::File(path) => read_file(path)?,
            Place::Command(command) => {
                processes::run_secret_command(command).map_err(failed("the master key command"))?
            }
            Place::Systemd => ambient::read_systemd_credential(SYSTEMD_CREDENTIAL)
                .map_err(failed(SYSTEMD_CREDENTIAL))?
                .ok_or_else(|| self.missing())?,
        };
        let key = without_newline(key);
        if key.is_empty() {
            return Err(unusable(format!("{} contains no key", self.place), self.remedy()));
        }
        Ok(key)
    }

    fn missing(&self) -> Error {
        let Some(path) = &self.env_file else {
            return Error::new(ErrorCode::MasterKeyMissing, "there is no master key");
        };
        unusable(
            format!("there is no master key: {} has none", path.display()),
            "add the key that the records are encrypted with: FOSSAWORK_MASTER_KEY='KEY', or \
             FOSSAWORK_MASTER_KEY_FILE=PATH",
        )
    }

    /// What to do if the source provides neither a key nor a ring.
    fn remedy(&self) -> &'static str {
        match self.place {
            Place::Ring(_) | Place::File(_) => {
                "restore it from a backup, or specify the right file"
            }
            Place::Command(_) => {
                "run the command by hand: it must print the key or the ring, and exit with 0"
            }
            Place::Variable(_) => "correct it",
            Place::Systemd => "check what the unit's LoadCredential= or SetCredential= provides",
        }
    }

    /// Whether the arguments or the environment say where the keys come from.
    pub(super) fn is_specified(&self) -> bool {
        !matches!(self.place, Place::Systemd)
    }

    /// The file with the ring document, if the keys come from such a file.
    pub(super) fn ring_file(&self) -> Option<&Path> {
        match &self.place {
            Place::Ring(path) => Some(path),
            _ => None,
        }
    }

    /// The file with the key or the ring, if they come from a file.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::Ring(path) | Place::File(path) => Some(path),
            _ => None,
        }
    }

    /// The ring document; `None` if there is only a single key.
    pub(super) fn document(&self) -> Result<Option<RingDocument>, Error> {
        self.document_in(&self.read()?)
    }

    /// The keys, and the ring document that they come from, if they do.
    pub(super) fn ring_and_document(&self) -> Result<(KeyRing, Option<RingDocument>), Error> {
        let text = self.read()?;
        let document = self.document_in(&text)?;
        let ring = document.as_ref().map_or_else(|| self.single(&text), RingDocument::ring);
        let is_mistyped = |key: &MasterKey| key.strength() == KeyStrength::Mistyped;
        if ring.keys().any(is_mistyped) {
            let place = if is_mistyped(ring.primary()) {
                self.place.to_string()
            } else {
                PREVIOUS_VARIABLE.to_owned()
            };
            let message = format!("{place}: a character of the master key is wrong or missing");
            let remedy = Remedy(MISTYPED_HINT.to_owned());
            return Err(Error::caused(ErrorCode::MasterKeyRefused, message, remedy));
        }
        tracing::info!("using the master key from {}", self.place);
        self.oddity.get_or_init(|| document.is_none().then(|| key_text::oddity(&text)).flatten());
        Ok((self.ring.get_or_init(|| ring).clone(), document))
    }

    /// What is odd about the text of the key, if it has been read and isn't a ring.
    pub(super) fn oddity(&self) -> Option<&'static str> {
        self.oddity.get().copied().flatten()
    }

    /// All keys, including retired ones.
    pub(super) fn whole_ring(&self) -> Result<KeyRing, Error> {
        let text = self.read()?;
        let document = self.document_in(&text)?;
        Ok(document.map_or_else(|| self.single(&text), |document| document.ring_with_retired()))
    }

    fn document_in(&self, text: &[u8]) -> Result<Option<RingDocument>, Error> {
        match &self.place {
            Place::Ring(_) => {}
            Place::Variable(_) => return Ok(None),
            _ if !RingDocument::is_meant(text) => return Ok(None),
            Place::File(path) => {
                let remedy = format!("pass it with --keyring {}", path.display());
                return Err(unusable(
                    format!("{} contains a key ring, not a key", self.place),
                    remedy,
                ));
            }
            Place::Command(_) | Place::Systemd => {}
        }
        if !self.previous.is_empty() {
            return Err(unusable(
                format!("{PREVIOUS_VARIABLE} can't be used with {}", self.place),
                "add its keys to the ring with `moat keys add --key-stdin`, then unset it",
            ));
        }
        RingDocument::parse(text)
            .map(Some)
            .map_err(|error| unusable(format!("{}: {error}", self.place), self.remedy()))
    }

    fn single(&self, key: &[u8]) -> KeyRing {
        let lines = self.previous.split(|byte| *byte == b'\n');
        let previous = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        previous
            .filter(|key| !key.is_empty())
            .fold(KeyRing::new(MasterKey::new(key)), |ring, key| {
                ring.with_other(MasterKey::new(key))
            })
    }
}

impl fmt::Display for MasterKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl KeySource for MasterKeySource {
    fn ring(&self) -> Result<KeyRing, Error> {
        let ring = match self.ring.get() {
            Some(ring) => ring.clone(),
            None => self.ring_and_document()?.0,
        };
        self.warned.get_or_init(|| {
            if let Some(oddity) = self.oddity() {
                tracing::warn!("is this the master key? {oddity} ({self})");
            }
        });
        Ok(ring)
    }
}

fn unusable(message: String, remedy: impl Into<String>) -> Error {
    Error::caused(ErrorCode::MasterKeyMissing, message, Remedy(remedy.into()))
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    ambient::read_secret_file(path).map_err(|error| {
        unusable(describe(&path.display().to_string(), &error), file_remedy(path, &error))
    })
}
