//! `moat rotate`: re-encrypts records with the primary key.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use moat::{
    Access, Error, KeyState, KeyUsage, Operation, Rewritten, RingDocument, RingError, UserId, Vault,
};
use serde_json::{Value, json};

use super::migrate::is_fatal;
use crate::args::Rotate;
use crate::batch::{self, Selection};
use crate::context::Context;
use crate::failure::{Failure, NOT_DECRYPTED};
use crate::output;
use crate::report::Report;
use crate::ring_file::{self, RingFile, refused};

/// The maximum number of passes over a directory until no record needs an old key. Several can be necessary, because
/// other processes may write with an old key meanwhile.
const PASSES: usize = 4;

pub(crate) fn run(context: &Context, arguments: &Rotate) -> Result<ExitCode, Failure> {
    if let Some(age) = arguments.if_older_than {
        return rotate_if_due(context, age, arguments.new_key);
    }
    let read_only = arguments.dry_run || arguments.status;
    let vault = context.vault(access(read_only))?;
    let failed = |error: &Error| context.explain(error);
    let _lock = if read_only { None } else { Some(vault.lock_batch().map_err(|e| failed(&e))?) };

    let mut report = Report::new(&context.output, "records")?;
    let mut failures = Vec::new();
    let selection = Selection { users: &arguments.user, older_than: arguments.older_than };
    let (counts, outcome) = rewrap(context, &vault, selection, read_only, |user, answer| {
        if let Err(error) = answer {
            failures.push(format!("failed  {user}: {error}"));
        }
        report.entry(&entry(user, answer))
    });
    failures.iter().try_for_each(|failure| report.line(failure))?;
    report.finish(&counts.text(arguments), &counts.json(read_only))?;
    outcome?;
    Ok(counts.exit_code())
}

/// The access needed to examine all records, or to rotate them.
pub(super) fn access(read_only: bool) -> Access {
    let mut access = Operation::Rewrap.access().or(Operation::Users.access());
    access.write = !read_only;
    access
}

/// Examines all records, and counts those encrypted with each key.
pub(super) fn count(context: &Context, vault: &Vault) -> Result<Counts, Failure> {
    let (counts, outcome) = rewrap(context, vault, Selection::of(&[]), true, |_, _| Ok(()));
    outcome.map(|()| counts)
}

fn rewrap(
    context: &Context,
    vault: &Vault,
    selection: Selection<'_>,
    read_only: bool,
    mut each: impl FnMut(&UserId, &Result<Rewritten, Error>) -> Result<(), Failure>,
) -> (Counts, Result<(), Failure>) {
    let mut counts = Counts::default();
    let ask = |users: &[_]| vault.rewrap(users, read_only);
    let outcome = batch::for_each(context, vault, selection, ask, |(user, answer)| {
        counts.count(&user, &answer);
        each(&user, &answer)?;
        match answer {
            Err(error) if is_fatal(&error) => Err(context.explain(&error)),
            _ => Ok(()),
        }
    });
    (counts, outcome)
}

/// Rotates a ring if it is due; meant to be run by a timer, any number of times. Creates a new primary key if the old
/// one is due, re-encrypts everything with it, and retires the earlier keys. If interrupted, the next run resumes.
fn rotate_if_due(context: &Context, age: Duration, new_key: bool) -> Result<ExitCode, Failure> {
    let file = RingFile::of(context)?;
    let mut ring = ring_file::read(context)?;
    if ring.primary().age() >= age {
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
        let key = moat::generate_key().map_err(|error| context.explain(&error))?;
        let new = ring.add(None, key.as_bytes()).map_err(refused)?;
        ring.promote(&new).map_err(refused)?;
        file.save(&mut ring)?;
        tracing::info!("the key {new} replaces {id} as the primary key");
    }
    let superseded = superseded(&ring);
    let primary = ring.primary().id().to_owned();
    if superseded.is_empty() {
        let value = json!({ "primary": primary, "rotated": 0, "failed": 0, "retired": [] });
        let text = format!("nothing to do: {primary} is the only key in use, and is not due");
        context.output.done(&text, &value)?;
        return Ok(ExitCode::SUCCESS);
    }

    let vault = context.vault_beside_ring(ring.ring(), access(false), Some(&file.directory))?;
    let _lock = vault.lock_batch().map_err(|error| context.explain(&error))?;
    let mut rotated = 0;
    let mut counts = Counts::default();
    // Meanwhile, a process that hasn't loaded the new key may have encrypted a record with an old one.
    for _ in 0..PASSES {
        let (found, outcome) =
            rewrap(context, &vault, Selection::of(&[]), false, |user, answer| {
                if let Err(error) = answer {
                    tracing::warn!("{user}: {error}");
                }
                Ok(())
            });
        outcome?;
        rotated += found.stale;
        counts = found;
        if counts.stale == 0 {
            break;
        }
    }
    let mut retired = Vec::new();
    for id in superseded {
        match ring.retire(&id, &counts.usage) {
            Ok(()) => retired.push(id),
            Err(error @ (RingError::InUse(..) | RingError::Unexamined(..))) => {
                tracing::warn!("not retired: {error}");
            }
            Err(error) => return Err(refused(error)),
        }
    }
    if !retired.is_empty() {
        file.save(&mut ring)?;
    }
    let failed = counts.failed;
    let names = if retired.is_empty() { "none".to_owned() } else { retired.join(", ") };
    let text =
        format!("primary key {primary}: {rotated} rotated, {failed} failed; retired: {names}");
    let value =
        json!({ "primary": primary, "rotated": rotated, "failed": failed, "retired": retired });
    context.output.done(&text, &value)?;
    Ok(counts.exit_code())
}

/// The keys still in use that have been superseded as primary.
fn superseded(ring: &RingDocument) -> Vec<String> {
    let waits = |key: &&moat::RingKey| key.state() == KeyState::Secondary && key.is_superseded();
    ring.keys().iter().filter(waits).map(|key| key.id().to_owned()).collect()
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

#[derive(Default)]
pub(super) struct Counts {
    /// Records already encrypted with the primary key.
    done: usize,
    /// Records encrypted with another key.
    stale: usize,
    pub(super) failed: usize,
    pub(super) usage: KeyUsage,
}

impl Counts {
    fn count(&mut self, user: &UserId, answer: &Result<Rewritten, Error>) {
        match answer {
            Ok(rewritten) if rewritten.changed => self.stale += 1,
            Ok(_) => self.done += 1,
            Err(_) => self.failed += 1,
        }
        self.usage.note(user, answer.as_ref().map(|rewritten| rewritten.key.as_ref()));
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.failed == 0 { 0 } else { NOT_DECRYPTED })
    }

    fn text(&self, arguments: &Rotate) -> String {
        let Self { done, stale, failed, usage } = self;
        if arguments.status {
            let keys: String = usage
                .keys()
                .rev()
                .map(|(id, primary, records)| {
                    format!("{records:7} encrypted with {}\n", label(id, primary))
                })
                .collect();
            return format!("{keys}{done} done, {stale} stale, {failed} failed");
        }
        let rotated = if arguments.dry_run { "would be rotated" } else { "rotated" };
        format!("{stale} {rotated}, {done} already encrypted with the primary key, {failed} failed")
    }

    fn json(&self, read_only: bool) -> Value {
        let keys: BTreeMap<_, _> =
            self.usage.keys().map(|(id, primary, records)| (label(id, primary), records)).collect();
        json!({
            "dry_run": read_only,
            "done": self.done,
            "stale": self.stale,
            "failed": self.failed,
            "keys": keys,
        })
    }
}

fn label(id: Option<&str>, primary: bool) -> String {
    let role = if primary { "the primary key" } else { "another key" };
    id.map_or_else(|| role.to_owned(), |id| format!("{role} {id:?}"))
}
