//! What the audit log records of each answer of the component.

use crate::audit::AuditDetail;
use crate::contract::{Configured, Envelope, Removed, Revealed, Stored, Summary};

impl AuditDetail for Summary {
    fn key_id(&self) -> Option<&str> {
        self.key.id.as_deref()
    }
}

impl AuditDetail for Revealed {
    fn key_id(&self) -> Option<&str> {
        self.summary.key_id()
    }
}

impl AuditDetail for Stored {
    fn key_id(&self) -> Option<&str> {
        self.summary.key_id()
    }
}

impl AuditDetail for Removed {
    fn changed(&self) -> Option<bool> {
        Some(self.existed)
    }
}

impl AuditDetail for Configured {
    fn changed(&self) -> Option<bool> {
        Some(self.changed)
    }
}

impl AuditDetail for Envelope {}

/// A page of names.
impl<T> AuditDetail for (Vec<T>, Option<String>) {}
