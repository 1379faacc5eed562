//! The settings of the audit log, from the options and the environment.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use clap::ValueEnum;
use moat::audit::{AuditKey, AuditKeys, AuditLog, AuditPolicy, Rotation};
use moat::{Directory, KeyRing};

use super::args::{self, Audit, Options};
use super::duration;
use super::env_file::Environment;
use super::failure::Failure;
use super::master_key::MasterKeySource;
use super::secret_file::{unusable_file, without_newline};
use crate::ambient;

/// Which log to write or read, and how.
pub(super) struct AuditSettings {
    path: PathBuf,
    mode: Audit,
    key_file: Option<PathBuf>,
    hash_users: bool,
    rotation: Rotation,
}

impl AuditSettings {
    /// The settings from the flags, or else from the variables; `None` if no log is specified.
    pub(super) fn choose(
        environment: &Environment,
        options: &Options,
    ) -> Result<Option<Self>, Failure> {
        let value = |name: &str| environment.find(name).filter(|value| !value.is_empty());
        let path = |name: &str| Some(PathBuf::from(OsString::from_vec(value(name)?.to_vec())));
        let mode = options.audit.map_or_else(
            || {
                environment.parsed("FOSSAWORK_AUDIT", |text| {
                    Audit::from_str(text, false)
                        .map_err(|_| "expected off, best-effort or required")
                })
            },
            |mode| Ok(Some(mode)),
        )?;
        let Some(log) = options.audit_log.clone().or_else(|| path("FOSSAWORK_AUDIT_LOG")) else {
            return match mode {
                None | Some(Audit::Off) => Ok(None),
                Some(_) => Err(Failure::usage(
                    "no audit log is specified",
                    "specify one with --audit-log PATH or FOSSAWORK_AUDIT_LOG",
                )),
            };
        };
        let hash_users = environment.flag("FOSSAWORK_AUDIT_HASH_USERS")?;
        let rotation = Rotation {
            size: match options.audit_max_size {
                None => environment.parsed("FOSSAWORK_AUDIT_MAX_SIZE", args::size)?,
                size => size,
            },
            age: match options.audit_max_age {
                None => environment.parsed("FOSSAWORK_AUDIT_MAX_AGE", duration::parse)?,
                age => age,
            },
        };
        Ok(Some(Self {
            path: log,
            mode: mode.unwrap_or(Audit::Required),
            key_file: options.audit_key_file.clone().or_else(|| path("FOSSAWORK_AUDIT_KEY_FILE")),
            hash_users: options.audit_hash_users || hash_users,
            rotation,
        }))
    }

    /// The path of the log.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file with the configured key.
    pub(super) fn key_file(&self) -> Option<&Path> {
        self.key_file.as_deref()
    }

    /// Whether operations are logged.
    pub(super) fn is_on(&self) -> bool {
        self.mode != Audit::Off
    }

    /// Whether the log contains hashes instead of user ids.
    pub(super) fn hashes_users(&self) -> bool {
        self.hash_users
    }

    /// The directory of the log, and its name in it.
    pub(super) fn place(&self) -> Result<(Dir, String), Failure> {
        ambient::open_parent(&self.path).map_err(|error| {
            Failure::audit(
                format!("opening the directory of {}: {error}", self.path.display()),
                "create the directory, or choose another log with --audit-log PATH",
            )
        })
    }

    /// The log for a vault with this credentials directory and this ring, and a handle to the directory of the log.
    pub(super) fn log(
        &self,
        credentials: &Directory,
        ring: impl FnOnce() -> Result<KeyRing, Failure>,
    ) -> Result<(AuditLog, Dir), Failure> {
        let (dir, name) = self.place()?;
        let failed = |error: io::Error| {
            let message = format!("the directory of {}: {error}", self.path.display());
            Failure::audit(message, "check the directory of the audit log")
        };
        let place = |dir: BorrowedFd<'_>| {
            let stat = rustix::fs::fstat(dir).map_err(|error| failed(error.into()))?;
            Ok::<_, Failure>((stat.st_dev, stat.st_ino))
        };
        if place(dir.as_fd())? == place(credentials.as_fd())? {
            return Err(Failure::usage(
                "the audit log is in the credentials directory, which is for credentials only",
                "put the log in another directory with --audit-log PATH",
            ));
        }
        let (key, former_keys) = match self.given_key()? {
            Some(key) => (key, AuditKeys::default()),
            None => {
                let ring = ring()?;
                (AuditKey::derive(ring.primary()), AuditKeys::new(None, Some(ring)))
            }
        };
        let policy = match self.mode {
            Audit::BestEffort => AuditPolicy::BestEffort,
            Audit::Required | Audit::Off => AuditPolicy::Required,
        };
        let handle = dir.try_clone().map_err(failed)?;
        let log = AuditLog::new(dir, &name, key, self.rotation)
            .with_former_keys(former_keys)
            .with_policy(policy)
            .with_hashed_users(self.hash_users);
        Ok((log, handle))
    }

    /// The keys that the entries may be authenticated with: the configured one, and those derived from the master keys,
    /// including retired ones.
    pub(super) fn keys(&self, master: &MasterKeySource) -> Result<AuditKeys, Failure> {
        let given = self.given_key()?;
        let ring = match master.whole_ring() {
            Ok(ring) => Some(ring),
            // An auditor doesn't need the master key.
            Err(_) if given.is_some() => None,
            Err(error) => {
                return Err(Failure::master_key(
                    format!("the audit log's key is derived from the master key, but {error}"),
                    "provide the master key as for the other commands, or pass --audit-key-file PATH",
                ));
            }
        };
        Ok(AuditKeys::new(given, ring))
    }

    /// The configured key; `None` if the key is derived from the master key.
    pub(super) fn given_key(&self) -> Result<Option<AuditKey>, Failure> {
        let Some(path) = &self.key_file else { return Ok(None) };
        let text = ambient::read_secret_file(path).map_err(|error| unusable_file(path, &error))?;
        AuditKey::new(&without_newline(text)).map(Some).map_err(|error| {
            Failure::audit(
                format!("{}: {error}", path.display()),
                "specify the file with the key of the log: at least 16 bytes",
            )
        })
    }
}
