// The directory of the host in C: `read NAME`, or `write NAME FILE REVISION`.

#include <stdio.h>
#include <string.h>

#include "directory.h"

int main(int count, char **arguments)
{
    static struct directory_file file;
    static uint8_t contents[DIRECTORY_MAX_FILE];
    char revision[DIRECTORY_REVISION + 1];
    struct moat_error error = {0};
    const int directory = directory_open("credentials", &error);
    bool done = false;
    if (directory < 0) {
        puts(error.code);
        return 0;
    }
    if (count == 3 && strcmp(arguments[1], "read") == 0) {
        done = directory_read(directory, arguments[2], &file, &error);
        if (done)
            puts(file.exists ? "read" : "not-found");
    } else if (count == 5) {
        FILE *source = fopen(arguments[3], "rb");
        const size_t size = fread(contents, 1, sizeof contents, source);
        done = directory_write(directory, arguments[2], contents, size, arguments[4], revision,
                               &error);
        if (done)
            puts("done");
    }
    if (!done)
        puts(error.code);
    return 0;
}
