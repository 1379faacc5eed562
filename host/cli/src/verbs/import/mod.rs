//! `moat import`: stores the credentials that another program keeps.
//!
//! All of the source is read and all of it is decided on before anything is written.

mod bitwarden;
mod entry;
mod env;
mod exported;
mod keepass;
mod naming;
mod pass;
mod plan;
mod source;
mod store;

use std::cmp::Reverse;
use std::path::Path;
use std::process::ExitCode;

use moat::{Credential, ErrorCode, KeySource, PutOptions, UserId, Vault};
use serde_json::json;

use self::entry::Item;
use self::pass::Dialect;
use self::plan::{Fate, Plan};
use self::source::Source;
use crate::ambient;
use crate::args::{Existing, ImportOptions, ImportStore, ImportVerb};
use crate::context::Context;
use crate::failure::Failure;
use crate::progress::{Interruption, Progress};
use crate::report::Report;

pub(crate) fn run(context: &Context, verb: &ImportVerb) -> Result<ExitCode, Failure> {
    // First, so that nothing is decrypted in vain.
    let keys = context.master_key()?;
    keys.ring().map_err(|error| context.explain(&error))?;

    let options = verb.options();
    let Read { items, left_in_the_clear } = read(verb)?;
    let directory = context.path()?;
    let exists = |user: &UserId| ambient::exists(&directory.join(user.file_name()));
    let plan = Plan::new(items, options, exists);
    let mut report = Report::new(&context.output, "entries")?;
    for line in &plan.lines {
        report.add(&line.text(), &line.value())?;
    }
    let mut counts = Counts::default();
    let refusal = plan.refusal();
    let mut stored = Vec::new();
    for line in plan.lines {
        match line.fate {
            Fate::Stored { user, credential, replaces } => {
                stored.push((user, credential, replaces));
            }
            Fate::Skipped(_) | Fate::Conflict(_) => counts.skipped += 1,
            Fate::Unusable(_) | Fate::Ignored(_) => counts.ignored += 1,
        }
    }
    if refusal.is_some() || options.dry_run {
        for (_, _, replaces) in &stored {
            counts.count(*replaces);
        }
        let text = if refusal.is_some() { String::new() } else { counts.text(true) };
        report.finish(&text, &counts.value(true))?;
        return refusal.map_or(Ok(ExitCode::SUCCESS), Err);
    }
    let outcome = if stored.is_empty() {
        Ok(())
    } else {
        let vault = context.vault_for_put(keys, options.allow_new_key)?;
        write(context, &vault, stored, options, &mut counts)
    };
    report.finish(&counts.text(false), &counts.value(false))?;
    outcome?;
    if let Some(path) = left_in_the_clear {
        let shown = path.display();
        tracing::warn!(
            "{shown} still has these passwords in the clear: delete it (shred -u {shown})"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What was read.
struct Read<'v> {
    items: Vec<Item>,
    /// The file that has them in the clear.
    left_in_the_clear: Option<&'v Path>,
}

fn read(verb: &ImportVerb) -> Result<Read<'_>, Failure> {
    match verb {
        ImportVerb::Pass(from) => read_store(from, Dialect::Pass),
        ImportVerb::Gopass(from) => read_store(from, Dialect::Gopass),
        ImportVerb::Bitwarden(from) => read_file(&from.file, &from.options, bitwarden::read),
        ImportVerb::Keepass(from) => read_file(&from.file, &from.options, keepass::read),
        ImportVerb::Moat(from) => read_file(&from.file, &from.options, exported::read),
        ImportVerb::Env(from) => read_file(&from.file, &from.options, |text| env::read(text, from)),
    }
}

fn read_store(from: &ImportStore, dialect: Dialect) -> Result<Read<'_>, Failure> {
    let items = store::read(from.store.as_deref(), from.options.identity.as_deref(), dialect)?;
    Ok(Read { items, left_in_the_clear: None })
}

fn read_file<'v>(
    path: &'v Path,
    options: &ImportOptions,
    parse: impl FnOnce(&str) -> Result<Vec<Item>, Failure>,
) -> Result<Read<'v>, Failure> {
    let source = Source::read(path, options.identity.as_deref())?;
    let items = parse(source.text())?;
    Ok(Read { items, left_in_the_clear: source.remains_in_the_clear.then_some(path) })
}

/// Writes the credentials, those with most in them first: if one doesn't fit, then before anything is written.
fn write(
    context: &Context,
    vault: &Vault,
    mut stored: Vec<(UserId, Credential, bool)>,
    options: &ImportOptions,
    counts: &mut Counts,
) -> Result<(), Failure> {
    stored.sort_by_cached_key(|(_, credential, _)| Reverse(plan::size(credential)));
    let all = stored.len();
    let again = match options.existing {
        Existing::Replace => "run this again",
        Existing::Fail | Existing::Skip => "run this again with --existing skip",
    };
    let mut progress = Progress::begin(context, Some(all), "importing");
    for (done, (user, credential, replaces)) in stored.iter().enumerate() {
        let so_far = |failure: Failure| failure.after(done, all, again);
        let put = PutOptions::default();
        let put = if *replaces { put } else { put.create_only() };
        match vault.put(user, credential, &put) {
            Ok(put) if !put.dropped_fields.is_empty() => {
                counts.count(*replaces);
                tracing::warn!(
                    "{user}: fields of the previous record were dropped: {}",
                    put.dropped_fields.join(", ")
                );
            }
            Ok(_) => counts.count(*replaces),
            // Somebody else has stored one meanwhile.
            Err(error)
                if error.code() == ErrorCode::Conflict && options.existing == Existing::Skip =>
            {
                counts.skipped += 1;
            }
            Err(error) => return Err(so_far(context.explain_for(user, &error))),
        }
        progress.report(|| Ok(())).map_err(|interruption| match interruption {
            Interruption::Signal { .. } => Failure::interrupted(
                format!("interrupted after {} of {all} credentials", done + 1),
                format!("{again} to go on; those that are stored stay so"),
            ),
            other => other.explain(context),
        })?;
    }
    Ok(())
}

/// What became of the entries.
#[derive(Default)]
struct Counts {
    added: usize,
    replaced: usize,
    skipped: usize,
    ignored: usize,
}

impl Counts {
    fn count(&mut self, replaces: bool) {
        if replaces { self.replaced += 1 } else { self.added += 1 }
    }

    fn text(&self, dry_run: bool) -> String {
        let Self { added, replaced, skipped, ignored } = self;
        let (be, end) = if dry_run { ("would be ", "; nothing was written") } else { ("", "") };
        format!(
            "{added} {be}added, {replaced} {be}replaced, {skipped} skipped, {ignored} ignored{end}"
        )
    }

    fn value(&self, dry_run: bool) -> serde_json::Value {
        let Self { added, replaced, skipped, ignored } = self;
        json!({
            "added": added,
            "replaced": replaced,
            "skipped": skipped,
            "ignored": ignored,
            "dry_run": dry_run,
        })
    }
}
