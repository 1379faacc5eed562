//! The facts of the credential format that the component and its hosts share, each stated once: names, sizes, versions
//! and the layout of what is not encrypted. No cryptography.

pub mod error;
pub mod expiry;
pub mod field_name;
pub mod files;
pub mod json_object;
pub mod kdf;
pub mod key_strength;
pub mod message;
pub mod record;
pub mod settings;
pub mod strong_key;
pub mod timestamp;
pub mod token;
pub mod user_id;
pub mod version;
