#include "master_key.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/// The longest key, in bytes.
enum { MAX_SECRET = 64 * 1024 };

static const char VARIABLE[] = "FOSSAWORK_MASTER_KEY";
static const char FILE_VARIABLE[] = "FOSSAWORK_MASTER_KEY_FILE";
static const char PREVIOUS_VARIABLE[] = "FOSSAWORK_MASTER_KEY_PREVIOUS";
static const char SYSTEMD_CREDENTIAL[] = "fossawork-master-key";

static const char *const SOURCES[] = {VARIABLE, FILE_VARIABLE, "FOSSAWORK_KEYRING",
                                      "FOSSAWORK_MASTER_KEY_COMMAND"};

static bool unusable(struct moat_error *error, const char *what, const char *why)
{
    char message[sizeof error->message];
    snprintf(message, sizeof message, "%s: %s", what, why);
    return moat_fail(error, "master-key-missing", message);
}

/// Adds a copy of a key.
static bool add(struct moat_keys *keys, const uint8_t *material, size_t size,
                struct moat_error *error)
{
    struct moat_key *ring = realloc(keys->ring, (keys->size + 1) * sizeof *ring);
    uint8_t *copy = malloc(size);
    if (ring)
        keys->ring = ring;
    if (!ring || !copy) {
        free(copy);
        return moat_fail(error, "unavailable", "there is no memory");
    }
    memcpy(copy, material, size);
    ring[keys->size++] = (struct moat_key){.material = copy, .size = size};
    return true;
}

/// Whether a text is meant to be a key ring; a master key hardly is by chance.
static bool is_ring(const uint8_t *text, size_t size)
{
    static const char MARKER[] = "\"moat_keyring\"";
    size_t begin = 0;
    while (begin < size && text[begin] != '\0' && strchr(" \t\n\f\r", text[begin]))
        ++begin;
    return begin < size && text[begin] == '{' && memmem(text, size, MARKER, sizeof MARKER - 1);
}

/// Adds the key in a text as editors and `echo` leave it, with a line break at its end or without.
static bool add_text(struct moat_keys *keys, const char *what, const uint8_t *text, size_t size,
                     struct moat_error *error)
{
    if (is_ring(text, size))
        return unusable(error, what, "it contains a key ring, not a key");
    if (size > 0 && text[size - 1] == '\n')
        size -= size > 1 && text[size - 2] == '\r' ? 2 : 1;
    return size > 0 ? add(keys, text, size, error) : unusable(error, what, "it contains no key");
}

static bool is_systemd_credential(const char *path)
{
    const char *const directory = getenv("CREDENTIALS_DIRECTORY");
    char file[PATH_MAX], real[PATH_MAX];
    return directory && *directory && realpath(path, file) && realpath(directory, real) &&
           strcmp(dirname(file), real) == 0;
}

static bool is_own_group(gid_t group)
{
    gid_t groups[NGROUPS_MAX];
    const int count = getgroups(NGROUPS_MAX, groups);
    for (int i = 0; i < count; ++i)
        if (groups[i] == group)
            return true;
    return getegid() == group;
}

/// Whether something is mounted at this very path, other than the root directory.
static bool is_mounted(const char *path)
{
    struct statx status;
    return strcmp(path, "/") != 0 && statx(AT_FDCWD, path, 0, 0, &status) == 0 &&
           status.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

static bool is_mounted_for_this_container(const char *path)
{
    char place[PATH_MAX];
    struct statvfs system;
    if (!realpath(path, place) || statvfs(place, &system) != 0 || !(system.f_flag & ST_RDONLY))
        return false;
    if (is_mounted(place))
        return true;
    char *const directory = dirname(place);
    if (is_mounted(directory))
        return true;
    // What Kubernetes begins the names of a volume's own directories with, to which `..data` leads.
    const char *const name = strrchr(directory, '/');
    return name && strncmp(name, "/..", 3) == 0 && is_mounted(dirname(directory));
}

/// Whether nobody else can read a file, as far as this user can tell. Only its owner can. Or it is a
/// credential that systemd passed to this service: its group bits show an access control list, and
/// nobody else can enter the directory. Or it is root's, and the group that can read it is one of
/// this user's, who can't change that (`fsGroup` of Kubernetes). Or it is root's, and was mounted
/// read-only for this container: by itself, or with the directory that it is in (host/docs/keys.md).
static bool nobody_else_can_read(const char *path, const struct stat *status)
{
    const bool is_roots = status->st_uid == 0, is_only_its_groups = !(status->st_mode & 027);
    return !(status->st_mode & 077) || (is_only_its_groups && is_systemd_credential(path)) ||
           (is_only_its_groups && is_roots && geteuid() != 0 && is_own_group(status->st_gid)) ||
           (!(status->st_mode & 022) && is_roots && is_mounted_for_this_container(path));
}

/// Whether nobody but this user and root can have a file's contents.
static bool is_private(int handle, const char *path, struct moat_error *error)
{
    struct stat status;
    char why[80];
    if (fstat(handle, &status) != 0)
        return unusable(error, path, strerror(errno));
    const bool exposed = !nobody_else_can_read(path, &status);
    const bool trusted = status.st_uid == 0 || status.st_uid == geteuid();
    if (exposed)
        snprintf(why, sizeof why, "others can read it (mode %04o)",
                 (unsigned)status.st_mode & 0777);
    else
        snprintf(why, sizeof why, "it belongs to uid %u, not to you or root",
                 (unsigned)status.st_uid);
    return (!exposed && trusted) || unusable(error, path, why);
}

/// Reads what a file has, at most `SIZE` bytes; -1 and `errno` where that fails.
static ssize_t read_all(int handle, uint8_t *bytes, size_t size)
{
    size_t have = 0;
    while (have < size) {
        const ssize_t got = read(handle, bytes + have, size - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

/// Adds the key in a file that is open.
static bool add_opened(struct moat_keys *keys, const char *what, int handle,
                       struct moat_error *error)
{
    uint8_t *bytes = malloc(MAX_SECRET + 1);
    if (!bytes)
        return moat_fail(error, "unavailable", "there is no memory");
    const ssize_t size = read_all(handle, bytes, MAX_SECRET + 1);
    bool done;
    if (size < 0)
        done = unusable(error, what, strerror(errno));
    else if (size > MAX_SECRET)
        done = unusable(error, what, "it is too large for a key");
    else
        done = add_text(keys, what, bytes, (size_t)size, error);
    explicit_bzero(bytes, MAX_SECRET + 1);
    free(bytes);
    return done;
}

static bool add_file(struct moat_keys *keys, const char *path, struct moat_error *error)
{
    const int handle = open(path, O_RDONLY | O_CLOEXEC);
    if (handle < 0)
        return unusable(error, path, strerror(errno));
    const bool done =
        is_private(handle, path, error) && add_opened(keys, path, handle, error);
    close(handle);
    return done;
}

/// Its mode isn't checked: it shows an access control list, in a directory that others can't enter.
static bool add_systemd_credential(struct moat_keys *keys, struct moat_error *error)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    const int folder = directory ? open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    const int handle = folder < 0 ? -1 : openat(folder, SYSTEMD_CREDENTIAL, O_RDONLY | O_CLOEXEC);
    if (folder >= 0)
        close(folder);
    if (handle < 0)
        return moat_fail(error, "master-key-missing", "there is no master key");
    const bool done = add_opened(keys, SYSTEMD_CREDENTIAL, handle, error);
    close(handle);
    return done;
}

static bool add_previous(struct moat_keys *keys, const char *lines, struct moat_error *error)
{
    for (const char *line = lines; line && *line;) {
        size_t size = strcspn(line, "\n");
        const char *next = line + size + (line[size] == '\n');
        if (size > 0 && line[size - 1] == '\r')
            --size;
        if (size > 0 && !add(keys, (const uint8_t *)line, size, error))
            return false;
        line = next;
    }
    return true;
}

static char *set(const char *name)
{
    char *value = getenv(name);
    return value && *value ? value : NULL;
}

static bool add_environment(struct moat_keys *keys, struct moat_error *error)
{
    const char *found = NULL;
    for (size_t i = 0; i < sizeof SOURCES / sizeof *SOURCES; ++i) {
        if (!set(SOURCES[i]))
            continue;
        if (found)
            return unusable(error, found, "it is set, and another source of the master key too");
        found = SOURCES[i];
    }
    if (!found)
        return add_systemd_credential(keys, error);
    const char *value = set(found);
    if (found == VARIABLE)
        return add(keys, (const uint8_t *)value, strlen(value), error);
    if (found == FILE_VARIABLE)
        return add_file(keys, value, error);
    return unusable(error, found, "this host doesn't read keys from there");
}

bool moat_read_master_key(const char *path, struct moat_keys *keys, struct moat_error *error)
{
    *keys = (struct moat_keys){0};
    return add_file(keys, path, error);
}

bool moat_environment_keys(struct moat_keys *keys, struct moat_error *error)
{
    *keys = (struct moat_keys){0};
    const bool done =
        add_environment(keys, error) && add_previous(keys, getenv(PREVIOUS_VARIABLE), error);
    char *const secrets[] = {set(VARIABLE), set(PREVIOUS_VARIABLE)};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; ++i) {
        if (secrets[i])
            explicit_bzero(secrets[i], strlen(secrets[i]));
    }
    return done;
}

void moat_wipe_keys(struct moat_keys *keys)
{
    for (size_t i = 0; i < keys->size; ++i) {
        explicit_bzero((uint8_t *)keys->ring[i].material, keys->ring[i].size);
        free((uint8_t *)keys->ring[i].material);
    }
    free(keys->ring);
    *keys = (struct moat_keys){0};
}
