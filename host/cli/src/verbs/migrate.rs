//! `moat migrate`: encrypts legacy records, and converts records to another version or token encoding.

use std::process::ExitCode;

use moat::maintenance::{Selection, affects_all_records, for_each};
use moat::{
    Access, Error, ErrorCode, KeyWeakness, Leftover, MigrateOptions, Operation, RecordKind,
    Rewritten, TokenEncoding, UserId, Vault,
};
use serde_json::{Value, json};

use crate::args::Migrate;
use crate::context::Context;
use crate::failure::{Failure, NEEDS_MIGRATION, exit_code};
use crate::progress::Progress;
use crate::report::Report;
use crate::{output, style};

pub(crate) fn run(context: &Context, arguments: &Migrate) -> Result<ExitCode, Failure> {
    let vault = context.vault(access(arguments))?;
    let failed = |error: &Error| context.explain(error);
    let mut options = MigrateOptions::default();
    options.dry_run = arguments.dry_run;
    options.accept_default_key = arguments.accept_default_key;
    options.accept_plaintext = arguments.accept_plaintext;
    options.version = arguments.to.map(|format| format.name().to_owned());
    options.token_encoding = arguments.token_encoding.map(Into::into);

    let _lock =
        if arguments.dry_run { None } else { Some(vault.lock_batch().map_err(|e| failed(&e))?) };
    // For new records, and so that the salt exists before any thread needs it.
    if is_whole(arguments) && (options.version.is_some() || options.token_encoding.is_some()) {
        vault
            .configure(options.version.as_deref(), options.token_encoding)
            .map_err(|error| failed(&error))?;
    }
    let mut report = Report::new(&context.output, "records")?;
    let mut counts = Counts::default();
    let ask = |users: &[_]| vault.migrate(users, &options);
    let selection = Selection::of(&arguments.user);
    let doing = if arguments.dry_run { "examining" } else { "migrating" };
    let mut progress = Progress::over(context, &vault, selection, doing);
    let outcome = for_each(&vault, selection, ask, |user, answer| {
        let (action, mut why) = describe(answer, arguments);
        match answer {
            Ok(rewritten) if rewritten.changed => counts.migrated += 1,
            Ok(_) => counts.unchanged += 1,
            Err(error) => {
                counts.failed += 1;
                if error.code() == ErrorCode::NeedsMigration {
                    counts.unprotected += 1;
                    why += &format!(" ({} accepts it as genuine)", flag_for(&vault, user));
                }
            }
        }
        progress.report(|| {
            report.add(&line(action, user.as_str(), &why), &entry(user, action, &why, answer))
        })
    });
    drop(progress);
    let outcome = outcome.map_err(|interruption| interruption.explain(context));
    let outcome = outcome.and_then(|()| {
        let mut leftovers = vault.leftovers().filter(|_| arguments.user.is_empty());
        leftovers.try_for_each(|leftover| {
            let leftover = leftover.map_err(|error| failed(&error))?;
            let (action, why, error) = clear_away(&vault, &leftover, arguments);
            counts.count(action, error.as_ref());
            let name = style::file_name(&leftover.name);
            let mut value = json!({ "file": name, "action": action, "reason": why });
            if let (Some(error), Some(members)) = (&error, value.as_object_mut()) {
                members.insert("error".to_owned(), output::error(error));
            }
            report.add(&line(action, &name, &why), &value)?;
            match error {
                Some(error) if affects_all_records(&error) => Err(failed(&error)),
                _ => Ok(()),
            }
        })
    });
    report.finish(&counts.text(arguments.dry_run), &counts.json(arguments.dry_run))?;
    outcome?;
    if counts.unprotected > 0 {
        tracing::warn!(
            "anyone who could write to the directory could have put {} of these records there: first compare them with a backup, or change their passwords (`moat put USER`)",
            counts.unprotected
        );
    }
    if counts.backups > 0 {
        let remedy = if arguments.remove_plaintext_backups {
            "each remains until its credential can be decrypted and the backup can be removed"
        } else {
            "--remove-plaintext-backups removes those whose credential can be decrypted"
        };
        tracing::warn!(
            "{} of the old migration's backups remain, each with a password in the clear; {remedy}",
            counts.backups
        );
    }
    Ok(counts.exit_code())
}

/// Whether the whole directory is migrated, not just some users or as a dry run.
fn is_whole(arguments: &Migrate) -> bool {
    arguments.user.is_empty() && !arguments.dry_run
}

fn access(arguments: &Migrate) -> Access {
    let mut access = Operation::Migrate.access().or(Operation::Users.access());
    if arguments.remove_plaintext_backups {
        access = access.or(Operation::RemoveBackup.access());
    }
    if arguments.dry_run {
        // So that the process couldn't write even by mistake.
        access.write = false;
        access.settings = false;
        access.remove_backups = false;
    }
    access
}

/// What was done with a record, and why.
fn describe(answer: &Result<Rewritten, Error>, arguments: &Migrate) -> (&'static str, String) {
    let rewritten = match answer {
        Ok(rewritten) => rewritten,
        Err(error) => return ("failed", error.to_string()),
    };
    let version = rewritten.before.version.as_deref().unwrap_or_default();
    let published = Some(KeyWeakness::PublishedDefault);
    let key = rewritten.key.as_ref();
    let was = match rewritten.before.kind {
        RecordKind::LegacyPlaintext => "was not encrypted".to_owned(),
        _ if key.is_some_and(|key| key.weakness == published) => {
            "was encrypted with the published default key".to_owned()
        }
        RecordKind::LegacyEncrypted => "had no version".to_owned(),
        _ if arguments.to.is_some_and(|to| to.name() != version) => {
            format!("was version {version}")
        }
        _ => match rewritten.before.encoding {
            Some(TokenEncoding::App) => "token had the application's encoding".to_owned(),
            _ => "token had the documented encoding".to_owned(),
        },
    };
    match (rewritten.changed, arguments.dry_run) {
        (false, _) => ("unchanged", format!("already version {version}")),
        (true, false) => ("migrated", was),
        (true, true) => ("would migrate", was),
    }
}

/// The flag that accepts a record which anyone could have written.
fn flag_for(vault: &Vault, user: &UserId) -> &'static str {
    match vault.inspect(user) {
        Ok(envelope) if envelope.kind == RecordKind::LegacyPlaintext => "--accept-plaintext",
        _ => "--accept-default-key",
    }
}

/// What to do with a leftover, and why; with the error if a backup could not be removed.
fn clear_away(
    vault: &Vault,
    leftover: &Leftover,
    arguments: &Migrate,
) -> (&'static str, String, Option<Error>) {
    if leftover.needs_another_name() {
        return ("failed", output::NOT_UTF8.to_owned(), None);
    }
    let Some(user) = &leftover.backup_of else {
        return ("ignored", "not a record".to_owned(), None);
    };
    let backup = "copy left by the old migration, with a password in the clear".to_owned();
    if !arguments.remove_plaintext_backups {
        return ("backup", backup, None);
    }
    if let Err(error) = vault.describe(user) {
        let why = format!("kept, because its credential can't be decrypted: {error}");
        return ("backup", why, Some(error));
    }
    if arguments.dry_run {
        return ("would remove", backup, None);
    }
    match vault.remove_backup(&style::file_name(&leftover.name)) {
        Ok(_) => ("removed", backup, None),
        Err(error) => ("failed", format!("removal failed: {error}"), Some(error)),
    }
}

fn line(action: &str, name: &str, why: &str) -> String {
    format!("{action:13}  {name}: {why}")
}

fn entry(user: &UserId, action: &str, why: &str, answer: &Result<Rewritten, Error>) -> Value {
    match answer {
        Ok(rewritten) => json!({
            "user_id": user.as_str(),
            "file": user.file_name(),
            "action": action,
            "reason": why,
            "kind": rewritten.before.kind.name(),
            "encryption_version": rewritten.before.version,
        }),
        Err(error) => json!({
            "user_id": user.as_str(),
            "file": user.file_name(),
            "action": action,
            "reason": why,
            "error": output::error(error),
        }),
    }
}

#[derive(Default)]
struct Counts {
    migrated: usize,
    unchanged: usize,
    /// Records that couldn't be migrated, and backups that couldn't be removed.
    failed: usize,
    /// Of these, the backups that could not be removed because of the directory.
    stuck: usize,
    /// Of the failed records, those that anyone could have written.
    unprotected: usize,
    backups: usize,
    removed: usize,
    ignored: usize,
}

impl Counts {
    /// Counts a leftover.
    fn count(&mut self, action: &str, error: Option<&Error>) {
        match action {
            "ignored" => self.ignored += 1,
            "backup" => self.backups += 1,
            "failed" => {
                self.failed += 1;
                // Without an error, the file has to be renamed first.
                if let Some(error) = error {
                    self.backups += 1;
                    self.stuck += usize::from(error.code() == ErrorCode::Directory);
                }
            }
            _ => self.removed += 1,
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.failed {
            0 => 0,
            failed if failed == self.stuck => exit_code(ErrorCode::Directory),
            _ => NEEDS_MIGRATION,
        })
    }

    fn text(&self, dry_run: bool) -> String {
        let Self { migrated, unchanged, failed, backups, removed, ignored, .. } = self;
        let (would, note) = if dry_run { ("would be ", "; nothing was written") } else { ("", "") };
        format!(
            "{migrated} {would}migrated, {unchanged} unchanged, {failed} failed; {backups} backups left, \
             {removed} {would}removed, {ignored} other files ignored{note}"
        )
    }

    fn json(&self, dry_run: bool) -> Value {
        json!({
            "dry_run": dry_run,
            "migrated": self.migrated,
            "unchanged": self.unchanged,
            "failed": self.failed,
            "backups": self.backups,
            "backups_removed": self.removed,
            "ignored": self.ignored,
        })
    }
}
