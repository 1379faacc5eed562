//! Checks the credentials directory: its owner, who can access what, and what doesn't belong there.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use cap_std::fs::PermissionsExt;
use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt, Permissions};
use moat::Directory;
use rustix::fs::OFlags;
use serde_json::Map;

use super::{Checks, Level, Names};
use crate::ambient;
use crate::context::Context;
use crate::failure::Failure;
use crate::style;

const NAME: &str = "directory";
/// Below this much free space, in bytes, there is a warning.
const SPACE: u64 = 64 << 20;
/// Below this much free space, in bytes, writing a record may fail.
const NO_SPACE: u64 = 1 << 20;

/// The settings of the directory; the default is that of a directory without settings.
#[derive(Default)]
pub(super) struct Settings {
    /// Whether new records must be readable by the FossaWork application.
    pub(super) is_for_app: bool,
}

/// Checks the directory and its files without decrypting; returns `None` if there are no records to examine.
pub(super) fn check(
    context: &Context,
    checks: &mut Checks<'_>,
) -> Result<Option<Settings>, Failure> {
    let path = context.path()?;
    let shown = path.display();
    let dir = match ambient::open_directory(&path) {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            checks.warn(NAME, format!("{shown} does not exist yet"), "`moat put` creates it")?;
            return Ok(None);
        }
        Err(error) => {
            checks.fail(
                NAME,
                format!("{shown}: {error}"),
                "check --dir and FOSSAWORK_CREDENTIALS_DIR",
            )?;
            return Ok(None);
        }
    };
    let failed =
        |error: io::Error| Failure::other(format!("{shown}: {error}"), "check the directory");
    let metadata = dir.dir_metadata().map_err(failed)?;
    let user = rustix::process::geteuid().as_raw();
    let mode = metadata.mode() & 0o777;
    if metadata.uid() != user {
        checks.fail(
            NAME,
            format!("{shown} belongs to uid {}, not to uid {user}", metadata.uid()),
            format!("chown {user} {shown}    or run this as its owner"),
        )?;
    } else if mode & 0o077 != 0 {
        let level = if mode & 0o022 == 0 { Level::Warn } else { Level::Fail };
        let can = if mode & 0o022 == 0 { "see the users' names in" } else { "write to" };
        checks.fixable(
            NAME,
            level,
            format!("others can {can} {shown} (mode {mode:04o})"),
            format!("chmod 700 {shown}"),
            || set_mode(&dir, ".", 0o700),
        )?;
    } else {
        checks.ok(NAME, format!("only the owner can access {shown} (mode {mode:04o})"))?;
    }
    check_files(&dir, user, &path, checks).map_err(failed)??;
    check_space(NAME, &dir, checks)?;
    Ok(Some(settings(&dir).unwrap_or_default()))
}

fn check_files(
    dir: &Dir,
    user: u32,
    path: &Path,
    checks: &mut Checks<'_>,
) -> io::Result<Result<(), Failure>> {
    let mut found = Files::default();
    for item in dir.entries()? {
        let item = item?;
        let name = item.file_name();
        match dir.symlink_metadata(&name) {
            Ok(metadata) => found.add(name, &metadata, user),
            // It was removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Directory::stale_temporaries(dir)
        .map_err(io::Error::other)?
        .iter()
        .for_each(|name| found.temporary.add(name));
    Ok(found.report(dir, user, path, checks))
}

#[derive(Default)]
struct Files {
    records: usize,
    exposed: Vec<OsString>,
    other_owners: Names,
    links: Names,
    irregular: Names,
    temporary: Names,
    has_settings: bool,
}

impl Files {
    fn add(&mut self, file: OsString, metadata: &Metadata, user: u32) {
        let name = &style::file_name(&file);
        let is_internal = name.starts_with(".moat.") || name == "moat.json";
        self.has_settings |= name == "moat.json";
        if !name.ends_with(".cred") && !is_internal {
            // The component reports those.
            return;
        }
        self.records += usize::from(!is_internal);
        if metadata.is_symlink() || metadata.is_file() && metadata.nlink() > 1 {
            self.links.add(name);
        } else if !metadata.is_file() {
            self.irregular.add(name);
        } else if metadata.uid() != user {
            self.other_owners.add(name);
        } else if metadata.mode() & 0o077 != 0 {
            self.exposed.push(file);
        }
    }

    fn report(
        self,
        dir: &Dir,
        user: u32,
        path: &Path,
        checks: &mut Checks<'_>,
    ) -> Result<(), Failure> {
        let shown = path.display();
        let before = checks.warn + checks.fail;
        if !self.exposed.is_empty() {
            let mut names = Names::default();
            self.exposed.iter().for_each(|name| names.add(style::file_name(name)));
            checks.fixable(
                "files",
                Level::Fail,
                format!("others can access {names}"),
                format!("chmod 600 {shown}/*.cred"),
                || self.exposed.iter().try_for_each(|name| set_mode(dir, name, 0o600)),
            )?;
        }
        if !self.other_owners.is_empty() {
            let names = &self.other_owners;
            checks.fail(
                "files",
                format!("owned by another user: {names}"),
                format!("chown {user} {shown}/*.cred    if you know where they come from"),
            )?;
        }
        if !self.links.is_empty() {
            let names = &self.links;
            checks.fail(
                "files",
                format!("symbolic or hard links: {names}"),
                "check where they lead, then make each a separate file: cp -p FILE FILE.new && mv FILE.new FILE",
            )?;
        }
        if !self.irregular.is_empty() {
            let names = &self.irregular;
            checks.fail(
                "files",
                format!("not regular files: {names}"),
                "check what they are, then move them elsewhere",
            )?;
        }
        if !self.temporary.is_empty() {
            let names = &self.temporary;
            checks.fixable(
                "files",
                Level::Warn,
                format!("an interrupted write left {names}"),
                "the next write removes them",
                || {
                    Directory::new(dir.try_clone().map_err(|error| error.to_string())?)
                        .and_then(|directory| directory.remove_stale_temporaries())
                        .map_err(|error| error.to_string())
                },
            )?;
        }
        if self.has_settings && settings(dir).is_none() {
            checks.fail(
                "files",
                "moat.json is damaged: it is not a JSON object",
                "restore it from a backup; if moat.json is missing, `moat migrate --to VERSION` creates it again",
            )?;
        }
        if checks.warn + checks.fail == before {
            checks.ok(
                "files",
                format!("{} records, each accessible only to its owner", self.records),
            )?;
        }
        Ok(())
    }
}

/// The directory's settings; `None` if they are missing or damaged.
fn settings(dir: &Dir) -> Option<Settings> {
    let members: Map<_, _> = serde_json::from_slice(&dir.read("moat.json").ok()?).ok()?;
    Some(Settings { is_for_app: members.get("token_encoding").is_some_and(|name| name == "app") })
}

/// Sets the mode of a file. Doesn't follow links.
fn set_mode(dir: &Dir, name: impl AsRef<Path>, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).custom_flags(flags.bits().cast_signed());
    dir.open_with(name, &options)?.set_permissions(Permissions::from_mode(mode))
}

/// Checks the free space for a directory.
pub(super) fn check_space(name: &str, dir: &Dir, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let space = match rustix::fs::fstatvfs(dir.as_fd()) {
        // A file system that reports no inodes has no limit on them.
        Ok(stat) if stat.f_files > 0 && stat.f_favail == 0 => 0,
        Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
        Err(error) => {
            return checks.warn(
                name,
                format!("its disk can't be examined: {error}"),
                "check the disk",
            );
        }
    };
    let finding = format!("{} MiB free on its disk", space >> 20);
    match space {
        0..NO_SPACE => checks.fail(name, finding, "free some space: nothing more can be written"),
        NO_SPACE..SPACE => checks.warn(name, finding, "free some space"),
        _ => checks.ok(name, finding),
    }
}
