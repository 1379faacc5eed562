//! What one call may use up.

use std::time::Duration;

/// What one call may use up before the sandbox stops it; but for the memory, for each user that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Linear memory of all parts together in bytes; 16 MiB by default.
    pub memory_bytes: usize,
    /// Time spent inside the component for each key of the ring, not counting the host's own work for it; 10 s by default.
    /// A key costs about 50 ms to derive, and a second where a file states the most rounds that are allowed: this is room
    /// for a slow machine.
    pub deadline: Duration,
    /// Calls of imports; 1,000 by default. An update that keeps losing to other writers makes the most, a few
    /// dozen.
    pub host_calls: u32,
    /// Bytes that go through imports, both ways together; 16 MiB by default. A record is at most
    /// [`crate::MAX_FILE_BYTES`], a page of names about 1 MiB.
    pub host_bytes: u64,
}

impl Limits {
    /// The component's stack in bytes, above that of the thread that calls it.
    pub const STACK_BYTES: usize = 512 * 1024;
    /// The size of all values in one call of an import or an export, in bytes.
    pub const VALUE_BYTES: usize = 4 * 1024 * 1024;
    /// The bytes that the component may ask of `wasi:random` at once.
    pub const RANDOM_BYTES: u64 = 1024;
    /// Elements of one table.
    pub const TABLE_ELEMENTS: usize = 4096;
    /// Core instances; `wit-component` makes a few small helpers beside the guest itself.
    pub const INSTANCES: usize = 8;
    /// Tables in all core instances together.
    pub const TABLES: usize = 4;
    /// Linear memories: one for each part of the component.
    pub const MEMORIES: usize = 2;
}

impl Limits {
    /// Those of a call for so many users.
    pub(crate) fn times(self, users: usize) -> Self {
        let users = u32::try_from(users).unwrap_or(u32::MAX);
        Self {
            memory_bytes: self.memory_bytes,
            deadline: self.deadline.saturating_mul(users),
            host_calls: self.host_calls.saturating_mul(users),
            host_bytes: self.host_bytes.saturating_mul(users.into()),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 16 * 1024 * 1024,
            deadline: Duration::from_secs(10),
            host_calls: 1_000,
            host_bytes: 16 * 1024 * 1024,
        }
    }
}
