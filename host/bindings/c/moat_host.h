/// A host of Moat's component in C: it meets the component's five imports over one directory and
/// one key ring, and calls its exports, each in an instance of its own.
///
/// The contract is wit/; its values are `wasmtime_component_val_t` here. A vault is for one thread
/// at a time, and a call takes up to 1 MiB of that thread's stack.

#ifndef MOAT_HOST_H
#define MOAT_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wasmtime.h>

#include "moat_error.h"

/// The component over a directory, with a key ring.
struct moat;

/// A master key, which stays the caller's.
struct moat_key {
    /// The operator's label in UTF-8; NULL for a key without one.
    const char *id;
    const uint8_t *material;
    size_t size;
};

/// Compiles the component in the file `COMPONENT`, whose SHA-256 has to be `DIGEST` in lower-case
/// hexadecimal (NULL: that of the component that this was built for), and opens the directory, which
/// has to be the caller's and not writable by others. The first key of the ring encrypts, all of them open;
/// without any, what needs a key fails with `master-key-missing`. The ring has to outlive the
/// vault; wipe its keys after that. Returns NULL and the error, or what `moat_close` frees.
struct moat *moat_open(const char *component, const char *digest, const char *directory,
                       const struct moat_key *ring, size_t ring_size, struct moat_error *error);

void moat_close(struct moat *moat);

/// Calls an export, such as `describe` of `vault`, in a fresh instance. The arguments are wiped in
/// any case. Returns what the function answers, without its `result`: for an `err`, and where the
/// sandbox aborted the component, false and the error. Free the answer with `moat_wipe`.
bool moat_call(struct moat *moat, const char *interface, const char *function,
               wasmtime_component_val_t *arguments, size_t count, wasmtime_component_val_t *answer,
               struct moat_error *error);

/// The type of an export; free it with `wasmtime_component_func_type_delete`. NULL and the error
/// where there is none.
wasmtime_component_func_type_t *moat_type(struct moat *moat, const char *interface,
                                          const char *function, struct moat_error *error);

/// A copy of text, which has to be UTF-8 for a call to take it.
wasmtime_component_val_t moat_text(const char *text);

/// A member of a record; NULL where there is none, and for a value that is NULL or no record.
const wasmtime_component_val_t *moat_member(const wasmtime_component_val_t *value,
                                            const char *name);

/// Overwrites all text and bytes in a value, and frees what is in it.
void moat_wipe(wasmtime_component_val_t *value);

#endif
