//! Whether the audit log can be relied on, before anything is concluded from it.

use std::process::ExitCode;

use moat::Error;
use moat::audit::{self, AuditKeys, Finding, Head, History, Verification};
use serde_json::Value;

use crate::audit::AuditSettings;
use crate::context::Context;
use crate::failure::{AUDIT, Failure};

/// Whether what is shown of the log can be relied on.
pub(super) struct Integrity {
    /// Whether there was a key to verify it with.
    is_verified: bool,
    finding: Option<Finding>,
}

impl Integrity {
    /// Verifies the log, if there are keys for that.
    pub(super) fn of(
        context: &Context,
        settings: &AuditSettings,
        keys: Result<AuditKeys, Failure>,
    ) -> Result<Self, Failure> {
        let mut keys = match keys {
            Ok(keys) => keys,
            Err(failure) => {
                tracing::warn!("the entries are not verified: {}", failure.text().0);
                return Ok(Self { is_verified: false, finding: None });
            }
        };
        let finding = verified(context, settings, &mut keys, None)?.finding;
        Ok(Self { is_verified: true, finding })
    }

    /// Adds it to the summary of a report.
    pub(super) fn add_to(&self, summary: &mut Value) {
        let finding = self.finding.as_ref().map(Finding::to_string);
        let members = [("verified", self.is_verified.into()), ("finding", finding.into())];
        if let Some(summary) = summary.as_object_mut() {
            summary.extend(members.map(|(name, value)| (name.to_owned(), value)));
        }
    }

    /// What the program ends with after the report.
    pub(super) fn into_exit_code(self, context: &Context) -> Result<ExitCode, Failure> {
        match self.finding {
            None => Ok(ExitCode::SUCCESS),
            Some(_) if context.output.json => Ok(ExitCode::from(AUDIT)),
            Some(finding) => Err(broken(&finding)),
        }
    }
}

/// The log is broken.
pub(super) fn broken(finding: &Finding) -> Failure {
    Failure::audit(
        finding.to_string(),
        "keep the log as it is, and compare it with a copy stored elsewhere",
    )
}

/// What reads the history of the directory, from a log that is intact, and the keys of the log.
pub(super) fn history(
    context: &Context,
) -> Result<(impl Fn() -> Result<History, Error>, AuditKeys), Failure> {
    let settings = settings(context)?;
    if !settings.is_on() {
        let message = "the audit log that the records are to be compared with is off";
        return Err(Failure::usage(message, "omit --audit=off, and unset FOSSAWORK_AUDIT"));
    }
    let mut keys = keys(context, settings)?;
    if let Some(finding) = verified(context, settings, &mut keys, None)?.finding {
        let hint = "run `moat audit verify` for details; a broken log proves nothing";
        return Err(Failure::audit(finding.to_string(), hint));
    }
    let (dir, name) = settings.place()?;
    Ok((move || History::read(&dir, &name), keys))
}

/// Which log is specified.
pub(super) fn settings(context: &Context) -> Result<&AuditSettings, Failure> {
    context.audit.as_ref().ok_or_else(|| {
        Failure::usage(
            "no audit log is specified",
            "specify one with --audit-log PATH or FOSSAWORK_AUDIT_LOG",
        )
    })
}

/// Verifies the log.
pub(super) fn verified(
    context: &Context,
    settings: &AuditSettings,
    keys: &mut AuditKeys,
    head: Option<&Head>,
) -> Result<Verification, Failure> {
    let (dir, name) = settings.place()?;
    audit::verify(&dir, &name, keys, head).map_err(|error| context.explain(&error))
}

/// The keys that the log is verified with.
pub(super) fn keys(context: &Context, settings: &AuditSettings) -> Result<AuditKeys, Failure> {
    settings.keys(&context.master_key()?)
}
