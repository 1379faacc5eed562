//! `moat keys`: manages the keys of a key ring.

use std::path::Path;
use std::process::ExitCode;

use moat::maintenance::{Rotation, Selection};
use moat::{Directory, KeyState, KeyUsage, RingDocument, RingError, RingKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::args::{AddKey, Keys};
use crate::context::Context;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::report::Report;
use crate::ring_file::{self, RingFile, refused};
use crate::{ambient, input, output};

pub(crate) fn run(context: &Context, keys: &Keys) -> Result<ExitCode, Failure> {
    match keys {
        Keys::List { no_records } => list(context, !no_records),
        Keys::Add(add) => self::add(context, add),
        Keys::Promote(key) => change(context, &key.id, RingDocument::promote),
        Keys::Retire(key) => retire(context, &key.id),
        Keys::Restore(key) => change(context, &key.id, RingDocument::restore),
        Keys::Export { id, out } => export(context, id, out),
        Keys::Erase { id, yes } => erase(context, id, *yes),
    }
}

fn list(context: &Context, records: bool) -> Result<ExitCode, Failure> {
    let ring = ring_file::read(context)?;
    let found = if records { Some(examine(context, &ring, None)?) } else { None };
    let mut report = Report::new(&context.output, "keys")?;
    report.line(&format!("{:9}  {:8}  {:>7}  {:>8}  id", "state", "strength", "records", "age"))?;
    for key in ring.keys() {
        let records = found.as_ref().map(|found| found.usage.encrypted_with(key.id()));
        let shown = records.map_or_else(|| "-".to_owned(), |records| records.to_string());
        let days = format!("{} days", days(key));
        let (state, strength) = (key.state().name(), key.strength().name());
        let line = format!("{state:9}  {strength:8}  {shown:>7}  {days:>8}  {}", key.id());
        report.add(&line, &entry(key, records))?;
    }
    let failed = found.as_ref().map(|found| found.failed);
    let text = failed.filter(|failed| *failed > 0).map_or_else(String::new, |failed| {
        format!("{failed} records can't be decrypted; `moat rotate --status --json` names them")
    });
    report.finish(&text, &json!({ "keys": ring.keys().len(), "failed": failed }))?;
    let in_use = |key: &&RingKey| {
        found.as_ref().is_some_and(|found| found.usage.encrypted_with(key.id()) > 0)
    };
    for key in ring.keys().iter().filter(|key| key.state() == KeyState::Retired).filter(in_use) {
        tracing::warn!(
            "records are encrypted with the retired key {:?}: put it back into use with `moat keys restore`, then run `moat rotate`",
            key.id()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn entry(key: &RingKey, records: Option<usize>) -> Value {
    json!({
        "id": key.id(),
        "state": key.state().name(),
        "strength": key.strength().name(),
        "records": records,
        "added_at": key.added_at(),
        "age_days": days(key),
    })
}

fn days(key: &RingKey) -> u64 {
    key.age().as_secs() / 86_400
}

fn add(context: &Context, arguments: &AddKey) -> Result<ExitCode, Failure> {
    let file = RingFile::of(context)?;
    let key = if arguments.key_stdin {
        input::read("key")?
    } else {
        let key = moat::generate_key().map_err(|error| context.explain(&error))?;
        Zeroizing::new(key.as_bytes().to_vec())
    };
    let (mut ring, id) = if file.exists() {
        let mut ring = ring_file::read(context)?;
        let id = ring.add(arguments.id.clone(), &key).map_err(refused)?;
        if arguments.primary {
            ring.promote(&id).map_err(refused)?;
        }
        (ring, id)
    } else {
        let ring = RingDocument::new(arguments.id.clone(), &key).map_err(refused)?;
        let id = ring.primary().id().to_owned();
        (ring, id)
    };
    file.save(&mut ring)?;
    done(context, &file, &ring, &id)
}

fn change(
    context: &Context,
    id: &str,
    change: impl FnOnce(&mut RingDocument, &str) -> Result<(), moat::RingError>,
) -> Result<ExitCode, Failure> {
    let file = RingFile::of(context)?;
    let mut ring = ring_file::read(context)?;
    change(&mut ring, id).map_err(refused)?;
    file.save(&mut ring)?;
    done(context, &file, &ring, id)
}

fn retire(context: &Context, id: &str) -> Result<ExitCode, Failure> {
    let file = RingFile::of(context)?;
    let mut ring = ring_file::read(context)?;
    // First a check without the records, because examining them may take a long time.
    ring.clone().retire(id, &KeyUsage::default()).map_err(refused)?;
    let usage = usage(context, &ring, &file)?;
    ring.retire(id, &usage).map_err(refused)?;
    file.save(&mut ring)?;
    done(context, &file, &ring, id)
}

fn export(context: &Context, id: &str, path: &Path) -> Result<ExitCode, Failure> {
    let ring = ring_file::read(context)?;
    let key = ring.key(id).map_err(refused)?;
    ambient::write_new_secret_file(path, key.expose_key())
        .map_err(|error| Failure::unwritable(path, &error))?;
    let path = path.display().to_string();
    let text = format!("wrote the key {id} to {path}");
    context.output.done(&text, &json!({ "id": id, "file": path }))?;
    Ok(ExitCode::SUCCESS)
}

fn erase(context: &Context, id: &str, yes: bool) -> Result<ExitCode, Failure> {
    let file = RingFile::of(context)?;
    let mut ring = ring_file::read(context)?;
    ring.clone().erase(id, &KeyUsage::default()).map_err(refused)?;
    if !yes {
        output::confirm(&format!(
            "permanently erase the key {id:?}? Backups encrypted with it can no longer be decrypted."
        ))?;
    }
    let usage = usage(context, &ring, &file)?;
    ring.erase(id, &usage).map_err(|error| match error {
        RingError::InUse(..) => Failure::in_use(
            error.to_string(),
            format!("put it back into use with `moat keys restore {id}`, then run `moat rotate`"),
        ),
        error => refused(error),
    })?;
    file.save(&mut ring)?;
    let value = json!({ "id": id, "erased": true });
    context.output.done(&format!("erased the key {id} from {}", file.path()), &value)?;
    Ok(ExitCode::SUCCESS)
}

/// Which keys the records need, examined with all keys of the ring. The ring file remains writable.
fn usage(context: &Context, ring: &RingDocument, file: &RingFile) -> Result<KeyUsage, Failure> {
    Ok(examine(context, ring, Some(&file.directory))?.usage)
}

/// Examines all records with all keys of the ring, whose directory remains writable.
fn examine(
    context: &Context,
    ring: &RingDocument,
    directory: Option<&Directory>,
) -> Result<Rotation, Failure> {
    let access = Rotation::access(true);
    let vault = context.vault_beside_ring(ring.ring_with_retired(), access, directory)?;
    let mut progress = Progress::over(context, &vault, Selection::default(), "examining");
    let report = |_: &_, _: &_| progress.report(|| Ok(()));
    let (found, outcome) = Rotation::run(&vault, Selection::default(), true, report);
    outcome.map_err(|interruption| interruption.explain(context))?;
    Ok(found)
}

fn done(
    context: &Context,
    file: &RingFile,
    ring: &RingDocument,
    id: &str,
) -> Result<ExitCode, Failure> {
    let key = ring.key(id).map_err(refused)?;
    let text = format!("the key {id} is {} in {}", key.state().name(), file.path());
    context.output.done(&text, &entry(key, None))?;
    Ok(ExitCode::SUCCESS)
}
