// Calls of a component that misbehaves: COMPONENT DIGEST, and pairs of a function and a user.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moat_host.h"

int main(int count, char **arguments)
{
    const char *material = getenv("FOSSAWORK_MASTER_KEY");
    const struct moat_key key = {.material = (const uint8_t *)material, .size = strlen(material)};
    struct moat_error error;
    struct moat *moat = moat_open(arguments[1], arguments[2], "credentials", &key, 1, &error);
    if (!moat)
        printf("%s: %s\n", error.code, error.message);
    for (int at = 3; moat && at + 1 < count; at += 2) {
        const char *function = arguments[at];
        const char *interface = strcmp(function, "reveal") == 0 ? "reveal" : "vault";
        wasmtime_component_val_t given[] = {
            moat_text(arguments[at + 1]),
            {.kind = WASMTIME_COMPONENT_OPTION},
        };
        const size_t size = strcmp(function, "remove") == 0 ? 2 : 1;
        wasmtime_component_val_t answer;
        if (moat_call(moat, interface, function, given, size, &answer, &error)) {
            moat_wipe(&answer);
            puts("done");
        } else {
            printf("%s: %s\n", error.code, error.message);
        }
    }
    moat_close(moat);
    return 0;
}
