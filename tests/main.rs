//! The tests of the library and of the program, one module per theme.

#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a broken test environment has to stop the test"
)]

mod another_component;
mod application;
mod arguments;
mod asynchronous;
mod audit;
mod benchmarks;
mod callers;
mod check;
mod claims;
mod clocks;
mod commands;
mod completions;
mod concurrency;
mod confinement;
mod conformance;
mod directory;
mod edit;
mod engine;
mod env_file;
mod exchange;
mod exec;
mod export;
mod faults;
mod file_systems;
mod fossawork;
mod hints;
mod history;
mod host_components;
mod host_directories;
mod host_keys;
mod host_writes;
mod hostile;
mod import;
mod instructions;
mod key_files;
mod kills;
mod locks;
mod maintenance;
mod memory;
mod migration;
mod neighbours;
mod npm_package;
mod output;
mod packages;
mod parts;
mod power;
mod progress;
mod prompts;
mod python_package;
mod reproducible;
mod retirement;
mod rollback;
mod rotation;
mod samples;
mod sandbox;
mod schema;
mod scope;
mod secrets;
mod services;
mod setup;
mod sweep;
mod terminals;
mod values;
mod vectors;
