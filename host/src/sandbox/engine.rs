//! How the component is compiled and run. The build script includes this file too: what is compiled ahead of
//! time loads only into an engine of the same settings.

use wasmtime::Config;

/// The settings that compiled code depends on.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    // The deadline of a call is kept with epochs.
    config.epoch_interruption(true);
    // The memory comes from the host, which wasmtime can't combine with images mapped copy-on-write.
    config.memory_init_cow(false);
    config
}
