/// The credentials directory as plain files. It keeps the rules of wit/directory.wit, and shares
/// the locks and the names of temporary files with the `moat` program, so that both may write one
/// directory at a time.

#ifndef DIRECTORY_H
#define DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moat_error.h"

enum {
    /// The largest file that is read or written, in bytes.
    DIRECTORY_MAX_FILE = 64 * 1024,
    /// The largest page of names.
    DIRECTORY_MAX_NAMES = 4096,
    /// The digits of a revision: the first half of the SHA-256 of the contents, in hexadecimal.
    DIRECTORY_REVISION = 32,
};

/// A file as it was read. It may hold what is not encrypted: wipe it after use.
struct directory_file {
    /// Whether there is such a file; else the rest is unset.
    bool exists;
    size_t size;
    /// With room for one byte more, to see that there is more.
    uint8_t contents[DIRECTORY_MAX_FILE + 1];
    char revision[DIRECTORY_REVISION + 1];
};

/// A part of a directory's names.
struct directory_page {
    /// In the order of wit/directory.wit.
    char **names;
    size_t count;
    /// Whether there are more after these.
    bool more;
};

/// Opens a directory, which has to be the caller's and not writable by others. Returns a file
/// descriptor, or -1 and `directory` as the error.
int directory_open(const char *path, struct moat_error *error);

/// Reads a whole file, if there is one. `NAME` has to be one plain file name, here and below.
bool directory_read(int directory, const char *name, struct directory_file *file,
                    struct moat_error *error);

/// Writes a whole file in place of the one with the revision `REPLACES`; NULL: there must be none.
bool directory_write(int directory, const char *name, const uint8_t *contents, size_t size,
                     const char *replaces, char revision[DIRECTORY_REVISION + 1],
                     struct moat_error *error);

/// Removes the file with the revision `EXPECTED`; NULL: with any, and there need not be one.
bool directory_remove(int directory, const char *name, const char *expected, bool *existed,
                      struct moat_error *error);

/// Takes at most `LIMIT` names after `CURSOR`; NULL: from the first. Free the page in any case.
bool directory_names(int directory, const char *cursor, size_t cursor_size, uint32_t limit,
                     struct directory_page *page, struct moat_error *error);

/// Frees what is in a page.
void directory_page_free(struct directory_page *page);

/// Whether text is UTF-8 (Unicode, table 3-7: no overlong forms, no surrogates).
bool is_utf8(const char *text, size_t size);

#endif
