#include "moat_host.h"

#include <fcntl.h>
#include <sha256.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "component_digest.h"
#include "directory.h"
#include "imports.h"
#include "values.h"

/// What one call may use up, in bytes and pieces; see host/vault/src/sandbox/limits.rs.
enum {
    MAX_MEMORY = 16 * 1024 * 1024,
    MAX_TABLE_ELEMENTS = 4096,
    MAX_INSTANCES = 8,
    MAX_TABLES = 4,
    MAX_MEMORIES = 2,
};

/// Fuel is about one instruction, and all of this half a minute or more. Deriving a key takes 0.9e9
/// in version 1.0 and 5.4e9 in version 2.0.
static const uint64_t MAX_FUEL = 100000000000;

/// The largest component that is loaded, in bytes.
enum { MAX_COMPONENT = 64 * 1024 * 1024 };

struct moat {
    wasm_engine_t *engine;
    wasmtime_component_t *component;
    wasmtime_component_linker_t *linker;
    struct backend backend;
};

/// Takes over an error of wasmtime's, whose first line says what failed, and whose last line the
/// cause.
static bool sandbox_failed(struct moat_error *error, const char *what, wasmtime_error_t *cause)
{
    wasm_name_t message;
    wasmtime_error_message(cause, &message);
    wasmtime_error_delete(cause);
    const char *text = message.data;
    size_t size = message.size;
    while (size > 0 && text[size - 1] == '\n')
        --size;
    const char *first_end = memchr(text, '\n', size);
    char detail[sizeof error->message];
    if (first_end) {
        const char *last = (const char *)memrchr(text, '\n', size) + 1;
        while (last < text + size && *last == ' ')
            ++last;
        snprintf(detail, sizeof detail, "%s: %.*s %.*s", what, (int)(first_end - text), text,
                 (int)(text + size - last), last);
    } else {
        snprintf(detail, sizeof detail, "%s: %.*s", what, (int)size, text);
    }
    wasm_name_delete(&message);
    return moat_fail(error, "sandbox", detail);
}

/// Whether these bytes have this SHA-256.
static bool is_expected(const uint8_t *bytes, size_t size, const char *digest,
                        struct moat_error *error)
{
    char found[SHA256_DIGEST_STRING_LENGTH], message[sizeof error->message];
    SHA256Data(bytes, size, found);
    if (strcmp(found, digest) == 0)
        return true;
    snprintf(message, sizeof message,
             "this is not the expected component: its SHA-256 is %s; give that to `moat_open` if "
             "you trust it",
             found);
    return moat_fail(error, "sandbox", message);
}

static bool compile(struct moat *moat, const char *path, const char *digest,
                    struct moat_error *error)
{
    const int handle = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (handle < 0 || fstat(handle, &status) != 0 || status.st_size > MAX_COMPONENT) {
        if (handle >= 0)
            close(handle);
        return moat_fail(error, "sandbox", "the component can't be opened");
    }
    const size_t size = (size_t)status.st_size;
    uint8_t *bytes = malloc(size + 1);
    size_t have = 0;
    for (ssize_t got = 1; bytes && have < size && got > 0; have += got > 0 ? (size_t)got : 0)
        got = read(handle, bytes + have, size - have);
    close(handle);
    wasmtime_error_t *failure = NULL;
    const bool whole = bytes && have == size;
    const bool expected = whole && is_expected(bytes, size, digest, error);
    // The library would take text for a component as well.
    if (expected && size >= 4 && memcmp(bytes, "\0asm", 4) == 0)
        failure = wasmtime_component_new(moat->engine, bytes, size, &moat->component);
    free(bytes);
    if (whole && !expected)
        return false;
    if (failure)
        return sandbox_failed(error, "the component can't be compiled", failure);
    return moat->component || moat_fail(error, "sandbox", "the file is no component");
}

struct moat *moat_open(const char *component, const char *digest, const char *directory,
                       const struct moat_key *ring, size_t ring_size, struct moat_error *error)
{
    for (size_t i = 0; i < ring_size; ++i) {
        if (ring[i].id && !is_utf8(ring[i].id, strlen(ring[i].id))) {
            moat_fail(error, "sandbox", "a key's id is not UTF-8");
            return NULL;
        }
    }
    struct moat *moat = calloc(1, sizeof *moat);
    if (!moat) {
        moat_fail(error, "unavailable", "there is no memory");
        return NULL;
    }
    moat->backend.ring = ring;
    moat->backend.ring_size = ring_size;
    moat->backend.directory = directory_open(directory, error);
    if (moat->backend.directory >= 0) {
        wasm_config_t *config = wasm_config_new();
        wasmtime_config_consume_fuel_set(config, true);
        moat->engine = wasm_engine_new_with_config(config);
        moat->linker = wasmtime_component_linker_new(moat->engine);
        wasmtime_error_t *failure = imports_define(moat->linker, &moat->backend);
        if (failure)
            sandbox_failed(error, "the imports can't be defined", failure);
        else if (compile(moat, component, digest ? digest : MOAT_COMPONENT_SHA256, error))
            return moat;
    }
    moat_close(moat);
    return NULL;
}

void moat_close(struct moat *moat)
{
    if (!moat)
        return;
    if (moat->component)
        wasmtime_component_delete(moat->component);
    if (moat->linker)
        wasmtime_component_linker_delete(moat->linker);
    if (moat->engine)
        wasm_engine_delete(moat->engine);
    if (moat->backend.directory >= 0)
        close(moat->backend.directory);
    free(moat);
}

// Calling

/// A fresh instance, whose memory goes back to the system with the store.
struct call {
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_component_func_t function;
};

static bool find(struct moat *moat, const wasmtime_component_instance_t *instance,
                 const char *interface, const char *function, struct call *call)
{
    char name[64];
    const int size = snprintf(name, sizeof name, MOAT_INTERFACE("%s"), interface);
    if (size < 0 || (size_t)size >= sizeof name)
        return false;
    wasmtime_component_export_index_t *outer =
        wasmtime_component_get_export_index(moat->component, NULL, name, (size_t)size);
    wasmtime_component_export_index_t *inner =
        outer ? wasmtime_component_get_export_index(moat->component, outer, function,
                                                    strlen(function))
              : NULL;
    const bool found = inner && wasmtime_component_instance_get_func(instance, call->context, inner,
                                                                     &call->function);
    if (inner)
        wasmtime_component_export_index_delete(inner);
    if (outer)
        wasmtime_component_export_index_delete(outer);
    return found;
}

/// Prepares a call; end it with `wasmtime_store_delete` in any case.
static bool begin(struct moat *moat, const char *interface, const char *function, struct call *call,
                  struct moat_error *error)
{
    call->store = wasmtime_store_new(moat->engine, NULL, NULL);
    call->context = wasmtime_store_context(call->store);
    wasmtime_store_limiter(call->store, MAX_MEMORY, MAX_TABLE_ELEMENTS, MAX_INSTANCES, MAX_TABLES,
                           MAX_MEMORIES);
    wasmtime_error_t *failure = wasmtime_context_set_fuel(call->context, MAX_FUEL);
    wasmtime_component_instance_t instance;
    if (!failure)
        failure = wasmtime_component_linker_instantiate(moat->linker, call->context,
                                                        moat->component, &instance);
    if (failure)
        return sandbox_failed(error, "the component can't be started", failure);
    return find(moat, &instance, interface, function, call) ||
           moat_fail(error, "sandbox", "the component has no such function");
}

wasmtime_component_func_type_t *moat_type(struct moat *moat, const char *interface,
                                          const char *function, struct moat_error *error)
{
    struct call call;
    wasmtime_component_func_type_t *type = NULL;
    if (begin(moat, interface, function, &call, error))
        type = wasmtime_component_func_type(&call.function, call.context);
    wasmtime_store_delete(call.store);
    return type;
}

/// Notes why the component was aborted: the failure of an import, or else what wasmtime says.
static bool aborted(struct backend *backend, wasmtime_error_t *cause, struct moat_error *error)
{
    if (backend->failure.code[0] == '\0')
        return sandbox_failed(error, "the sandbox aborted the component", cause);
    wasmtime_error_delete(cause);
    *error = backend->failure;
    return false;
}

/// Notes the error that the component answered.
static bool answered_error(const value *detail, struct moat_error *error)
{
    const value *code = moat_member(detail, "code"), *message = moat_member(detail, "message");
    if (!code || code->kind != WASMTIME_COMPONENT_ENUM || !message ||
        message->kind != WASMTIME_COMPONENT_STRING)
        return moat_fail(error, "sandbox", "the component's error is not the contract's");
    const wasm_name_t *name = &code->of.enumeration, *line = &message->of.string;
    snprintf(error->code, sizeof error->code, "%.*s", (int)name->size, name->data);
    snprintf(error->message, sizeof error->message, "%.*s", (int)line->size, line->data);
    return false;
}

/// Takes a `result` apart; any other value stays as it is.
static bool unwrap(value *answer, struct moat_error *error)
{
    if (answer->kind != WASMTIME_COMPONENT_RESULT)
        return true;
    value *inner = answer->of.result.val;
    if (!answer->of.result.is_ok) {
        answered_error(inner, error);
        moat_wipe(answer);
        return false;
    }
    value whole = *answer;
    *answer = *inner;
    *inner = value_boolean(false);
    wasmtime_component_val_delete(&whole);
    return true;
}

bool moat_call(struct moat *moat, const char *interface, const char *function,
               wasmtime_component_val_t *arguments, size_t count, wasmtime_component_val_t *answer,
               struct moat_error *error)
{
    struct call call;
    bool sound = true;
    *answer = value_boolean(false);
    for (size_t i = 0; sound && i < count; ++i)
        sound = value_is_sound(&arguments[i]);
    // From the beginning: what a module does when it starts belongs to the call as well.
    moat->backend.grant = grant_of(function, arguments, count);
    bool done = begin(moat, interface, function, &call, error);
    if (done && !sound)
        done = moat_fail(error, "sandbox", "an argument has text that is not UTF-8");
    if (done) {
        moat->backend.failure.code[0] = '\0';
        wasmtime_error_t *failure =
            wasmtime_component_func_call(&call.function, call.context, arguments, count, answer, 1);
        done = failure ? aborted(&moat->backend, failure, error) : unwrap(answer, error);
    }
    wasmtime_store_delete(call.store);
    moat->backend.grant = (struct grant){0};
    for (size_t i = 0; i < count; ++i)
        moat_wipe(&arguments[i]);
    return done;
}
