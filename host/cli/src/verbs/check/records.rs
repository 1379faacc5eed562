//! Checks the records, through the sandbox: whether each is encrypted, can be decrypted, and is encrypted with a
//! current key.

use moat::maintenance::{DirectoryReport, RecordsReport, Selection, SettingsState};
use moat::{ErrorCode, KeyState, Operation, TokenEncoding, Version};

use super::key::Keys;
use super::{Checks, audit, shown};
use crate::args::Check;
use crate::confinement::{self, Part};
use crate::context::Context;
use crate::failure::Failure;
use crate::progress::Progress;

const NAME: &str = "records";

/// Checks the records, if there are keys and a directory. Returns what confines the process now.
pub(super) fn check(
    context: &Context,
    arguments: &Check,
    keys: Option<Keys>,
    directory: Option<DirectoryReport>,
    checks: &mut Checks<'_>,
) -> Result<[Part; 2], Failure> {
    let remedy = "fix what is reported above, then run this again";
    let Some(directory) = directory else { return confine_without_directory() };
    let opened = match &keys {
        Some(keys) => {
            let access = [Operation::Inspect, Operation::Leftovers, Operation::Verify]
                .into_iter()
                .fold(Operation::Users.access(), |access, operation| access.or(operation.access()));
            context.vault_and_confinement(keys.ring.clone(), access)
        }
        None => {
            checks.warn(
                NAME,
                "not examined: there is no master key to decrypt them with",
                remedy,
            )?;
            return confine_without_directory();
        }
    };
    let (vault, confinement) = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            checks.fail(NAME, format!("not examined: {}", failure.text().0), remedy)?;
            return confine_without_directory();
        }
    };
    if let Err(failure) = context.require(&confinement) {
        let (message, hint) = failure.text();
        checks.fail(NAME, format!("not examined: {message}"), hint)?;
        return Ok(confinement);
    }
    // Every call is logged first, so the first call shows whether logging works.
    if let Some(Err(error)) = vault.users().next()
        && error.code() == ErrorCode::Audit
    {
        let failure = context.explain(&error);
        let (message, hint) = failure.text();
        checks.fail(audit::NAME, message, hint)?;
        checks.warn(NAME, "not examined: that can't be logged", remedy)?;
        return Ok(confinement);
    }
    let mut progress = Progress::over(context, &vault, Selection::default(), "examining");
    let each = || progress.report(|| Ok(()));
    let report = RecordsReport::examine(&vault, arguments.credential_age, each);
    drop(progress);
    let report = report.map_err(|interruption| interruption.explain(context))?;
    print(&report, directory.settings, keys.as_ref(), checks)?;
    Ok(confinement)
}

/// Confines the process if there is no directory to examine.
fn confine_without_directory() -> Result<[Part; 2], Failure> {
    confinement::confine(&[]).map_err(|error| Failure::confinement(&*error))
}

fn print(
    report: &RecordsReport,
    settings: SettingsState,
    keys: Option<&Keys>,
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    let before = checks.fail;
    if !report.plaintext.is_empty() {
        let finding = format!("not encrypted: {}", shown(&report.plaintext));
        checks.fail(NAME, finding, how_to_accept("--accept-plaintext"))?;
    }
    if !report.published.is_empty() {
        let finding =
            format!("encrypted with the application's published key: {}", shown(&report.published));
        checks.fail(NAME, finding, how_to_accept("--accept-default-key"))?;
    }
    if !report.unversioned.is_empty() {
        checks.warn(
            NAME,
            format!("in a legacy format: {}", shown(&report.unversioned)),
            "moat migrate",
        )?;
    }
    if !report.undecryptable.is_empty() {
        let why = report.first_failure.as_deref().unwrap_or_default();
        checks.fail(
            NAME,
            format!("can't be decrypted: {} ({why})", shown(&report.undecryptable)),
            "moat verify    shows why for each; restore them from a backup, or provide the key that they are encrypted with",
        )?;
    }
    let document = keys.and_then(|keys| keys.document.as_ref());
    let state = |id: &str| document?.key(id).ok().map(moat::RingKey::state);
    for (id, records) in &report.keys {
        match state(id) {
            Some(KeyState::Retired) => checks.fail(
                NAME,
                format!("{records} encrypted with the retired key {id:?}"),
                format!("moat keys restore {id}; moat rotate; moat keys retire {id}"),
            )?,
            Some(KeyState::Secondary) => checks.warn(
                NAME,
                format!("{records} encrypted with {id:?} instead of the primary key"),
                "moat rotate",
            )?,
            _ => {}
        }
    }
    check_settings(report, settings, checks)?;
    let app = Some(TokenEncoding::App);
    let is_for_app =
        matches!(settings, SettingsState::Found { token_encoding, .. } if token_encoding == app);
    if is_for_app || report.has_application_records {
        for (names, why, remedy) in [
            (
                &report.documented,
                "their tokens have the documented encoding",
                "moat migrate --token-encoding app",
            ),
            (
                &report.version_2,
                "they are version 2.0",
                "moat migrate --to 1.0 --token-encoding app",
            ),
        ] {
            if !names.is_empty() {
                let finding =
                    format!("the FossaWork application can't read {}: {why}", shown(names));
                checks.warn(NAME, finding, remedy)?;
            }
        }
    }
    if !report.overdue.is_empty() {
        let finding = format!("not changed for a long time: {}", shown(&report.overdue));
        checks.warn(
            NAME,
            finding,
            "change the passwords where they are used, then store them with `moat put USER`",
        )?;
    }
    let replace =
        "change the passwords where they are used, then store them with `moat set USER --password`";
    if !report.expired.is_empty() {
        checks.warn(NAME, format!("expired: {}", shown(&report.expired)), replace)?;
    }
    if !report.expiring.is_empty() {
        let finding = format!("expires within two weeks: {}", shown(&report.expiring));
        checks.warn(NAME, finding, replace)?;
    }
    if !report.ahead.is_empty() {
        let finding = format!("dated in the future: {}", shown(&report.ahead));
        checks.warn(
            NAME,
            finding,
            "set the clock (timedatectl), then store them again with `moat put USER`",
        )?;
    }
    if !report.backups.is_empty() {
        let finding = format!("copies with a password in the clear: {}", shown(&report.backups));
        checks.fail("backups", finding, "moat migrate --remove-plaintext-backups")?;
    }
    if !report.misnamed.is_empty() {
        let finding = format!(
            "records without a user, because their names are not UTF-8: {}",
            shown(&report.misnamed)
        );
        checks.fail("files", finding, "rename each: mv $'OLD' NEW.cred; then moat migrate")?;
    }
    if !report.foreign.is_empty() {
        let finding = format!("files that are not credentials: {}", shown(&report.foreign));
        checks.warn("files", finding, "move them elsewhere")?;
    }
    if checks.fail == before {
        checks.ok(NAME, format!("{} can be decrypted", report.decryptable))?;
    }
    Ok(())
}

/// Whether the settings fit records of version 2.0: whoever can write to the directory could have made them weaker.
fn check_settings(
    report: &RecordsReport,
    settings: SettingsState,
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    let (version, has_derivation) = match settings {
        SettingsState::Found { version, has_derivation, .. } => (version, has_derivation),
        _ => (None, false),
    };
    if report.version_2.is_empty() {
        return Ok(());
    }
    if !has_derivation {
        let finding = format!(
            "moat.json is missing or doesn't say how keys are derived, but there are records of version 2.0: {}",
            shown(&report.version_2)
        );
        return checks.fail(NAME, finding, "restore moat.json from a backup");
    }
    if version == Some(Version::V1) {
        let finding = "new records are of version 1.0, although there are some of version 2.0";
        return checks.warn(
            NAME,
            finding,
            "moat migrate --to 2.0; if it fails, restore moat.json from a backup",
        );
    }
    Ok(())
}

/// What to do about records that anyone could have written.
fn how_to_accept(flag: &str) -> String {
    format!(
        "first compare them with a backup, or change the passwords with `moat put USER`: anyone who could write to \
         the directory could have put them there; moat migrate {flag} --user USER    accepts them as genuine"
    )
}
