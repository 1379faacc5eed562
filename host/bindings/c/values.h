/// The contract's values: making them, looking into them, and wiping them.

#ifndef VALUES_H
#define VALUES_H

#include "moat_host.h"

typedef wasmtime_component_val_t value;

value value_text(const char *bytes, size_t size);
value value_boolean(bool yes);
value value_enum(const char *name);
value value_none(void);
value value_some(value inner);
value value_result(bool is_ok, value inner);

/// A list with room for so many elements, each false.
value value_list(size_t size);
value value_bytes(const uint8_t *bytes, size_t size);

struct member {
    const char *name;
    value value;
};

value value_record(const struct member *members, size_t count);

/// A record of these members, in the contract's order.
#define RECORD(...)                                                                                \
    value_record((const struct member[]){__VA_ARGS__},                                             \
                 sizeof((const struct member[]){__VA_ARGS__}) / sizeof(struct member))

bool is_name(const wasm_name_t *name, const char *expected);

/// Whether all text in a value is UTF-8: the library ends the process over text that isn't.
bool value_is_sound(const value *given);

#endif
