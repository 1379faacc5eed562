/// Master keys from files and from the environment, by the rules of the `moat` program
/// (host/docs/keys.md).

#ifndef MASTER_KEY_H
#define MASTER_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "moat_host.h"

/// Keys in memory of their own, the first of which encrypts.
struct moat_keys {
    struct moat_key *ring;
    size_t size;
};

/// Reads the key in a file, without one line break at its end. The file has to belong to this user
/// or root, and nobody else may access it. False and `master-key-missing` where it can't be used,
/// also where it is empty or a key ring. Give the keys to `moat_wipe_keys` in any case.
bool moat_read_master_key(const char *path, struct moat_keys *keys, struct moat_error *error);

/// Takes the key in FOSSAWORK_MASTER_KEY or in the file that FOSSAWORK_MASTER_KEY_FILE names, else
/// the systemd credential `fossawork-master-key`; and older ones in FOSSAWORK_MASTER_KEY_PREVIOUS,
/// one a line. Fails with `master-key-missing` where there is none, where there are two sources, and
/// where FOSSAWORK_KEYRING or FOSSAWORK_MASTER_KEY_COMMAND is set, neither of which this host reads.
/// Wipes the variables that hold keys. Give the keys to `moat_wipe_keys` in any case.
bool moat_environment_keys(struct moat_keys *keys, struct moat_error *error);

/// Overwrites the keys and frees them.
void moat_wipe_keys(struct moat_keys *keys);

#endif
