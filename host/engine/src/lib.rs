//! How the component is compiled and run: what is compiled ahead of time loads only into an engine of the same
//! settings.

use wasmparser::WasmFeatures;
use wasmtime::Config;

/// What WebAssembly a component may be made of: what rustc makes the guest of, and nothing else. Every proposal beyond
/// it is code of the engine's that nobody needs here. The last three are needed by the engine's own modules, which copy
/// values from one part of the component to the other.
pub const PROPOSALS: WasmFeatures = WasmFeatures::COMPONENT_MODEL
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::MUTABLE_GLOBAL);

/// The settings that compiled code depends on.
pub fn config() -> Config {
    let mut config = Config::new();
    config.wasm_features(PROPOSALS, true).wasm_features(PROPOSALS.complement(), false);
    // Its default depends on how wasmtime was built, and compiled code on it.
    config.concurrency_support(false);
    // Nobody asks at which instruction of the component it was aborted.
    config.generate_address_map(false);
    // The deadline of a call is kept with epochs.
    config.epoch_interruption(true);
    // Each address is compared with the size of its memory. The other way, addresses that can't be reached, reserves 4 GiB
    // for each memory.
    config.memory_reservation(0).memory_guard_size(0).memory_may_move(true);
    // The memory comes from the host, which wasmtime can't combine with images mapped copy-on-write.
    config.memory_init_cow(false);
    config
}
