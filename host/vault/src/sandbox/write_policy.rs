//! What the component may write, checked before it replaces a file.
//!
//! The host can't tell whether a token can be decrypted, or what is in it. Everything else in a record it knows: whose it
//! is, what was there before, what the call was given. So a write has to be, to the byte, the one spelling of a record
//! whose every value is one of those; what is left to the component is the ciphertext, and to choose among what it was
//! given. A component that is broken, or hostile, can neither write a credential in the clear nor hide anything beside it.

use std::fmt;

use moat_format::error::FormatError;
use moat_format::json_object::RawObject;
use moat_format::kdf::{DirectoryKdf, Kdf};
use moat_format::record::{CREATED_AT, ENCRYPTION_VERSION, Envelope, WRITE_COUNTER};
use moat_format::settings::Settings;
use moat_format::timestamp;
use moat_format::user_id::UserId;
use moat_format::version::Version;

use super::given::Given;

/// The size of an authentication code, in bytes.
const TAG_BYTES: usize = 32;

/// Why the bytes are not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteRejected {
    NotARecord,
    Spelling,
    AnotherUser,
    Version,
    Time,
    Iv,
    CreatedAt,
    Label,
    Kdf,
    Counter,
    NotSettings,
    Unread,
}

impl fmt::Display for WriteRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotARecord => "it is not a JSON object with the members of a record",
            Self::Spelling => "it has something else in it, or spells it otherwise",
            Self::AnotherUser => "it names another user",
            Self::Version => "its version may not be written",
            Self::Time => "its token's time is none that the call was given",
            Self::Iv => "its token's IV is not random bytes that the call was given",
            Self::CreatedAt => "its `created_at` is neither as before nor now",
            Self::Label => "its `key_id` is not the label of the primary key",
            Self::Kdf => "its `kdf` is neither the directory's nor that of the record before",
            Self::Counter => "its `write_counter` is not the next",
            Self::NotSettings => "it is not the settings of a directory, or changes what must stay",
            Self::Unread => "it replaces a record that was not read",
        })
    }
}

/// What a record may replace, and be made of.
pub(crate) struct Expected<'e> {
    pub(crate) user: &'e UserId,
    /// The file before.
    pub(crate) old: Option<&'e [u8]>,
    /// The file with the directory's settings, as far as the call has read it.
    pub(crate) settings: Option<&'e [u8]>,
    /// When the credential was created, as the caller has it.
    pub(crate) created_at: Option<&'e str>,
}

/// Checks a record that is to be written.
pub(super) fn check(
    contents: &[u8],
    expected: &Expected<'_>,
    given: &mut Given,
) -> Result<(), WriteRejected> {
    let new = Envelope::read(&parse(contents)?)?;
    let old = expected.old.map(parse).transpose()?.unwrap_or_default();
    if new.user != *expected.user {
        return Err(WriteRejected::AnotherUser);
    }
    let (token, _) = &new.token;
    if !given.times().contains(&token.time()) {
        return Err(WriteRejected::Time);
    }
    let is_now = |text: &String| {
        given.times().iter().any(|time| timestamp::format(*time).as_ref() == Some(text))
    };
    let is_as_before =
        || old.find::<Option<String>>(CREATED_AT).ok().flatten().flatten() == new.created_at;
    let may_be = |text: &String| expected.created_at == Some(text) || is_now(text);
    if !new.created_at.as_ref().is_none_or(may_be) && !is_as_before() {
        return Err(WriteRejected::CreatedAt);
    }
    if given.primary().is_none_or(|primary| primary.id != new.key_id) {
        return Err(WriteRejected::Label);
    }
    if let Some((kdf, counter)) = &new.version_2 {
        check_version_2(kdf, *counter, &old, expected.settings)?;
    }
    if !given.take_drawn(token.iv()) {
        return Err(WriteRejected::Iv);
    }
    if new.spelled_over(old)? != contents {
        return Err(WriteRejected::Spelling);
    }
    Ok(())
}

fn check_version_2(
    kdf: &Kdf,
    counter: u32,
    old: &RawObject,
    settings: Option<&[u8]>,
) -> Result<(), WriteRejected> {
    let was_version_2 =
        old.find::<String>(ENCRYPTION_VERSION)?.as_deref() == Some(Version::V2.name());
    let before = if was_version_2 { Kdf::find(old)? } else { None };
    let settings = settings.map(parse).transpose()?.unwrap_or_default();
    let directorys = DirectoryKdf::find(&settings)?.map(|kdf| kdf.with_key(false));
    // The fast derivation has no parameter but the salt.
    let has_its_parameters = |known: &Kdf| {
        known.salt == kdf.salt && (kdf.rounds.is_none() || kdf.rounds == known.rounds)
    };
    if !before.iter().chain(&directorys).any(has_its_parameters) {
        return Err(WriteRejected::Kdf);
    }
    let before: u32 = if was_version_2 { old.require(WRITE_COUNTER)? } else { 0 };
    if before.checked_add(1) != Some(counter) {
        return Err(WriteRejected::Counter);
    }
    Ok(())
}

/// Checks the settings that are to replace `old`: the derivation is set once, with a salt that the call was given; how
/// records are written is set where that is what was asked for.
pub(super) fn check_settings(
    contents: &[u8],
    old: Option<&[u8]>,
    may_configure: bool,
    given: &mut Given,
) -> Result<(), WriteRejected> {
    let unfit = |_| WriteRejected::NotSettings;
    let parse = |contents| parse(contents).map_err(unfit);
    let new = Settings::read(&parse(contents)?).map_err(|_| WriteRejected::NotSettings)?;
    let old = old.map(parse).transpose()?.unwrap_or_default();
    let before = Settings::read(&old).map_err(|_| WriteRejected::NotSettings)?;

    let is_written_alike = new.version == before.version
        && new.token_encoding == before.token_encoding
        && new.history == before.history;
    let kdf_stays = match (&before.kdf, &new.kdf) {
        (before, after) if before == after => true,
        (None, Some(kdf)) => *kdf == DirectoryKdf::new(kdf.salt) && given.take_drawn(&kdf.salt),
        _ => false,
    };
    let mac_fits = match &new.mac {
        mac if *mac == before.mac => true,
        Some(mac) => {
            let primary = given.primary().map(|primary| &primary.id);
            primary == Some(&mac.key_id) && mac.tag().len() == TAG_BYTES
        }
        None => false,
    };
    let is_allowed = (may_configure || is_written_alike) && kdf_stays && mac_fits;
    if !is_allowed || new.spelled_over(old).ok().as_deref() != Some(contents) {
        return Err(WriteRejected::NotSettings);
    }
    Ok(())
}

/// Reads an object with the same parser as the component: what the component keeps, this must accept.
fn parse(contents: &[u8]) -> Result<RawObject, WriteRejected> {
    serde_json::from_slice(contents).map_err(|_| WriteRejected::NotARecord)
}

impl From<FormatError> for WriteRejected {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Malformed(_) => Self::NotARecord,
            FormatError::Unsupported(_) => Self::Version,
        }
    }
}
