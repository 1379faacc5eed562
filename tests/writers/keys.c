// Which of these users' records the environment's keys decrypt: `keys COMPONENT USER…`.

#include <stdio.h>
#include <string.h>

#include "master_key.h"

int main(int count, char **arguments)
{
    struct moat_keys keys;
    struct moat_error error;
    struct moat *moat = NULL;
    if (moat_environment_keys(&keys, &error))
        moat = moat_open(arguments[1], NULL, "credentials", keys.ring, keys.size, &error);
    bool done = moat != NULL;
    const char *separator = "";
    for (int i = 2; done && i < count; ++i) {
        wasmtime_component_val_t user = moat_text(arguments[i]), summary;
        done = moat_call(moat, "vault", "describe", &user, 1, &summary, &error);
        if (done) {
            const wasmtime_component_val_t *primary =
                moat_member(moat_member(&summary, "key"), "primary");
            printf("%s%s%s", separator, arguments[i], primary->of.boolean ? "*" : "");
            separator = " ";
            moat_wipe(&summary);
        } else {
            done = strcmp(error.code, "wrong-key-or-tampered") == 0;
        }
    }
    puts(done ? "" : error.code);
    moat_close(moat);
    moat_wipe_keys(&keys);
    return 0;
}
