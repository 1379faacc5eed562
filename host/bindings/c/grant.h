/// What one call may touch.

#ifndef GRANT_H
#define GRANT_H

#include "values.h"

/// What a function needs, of the files of the users that it is called for.
enum {
    RIGHT_READ = 1,
    RIGHT_WRITE = 2,
    RIGHT_REMOVE = 4,
    RIGHT_REMOVE_BACKUP = 8,
    RIGHT_SETTINGS = 16,
    RIGHT_LIST = 32,
    RIGHT_KEYS = 64,
};

struct grant {
    unsigned rights;
    /// The first argument: a user, several, or the name of a backup; NULL: it is called for none.
    const value *whose;
    /// The user whose file a copy reads; NULL: it is no copy.
    const value *source;
};

/// The grant of a function of the contract with these arguments; without any rights for another.
struct grant grant_of(const char *function, const value *arguments, size_t count);

// Names are compared with those that the call is about, not taken apart.
bool grant_reads(const struct grant *grant, const wasm_name_t *file);
bool grant_writes(const struct grant *grant, const wasm_name_t *file);
bool grant_removes(const struct grant *grant, const wasm_name_t *file);

#endif
