// Marks anna's credential as used, on a system that gives no random bytes: no_random_bytes COMPONENT DIRECTORY.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "moat_host.h"

// In place of the C library's.
ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
    (void)bytes, (void)size, (void)flags;
    errno = ENOSYS;
    return -1;
}

int main(int count, char **arguments)
{
    const char *material = getenv("FOSSAWORK_MASTER_KEY");
    if (count != 3 || !material)
        return 2;
    const struct moat_key key = {.material = (const uint8_t *)material, .size = strlen(material)};
    struct moat_error error;
    struct moat *moat = moat_open(arguments[1], NULL, arguments[2], &key, 1, &error);
    wasmtime_component_val_t user = moat_text("anna"), answer;
    if (moat && moat_call(moat, "vault", "mark-used", &user, 1, &answer, &error)) {
        moat_wipe(&answer);
        return 1;
    }
    printf("%s: %s\n", error.code, error.message);
    moat_close(moat);
    return 0;
}
