//! Checks the audit log: whether there is one, who can access it, whether it is intact, and the free space.

use cap_std::fs::MetadataExt;

use moat::audit::{AuditKeys, verify};

use super::key::Keys;
use super::{Checks, Level};
use crate::ambient;
use crate::audit::AuditSettings;
use crate::context::Context;
use crate::failure::Failure;
use crate::verbs::check::directory::check_space;

pub(super) const NAME: &str = "audit log";

pub(super) fn check(
    context: &Context,
    keys: Option<&Keys>,
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    let Some(settings) = context.audit.as_ref().filter(|settings| settings.is_on()) else {
        return checks.warn(
            NAME,
            "none is specified: nobody will know who has read which credential",
            "specify one with --audit-log PATH or FOSSAWORK_AUDIT_LOG",
        );
    };
    let (dir, name) = match settings.place() {
        Ok(place) => place,
        Err(failure) => {
            let (message, hint) = failure.text();
            return checks.fail(NAME, message, hint);
        }
    };
    let shown = settings.path().display();
    for path in [Some(settings.path()), settings.key_file()].into_iter().flatten() {
        checks.not_replaceable(NAME, path)?;
    }
    if let Ok(metadata) = dir.symlink_metadata(&name)
        && metadata.is_file()
        && metadata.mode() & 0o077 != 0
    {
        checks.fixable(
            NAME,
            Level::Fail,
            format!("others can access {shown} (mode {:04o})", metadata.mode() & 0o777),
            format!("chmod 600 {shown}"),
            || ambient::make_private(settings.path()),
        )?;
    }
    check_space(NAME, &dir, checks)?;
    check_chain(context, settings, keys, checks)
}

fn check_chain(
    context: &Context,
    settings: &AuditSettings,
    keys: Option<&Keys>,
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    let given = match settings.given_key() {
        Ok(None) if keys.is_none() => {
            return checks.warn(NAME, "not verified: there is no key", "provide the master key");
        }
        given => given,
    };
    let verified = given.and_then(|given| {
        let (dir, name) = settings.place()?;
        let mut keys = AuditKeys::new(given, keys.map(|keys| keys.ring.clone()));
        verify(&dir, &name, &mut keys, None).map_err(|error| context.explain(&error))
    });
    match verified {
        Err(failure) => {
            let (message, hint) = failure.text();
            checks.fail(NAME, message, hint)
        }
        Ok(verification) => {
            for note in &verification.notes {
                checks.warn(
                    NAME,
                    note,
                    "moat audit verify --head FILE    with a head stored elsewhere, if you can't explain this",
                )?;
            }
            match &verification.finding {
                None => checks.ok(NAME, format!("intact: {} entries", verification.entries)),
                Some(finding) => checks.fail(
                    NAME,
                    finding,
                    "keep it as it is, and compare it with a copy stored elsewhere",
                ),
            }
        }
    }
}
