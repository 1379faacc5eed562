//! What one call may use up.

use std::time::Duration;

/// The largest number of bytes that the component may ask of `wasi:random` at once.
pub(crate) const MAX_RANDOM_BYTES: u64 = 1024;

/// The most core instances, tables and memories in one instance of the component. `wit-component` makes a few
/// small helper instances beside the guest itself.
pub(crate) const MAX_INSTANCES: usize = 8;
/// See [`MAX_INSTANCES`].
pub(crate) const MAX_TABLES: usize = 4;
/// See [`MAX_INSTANCES`].
pub(crate) const MAX_MEMORIES: usize = 1;
/// The most elements of one table.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 4096;

/// What one call may use up before the sandbox stops it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Linear memory in bytes; 16 MiB by default.
    pub memory_bytes: usize,
    /// Time spent inside the component, not counting the host's own work for it; 10 s by default. A key costs
    /// about 50 ms to derive, so this is room for a slow machine and a long ring.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 16 * 1024 * 1024, deadline: Duration::from_secs(10) }
    }
}
