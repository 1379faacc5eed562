//! `moat rotate`: re-encrypts records with the primary key.

use std::process::ExitCode;
use std::time::Duration;

use moat::maintenance::{Rotation, Selection, rewrap_until_current};
use moat::{Error, Rewritten, RingDocument, UserId};
use serde_json::{Value, json};

use crate::args::Rotate;
use crate::context::Context;
use crate::failure::{Failure, NOT_DECRYPTED};
use crate::output;
use crate::progress::Progress;
use crate::report::Report;
use crate::ring_file::{self, RingFile};

pub(crate) fn run(context: &Context, arguments: &Rotate) -> Result<ExitCode, Failure> {
    if let Some(age) = arguments.if_older_than {
        return rotate_if_due(context, age, arguments.new_key);
    }
    let read_only = arguments.dry_run || arguments.status;
    let keys = context.master_key()?;
    // Why they can't be read, the vault says.
    let document = keys.ring_and_document().ok().and_then(|(_, document)| document);
    let mut late = Late::than(document.as_ref());
    let vault = context.vault_beside_ring(keys, Rotation::access(read_only), None)?;
    let failed = |error: &Error| context.explain(error);
    let _lock = if read_only { None } else { Some(vault.lock_batch().map_err(|e| failed(&e))?) };

    let mut report = Report::new(&context.output, "records")?;
    let mut failures = Vec::new();
    let selection = Selection { users: &arguments.user, older_than: arguments.older_than };
    let doing = if read_only { "examining" } else { "rotating" };
    let mut progress = Progress::over(context, &vault, selection, doing);
    let (found, outcome) = Rotation::run(&vault, selection, read_only, |user, answer| {
        if let Err(error) = answer {
            failures.push(format!("failed  {user}: {error}"));
        }
        late.note(user, answer);
        progress.report(|| report.entry(&entry(user, answer)))
    });
    drop(progress);
    late.warn();
    failures.iter().try_for_each(|failure| report.line(failure))?;
    report.finish(&text(&found, arguments), &summary(&found, read_only))?;
    outcome.map_err(|interruption| interruption.explain(context))?;
    Ok(exit_code(&found))
}

/// Rotates a ring if it is due; meant to be run by a timer, any number of times. Creates a new primary key if the old
/// one is due, re-encrypts everything with it, and retires the earlier keys. If interrupted, the next run resumes.
fn rotate_if_due(context: &Context, age: Duration, new_key: bool) -> Result<ExitCode, Failure> {
    let file = RingFile::of(context)?;
    let mut ring = ring_file::read(context)?;
    if ring.is_due(age) {
        let id = ring.primary().id().to_owned();
        if !new_key {
            return Err(Failure::other(
                format!(
                    "the primary key {id:?} is due for rotation: it is at least {} days old",
                    age.as_secs() / 86_400
                ),
                "create a new primary key with --new-key or `moat keys add --primary`",
            ));
        }
        let new = ring.replace_primary().map_err(|error| context.explain(&error))?;
        file.save(&mut ring)?;
        tracing::info!("the key {new} replaces {id} as the primary key");
    }
    let primary = ring.primary().id().to_owned();
    if ring.superseded().next().is_none() {
        let value = json!({ "primary": primary, "rotated": 0, "failed": 0, "retired": [] });
        let text = format!("nothing to do: {primary} is the only key in use, and is not due");
        context.output.done(&text, &value)?;
        return Ok(ExitCode::SUCCESS);
    }

    let access = Rotation::access(false);
    let vault = context.vault_beside_ring(ring.ring(), access, Some(&file.directory))?;
    let _lock = vault.lock_batch().map_err(|error| context.explain(&error))?;
    let mut progress = Progress::over(context, &vault, Selection::default(), "rotating");
    let mut late = Late::than(Some(&ring));
    let outcome = rewrap_until_current(&vault, |user, answer| {
        late.note(user, answer);
        progress.report(|| {
            if let Err(error) = answer {
                tracing::warn!("{user}: {error}");
            }
            Ok(())
        })
    });
    drop(progress);
    late.warn();
    let (rotated, found) = outcome.map_err(|interruption| interruption.explain(context))?;
    let (retired, kept) = ring.retire_superseded(&found.usage);
    kept.iter().for_each(|why| tracing::warn!("not retired: {why}"));
    if !retired.is_empty() {
        file.save(&mut ring)?;
    }
    let failed = found.failed;
    let names = if retired.is_empty() { "none".to_owned() } else { retired.join(", ") };
    let text =
        format!("primary key {primary}: {rotated} rotated, {failed} failed; retired: {names}");
    let value =
        json!({ "primary": primary, "rotated": rotated, "failed": failed, "retired": retired });
    context.output.done(&text, &value)?;
    Ok(exit_code(&found))
}

/// Records that were encrypted with an earlier key although there was a later one already.
struct Late {
    /// The later key, and when it was added.
    primary: Option<(String, String)>,
    users: Vec<String>,
}

impl Late {
    fn than(ring: Option<&RingDocument>) -> Self {
        let primary = ring.map(|ring| ring.primary());
        let primary = primary.map(|key| (key.id().to_owned(), key.added_at()));
        Self { primary, users: Vec::new() }
    }

    fn note(&mut self, user: &UserId, answer: &Result<Rewritten, Error>) {
        let Ok(Rewritten { changed: true, before, .. }) = answer else { return };
        // Times in UTC, compared to the second.
        let second = |time: &str| time.get(..19).map(str::to_owned);
        let added = self.primary.as_ref().and_then(|(_, added)| second(added));
        let encrypted = before.encrypted_at.as_deref().and_then(second);
        if encrypted.zip(added).is_some_and(|(encrypted, added)| encrypted > added) {
            self.users.push(user.to_string());
        }
    }

    /// Whoever has an earlier key can write records under it, and rotation makes them look like any other.
    fn warn(&self) {
        if let Some((id, _)) = self.primary.as_ref().filter(|_| !self.users.is_empty()) {
            let users = self.users.join(", ");
            tracing::warn!(
                "encrypted with an earlier key after {id} was added, by a program that hasn't loaded the ring again or by \
                 somebody who has that key: {users}"
            );
        }
    }
}

fn entry(user: &UserId, answer: &Result<Rewritten, Error>) -> Value {
    match answer {
        Ok(rewritten) => json!({
            "user_id": user.as_str(),
            "stale": rewritten.changed,
            "key_id": rewritten.key.as_ref().and_then(|key| key.id.as_ref()),
            "encryption_version": rewritten.before.version,
        }),
        Err(error) => json!({ "user_id": user.as_str(), "error": output::error(error) }),
    }
}

fn exit_code(found: &Rotation) -> ExitCode {
    ExitCode::from(if found.failed == 0 { 0 } else { NOT_DECRYPTED })
}

fn text(found: &Rotation, arguments: &Rotate) -> String {
    let Rotation { current, stale, failed, usage, .. } = found;
    if arguments.status {
        let keys: String = usage
            .keys()
            .rev()
            .map(|(id, primary, records)| {
                format!("{records:7} encrypted with {}\n", label(id, primary))
            })
            .collect();
        return format!("{keys}{current} done, {stale} stale, {failed} failed");
    }
    let rotated = if arguments.dry_run { "would be rotated" } else { "rotated" };
    format!("{stale} {rotated}, {current} already encrypted with the primary key, {failed} failed")
}

fn summary(found: &Rotation, read_only: bool) -> Value {
    let key = |(id, primary, records): (Option<&str>, bool, usize)| json!({ "id": id, "primary": primary, "records": records });
    let keys: Vec<_> = found.usage.keys().map(key).collect();
    json!({
        "dry_run": read_only,
        "done": found.current,
        "stale": found.stale,
        "failed": found.failed,
        "keys": keys,
    })
}

fn label(id: Option<&str>, primary: bool) -> String {
    let role = if primary { "the primary key" } else { "another key" };
    id.map_or_else(|| role.to_owned(), |id| format!("{role} {id:?}"))
}
