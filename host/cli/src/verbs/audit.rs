//! `moat audit`: shows and verifies the audit log.

use std::path::Path;
use std::process::ExitCode;

use moat::UserId;
use moat::audit::{self, AuditedOperation, Entry, Head};
use serde_json::{Value, json};

use super::audit_integrity::{Integrity, broken, keys, settings, verified};
use super::audit_report;
use crate::ambient;
use crate::args::{AuditVerb, Show};
use crate::audit::AuditSettings;
use crate::context::Context;
use crate::failure::{AUDIT, Failure};
use crate::report::Report;

pub(crate) fn run(context: &Context, verb: &AuditVerb) -> Result<ExitCode, Failure> {
    let settings = settings(context)?;
    match verb {
        AuditVerb::Show(show) => self::show(context, settings, show),
        AuditVerb::Verify { head } => verify(context, settings, head.as_deref()),
        AuditVerb::Head => head(context, settings),
        AuditVerb::Report { since, hours } => {
            let integrity = Integrity::of(context, settings, keys(context, settings))?;
            let operations = operations(context, settings)?;
            audit_report::run(context, operations, integrity, since, *hours)
        }
        AuditVerb::Hash(user) => hash(context, settings, &user.user),
    }
}

fn verify(
    context: &Context,
    settings: &AuditSettings,
    head: Option<&Path>,
) -> Result<ExitCode, Failure> {
    let head = head.map(read_head).transpose()?;
    let verification = verified(context, settings, &mut keys(context, settings)?, head.as_ref())?;
    for note in &verification.notes {
        tracing::warn!("{note}");
    }
    let (entries, files) = (verification.entries, verification.files);
    let finding = verification.finding.as_ref();
    let value = json!({
        "whole": finding.is_none(),
        "log": verification.log,
        "entries": entries,
        "files": files,
        "first": verification.first,
        "last": verification.last(),
        "notes": verification.notes,
        "finding": finding.map(|finding| json!({
            "kind": finding.kind.name(),
            "file": finding.file,
            "line": finding.line,
            "sequence": finding.sequence,
            "message": finding.to_string(),
        })),
    });
    if let Some(finding) = finding {
        if context.output.json {
            context.output.value(&value)?;
            return Ok(ExitCode::from(AUDIT));
        }
        return Err(broken(finding));
    }
    let against = if head.is_some() { ", and it contains the head" } else { "" };
    let text = format!(
        "intact: {entries} entries in {files} {}{against}",
        if files == 1 { "file" } else { "files" }
    );
    context.output.done(&text, &value)?;
    Ok(ExitCode::SUCCESS)
}

fn head(context: &Context, settings: &AuditSettings) -> Result<ExitCode, Failure> {
    let mut keys = keys(context, settings)?;
    let verification = verified(context, settings, &mut keys, None)?;
    if let Some(finding) = &verification.finding {
        let hint = "run `moat audit verify` for details; the head of a broken log proves nothing";
        return Err(Failure::audit(finding.to_string(), hint));
    }
    let head = keys.all().first().and_then(|key| verification.head(key));
    let head = head.ok_or_else(|| {
        Failure::audit(
            "the audit log has no entries yet",
            "check --audit-log; any logged command writes the first",
        )
    })?;
    context.output.value(&head)?;
    Ok(ExitCode::SUCCESS)
}

fn read_head(path: &Path) -> Result<Head, Failure> {
    let text = ambient::read_file(path)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display()), "check --head"))?;
    serde_json::from_slice(&text).map_err(|_| {
        let message = format!("{}: not a head of an audit log", path.display());
        Failure::usage(message, "specify a file with the output of `moat audit head`")
    })
}

fn hash(context: &Context, settings: &AuditSettings, user: &UserId) -> Result<ExitCode, Failure> {
    let mut keys = keys(context, settings)?;
    let mut report = Report::new(&context.output, "hashes")?;
    for key in keys.all() {
        let hash = key.user_hash(user.as_str());
        report.add(&hash, &json!({ "audit_key": key.id(), "user_hash": hash }))?;
    }
    report.finish("", &json!({ "hashes": keys.all().len() }))?;
    Ok(ExitCode::SUCCESS)
}

fn show(context: &Context, settings: &AuditSettings, show: &Show) -> Result<ExitCode, Failure> {
    let mut keys = keys(context, settings);
    let mut hashes = Vec::new();
    if let Some(user) = show.user.as_ref().filter(|_| settings.hashes_users()) {
        let mut known = keys?;
        hashes = known.all().iter().map(|key| key.user_hash(user.as_str())).collect();
        keys = Ok(known);
    }
    let integrity = Integrity::of(context, settings, keys)?;
    let mut report = Report::new(&context.output, "operations")?;
    report.line(&format!(
        "{:20}  {:>8}  {:14}  {:24}  {:20}  {:>9}  {:12}  {}",
        "time", "sequence", "operation", "user", "outcome", "ms", "actor", "key"
    ))?;
    let (mut done, mut failed, mut unfinished) = (0, 0, 0);
    let outcome = operations(context, settings)?.try_for_each(|operation| {
        let operation = operation?;
        let Some(entry) = operation.entry().filter(|entry| is_asked_for(entry, show, &hashes))
        else {
            return Ok(());
        };
        match entry.outcome {
            Some(_) if entry.is_done() => done += 1,
            Some(_) => failed += 1,
            None => unfinished += 1,
        }
        report.add(&row(entry), &value(&operation, entry))
    });
    let text = format!("{done} done, {failed} failed, {unfinished} unfinished");
    let mut summary = json!({ "done": done, "failed": failed, "unfinished": unfinished });
    integrity.add_to(&mut summary);
    report.finish(&text, &summary)?;
    outcome?;
    integrity.into_exit_code(context)
}

fn is_asked_for(entry: &Entry, show: &Show, hashes: &[String]) -> bool {
    let second = entry.time.get(..19).unwrap_or_default();
    let is_user = |user: &UserId| {
        entry.user.as_deref() == Some(user.as_str())
            || entry.user_hash.as_ref().is_some_and(|hash| hashes.contains(hash))
    };
    let is_outcome = |asked: &String| match (asked.as_str(), entry.outcome.as_deref()) {
        ("unfinished", outcome) => outcome.is_none(),
        ("failed", Some(_)) => !entry.is_done(),
        (asked, outcome) => outcome == Some(asked),
    };
    show.user.as_ref().is_none_or(is_user)
        && show.operation.as_ref().is_none_or(|asked| *asked == entry.operation)
        && show.outcome.as_ref().is_none_or(is_outcome)
        && show.since.as_ref().is_none_or(|since| second >= since.as_str())
        && show.until.as_ref().is_none_or(|until| second < until.as_str())
}

fn row(entry: &Entry) -> String {
    let milliseconds = entry.duration_us.map(|us| format!("{}.{:03}", us / 1000, us % 1000));
    format!(
        "{:19}Z  {:>8}  {:14}  {:24}  {:20}  {:>9}  {:12}  {}",
        entry.time.get(..19).unwrap_or_default(),
        entry.sequence,
        entry.operation,
        whose(entry),
        entry.outcome.as_deref().unwrap_or("UNFINISHED"),
        milliseconds.unwrap_or_default(),
        entry.actor,
        entry.key_id.as_deref().unwrap_or_default(),
    )
    .trim_end()
    .to_owned()
}

/// The user, or the start of the hash.
fn whose(entry: &Entry) -> &str {
    let hash = || entry.user_hash.as_ref().and_then(|hash| hash.get(..16));
    entry.user.as_deref().or_else(hash).unwrap_or("-")
}

fn value(operation: &AuditedOperation, entry: &Entry) -> Value {
    let intent = operation.intent.as_ref();
    json!({
        "sequence": entry.sequence,
        "begun": intent.map(|intent| &intent.time),
        "ended": operation.outcome.as_ref().map(|outcome| &outcome.time),
        "id": entry.id,
        "operation": entry.operation,
        "user_id": entry.user,
        "user_hash": entry.user_hash,
        "actor": entry.actor,
        "purpose": intent.and_then(|intent| intent.purpose.as_ref()),
        "component": intent.map(|intent| &intent.component),
        "grant": intent.map(|intent| &intent.grant),
        "outcome": entry.outcome.as_deref().unwrap_or("unfinished"),
        "changed": entry.changed,
        "key_id": entry.key_id,
        "duration_us": entry.duration_us,
    })
}

/// The operations in the log, up to the first error.
fn operations<'c>(
    context: &'c Context,
    settings: &AuditSettings,
) -> Result<impl Iterator<Item = Result<AuditedOperation, Failure>> + use<'c>, Failure> {
    let (dir, name) = settings.place()?;
    let operations = audit::operations(&dir, &name).map_err(|error| context.explain(&error))?;
    Ok(operations.map(|operation| operation.map_err(|error| context.explain(&error))))
}
