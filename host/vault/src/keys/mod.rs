//! Master keys, and the derived keys that are kept between calls.

mod cache;
mod document;
mod ring;
mod usage;

pub use cache::KeyCache;
pub(crate) use cache::Slot;
pub use document::{KeyState, RingDocument, RingError, RingKey};
pub use ring::{
    KeyRing, KeySource, KeyStrength, MasterKey, generate_key, generate_token, without_line_break,
};
pub use usage::KeyUsage;
