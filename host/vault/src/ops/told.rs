//! What each answer of the component tells the audit log.

use super::Rewritten;
use crate::audit::Told;
use crate::contract::{Envelope, Summary};
use crate::sandbox::bindings::exports::fossawork::credentials::reveal::Revealed;
use crate::sandbox::bindings::exports::fossawork::credentials::vault::{
    Configured, Removed, Stored,
};

impl Told for Summary {
    fn key_id(&self) -> Option<&str> {
        self.key.id.as_deref()
    }
}

impl Told for Revealed {
    fn key_id(&self) -> Option<&str> {
        self.summary.key_id()
    }
}

impl Told for Stored {
    fn key_id(&self) -> Option<&str> {
        self.summary.key_id()
    }
}

impl Told for Rewritten {
    fn key_id(&self) -> Option<&str> {
        self.key.as_ref()?.id.as_deref()
    }

    fn changed(&self) -> Option<bool> {
        Some(self.written)
    }
}

impl Told for Removed {
    fn changed(&self) -> Option<bool> {
        Some(self.existed)
    }
}

impl Told for Configured {
    fn changed(&self) -> Option<bool> {
        Some(self.changed)
    }
}

/// The outside of a record.
impl Told for Envelope {}

/// A page of names.
impl<T> Told for (Vec<T>, Option<String>) {}
