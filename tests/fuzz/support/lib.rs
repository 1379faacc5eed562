//! What the targets share: Fernet once more, records with tokens that can be decrypted, and a host in memory.

pub mod fernet;
mod memory;
mod template;

pub use memory::{KEYS, Memory, NOW, USER};
pub use template::{fill, open};
