//! Changing the file with the key ring.

use std::io;
use std::path::PathBuf;

use moat::{Directory, Error, ErrorCode, RingDocument, RingError};

use super::context::Context;
use super::failure::{Failure, MISTYPED_HINT, directory_hint};
use crate::ambient;

/// A ring file and its directory.
pub(super) struct RingFile {
    path: PathBuf,
    name: String,
    pub(super) directory: Directory,
}

impl RingFile {
    /// The ring file that the master keys come from. Fails if they come from anywhere else.
    pub(super) fn of(context: &Context) -> Result<Self, Failure> {
        let keys = context.master_key()?;
        let path = keys.ring_file().ok_or_else(|| {
            Failure::usage(
                "no key ring is specified",
                "specify its file with --keyring PATH or FOSSAWORK_KEYRING; `moat keys add` creates it",
            )
        })?;
        let parent = ambient::parent(path);
        let failed = |error: Error| match error.io_kind() {
            Some(io::ErrorKind::NotFound) => {
                let hint = format!("create it first: mkdir -m 700 {}", parent.display());
                Failure::library(&error, hint)
            }
            _ => Failure::library(&error, directory_hint(&error, parent)),
        };
        let (dir, name) = ambient::open_parent(path).map_err(|error| {
            let message = format!("opening the directory of {}: {error}", path.display());
            failed(Error::caused(ErrorCode::Directory, message, error))
        })?;
        let directory = Directory::new(dir).map_err(failed)?;
        Ok(Self { path: path.to_owned(), name, directory })
    }

    /// Whether the file exists.
    pub(super) fn exists(&self) -> bool {
        ambient::exists(&self.path)
    }

    /// Replaces the file atomically.
    pub(super) fn save(&self, ring: &mut RingDocument) -> Result<(), Failure> {
        ring.save(&self.directory, &self.name).map_err(|error| match error.code() {
            ErrorCode::Conflict => Failure::in_use(error.to_string(), "run this again"),
            _ => Failure::in_directory(&error, &self.path),
        })
    }

    /// The path, for messages.
    pub(super) fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }
}

/// Reads the ring. Fails if the master key is a single key.
pub(super) fn read(context: &Context) -> Result<RingDocument, Failure> {
    let document = context.master_key()?.document().map_err(|error| context.explain(&error))?;
    document.ok_or_else(|| {
        Failure::usage(
            "the master key is a single key, not a key ring",
            "`moat keys add --keyring FILE --key-stdin` creates a ring with it; `moat rotate --status` counts the records encrypted with it",
        )
    })
}

/// A change that the ring refuses.
#[allow(clippy::needless_pass_by_value, reason = "it is mapped from an error")]
pub(super) fn refused(error: RingError) -> Failure {
    let hint = match &error {
        RingError::Settings(_) => {
            "run `moat rotate` to authenticate them with the primary key, then run this again"
        }
        RingError::InUse(..) => {
            "run `moat rotate` to re-encrypt them with the primary key, then run this again"
        }
        RingError::Unexamined(..) => {
            "run `moat rotate --dry-run` to see why; repair or restore them, or move them out of the directory if they are no longer needed; then run this again"
        }
        RingError::IdTaken(_) | RingError::BadId => "choose another --id",
        RingError::NoSuchKey(_) | RingError::KeyTaken(_) => "run `moat keys list` to see the keys",
        RingError::IsPrimary(_) => {
            "make another key primary first: `moat keys add --primary` or `moat keys promote ID`"
        }
        RingError::NotRetired(_) => "`moat keys retire ID` retires a key that no record needs",
        RingError::Weak(_) => {
            "create a key with `moat keys add --primary`; this one can still decrypt records"
        }
        RingError::Mistyped(_) => MISTYPED_HINT,
        _ => "check the key",
    };
    match error {
        RingError::InUse(..) | RingError::Settings(_) | RingError::Unexamined(..) => {
            Failure::in_use(error.to_string(), hint)
        }
        _ => Failure::usage(error.to_string(), hint),
    }
}
