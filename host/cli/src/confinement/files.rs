//! Landlock: no files except those below the directories, no TCP, no signals to other processes.

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope,
};
use moat::Access;

use super::{Part, missing};

/// The requested version. An older kernel enforces the part that it supports.
const NEWEST: ABI = ABI::V6;

pub(super) fn confine(directories: &[(BorrowedFd<'_>, Access)]) -> Result<Part, RulesetError> {
    match restrict(directories) {
        Ok(status) => Ok(describe(&status, directories.len())),
        Err(error) => missing("Landlock", &error).ok_or(error),
    }
}

fn restrict(directories: &[(BorrowedFd<'_>, Access)]) -> Result<RestrictionStatus, RulesetError> {
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for (directory, access) in directories {
        ruleset = ruleset.add_rule(PathBeneath::new(directory, rights(*access)))?;
    }
    ruleset.restrict_self()
}

fn rights(access: Access) -> BitFlags<AccessFs> {
    let mut rights = AccessFs::ReadFile | AccessFs::ReadDir;
    if access.writes() {
        // Removing a record also creates and writes the lock file and the temporary file.
        rights |= AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile;
    }
    rights
}

fn describe(status: &RestrictionStatus, directories: usize) -> Part {
    let abi = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi,
        LandlockStatus::NotEnabled => {
            return Part::Missing("Landlock: not enabled in this kernel".to_owned());
        }
        LandlockStatus::NotImplemented => {
            return Part::Missing("Landlock: this kernel doesn't support it".to_owned());
        }
    };
    let files = match directories {
        0 => "no file access",
        1 => "no file access outside the directory",
        _ => "no file access outside the directory and those of the key ring and the audit log",
    };
    match status.ruleset {
        RulesetStatus::FullyEnforced => Part::InForce(format!(
            "Landlock: {files}, no TCP, no signals to other processes ({abi:?})"
        )),
        RulesetStatus::PartiallyEnforced => {
            Part::InForce(format!("Landlock: {files}, as far as this kernel supports it ({abi:?})"))
        }
        RulesetStatus::NotEnforced => Part::Missing("Landlock: nothing was enforced".to_owned()),
    }
}
