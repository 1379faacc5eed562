//! The log as operations: an intent and its outcome together.

use std::collections::HashMap;

use cap_std::fs::Dir;

use super::entry::{Entry, Phase};
use super::segments;
use crate::contract::ErrorCode;
use crate::error::Error;

/// An operation, as its two entries record it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditedOperation {
    /// What was to be done. `None` when it was refused, when the file with it is gone, or when it couldn't be written and
    /// the policy is [`super::AuditPolicy::BestEffort`].
    pub intent: Option<Entry>,
    /// What came of it. `None` when the program was interrupted, or the operation is still in progress.
    pub outcome: Option<Entry>,
}

impl AuditedOperation {
    /// The later of the two entries, which says when, what, whose and by whom.
    pub fn entry(&self) -> Option<&Entry> {
        self.outcome.as_ref().or(self.intent.as_ref())
    }
}

/// The operations in the log of this name, in the order of their outcomes, followed by those without one in the order of
/// their intents. Nothing is verified.
///
/// # Errors
///
/// [`ErrorCode::Audit`] when a file can't be read.
pub fn operations(
    dir: &Dir,
    name: &str,
) -> Result<impl Iterator<Item = Result<AuditedOperation, Error>> + use<>, Error> {
    let failed = {
        let name = name.to_owned();
        move |error| {
            let message = format!("reading the audit log {name:?}: {error}");
            Error::caused(ErrorCode::Audit, message, error)
        }
    };
    let segments = segments::all(dir, name).map_err(&failed)?;
    let (dir, name) = (dir.try_clone().map_err(&failed)?, name.to_owned());
    let mut lines = segments.into_iter().flat_map(move |segment| segment.lines(&dir, &name));
    let mut begun: HashMap<String, Entry> = HashMap::new();
    let mut unfinished = None;
    Ok(std::iter::from_fn(move || {
        for line in &mut lines {
            let line = match line {
                Ok(line) => line,
                Err(error) => return Some(Err(failed(error))),
            };
            let Some(entry) = Entry::parse(&line) else { continue };
            match entry.phase {
                Phase::Intent => drop(begun.insert(entry.id.clone(), entry)),
                Phase::Outcome => {
                    let intent = begun.remove(&entry.id);
                    return Some(Ok(AuditedOperation { intent, outcome: Some(entry) }));
                }
                Phase::Refusal => {
                    return Some(Ok(AuditedOperation { intent: None, outcome: Some(entry) }));
                }
                Phase::Takeover => {}
            }
        }
        let unfinished = unfinished.get_or_insert_with(|| {
            let mut intents: Vec<_> = begun.drain().map(|(_, intent)| intent).collect();
            intents.sort_by_key(|intent| intent.sequence);
            intents.into_iter()
        });
        let intent = Some(unfinished.next()?);
        Some(Ok(AuditedOperation { intent, outcome: None }))
    }))
}
