//! Master keys, and the derived keys that are kept between calls.

mod cache;
mod ring;

pub use cache::KeyCache;
pub use ring::{KeyRing, KeySource, MasterKey, generate_key};
