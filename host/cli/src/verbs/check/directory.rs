//! Checks the credentials directory: its owner, who can access what, and what doesn't belong there.

use std::io;
use std::path::Path;

use cap_std::fs::PermissionsExt;
use cap_std::fs::{Dir, MetadataExt, OpenOptions, OpenOptionsExt, Permissions};
use moat::Directory;
use moat::maintenance::{DirectoryReport, SettingsState, free_space};
use rustix::fs::OFlags;

use super::{Checks, Level, shown};
use crate::ambient;
use crate::context::Context;
use crate::failure::{Failure, as_owner};

const NAME: &str = "directory";
/// Below this much free space, in bytes, there is a warning.
const SPACE: u64 = 64 << 20;
/// Below this much free space, in bytes, writing a record may fail.
const NO_SPACE: u64 = 1 << 20;

/// Says first of all if the directory is another user's: what follows is seen with other rights than that user has.
pub(super) fn check_owner(context: &Context, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let path = context.path()?;
    let metadata = ambient::open_directory(&path).and_then(|dir| dir.dir_metadata());
    // If it can't be opened, that is said later.
    let Ok(owner) = metadata.map(|metadata| metadata.uid()) else { return Ok(()) };
    let (user, shown) = (rustix::process::geteuid().as_raw(), path.display());
    if owner == user {
        return Ok(());
    }
    let finding = format!("{shown} belongs to uid {owner}, not to uid {user}");
    checks.fail(NAME, finding, as_owner(owner, shown))
}

/// Checks the directory and its files without decrypting; returns `None` if there are no records to examine.
pub(super) fn check(
    context: &Context,
    checks: &mut Checks<'_>,
) -> Result<Option<DirectoryReport>, Failure> {
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
    let report = DirectoryReport::examine(&dir).map_err(|error| context.explain(&error))?;
    let mode = report.mode;
    if mode & 0o077 != 0 {
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
    checks.not_replaceable(NAME, &path)?;
    check_files(&report, &dir, &path, checks)?;
    check_space(NAME, &dir, checks)?;
    Ok(Some(report))
}

fn check_files(
    report: &DirectoryReport,
    dir: &Dir,
    path: &Path,
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    const NAME: &str = "files";
    let path = path.display();
    let before = checks.warn + checks.fail;
    if !report.exposed.is_empty() {
        checks.fixable(
            NAME,
            Level::Fail,
            format!("others can access {}", shown(&report.exposed.iter().collect())),
            format!("chmod 600 {path}/*.cred"),
            || report.exposed.iter().try_for_each(|name| set_mode(dir, name, 0o600)),
        )?;
    }
    if !report.other_owners.is_empty() {
        checks.fail(
            NAME,
            format!("not owned by the directory's owner: {}", shown(&report.other_owners)),
            format!("chown {} {path}/*.cred    if you know where they come from", report.owner),
        )?;
    }
    if !report.links.is_empty() {
        checks.fail(
            NAME,
            format!("symbolic or hard links: {}", shown(&report.links)),
            "check where they lead, then make each a separate file: cp -p FILE FILE.new && mv FILE.new FILE",
        )?;
    }
    if !report.irregular.is_empty() {
        checks.fail(
            NAME,
            format!("not regular files: {}", shown(&report.irregular)),
            "check what they are, then move them elsewhere",
        )?;
    }
    if !report.temporaries.is_empty() {
        checks.fixable(
            NAME,
            Level::Warn,
            format!("an interrupted write left {}", shown(&report.temporaries)),
            "the next write removes them",
            || {
                Directory::new(dir.try_clone().map_err(|error| error.to_string())?)
                    .and_then(|directory| directory.remove_stale_temporaries())
                    .map_err(|error| error.to_string())
            },
        )?;
    }
    if report.settings == SettingsState::Damaged {
        checks.fail(
            NAME,
            "moat.json is damaged: it can't be read as settings",
            "restore it from a backup; if moat.json is missing, `moat migrate --to VERSION` creates it again",
        )?;
    }
    if checks.warn + checks.fail == before {
        let records = report.records;
        checks.ok(NAME, format!("{records} records, each accessible only to its owner"))?;
    }
    Ok(())
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
    let space = match free_space(dir) {
        Ok(space) => space,
        Err(error) => {
            return checks.warn(
                name,
                format!("its disk can't be examined: {error}"),
                "check the disk",
            );
        }
    };
    let finding = format!("{} free on its disk", size(space));
    match space {
        0..NO_SPACE => checks.fail(name, finding, "free some space: nothing more can be written"),
        NO_SPACE..SPACE => checks.warn(name, finding, "free some space"),
        _ => checks.ok(name, finding),
    }
}

/// A number of bytes, in the largest unit of which there is at least one.
fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(bits, _)| bytes >> bits > 0) {
        // A digit after the point, while there is but one before it.
        Some((bits, unit)) if bytes >> bits < 10 => {
            let tenths = ((bytes >> (bits - 10)) * 10) >> 10;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        Some((bits, unit)) => format!("{} {unit}", bytes >> bits),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_in_a_unit_that_fits() {
        let sizes = [0, 1023, 1024, 64 << 20, (3 << 30) / 2, 345 << 30, 2 << 40].map(size);
        let expected =
            ["0 bytes", "1023 bytes", "1.0 KiB", "64 MiB", "1.5 GiB", "345 GiB", "2.0 TiB"];
        assert_eq!(sizes, expected);
    }
}
