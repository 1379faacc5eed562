/// The runner of tests/conformance/README.md for the host in C: conformance CASES COMPONENT ROOT.
///
/// A step's members become the arguments by the function's own type, and its answer becomes JSON by
/// its values' kinds, so nothing here knows of any single function but the names and the pages.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moat_host.h"

typedef wasmtime_component_val_t value;

enum { MAX_KEYS = 8, MAX_PARAMETERS = 8, PAGE = 2 };

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "error: %s\n", what);
    exit(1);
}

/// What is allocated or looked up has to be there.
static void *need(void *pointer, const char *what)
{
    if (!pointer)
        fail(what);
    return pointer;
}

static json_t *member(const json_t *object, const char *name)
{
    return need(json_object_get(object, name), name);
}

static const char *text(const json_t *json)
{
    return need((void *)json_string_value(json), "not text");
}

static void put(json_t *object, const char *name, json_t *json)
{
    if (json_object_set_new(object, name, json) != 0)
        fail("no memory");
}

static void append(json_t *array, json_t *json)
{
    if (json_array_append_new(array, json) != 0)
        fail("no memory");
}

/// A copy of a name with one character in place of another; free it.
static char *renamed(const char *name, size_t size, char from, char to)
{
    char *copy = need(strndup(name, size), "no memory");
    for (char *at = copy; (at = strchr(at, from)); ++at)
        *at = to;
    return copy;
}

/// The member of JSON that a name of the contract stands for; NULL where it is missing.
static const json_t *named(const json_t *json, const char *name, size_t size)
{
    char *key = renamed(name, size, '-', '_');
    const json_t *found = json_object_get(json, key);
    free(key);
    return found;
}

/// JSON as a value of this type, which is freed. What is missing (NULL) is none, false, 0 or empty.
static value to_value(const json_t *json, wasmtime_component_valtype_t *type)
{
    value made = {.kind = WASMTIME_COMPONENT_BOOL};
    wasmtime_component_valtype_t inner;
    switch (type->kind) {
    case WASMTIME_COMPONENT_VALTYPE_BOOL:
        made.of.boolean = json_is_true(json);
        break;
    case WASMTIME_COMPONENT_VALTYPE_U32:
        made.kind = WASMTIME_COMPONENT_U32;
        made.of.u32 = (uint32_t)json_integer_value(json);
        break;
    case WASMTIME_COMPONENT_VALTYPE_STRING:
        made.kind = WASMTIME_COMPONENT_STRING;
        wasm_name_new(&made.of.string, json_string_length(json), text(json));
        break;
    case WASMTIME_COMPONENT_VALTYPE_ENUM:
        made.kind = WASMTIME_COMPONENT_ENUM;
        wasm_name_new(&made.of.enumeration, json_string_length(json), text(json));
        break;
    case WASMTIME_COMPONENT_VALTYPE_OPTION:
        made.kind = WASMTIME_COMPONENT_OPTION;
        made.of.option = NULL;
        if (json && !json_is_null(json)) {
            wasmtime_component_option_type_ty(type->of.option, &inner);
            value some = to_value(json, &inner);
            made.of.option = wasmtime_component_val_new(&some);
        }
        break;
    case WASMTIME_COMPONENT_VALTYPE_LIST:
        made.kind = WASMTIME_COMPONENT_LIST;
        wasmtime_component_vallist_new_uninit(&made.of.list, json_array_size(json));
        for (size_t i = 0; i < made.of.list.size; ++i) {
            wasmtime_component_list_type_element(type->of.list, &inner);
            made.of.list.data[i] = to_value(json_array_get(json, i), &inner);
        }
        break;
    case WASMTIME_COMPONENT_VALTYPE_RECORD:
        made.kind = WASMTIME_COMPONENT_RECORD;
        wasmtime_component_valrecord_new_uninit(
            &made.of.record, wasmtime_component_record_type_field_count(type->of.record));
        for (size_t i = 0; i < made.of.record.size; ++i) {
            const char *name;
            size_t size;
            wasmtime_component_record_type_field_nth(type->of.record, i, &name, &size, &inner);
            wasm_name_new(&made.of.record.data[i].name, size, name);
            made.of.record.data[i].val = to_value(named(json, name, size), &inner);
        }
        break;
    default:
        fail("a type that no function of the contract takes");
    }
    wasmtime_component_valtype_delete(type);
    return made;
}

/// A value as JSON.
static json_t *to_json(const value *given)
{
    json_t *made = NULL;
    switch (given->kind) {
    case WASMTIME_COMPONENT_BOOL:
        made = json_boolean(given->of.boolean);
        break;
    case WASMTIME_COMPONENT_U32:
        made = json_integer(given->of.u32);
        break;
    case WASMTIME_COMPONENT_STRING:
        made = json_stringn(given->of.string.data, given->of.string.size);
        break;
    case WASMTIME_COMPONENT_ENUM:
        made = json_stringn(given->of.enumeration.data, given->of.enumeration.size);
        break;
    case WASMTIME_COMPONENT_OPTION:
        made = given->of.option ? to_json(given->of.option) : json_null();
        break;
    case WASMTIME_COMPONENT_LIST:
        made = json_array();
        for (size_t i = 0; i < given->of.list.size; ++i)
            append(made, to_json(&given->of.list.data[i]));
        break;
    case WASMTIME_COMPONENT_RECORD:
        made = json_object();
        for (size_t i = 0; i < given->of.record.size; ++i) {
            const wasmtime_component_valrecord_entry_t *entry = &given->of.record.data[i];
            char *name = renamed(entry->name.data, entry->name.size, '-', '_');
            put(made, name, to_json(&entry->val));
            free(name);
        }
        break;
    case WASMTIME_COMPONENT_RESULT: {
        const value *inner = given->of.result.val;
        made = json_object();
        if (given->of.result.is_ok)
            put(made, "ok", to_json(inner));
        else
            put(made, "error", to_json(need((void *)moat_member(inner, "code"), "no code")));
        break;
    }
    default:
        break;
    }
    return need(made, "a value that is not JSON");
}

/// Calls a function with a step's members, and answers as the cases expect it.
static json_t *call(struct moat *moat, const char *function, const json_t *step)
{
    const char *interface = strncmp(function, "reveal", strlen("reveal")) == 0 ? "reveal" : "vault";
    struct moat_error error;
    wasmtime_component_func_type_t *signature =
        need(moat_type(moat, interface, function, &error), function);
    value arguments[MAX_PARAMETERS], answer;
    const size_t count = wasmtime_component_func_type_param_count(signature);
    if (count > MAX_PARAMETERS)
        fail("too many parameters");
    for (size_t i = 0; i < count; ++i) {
        const char *name;
        size_t size;
        wasmtime_component_valtype_t inner;
        wasmtime_component_func_type_param_nth(signature, i, &name, &size, &inner);
        arguments[i] = to_value(named(step, name, size), &inner);
    }
    wasmtime_component_func_type_delete(signature);

    json_t *answered = json_object();
    if (moat_call(moat, interface, function, arguments, count, &answer, &error)) {
        put(answered, "ok", to_json(&answer));
        moat_wipe(&answer);
    } else {
        put(answered, "error", json_string(error.code));
    }
    return answered;
}

/// Calls a function that answers in pages, with small ones, and puts them together.
static json_t *all_pages(struct moat *moat, const char *function, const char *items)
{
    json_t *all = json_array(), *step = json_pack("{s:i, s:n}", "limit", PAGE, "cursor");
    do {
        json_t *answered = call(moat, function, step);
        const json_t *page = json_object_get(answered, "ok");
        if (!page) {
            json_decref(all);
            json_decref(step);
            return answered;
        }
        if (json_array_extend(all, member(page, items)) != 0)
            fail("no memory");
        put(step, "cursor", json_incref(member(page, "next")));
        json_decref(answered);
    } while (!json_is_null(member(step, "cursor")));
    json_decref(step);
    return need(json_pack("{s:{s:o}}", "ok", items, all), "no memory");
}

static json_t *answer_step(struct moat *moat, const json_t *step)
{
    const char *name = text(member(step, "call"));
    if (strcmp(name, "users") == 0)
        return all_pages(moat, name, "user_ids");
    if (strcmp(name, "leftovers") == 0)
        return all_pages(moat, name, "leftovers");
    char *function = renamed(name, strlen(name), '_', '-');
    json_t *answered = call(moat, function, step);
    free(function);
    return answered;
}

/// Finds the last `revision` in an answer.
static void find_revision(json_t *answered, json_t **last)
{
    const char *name;
    json_t *part;
    size_t i;
    json_array_foreach(answered, i, part) find_revision(part, last);
    json_object_foreach(answered, name, part)
    {
        if (strcmp(name, "revision") == 0)
            *last = part;
        find_revision(part, last);
    }
}

/// Puts the revision into the step's members that stand for it.
static void put_revision(json_t *step, json_t *revision)
{
    const char *name;
    json_t *part;
    json_object_foreach(step, name, part)
    {
        const char *asked = json_string_value(part);
        if (asked && strcmp(name, "expected_revision") == 0 && strcmp(asked, "$revision") == 0)
            put(step, name, json_incref(need(revision, "no revision was returned")));
        else
            put_revision(part, revision);
    }
}

/// Makes the case's directory with its files, and returns its path; free it.
static char *make_directory(const char *root, const json_t *given)
{
    const json_t *name = json_object_get(given, "directory");
    char *path;
    if (asprintf(&path, "%s/%s", root, text(name ? name : member(given, "name"))) < 0)
        fail("no memory");
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        fail("the directory can't be made");

    const char *file;
    json_t *encoded;
    json_object_foreach(json_object_get(given, "files"), file, encoded)
    {
        const size_t room = json_string_length(encoded) + 1;
        unsigned char *contents = need(malloc(room), "no memory");
        const int size = b64_pton(text(encoded), contents, room);
        char *name_of_file;
        if (size < 0 || asprintf(&name_of_file, "%s/%s", path, file) < 0)
            fail("a file is not base64");
        const int handle = open(name_of_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (handle < 0 || write(handle, contents, (size_t)size) != size || close(handle) != 0)
            fail("a file can't be written");
        free(name_of_file);
        free(contents);
    }
    return path;
}

static int is_record(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".cred") == 0;
}

static int by_bytes(const struct dirent **one, const struct dirent **other)
{
    return strcmp((*one)->d_name, (*other)->d_name);
}

/// The names of all records, sorted by their bytes.
static json_t *records(const char *path)
{
    struct dirent **entries;
    const int count = scandir(path, &entries, is_record, by_bytes);
    if (count < 0)
        fail("the directory can't be listed");
    json_t *names = json_array();
    for (int i = 0; i < count; ++i) {
        append(names, json_string(entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
    return names;
}

static json_t *run_case(const char *component, const char *root, json_t *given)
{
    char *path = make_directory(root, given);
    struct moat_key ring[MAX_KEYS];
    const json_t *keys = member(given, "ring");
    json_t *part;
    size_t i;
    if (json_array_size(keys) > MAX_KEYS)
        fail("too many keys");
    json_array_foreach(keys, i, part)
    {
        const json_t *material = member(part, "key");
        ring[i] = (struct moat_key){
            .id = json_string_value(member(part, "id")),
            .material = (const uint8_t *)text(material),
            .size = json_string_length(material),
        };
    }
    struct moat_error error;
    struct moat *moat = moat_open(component, NULL, path, ring, json_array_size(keys), &error);
    if (!moat)
        fail(error.message);

    json_t *answers = json_array(), *revision = NULL;
    json_array_foreach(member(given, "steps"), i, part)
    {
        put_revision(part, revision);
        json_t *answered = answer_step(moat, part);
        find_revision(answered, &revision);
        append(answers, answered);
    }
    moat_close(moat);
    json_t *done = json_pack("{s:O, s:o, s:o}", "name", member(given, "name"), "answers", answers,
                             "files", records(path));
    free(path);
    return done;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        fail("usage: conformance CASES COMPONENT ROOT");
    json_error_t error;
    json_t *cases = json_load_file(argv[1], JSON_ALLOW_NUL, &error);
    if (!cases)
        fail(error.text);
    json_t *done = json_array(), *given;
    size_t i;
    json_array_foreach(member(cases, "cases"), i, given)
        append(done, run_case(argv[2], argv[3], given));
    json_t *output = need(json_pack("{s:s, s:o}", "caller", "c", "cases", done), "no memory");
    if (json_dumpf(output, stdout, JSON_COMPACT) != 0 || fflush(stdout) != 0)
        fail("the answers can't be printed");
    json_decref(output);
    json_decref(cases);
    return 0;
}
