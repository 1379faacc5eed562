/// Opens a credential through Moat's component:
///
///     FOSSAWORK_MASTER_KEY_FILE=… get COMPONENT DIRECTORY USER [--password]
///
/// The key comes from what `moat_environment_keys` looks at. It prints the user name, and of the password only the length; with --password, the password and
/// nothing else.

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "master_key.h"
#include "moat_host.h"

/// Text of the credential; NULL where the component didn't answer as the contract has it.
static const wasm_name_t *text_of(const wasmtime_component_val_t *revealed, const char *name)
{
    const wasmtime_component_val_t *text = moat_member(moat_member(revealed, "credential"), name);
    return text && text->kind == WASMTIME_COMPONENT_STRING ? &text->of.string : NULL;
}

/// Prints what was asked for; false where that failed.
static bool print(const wasmtime_component_val_t *revealed, bool password_only)
{
    const wasm_name_t *username = text_of(revealed, "username");
    const wasm_name_t *password = text_of(revealed, "password");
    if (!username || !password)
        return false;
    // Without a buffer no copy of the password stays behind.
    setvbuf(stdout, NULL, _IONBF, 0);
    if (password_only)
        return fwrite(password->data, 1, password->size, stdout) == password->size &&
               putchar('\n') != EOF;
    return printf("username  %.*s\npassword  read, %zu bytes (--password prints it)\n",
                  (int)username->size, username->data, password->size) > 0;
}

int main(int argc, char **argv)
{
    const bool password_only = argc == 5 && strcmp(argv[4], "--password") == 0;
    if (argc != 4 && !password_only) {
        fputs("usage: get COMPONENT DIRECTORY USER [--password]\n", stderr);
        return 2;
    }
    // No core dumps, and no other process of this user reads the memory.
    if (prctl(PR_SET_DUMPABLE, 0) != 0)
        perror("warning: the process can be dumped");

    struct moat_error error;
    struct moat_keys keys;
    struct moat *moat = NULL;
    if (moat_environment_keys(&keys, &error))
        moat = moat_open(argv[1], NULL, argv[2], keys.ring, keys.size, &error);
    wasmtime_component_val_t revealed;
    bool done = false;
    if (moat) {
        wasmtime_component_val_t user = moat_text(argv[3]);
        done = moat_call(moat, "reveal", "reveal", &user, 1, &revealed, &error);
    }
    moat_close(moat);
    moat_wipe_keys(&keys);
    if (done) {
        done = print(&revealed, password_only) ||
               moat_fail(&error, "sandbox", "the credential can't be printed");
        moat_wipe(&revealed);
    }
    if (!done)
        fprintf(stderr, "error: %s: %s\n", error.code, error.message);
    return done ? 0 : 1;
}
