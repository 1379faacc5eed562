//! The host's look at what the component writes, for the fuzz target of it.

use super::given::Given as AllGiven;
use super::write_policy::{self, Expected};
use crate::contract::MasterKey;
use moat_format::user_id::UserId;

/// What a call was given.
pub struct Given<'g> {
    /// The time, since 1970.
    pub seconds: u64,
    /// Random bytes.
    pub drawn: [u8; 16],
    /// The label of the primary key.
    pub label: &'g str,
}

/// Whether these bytes may replace the record of a user.
pub fn allows(contents: &[u8], old: Option<&[u8]>, user: &str, given: &Given<'_>) -> bool {
    let mut all = AllGiven::default();
    all.note_time(given.seconds);
    all.note_random(&given.drawn);
    let primary =
        MasterKey { id: Some(given.label.to_owned()), primary: true, material: vec![7; 32] };
    all.note_keys(&[primary]);
    UserId::parse(user).is_ok_and(|user| {
        let expected = Expected { user: &user, old, settings: None, created_at: None };
        write_policy::check(contents, &expected, &mut all).is_ok()
    })
}
