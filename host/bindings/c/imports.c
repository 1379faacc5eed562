#include "imports.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "directory.h"
#include "values.h"

/// The most random bytes that the component may ask for at once.
enum { MAX_RANDOM = 1024 };

// Each import puts its answer into `answer`, or returns false and the error.

/// Aborts the call if it isn't granted what the component asked for. What exactly that was isn't
/// said: the component chose it, and it may know a key.
static bool granted(bool is_granted, struct moat_error *error)
{
    return is_granted ||
           moat_fail(error, "sandbox", "the component asked for what the call was not granted");
}

/// A name that the component gave, as a C string.
static bool plain_name(const wasm_name_t *given, char name[NAME_MAX + 1], struct moat_error *error)
{
    if (given->size == 0 || given->size > NAME_MAX || memchr(given->data, '\0', given->size) ||
        memchr(given->data, '/', given->size) || is_name(given, ".") || is_name(given, ".."))
        return moat_fail(error, "denied", "not a plain file name");
    memcpy(name, given->data, given->size);
    name[given->size] = '\0';
    return true;
}

/// A revision that the component gave, as a C string; NULL for none, and empty for what can't be
/// one.
static const char *revision(const value *given, char copy[DIRECTORY_REVISION + 1])
{
    if (!given->of.option)
        return NULL;
    const wasm_name_t *digits = &given->of.option->of.string;
    const size_t size = digits->size == DIRECTORY_REVISION ? digits->size : 0;
    memcpy(copy, digits->data, size);
    copy[size] = '\0';
    return copy;
}

static bool import_read(const struct backend *backend, const value *arguments, value *answer,
                        struct moat_error *error)
{
    char name[NAME_MAX + 1];
    struct directory_file file;
    const wasm_name_t *given = &arguments[0].of.string;
    if (!granted(grant_reads(&backend->grant, given), error) || !plain_name(given, name, error) ||
        !directory_read(backend->directory, name, &file, error))
        return false;
    value found = value_none();
    if (file.exists) {
        found = value_some(RECORD({"contents", value_bytes(file.contents, file.size)},
                                  {"revision", moat_text(file.revision)}));
        explicit_bzero(file.contents, file.size);
    }
    *answer = RECORD({"file", found});
    return true;
}

static bool import_write(const struct backend *backend, const value *arguments, value *answer,
                         struct moat_error *error)
{
    char name[NAME_MAX + 1], replaces[DIRECTORY_REVISION + 1], written[DIRECTORY_REVISION + 1];
    const wasm_name_t *given = &arguments[0].of.string;
    const wasmtime_component_vallist_t *bytes = &arguments[1].of.list;
    uint8_t contents[DIRECTORY_MAX_FILE];
    if (!granted(grant_writes(&backend->grant, given), error))
        return false;
    if (bytes->size > sizeof contents)
        return moat_fail(error, "too-large", "the file would have more than 64 KiB");
    for (size_t i = 0; i < bytes->size; ++i)
        contents[i] = bytes->data[i].of.u8;
    if (!plain_name(given, name, error) ||
        !directory_write(backend->directory, name, contents, bytes->size,
                         revision(&arguments[2], replaces), written, error))
        return false;
    *answer = RECORD({"revision", moat_text(written)});
    return true;
}

static bool import_remove(const struct backend *backend, const value *arguments, value *answer,
                          struct moat_error *error)
{
    char name[NAME_MAX + 1], expected[DIRECTORY_REVISION + 1];
    const wasm_name_t *given = &arguments[0].of.string;
    bool existed;
    if (!granted(grant_removes(&backend->grant, given), error) ||
        !plain_name(given, name, error) ||
        !directory_remove(backend->directory, name, revision(&arguments[1], expected), &existed,
                          error))
        return false;
    *answer = RECORD({"existed", value_boolean(existed)});
    return true;
}

static bool import_names(const struct backend *backend, const value *arguments, value *answer,
                         struct moat_error *error)
{
    const value *cursor = arguments[0].of.option;
    struct directory_page page;
    if (!granted(backend->grant.rights & RIGHT_LIST, error))
        return false;
    const bool done =
        directory_names(backend->directory, cursor ? cursor->of.string.data : NULL,
                        cursor ? cursor->of.string.size : 0, arguments[1].of.u32, &page, error);
    if (done) {
        value names = value_list(page.count);
        for (size_t i = 0; i < page.count; ++i)
            names.of.list.data[i] = moat_text(page.names[i]);
        value next = page.more ? value_some(moat_text(page.names[page.count - 1])) : value_none();
        *answer = RECORD({"names", names}, {"next", next});
    }
    directory_page_free(&page);
    return done;
}

static bool import_ring(const struct backend *backend, const value *arguments, value *answer,
                        struct moat_error *error)
{
    (void)arguments;
    if (!granted(backend->grant.rights & RIGHT_KEYS, error))
        return false;
    if (backend->ring_size == 0)
        return moat_fail(error, "master-key-missing", "there is no master key");
    value keys = value_list(backend->ring_size);
    for (size_t i = 0; i < backend->ring_size; ++i) {
        const struct moat_key *key = &backend->ring[i];
        keys.of.list.data[i] =
            RECORD({"id", key->id ? value_some(moat_text(key->id)) : value_none()},
                   {"primary", value_boolean(i == 0)},
                   {"material", value_bytes(key->material, key->size)});
    }
    *answer = RECORD({"keys", keys});
    return true;
}

/// This host keeps no derived keys, which the contract allows: what isn't kept needs no wiping.
static bool import_lookup(const struct backend *backend, const value *arguments, value *answer,
                          struct moat_error *error)
{
    (void)backend, (void)arguments, (void)error;
    *answer = value_none();
    return true;
}

static bool import_remember(const struct backend *backend, const value *arguments,
                            value *answer, struct moat_error *error)
{
    (void)backend, (void)arguments, (void)answer, (void)error;
    return true;
}

static bool import_now(const struct backend *backend, const value *arguments, value *answer,
                       struct moat_error *error)
{
    (void)backend, (void)arguments;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || now.tv_sec < 0)
        return moat_fail(error, "unavailable", "the system gives no time");
    const value seconds = {.kind = WASMTIME_COMPONENT_U64, .of.u64 = (uint64_t)now.tv_sec};
    const value rest = {.kind = WASMTIME_COMPONENT_U32, .of.u32 = (uint32_t)now.tv_nsec};
    *answer = RECORD({"seconds", seconds}, {"nanoseconds", rest});
    return true;
}

static bool import_random(const struct backend *backend, const value *arguments, value *answer,
                          struct moat_error *error)
{
    (void)backend;
    uint8_t bytes[MAX_RANDOM];
    const uint64_t size = arguments[0].of.u64;
    if (size > sizeof bytes)
        return moat_fail(error, "sandbox", "the component asked for too many random bytes at once");
    for (size_t have = 0; have < size;) {
        const ssize_t got = getrandom(bytes + have, size - have, 0);
        if (got < 0 && errno != EINTR)
            return moat_fail(error, "unavailable", "the system gives no random bytes");
        if (got > 0)
            have += (size_t)got;
    }
    *answer = value_bytes(bytes, size);
    explicit_bzero(bytes, sizeof bytes);
    return true;
}

struct import {
    const char *interface;
    const char *name;
    /// A letter for the kind of each argument; see `is_kind`.
    const char *kinds;
    /// Whether a failure is the function's answer; else, and where it is `sandbox`, it aborts the
    /// component.
    bool answers_result;
    bool (*function)(const struct backend *backend, const value *arguments, value *answer,
                     struct moat_error *error);
};

/// All that the component gets, grouped by interface.
static const struct import imports[IMPORTS] = {
    {MOAT_INTERFACE("directory"), "read", "t", true, import_read},
    {MOAT_INTERFACE("directory"), "write", "tbo", true, import_write},
    {MOAT_INTERFACE("directory"), "remove", "to", true, import_remove},
    {MOAT_INTERFACE("directory"), "names", "ou", true, import_names},
    {MOAT_INTERFACE("master-keys"), "ring", "", true, import_ring},
    {MOAT_INTERFACE("key-cache"), "lookup", "r", false, import_lookup},
    {MOAT_INTERFACE("key-cache"), "remember", "rr", false, import_remember},
    {"wasi:clocks/wall-clock@0.2.6", "now", "", false, import_now},
    {"wasi:random/random@0.2.6", "get-random-bytes", "l", false, import_random},
};

/// The linker takes whatever argument types the component declares, so they are checked before use.
static bool is_kind(const value *given, char kind)
{
    switch (kind) {
    case 't': // text
        return given->kind == WASMTIME_COMPONENT_STRING;
    case 'o': // optional text
        return given->kind == WASMTIME_COMPONENT_OPTION &&
               (!given->of.option || is_kind(given->of.option, 't'));
    case 'b': // bytes; the elements of a list are of one kind
        return given->kind == WASMTIME_COMPONENT_LIST &&
               (given->of.list.size == 0 || given->of.list.data[0].kind == WASMTIME_COMPONENT_U8);
    case 'u':
        return given->kind == WASMTIME_COMPONENT_U32;
    case 'l':
        return given->kind == WASMTIME_COMPONENT_U64;
    default: // 'r', a record
        return given->kind == WASMTIME_COMPONENT_RECORD;
    }
}

/// What wasmtime calls for each import. It takes over what is put into `results`.
static wasmtime_error_t *answer_import(void *data, wasmtime_context_t *context,
                                       const wasmtime_component_func_type_t *type, value *arguments,
                                       size_t count, value *results, size_t result_count)
{
    (void)context, (void)type;
    const struct binding *binding = data;
    const struct import *import = binding->import;
    bool fits = count == strlen(import->kinds);
    for (size_t i = 0; fits && i < count; ++i)
        fits = is_kind(&arguments[i], import->kinds[i]);
    if (!fits)
        return wasmtime_error_new("it calls an import with other arguments than the contract's");

    struct moat_error error;
    value answer = value_boolean(false);
    const bool done = import->function(binding->backend, arguments, &answer, &error);
    if (!done && (!import->answers_result || strcmp(error.code, "sandbox") == 0)) {
        binding->backend->failure = error;
        return wasmtime_error_new(error.message);
    }
    if (!done)
        answer = RECORD({"code", value_enum(error.code)}, {"message", moat_text(error.message)});
    if (import->answers_result)
        answer = value_result(done, answer);
    if (result_count == 1)
        results[0] = answer;
    else
        wasmtime_component_val_delete(&answer);
    return NULL;
}

wasmtime_error_t *imports_define(wasmtime_component_linker_t *linker, struct backend *backend)
{
    wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(linker);
    wasmtime_component_linker_instance_t *instance = NULL;
    wasmtime_error_t *failure = NULL;
    for (size_t i = 0; !failure && i < IMPORTS; ++i) {
        const struct import *import = &imports[i];
        backend->bindings[i] = (struct binding){backend, import};
        if (i == 0 || strcmp(import->interface, imports[i - 1].interface) != 0) {
            if (instance)
                wasmtime_component_linker_instance_delete(instance);
            instance = NULL;
            failure = wasmtime_component_linker_instance_add_instance(
                root, import->interface, strlen(import->interface), &instance);
        }
        if (!failure)
            failure = wasmtime_component_linker_instance_add_func(
                instance, import->name, strlen(import->name), answer_import, &backend->bindings[i],
                NULL);
    }
    if (instance)
        wasmtime_component_linker_instance_delete(instance);
    wasmtime_component_linker_instance_delete(root);
    return failure;
}
