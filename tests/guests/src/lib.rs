//! Components that misbehave, compiled ahead of time as the real one is, and the module of a benchmark.

/// Imports one interface more than the contract has: the environment of the process.
pub const GREEDY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/greedy.cwasm"));

/// Fits the contract, and traps in whatever is called.
pub const TRAPPING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/trapping.cwasm"));

/// Fits the contract, and never returns.
pub const ENDLESS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/endless.cwasm"));

/// Fits the contract, and asks for 64 MiB of memory in whatever is called.
pub const HUNGRY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hungry.cwasm"));

/// Fits the contract, and grows a table in whatever is called, for which it was compiled with a proposal more.
pub const SPREADING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/spreading.cwasm"));

/// Fits the contract, and never comes to be called.
pub const BORN_ENDLESS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/born-endless.cwasm"));

/// Fits the contract, and traps before it is called.
pub const BORN_TRAPPING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/born-trapping.cwasm"));

/// Fits the contract, and begins with a table of a million elements.
pub const BORN_SPREAD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/born-spread.cwasm"));

/// Fits the contract, and does for a user what the user id says: see its tables of misdeeds.
pub const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile.cwasm"));

/// The same, for hosts in other languages. Not compiled.
pub const HOSTILE_COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile.wasm"));

/// Fits the contract, and has nine core instances more than it needs.
pub const MANY_INSTANCES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/many-instances.cwasm"));

/// Fits the contract, and has two memories more than it needs.
pub const MANY_MEMORIES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/many-memories.cwasm"));

/// Fits the contract, and has five tables more than it needs.
pub const MANY_TABLES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/many-tables.cwasm"));

/// The part of a component with the master keys, as a hostile one. Not compiled.
pub const HOSTILE_KEYS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/keys.wasm"));

/// The part of a component that reads records, as a hostile one. Not compiled.
pub const HOSTILE_RECORDS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/records.wasm"));

/// The module of `derivations`. Not compiled.
pub const DERIVATIONS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/derivations.wasm"));
