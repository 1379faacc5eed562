#ifndef MOAT_ERROR_H
#define MOAT_ERROR_H

#include <stdbool.h>
#include <stdio.h>

/// Why a call failed, as the contract has it (`error` in wit/types.wit).
struct moat_error {
    /// What callers decide by: a name of `error-code`, such as `not-found`.
    char code[32];
    /// One line for people.
    char message[256];
};

/// Notes a failure. Returns false, for `return moat_fail(…);`.
static inline bool moat_fail(struct moat_error *error, const char *code, const char *message)
{
    snprintf(error->code, sizeof error->code, "%s", code);
    snprintf(error->message, sizeof error->message, "%s", message);
    return false;
}

#endif
