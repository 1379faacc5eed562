#include "grant.h"

#include <string.h>

static const char RECORD[] = ".cred";
static const char SETTINGS[] = "moat.json";

/// As `moat component` prints it of the Rust host.
static const struct {
    const char *function;
    unsigned rights;
} needs[] = {
    {"put", RIGHT_READ | RIGHT_WRITE | RIGHT_SETTINGS | RIGHT_KEYS},
    {"change", RIGHT_READ | RIGHT_WRITE | RIGHT_KEYS},
    {"copy", RIGHT_READ | RIGHT_WRITE | RIGHT_SETTINGS | RIGHT_KEYS},
    {"history", RIGHT_READ | RIGHT_KEYS},
    {"restore", RIGHT_READ | RIGHT_WRITE | RIGHT_KEYS},
    {"reveal", RIGHT_READ | RIGHT_KEYS},
    {"reveal-version", RIGHT_READ | RIGHT_KEYS},
    {"describe", RIGHT_READ | RIGHT_KEYS},
    {"inspect", RIGHT_READ},
    {"mark-used", RIGHT_READ | RIGHT_WRITE | RIGHT_KEYS},
    {"mark-validated", RIGHT_READ | RIGHT_WRITE | RIGHT_KEYS},
    {"remove", RIGHT_REMOVE},
    {"users", RIGHT_LIST},
    {"verify", RIGHT_READ | RIGHT_KEYS},
    {"migrate", RIGHT_READ | RIGHT_WRITE | RIGHT_SETTINGS | RIGHT_KEYS},
    {"rewrap", RIGHT_READ | RIGHT_WRITE | RIGHT_SETTINGS | RIGHT_KEYS},
    {"configure", RIGHT_SETTINGS | RIGHT_KEYS},
    {"leftovers", RIGHT_LIST},
    {"remove-backup", RIGHT_READ | RIGHT_REMOVE_BACKUP | RIGHT_KEYS},
};

struct grant grant_of(const char *function, const value *arguments, size_t count)
{
    struct grant grant = {.whose = count > 0 ? &arguments[0] : NULL};
    if (strcmp(function, "copy") == 0 && count > 1)
        grant.source = &arguments[1];
    for (size_t i = 0; i < sizeof needs / sizeof *needs; ++i)
        if (strcmp(needs[i].function, function) == 0)
            grant.rights = needs[i].rights;
    return grant;
}

static bool has(const struct grant *grant, unsigned rights)
{
    return (grant->rights & rights) == rights;
}

/// Whether this is the file of a user, whose id has this size.
static bool is_file_of(const wasm_name_t *file, const char *user, size_t size)
{
    return file->size == size + sizeof RECORD - 1 && memcmp(file->data, user, size) == 0 &&
           memcmp(file->data + size, RECORD, sizeof RECORD - 1) == 0;
}

/// The size of the name of the record that a file is a backup of; 0: it is no backup.
static size_t backed_up(const wasm_name_t *backup)
{
    static const char ENDING[] = ".backup_20250616_130236";
    const size_t ending = sizeof ENDING - 1;
    const size_t mark = strlen(".backup_");
    const size_t size = backup->size > ending ? backup->size - ending : 0;
    return size > 0 && memcmp(backup->data + size, ENDING, mark) == 0 ? size : 0;
}

/// Whether this is the file of the user whose credential a copy copies.
static bool is_source(const struct grant *grant, const wasm_name_t *file)
{
    const value *source = grant->source;
    return source && source->kind == WASMTIME_COMPONENT_STRING &&
           is_file_of(file, source->of.string.data, source->of.string.size);
}

/// Whether this is the file of a user that the call is for.
static bool is_own(const struct grant *grant, const wasm_name_t *file)
{
    const value *whose = grant->whose;
    if (!whose)
        return false;
    if (whose->kind == WASMTIME_COMPONENT_STRING) {
        const wasm_name_t *name = &whose->of.string;
        if (has(grant, RIGHT_REMOVE_BACKUP))
            return file->size == backed_up(name) && memcmp(file->data, name->data, file->size) == 0;
        return is_file_of(file, name->data, name->size);
    }
    if (whose->kind == WASMTIME_COMPONENT_LIST)
        for (size_t i = 0; i < whose->of.list.size; ++i) {
            const value *user = &whose->of.list.data[i];
            if (user->kind == WASMTIME_COMPONENT_STRING &&
                is_file_of(file, user->of.string.data, user->of.string.size))
                return true;
        }
    return false;
}

bool grant_reads(const struct grant *grant, const wasm_name_t *file)
{
    // The settings say what may be derived to decrypt a file.
    if (is_name(file, SETTINGS))
        return has(grant, RIGHT_SETTINGS) || has(grant, RIGHT_READ | RIGHT_KEYS);
    return has(grant, RIGHT_READ) && (is_own(grant, file) || is_source(grant, file));
}

bool grant_writes(const struct grant *grant, const wasm_name_t *file)
{
    if (is_name(file, SETTINGS))
        return has(grant, RIGHT_SETTINGS);
    return has(grant, RIGHT_WRITE) && is_own(grant, file);
}

bool grant_removes(const struct grant *grant, const wasm_name_t *file)
{
    const value *whose = grant->whose;
    if (has(grant, RIGHT_REMOVE_BACKUP) && whose && whose->kind == WASMTIME_COMPONENT_STRING) {
        const wasm_name_t *backup = &whose->of.string;
        return backed_up(backup) > 0 && file->size == backup->size &&
               memcmp(file->data, backup->data, file->size) == 0;
    }
    return has(grant, RIGHT_REMOVE) && is_own(grant, file);
}
