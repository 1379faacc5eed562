//! What the commands work with: the validated options, and the vault that they specify.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cap_std::fs::Dir;
use moat::jiff::tz::TimeZone;
use moat::{
    Access, Builder, Directory, Error, ErrorCode, KeyRing, KeySource, Operation, Sandbox, UserId,
    Vault,
};

use super::args::{self, Options};
use super::audit::AuditSettings;
use super::env_file::Environment;
use super::failure::{self, Failure};
use super::master_key::MasterKeySource;
use super::output::Output;
use crate::ambient;
use crate::confinement::{self, Part};

/// The options of one run.
pub(super) struct Context {
    pub(super) output: Output,
    environment: Environment,
    dir: Option<PathBuf>,
    lock_wait: Duration,
    time_zone: Option<TimeZone>,
    pub(super) requires_confinement: bool,
    pub(super) audit: Option<AuditSettings>,
    keyring: Option<PathBuf>,
    master_key_file: Option<PathBuf>,
    master_key_command: Option<String>,
    /// The first sandbox of a process alone runs the component where the program has it.
    sandbox: OnceLock<Arc<Sandbox>>,
    #[cfg(feature = "compiler")]
    component: Option<(PathBuf, String)>,
}

impl Context {
    pub(super) fn new(options: Options) -> Result<Self, Failure> {
        let environment = Environment::load(options.env_file.as_deref())?;
        Ok(Self {
            output: Output::new(options.json, options.quiet),
            audit: AuditSettings::choose(&environment, &options)?,
            requires_confinement: options.require_confinement
                || environment.flag("FOSSAWORK_REQUIRE_CONFINEMENT")?,
            time_zone: match options.time_zone {
                None => environment.parsed("FOSSAWORK_TIME_ZONE", args::time_zone)?,
                given => given,
            },
            environment,
            dir: options.dir,
            lock_wait: options.lock_wait,
            keyring: options.keyring,
            master_key_file: options.master_key_file,
            master_key_command: options.master_key_command,
            sandbox: OnceLock::new(),
            #[cfg(feature = "compiler")]
            component: options.component.zip(options.component_sha256),
        })
    }

    /// The credentials directory's path.
    pub(super) fn path(&self) -> Result<PathBuf, Failure> {
        let named = || {
            let value = self.environment.find("FOSSAWORK_CREDENTIALS_DIR")?;
            Some(PathBuf::from(OsString::from_vec(value.to_vec())))
        };
        let path = self.dir.clone().or_else(named).or_else(ambient::default_directory);
        path.filter(|path| !path.as_os_str().is_empty()).ok_or_else(|| {
            Failure::usage(
                "no credentials directory is specified",
                "specify one with --dir PATH or FOSSAWORK_CREDENTIALS_DIR",
            )
        })
    }

    /// The file of variables.
    pub(super) fn env_file(&self) -> Option<&Path> {
        self.environment.file()
    }

    /// Where the master key comes from. Nothing is read yet.
    pub(super) fn master_key(&self) -> Result<MasterKeySource, Failure> {
        MasterKeySource::choose(
            &self.environment,
            self.keyring.as_deref(),
            self.master_key_file.as_deref(),
            self.master_key_command.as_deref(),
        )
    }

    /// The vault over the directory, which must exist, for calls that need this access. From here on, the thread and
    /// all that it starts are confined to little else.
    pub(super) fn vault(&self, access: Access) -> Result<Vault, Failure> {
        self.vault_beside_ring(self.master_key()?, access, None)
    }

    /// As [`Self::vault`], to put a credential into a directory that is created if it doesn't exist.
    pub(super) fn vault_for_put(
        &self,
        keys: MasterKeySource,
        allow_new_key: bool,
    ) -> Result<Vault, Failure> {
        let (builder, confinement) = self.vault_over(
            ambient::open_or_create_directory,
            keys,
            Operation::Put.access(),
            None,
        )?;
        self.require(&confinement)?;
        self.build(builder.allow_new_key(allow_new_key))
    }

    /// As [`Self::vault`], with these keys, and the directory of their ring remaining writable, if it is given.
    pub(super) fn vault_beside_ring(
        &self,
        keys: impl KeySource + 'static,
        access: Access,
        ring: Option<&Directory>,
    ) -> Result<Vault, Failure> {
        let (builder, confinement) =
            self.vault_over(ambient::open_directory, keys, access, ring)?;
        self.require(&confinement)?;
        self.build(builder)
    }

    /// As [`Self::vault`], with the keys of a ring. Also returns what confines the process now, even if it is too little.
    pub(super) fn vault_and_confinement(
        &self,
        keys: KeyRing,
        access: Access,
    ) -> Result<(Vault, [Part; 2]), Failure> {
        let (builder, parts) = self.vault_over(ambient::open_directory, keys, access, None)?;
        Ok((self.build(builder)?, parts))
    }

    fn vault_over(
        &self,
        open: impl FnOnce(&Path) -> io::Result<Dir>,
        keys: impl KeySource + 'static,
        access: Access,
        ring: Option<&Directory>,
    ) -> Result<(Builder, [Part; 2]), Failure> {
        let path = self.path()?;
        let directory = open(&path)
            .map_err(|error| {
                let message = format!("opening the directory {}: {error}", path.display());
                Error::caused(ErrorCode::Directory, message, error)
            })
            .and_then(Directory::new)
            .map_err(|error| Failure::in_directory(&error, &path))?
            .with_lock_wait(self.lock_wait);
        tracing::info!("using the credentials directory {}", path.display());
        let failed = |error| self.explain(&error);
        if access.keys {
            keys.ring().map_err(failed)?;
        }
        let audit = match self.audit.as_ref().filter(|audit| audit.is_on()) {
            Some(audit) => Some(audit.log(&directory, || keys.ring().map_err(failed))?),
            None => None,
        };
        let sandbox = self.sandbox()?;
        let mut writable = Access::default();
        writable.write = true;
        let directories = std::iter::once((directory.as_fd(), access))
            .chain(ring.map(|ring| (ring.as_fd(), writable)))
            .chain(audit.as_ref().map(|(_, directory)| (directory.as_fd(), writable)));
        // Read before the process is confined.
        let time_zone = self.time_zone.clone().unwrap_or_else(ambient::machine_time_zone);
        let parts = self.confine(&directories.collect::<Vec<_>>())?;
        let builder = Vault::builder(directory, keys).sandbox(sandbox).time_zone(time_zone);
        let builder = match audit {
            Some((log, _)) => builder.audit(log),
            None => builder,
        };
        Ok((builder, parts))
    }

    /// Confines the process, and says how far.
    pub(super) fn confine(
        &self,
        directories: &[(BorrowedFd<'_>, Access)],
    ) -> Result<[Part; 2], Failure> {
        let confined = confinement::confine(directories);
        let parts = confined.map_err(|error| Failure::confinement(&*error))?;
        for part in &parts {
            if part.is_in_force() {
                tracing::info!("{part}");
            } else if !self.requires_confinement {
                tracing::warn!("{part}");
            }
        }
        Ok(parts)
    }

    /// Fails if a part of the confinement is missing that is required.
    pub(super) fn require(&self, confinement: &[Part; 2]) -> Result<(), Failure> {
        let missing = confinement.iter().find(|part| !part.is_in_force());
        match missing.filter(|_| self.requires_confinement) {
            Some(part) => Err(Failure::not_confined(part)),
            None => Ok(()),
        }
    }

    fn build(&self, builder: Builder) -> Result<Vault, Failure> {
        builder.build().map_err(|error| self.explain(&error))
    }

    pub(super) fn sandbox(&self) -> Result<Arc<Sandbox>, Failure> {
        match self.sandbox.get() {
            Some(sandbox) => Ok(Arc::clone(sandbox)),
            None => {
                let sandbox = Arc::new(self.new_sandbox()?);
                Ok(Arc::clone(self.sandbox.get_or_init(|| sandbox)))
            }
        }
    }

    fn new_sandbox(&self) -> Result<Sandbox, Failure> {
        #[cfg(feature = "compiler")]
        if let Some((path, sha256)) = &self.component {
            let bytes = ambient::read_file(path).map_err(|error| {
                Failure::usage(format!("{}: {error}", path.display()), "check --component")
            })?;
            return Sandbox::compile(&bytes, sha256).map_err(|error| self.explain(&error));
        }
        Sandbox::embedded().map_err(|error| self.explain(&error))
    }

    /// A failure of the vault for this user, with a hint.
    pub(super) fn explain_for(&self, user: &UserId, error: &Error) -> Failure {
        let failure = self.explain(error);
        if failure::concerns_the_record(error) { failure.for_user(user) } else { failure }
    }

    /// A failure of the vault, with a hint.
    pub(super) fn explain(&self, error: &Error) -> Failure {
        match self.path() {
            Ok(path) => Failure::in_directory(error, &path),
            Err(failure) => failure,
        }
    }
}
