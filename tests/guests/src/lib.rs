//! Components that misbehave, compiled ahead of time as the real one is.

/// Imports one interface more than the contract has: the environment of the process.
pub const GREEDY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/greedy.cwasm"));

/// Fits the contract, and traps in whatever is called.
pub const TRAPPING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/trapping.cwasm"));

/// Fits the contract, and never returns.
pub const ENDLESS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/endless.cwasm"));

/// Fits the contract, and asks for 64 MiB of memory in whatever is called.
pub const HUNGRY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hungry.cwasm"));
