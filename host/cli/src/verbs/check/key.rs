//! Checks the master key: whether it exists, its strength, who can read its source, and its age.

use moat::{KeyRing, KeyState, KeyStrength, KeyWeakness, RingDocument};

use super::{Checks, Level};
use crate::ambient;
use crate::args::Check;
use crate::context::Context;
use crate::failure::{Failure, REPLACE_KEY};

const NAME: &str = "master key";

/// The keys for examining the records.
pub(super) struct Keys {
    pub(super) ring: KeyRing,
    /// The ring document with the state of each key, if the key comes from a ring.
    pub(super) document: Option<RingDocument>,
}

/// Checks the master key; returns `None` if there is none to examine the records with.
pub(super) fn check(
    context: &Context,
    arguments: &Check,
    checks: &mut Checks<'_>,
) -> Result<Option<Keys>, Failure> {
    let source = match context.master_key() {
        Ok(source) => source,
        Err(failure) => {
            let (message, hint) = failure.text();
            return checks.fail(NAME, message, hint).map(|()| None);
        }
    };
    for path in [source.file(), context.env_file()].into_iter().flatten() {
        checks.not_replaceable(NAME, path)?;
    }
    if let Some(path) = source.file()
        && let Some(mode) = ambient::exposed_mode(path)
    {
        let shown = path.display();
        checks.fixable(
            NAME,
            Level::Fail,
            format!("others can read {shown} (mode {mode:04o})"),
            format!("chmod 600 {shown}    and if others may have read it: {REPLACE_KEY}"),
            || ambient::make_private(path),
        )?;
        if !checks.fix {
            return Ok(None);
        }
    }
    // A pipe can be read only once.
    let (ring, document) = match source.ring_and_document() {
        Ok(keys) => keys,
        Err(error) => {
            let failure = context.explain(&error);
            let (message, hint) = failure.text();
            return checks.fail(NAME, message, hint).map(|()| None);
        }
    };
    match ring.primary().strength() {
        KeyStrength::Strong => {
            checks.ok(NAME, format!("it comes from {source} and is strong: 256 random bits"))?;
        }
        KeyStrength::Weak(KeyWeakness::PublishedDefault) => checks.fail(
            NAME,
            "it is the application's published default, which anyone can read",
            REPLACE_KEY,
        )?,
        KeyStrength::Weak(_) => checks.fail(NAME, "it has fewer than 16 bytes", REPLACE_KEY)?,
        _ => checks.ok(
            NAME,
            format!("it comes from {source} and is long enough; how strong it is can't be told"),
        )?,
    }
    if let Some(oddity) = source.oddity() {
        checks.warn(
            NAME,
            format!("is it meant? {oddity}"),
            "check what is there; a new key replaces it with FOSSAWORK_MASTER_KEY_PREVIOUS set to this one: moat rotate",
        )?;
    }
    if let Some(document) = &document {
        check_ring(context, arguments, document, source.ring_file().is_some(), checks)?;
    }
    let ring = document.as_ref().map_or(ring, RingDocument::ring_with_retired);
    Ok(Some(Keys { ring, document }))
}

fn check_ring(
    context: &Context,
    arguments: &Check,
    document: &RingDocument,
    is_file: bool,
    checks: &mut Checks<'_>,
) -> Result<(), Failure> {
    let age = document.primary().age();
    let days = age.as_secs() / 86_400;
    let id = document.primary().id();
    if document.primary().is_in_the_future() {
        let added = document.primary().added_at();
        checks.warn(
            "key ring",
            format!("the primary key {id:?} was added in the future, at {added}"),
            "set the clock (timedatectl), then replace the key: moat rotate --if-older-than 90d --new-key",
        )?;
    } else if age >= arguments.key_age {
        checks.warn(
            "key ring",
            format!("the primary key {id:?} is {days} days old"),
            "moat rotate --if-older-than 90d --new-key",
        )?;
    } else {
        checks.ok("key ring", format!("the primary key {id:?} is {days} days old"))?;
    }
    let idle = document.keys().iter().filter(|key| key.state() == KeyState::Retired).count();
    if idle > 0 {
        checks.ok("key ring", format!("retired keys kept for backups: {idle}"))?;
    }
    if is_file
        && let (Ok(directory), Some(path)) = (context.path(), context.master_key()?.ring_file())
        && ambient::is_in(path, &directory)
    {
        checks.fail(
            "key ring",
            format!("{} is in the same directory as the records that it decrypts", path.display()),
            "move it to a separate directory, and pass its new path with --keyring",
        )?;
    }
    Ok(())
}
