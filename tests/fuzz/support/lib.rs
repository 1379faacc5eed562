//! What the targets share: Fernet anew, records with tokens that open, and a host in memory.

pub mod fernet;
mod memory;
mod template;

pub use memory::{KEYS, Memory, NOW, USER};
pub use template::{fill, open};
