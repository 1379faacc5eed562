/// The five imports of the component, over one directory and one key ring.

#ifndef IMPORTS_H
#define IMPORTS_H

#include "grant.h"
#include "moat_host.h"

/// An interface's name as the component has it.
#define MOAT_INTERFACE(name) "fossawork:credentials/" name "@1.0.0"

enum { IMPORTS = 9 };

struct import;

/// What wasmtime hands an import when it is called.
struct binding {
    struct backend *backend;
    const struct import *import;
};

/// All that the imports reach, what of it the call is granted, and the last failure that none of
/// them could answer: it aborts the call.
struct backend {
    struct grant grant;
    /// A file descriptor; see directory.h.
    int directory;
    const struct moat_key *ring;
    size_t ring_size;
    struct binding bindings[IMPORTS];
    struct moat_error failure;
};

/// Defines the imports in a linker, for as long as this backend stays where it is. Returns
/// NULL or an error of wasmtime's.
wasmtime_error_t *imports_define(wasmtime_component_linker_t *linker, struct backend *backend);

#endif
