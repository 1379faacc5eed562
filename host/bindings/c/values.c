#include "values.h"

#include <string.h>

#include "directory.h"

value value_text(const char *bytes, size_t size)
{
    value made = {.kind = WASMTIME_COMPONENT_STRING};
    wasm_name_new(&made.of.string, size, bytes);
    return made;
}

wasmtime_component_val_t moat_text(const char *bytes)
{
    return value_text(bytes, strlen(bytes));
}

value value_boolean(bool yes)
{
    return (value){.kind = WASMTIME_COMPONENT_BOOL, .of.boolean = yes};
}

value value_enum(const char *name)
{
    value made = {.kind = WASMTIME_COMPONENT_ENUM};
    wasm_name_new_from_string(&made.of.enumeration, name);
    return made;
}

value value_none(void)
{
    return (value){.kind = WASMTIME_COMPONENT_OPTION};
}

value value_some(value inner)
{
    return (value){.kind = WASMTIME_COMPONENT_OPTION,
                   .of.option = wasmtime_component_val_new(&inner)};
}

value value_result(bool is_ok, value inner)
{
    value made = {.kind = WASMTIME_COMPONENT_RESULT, .of.result.is_ok = is_ok};
    made.of.result.val = wasmtime_component_val_new(&inner);
    return made;
}

value value_list(size_t size)
{
    value made = {.kind = WASMTIME_COMPONENT_LIST};
    wasmtime_component_vallist_new_uninit(&made.of.list, size);
    return made;
}

value value_bytes(const uint8_t *bytes, size_t size)
{
    value made = value_list(size);
    for (size_t i = 0; i < size; ++i)
        made.of.list.data[i] = (value){.kind = WASMTIME_COMPONENT_U8, .of.u8 = bytes[i]};
    return made;
}

value value_record(const struct member *members, size_t count)
{
    value made = {.kind = WASMTIME_COMPONENT_RECORD};
    wasmtime_component_valrecord_new_uninit(&made.of.record, count);
    for (size_t i = 0; i < count; ++i) {
        wasm_name_new_from_string(&made.of.record.data[i].name, members[i].name);
        made.of.record.data[i].val = members[i].value;
    }
    return made;
}

bool is_name(const wasm_name_t *name, const char *expected)
{
    return name->size == strlen(expected) && memcmp(name->data, expected, name->size) == 0;
}

const wasmtime_component_val_t *moat_member(const wasmtime_component_val_t *record,
                                            const char *name)
{
    if (!record || record->kind != WASMTIME_COMPONENT_RECORD)
        return NULL;
    for (size_t i = 0; i < record->of.record.size; ++i)
        if (is_name(&record->of.record.data[i].name, name))
            return &record->of.record.data[i].val;
    return NULL;
}

static void clear(value *secret)
{
    switch (secret->kind) {
    case WASMTIME_COMPONENT_STRING:
        explicit_bzero(secret->of.string.data, secret->of.string.size);
        break;
    case WASMTIME_COMPONENT_LIST:
        for (size_t i = 0; i < secret->of.list.size; ++i)
            clear(&secret->of.list.data[i]);
        break;
    case WASMTIME_COMPONENT_RECORD:
        for (size_t i = 0; i < secret->of.record.size; ++i)
            clear(&secret->of.record.data[i].val);
        break;
    case WASMTIME_COMPONENT_OPTION:
        if (secret->of.option)
            clear(secret->of.option);
        break;
    case WASMTIME_COMPONENT_RESULT:
        if (secret->of.result.val)
            clear(secret->of.result.val);
        break;
    case WASMTIME_COMPONENT_U8:
        explicit_bzero(&secret->of.u8, sizeof secret->of.u8);
        break;
    default: // No secret is of another kind.
        break;
    }
}

void moat_wipe(wasmtime_component_val_t *secret)
{
    clear(secret);
    wasmtime_component_val_delete(secret);
    *secret = value_boolean(false);
}

bool value_is_sound(const value *given)
{
    bool sound = true;
    switch (given->kind) {
    case WASMTIME_COMPONENT_STRING:
        return is_utf8(given->of.string.data, given->of.string.size);
    case WASMTIME_COMPONENT_LIST:
        for (size_t i = 0; sound && i < given->of.list.size; ++i)
            sound = value_is_sound(&given->of.list.data[i]);
        return sound;
    case WASMTIME_COMPONENT_RECORD:
        for (size_t i = 0; sound && i < given->of.record.size; ++i)
            sound = value_is_sound(&given->of.record.data[i].val);
        return sound;
    case WASMTIME_COMPONENT_OPTION:
        return !given->of.option || value_is_sound(given->of.option);
    default: // No argument of the contract has text in a value of another kind.
        return true;
    }
}
