//! What WebAssembly the engine takes: what the component is made of, and nothing else.

use moat::component;
use moat_engine::{PROPOSALS, config};
use wasmparser::{Validator, WasmFeatures};
use wasmtime::{Engine, Module};

/// Modules and components, each of a proposal that is off.
const OFF: [(&str, &str); 27] = [
    ("saturating_float_to_int", "(module (func (drop (i32.trunc_sat_f32_s (f32.const 0)))))"),
    (
        "relaxed_simd",
        "(module (func (param v128) (drop (i32x4.relaxed_trunc_f32x4_s (local.get 0)))))",
    ),
    ("threads", "(module (memory 1 1 shared))"),
    ("threads", "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))"),
    ("shared_everything_threads", "(module (global (shared i32) (i32.const 0)))"),
    ("tail_call", "(module (func $f return_call $f))"),
    ("exceptions", "(module (tag))"),
    ("legacy_exceptions", "(module (func try catch_all end))"),
    ("memory64", "(module (memory i64 1))"),
    ("memory64", "(module (table i64 1 funcref))"),
    ("extended_const", "(module (global i32 (i32.add (i32.const 1) (i32.const 1))))"),
    ("reference_types", "(module (table 1 externref))"),
    ("reference_types", "(module (table 1 funcref) (table 1 funcref))"),
    ("reference_types", "(module (table $t 1 funcref) (func (drop (table.size $t))))"),
    ("function_references", "(module (type $f (func)) (func (param (ref $f))))"),
    ("gc", "(module (type (struct)))"),
    ("gc", "(module (type (array i8)))"),
    ("custom_page_sizes", "(module (memory 1 (pagesize 1)))"),
    ("stack_switching", "(module (type $f (func)) (type (cont $f)))"),
    (
        "wide_arithmetic",
        "(module (func (param i64) (drop (drop (i64.mul_wide_u (local.get 0) (local.get 0))))))",
    ),
    ("memory_control", "(module (memory 1) (func (memory.discard (i32.const 0) (i32.const 0))))"),
    ("cm_async", "(component (type (future)))"),
    ("cm_async", "(component (type (stream u8)))"),
    ("cm_error_context", "(component (type error-context))"),
    ("cm_fixed_length_lists", "(component (type (list u8 4)))"),
    ("cm_map", "(component (type (map string u32)))"),
    ("cm_threading", "(component (core func (canon thread.index)))"),
];

fn validates(features: WasmFeatures, bytes: &[u8]) -> bool {
    Validator::new_with_features(features).validate_all(bytes).is_ok()
}

#[test]
fn these_proposals_are_on_and_the_guest_needs_each() {
    let on: Vec<_> = PROPOSALS.iter_names().map(|(name, _)| name).collect();
    assert_eq!(
        on,
        [
            "MUTABLE_GLOBAL",
            "SIGN_EXTENSION",
            "MULTI_VALUE",
            "BULK_MEMORY",
            "SIMD",
            "FLOATS",
            "MULTI_MEMORY",
            "COMPONENT_MODEL",
            "CALL_INDIRECT_OVERLONG",
        ]
    );
    assert!(validates(PROPOSALS, component::BYTES));
    // The engine itself needs these, to copy from one part of the component to the other.
    let engines =
        WasmFeatures::MULTI_MEMORY | WasmFeatures::MULTI_VALUE | WasmFeatures::MUTABLE_GLOBAL;
    for (name, flag) in PROPOSALS.difference(engines).iter_names() {
        assert!(!validates(PROPOSALS.difference(flag), component::BYTES), "{name} isn't needed");
    }
}

#[test]
fn what_is_made_of_another_proposal_is_refused() {
    let engine = Engine::new(&config()).unwrap();
    for (name, text) in OFF {
        let bytes = wat::parse_str(text).unwrap();
        let flag = WasmFeatures::from_name(&name.to_uppercase()).unwrap();
        assert!(!PROPOSALS.contains(flag), "{name}");
        // It is this proposal that is missing, and not something else.
        assert!(validates(WasmFeatures::all(), &bytes), "{name}: {text}");
        assert!(!validates(PROPOSALS, &bytes), "{name}: {text}");
        if text.starts_with("(module") {
            assert!(Module::validate(&engine, &bytes).is_err(), "{name}: {text}");
        }
    }
}
