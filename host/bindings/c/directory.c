#include "directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sha256.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char LOCK[] = ".moat.lock";
static const char RECORD[] = ".cred";

/// How the names of all temporary files begin; this host has one at a time.
static const char TEMPORARY[] = ".moat.tmp";

/// How long a writer waits for others, in steps of 5 ms: 10 s in all.
enum { LOCK_STEP_NS = 5 * 1000 * 1000, LOCK_STEPS = 2000 };

/// For programs that write in place and take no lock: so old is a file that isn't whole and is believed
/// to stay like that; and how long to wait before it is read again, and how often at most, since some
/// file systems have clocks of their own; longer where it is known that somebody is writing it.
enum { LEFT_ALONE_MS = 200, PAUSE_NS = 5 * 1000 * 1000, READINGS = 40, READINGS_OF_A_SAVE = 400 };

/// A failure of the system: what was done, and errno in words.
static bool system_failed(struct moat_error *error, const char *doing)
{
    const char *why = strerrordesc_np(errno);
    char message[sizeof error->message];
    snprintf(message, sizeof message, "%s: %s", doing, why ? why : "unknown error");
    return moat_fail(error, "directory", message);
}

static bool conflict(struct moat_error *error)
{
    return moat_fail(error, "conflict", "somebody else wrote in between");
}

bool is_utf8(const char *text, size_t size)
{
    const unsigned char *at = (const unsigned char *)text;
    const unsigned char *const end = at + size;
    while (at < end) {
        const unsigned char lead = *at++;
        if (lead < 0x80)
            continue;
        const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
        if (lead < 0xC2 || lead > 0xF4 || end - at < more)
            return false;
        const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (*at < low || *at > high)
            return false;
        for (int i = 1; i < more; ++i)
            if ((at[i] & 0xC0) != 0x80)
                return false;
        at += more;
    }
    return true;
}

static void revision_of(const uint8_t *contents, size_t size, char revision[DIRECTORY_REVISION + 1])
{
    char digest[SHA256_DIGEST_STRING_LENGTH];
    SHA256Data(contents, size, digest);
    memcpy(revision, digest, DIRECTORY_REVISION);
    revision[DIRECTORY_REVISION] = '\0';
}

int directory_open(const char *path, struct moat_error *error)
{
    const int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    if (directory < 0 || fstat(directory, &status) != 0)
        system_failed(error, "the directory can't be opened");
    else if (status.st_uid != geteuid())
        moat_fail(error, "directory", "the directory belongs to another user");
    else if (status.st_mode & (S_IWGRP | S_IWOTH))
        moat_fail(error, "directory", "others can write in the directory");
    else
        return directory;
    if (directory >= 0)
        close(directory);
    return -1;
}

/// Whether this is the name of the very file that was opened; -1: it is unknown.
static int has_name(int directory, const char *name, int handle, struct stat *named)
{
    struct stat opened;
    if (fstatat(directory, name, named, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -1;
    if (fstat(handle, &opened) != 0)
        return -1;
    return opened.st_dev == named->st_dev && opened.st_ino == named->st_ino;
}

/// Whether what was opened is this directory's alone; -1: it is unknown. Its number of links
/// doesn't say so: the name may have been a hard link to a file elsewhere, and be gone since.
static int is_nowhere_else(int directory, const char *name, int handle)
{
    struct stat status;
    const int named = has_name(directory, name, handle, &status);
    if (named > 0)
        return status.st_nlink <= 1;
    if (named < 0 || fstat(handle, &status) != 0)
        return -1;
    // A writer was faster: what was opened is whole, and has no name left.
    return status.st_nlink == 0;
}

/// Whether an opened file is one that may be read.
static bool check_opened(int directory, const char *name, int handle, struct moat_error *error)
{
    struct stat status;
    if (fstat(handle, &status) != 0)
        return system_failed(error, "a file can't be examined");
    // What isn't read whatever is in it: that may well be a sound record.
    if (!S_ISREG(status.st_mode))
        return moat_fail(error, "directory", "it is not a regular file");
    if (status.st_nlink > 1)
        return moat_fail(error, "directory", "the file has a second name (hard link)");
    const int alone = is_nowhere_else(directory, name, handle);
    if (alone <= 0)
        return alone < 0 ? system_failed(error, "a file can't be examined") : conflict(error);
    if (status.st_uid != geteuid())
        return moat_fail(error, "directory", "the file belongs to another user");
    return true;
}

/// Reads all that is in an opened file now.
static bool read_opened(int handle, struct directory_file *file, struct moat_error *error)
{
    file->size = 0;
    while (file->size < sizeof file->contents) {
        const ssize_t got = pread(handle, file->contents + file->size,
                                  sizeof file->contents - file->size, (off_t)file->size);
        if (got < 0 && errno != EINTR)
            return system_failed(error, "reading a file");
        if (got == 0)
            break;
        if (got > 0)
            file->size += (size_t)got;
    }
    if (file->size > DIRECTORY_MAX_FILE)
        return moat_fail(error, "too-large", "the file has more than 64 KiB");
    file->exists = true;
    revision_of(file->contents, file->size, file->revision);
    return true;
}

/// Whether the directory has this very name: 1, 0 if its file system takes another user's, in other
/// case, for the same, or -1 and errno.
static int is_named(int directory, const char *name)
{
    char other[NAME_MAX + 1];
    size_t size = 0;
    for (; name[size] && size < sizeof other - 1; ++size) {
        const char c = name[size];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        other[size] = letter ? (char)(c ^ 0x20) : c;
    }
    other[size] = '\0';
    struct stat status;
    if (fstatat(directory, other, &status, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
        return 1;
    const int handle = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = handle < 0 ? NULL : fdopendir(handle);
    if (!entries) {
        const int why = errno;
        if (handle >= 0)
            close(handle);
        errno = why;
        return -1;
    }
    const struct dirent *entry;
    errno = 0;
    do
        entry = readdir(entries);
    while (entry && strcmp(entry->d_name, name) != 0);
    const int why = errno;
    closedir(entries);
    errno = why;
    return entry ? 1 : why ? -1 : 0;
}

/// Opens a file. Returns a file descriptor; -1 if there is no such file, with no error, or an error.
static int open_file(int directory, const char *name, struct moat_error *error)
{
    *error = (struct moat_error){0};
    // Without O_NONBLOCK, opening a FIFO waits for its other end.
    const int handle = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (handle < 0) {
        if (errno == ELOOP)
            moat_fail(error, "directory", "it is not a regular file, but a symbolic link");
        else if (errno == ENXIO)
            moat_fail(error, "directory", "it is not a regular file");
        else if (errno != ENOENT)
            system_failed(error, "a file can't be opened");
        return -1;
    }
    const int named = is_named(directory, name);
    if (named > 0 && check_opened(directory, name, handle, error))
        return handle;
    if (named < 0)
        system_failed(error, "a file can't be opened");
    close(handle);
    return -1;
}

/// Whether contents are a JSON object to its end: what was cut off isn't.
static bool is_whole(const uint8_t *contents, size_t size)
{
    bool in_string = false, ended = false;
    size_t depth = 0;
    for (size_t i = 0; i < size; ++i) {
        const uint8_t c = contents[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            ++depth;
        } else if ((c == '}' || c == ']') && depth > 0) {
            ended = --depth == 0;
        }
    }
    return ended && !in_string && depth == 0;
}

static void pause_reading(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

/// Whether a file was written to so long ago that it stays as it is.
static bool is_left_alone(int handle)
{
    struct stat status;
    struct timespec now;
    if (fstat(handle, &status) != 0 || clock_gettime(CLOCK_REALTIME, &now) != 0)
        return true;
    const struct timespec then = status.st_mtim;
    return (now.tv_sec - then.tv_sec) * 1000 + (now.tv_nsec - then.tv_nsec) / (1000 * 1000) >=
           LEFT_ALONE_MS;
}

bool directory_read(int directory, const char *name, struct directory_file *file,
                    struct moat_error *error)
{
    // Over again while a program that takes no lock writes it in place.
    for (int readings = 1;; ++readings) {
        file->exists = false;
        const int handle = open_file(directory, name, error);
        if (handle < 0)
            return !*error->code;
        const bool done = read_opened(handle, file, error);
        const bool left_alone = is_left_alone(handle);
        close(handle);
        if (!done || left_alone || readings == READINGS || is_whole(file->contents, file->size))
            return done;
        pause_reading();
    }
}

/// A file that is about to be replaced or removed.
struct before {
    /// -1: there is none.
    int handle;
    struct directory_file file;
};

static void forget(struct before *before)
{
    if (before->handle >= 0)
        close(before->handle);
    explicit_bzero(before->file.contents, sizeof before->file.contents);
}

/// Opens the file of this revision; NULL: makes sure that there is none. `forget` it in any case.
static bool expect(int directory, const char *name, const char *revision, struct before *before,
                   struct moat_error *error)
{
    before->handle = open_file(directory, name, error);
    if (before->handle < 0)
        return !*error->code && (!revision || conflict(error));
    return read_opened(before->handle, &before->file, error) &&
           ((revision && strcmp(before->file.revision, revision) == 0) || conflict(error));
}

/// Removes all temporary files. The first one goes last, since it is the one that the next writer
/// looks for.
static bool remove_temporaries(int directory, struct moat_error *error)
{
    // A handle of its own, since reading moves it.
    const int handle = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = handle < 0 ? NULL : fdopendir(handle);
    bool done = entries;
    const struct dirent *entry;
    while (done && (errno = 0, (entry = readdir(entries))))
        if (strncmp(entry->d_name, TEMPORARY, sizeof TEMPORARY - 1) == 0 &&
            strcmp(entry->d_name, TEMPORARY) != 0)
            done = unlinkat(directory, entry->d_name, 0) == 0;
    done = done && errno == 0 && (unlinkat(directory, TEMPORARY, 0) == 0 || errno == ENOENT);
    if (!done)
        system_failed(error, "removing what a crash left behind");
    if (entries)
        closedir(entries);
    else if (handle >= 0)
        close(handle);
    return done;
}

/// Opens and locks a file, or the directory itself, unless another has its lock or it has lost its
/// name since. Returns its file descriptor, or -1 and as errno EWOULDBLOCK or a failure.
static int try_lock(int directory, const char *name, int flags)
{
    const int handle =
        openat(directory, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (handle < 0)
        return -1;
    struct stat status;
    const bool locked = flock(handle, LOCK_EX | LOCK_NB) == 0;
    const int named = locked ? has_name(directory, name, handle, &status) : -1;
    if (named > 0)
        return handle;
    const int why = named == 0 ? EWOULDBLOCK : errno;
    close(handle);
    errno = why;
    return -1;
}

/// Waits for a lock, as long as there are STEPS. Returns a file descriptor, which holds the lock
/// until it is closed, or -1.
static int wait_for(int directory, const char *name, int flags, int *steps,
                    struct moat_error *error)
{
    int handle;
    while ((handle = try_lock(directory, name, flags)) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            system_failed(error, "locking the directory");
            break;
        }
        if ((*steps)-- <= 0) {
            moat_fail(error, "locked", "another process holds the directory's lock");
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOCK_STEP_NS}, NULL);
    }
    return handle;
}

/// The lock of a writer. A lock file can be deleted or replaced while it is locked. So the directory
/// itself is locked too, which all writers have in common whatever becomes of its files.
struct write_lock {
    int file;
    int directory;
};

static void release_lock(struct write_lock *lock)
{
    if (lock->directory >= 0)
        close(lock->directory);
    if (lock->file >= 0)
        close(lock->file);
}

/// Waits for the lock, and removes what a writer that crashed left behind.
static bool take_lock(int directory, struct write_lock *lock, struct moat_error *error)
{
    int steps = LOCK_STEPS;
    struct stat status;
    lock->directory = -1;
    lock->file = wait_for(directory, LOCK, O_WRONLY | O_CREAT, &steps, error);
    if (lock->file >= 0)
        lock->directory = wait_for(directory, ".", O_RDONLY | O_DIRECTORY, &steps, error);
    if (lock->directory >= 0 &&
        (fstatat(directory, TEMPORARY, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
         remove_temporaries(directory, error)))
        return true;
    release_lock(lock);
    return false;
}

static bool write_all(int handle, const uint8_t *contents, size_t size)
{
    while (size > 0) {
        const ssize_t put = write(handle, contents, size);
        if (put < 0 && errno != EINTR)
            return false;
        if (put > 0) {
            contents += put;
            size -= (size_t)put;
        }
    }
    return fsync(handle) == 0;
}

/// Makes changes to names durable, if the file system can do that to a directory.
static bool sync_names(int directory)
{
    return fsync(directory) == 0 || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS;
}

/// Writes beside the file and renames: a crash leaves either the old or the new one. First it compares
/// again, since a program that takes no lock may have written while the disk was waited for.
static bool rename_over(int directory, const char *name, const uint8_t *contents, size_t size,
                        const char *replaces, struct before *before, struct moat_error *error)
{
    before->handle = -1;
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const int handle = openat(directory, TEMPORARY, flags, 0600);
    if (handle < 0)
        return system_failed(error, "writing a file");
    struct stat status;
    bool done = write_all(handle, contents, size) || system_failed(error, "writing a file");
    done = done && expect(directory, name, replaces, before, error);
    if (done) {
        const int named = has_name(directory, TEMPORARY, handle, &status);
        if (named == 0)
            // Somebody has put another in its place.
            done = conflict(error);
        else if (named < 0 || renameat(directory, TEMPORARY, directory, name) != 0)
            done = system_failed(error, "writing a file");
    }
    close(handle);
    if (!done)
        unlinkat(directory, TEMPORARY, 0);
    return done;
}

/// Puts back what a program that takes no lock has saved into a file in the moment in which it was
/// replaced by the revision `OURS`, or removed, and reports a conflict.
static bool put_back(int directory, const char *name, struct before *before, const char *ours,
                     struct moat_error *error)
{
    if (before->handle < 0)
        return true;
    struct directory_file now;
    bool changed = true, whole = false;
    for (int readings = 0; changed && !whole && readings < READINGS_OF_A_SAVE; ++readings) {
        if (readings > 0)
            pause_reading();
        if (!read_opened(before->handle, &now, error))
            return true;
        changed = strcmp(now.revision, before->file.revision) != 0;
        whole = is_whole(now.contents, now.size);
    }
    if (changed && whole) {
        struct before last;
        // Whatever is newer even than that is to stay.
        if (rename_over(directory, name, now.contents, now.size, ours, &last, error))
            sync_names(directory);
        forget(&last);
        conflict(error);
    }
    explicit_bzero(now.contents, sizeof now.contents);
    return !(changed && whole);
}

bool directory_write(int directory, const char *name, const uint8_t *contents, size_t size,
                     const char *replaces, char revision[DIRECTORY_REVISION + 1],
                     struct moat_error *error)
{
    if (size > DIRECTORY_MAX_FILE)
        return moat_fail(error, "too-large", "the file would have more than 64 KiB");
    struct write_lock lock;
    if (!take_lock(directory, &lock, error))
        return false;
    revision_of(contents, size, revision);
    struct before before;
    struct stat status;
    bool done = expect(directory, name, replaces, &before, error);
    forget(&before);
    if (done && !replaces && fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        done = moat_fail(error, "conflict",
                         "the file system doesn't distinguish the name from one that exists");
    if (done) {
        // A rename or removal is durable only once the directory itself is. That comes first, since who
        // has opened a file before it lost its name may take as long to write to it.
        done = rename_over(directory, name, contents, size, replaces, &before, error) &&
               (sync_names(directory) || system_failed(error, "writing a file")) &&
               put_back(directory, name, &before, revision, error);
        forget(&before);
    }
    release_lock(&lock);
    return done;
}

bool directory_remove(int directory, const char *name, const char *expected, bool *existed,
                      struct moat_error *error)
{
    struct write_lock lock;
    if (!take_lock(directory, &lock, error))
        return false;
    struct before before;
    before.handle = -1;
    bool done = !expected || expect(directory, name, expected, &before, error);
    if (done) {
        const int named = is_named(directory, name);
        errno = named == 0 ? ENOENT : errno;
        *existed = named > 0 && unlinkat(directory, name, 0) == 0;
        if (*existed ? !sync_names(directory) : errno != ENOENT)
            done = system_failed(error, "removing a file");
    }
    done = done && put_back(directory, name, &before, NULL, error);
    forget(&before);
    release_lock(&lock);
    return done;
}

/// The size of a name without the ending of a record.
static size_t stem(const char *name, size_t size)
{
    const size_t ending = sizeof RECORD - 1;
    const bool is_record = size >= ending && memcmp(name + size - ending, RECORD, ending) == 0;
    return is_record ? size - ending : size;
}

/// Compares two names by their places in the order of wit/directory.wit, in which records are in
/// the order of their users.
static int compare(const char *one, size_t one_size, const char *other, size_t other_size)
{
    const size_t one_stem = stem(one, one_size), other_stem = stem(other, other_size);
    const int order = memcmp(one, other, one_stem < other_stem ? one_stem : other_stem);
    if (order != 0)
        return order;
    if (one_stem != other_stem)
        return one_stem < other_stem ? -1 : 1;
    return (one_size > other_size) - (one_size < other_size);
}

static int by_place(const void *one, const void *other)
{
    const char *const a = *(char *const *)one, *const b = *(char *const *)other;
    return compare(a, strlen(a), b, strlen(b));
}

/// Adds a copy of a name; false: there is no memory.
static bool add_name(struct directory_page *page, size_t *room, const char *name)
{
    if (page->count == *room) {
        const size_t more = *room ? *room * 2 : 64;
        char **names = reallocarray(page->names, more, sizeof *names);
        if (!names)
            return false;
        page->names = names;
        *room = more;
    }
    char *copy = strdup(name);
    if (copy)
        page->names[page->count++] = copy;
    return copy;
}

bool directory_names(int directory, const char *cursor, size_t cursor_size, uint32_t limit,
                     struct directory_page *page, struct moat_error *error)
{
    *page = (struct directory_page){0};
    // A handle of its own, since reading moves it.
    const int handle = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = handle < 0 ? NULL : fdopendir(handle);
    if (!entries) {
        system_failed(error, "listing the directory");
        if (handle >= 0)
            close(handle);
        return false;
    }
    size_t room = 0;
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(entries))) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || !is_utf8(name, strlen(name)))
            continue;
        const bool is_after = !cursor || compare(name, strlen(name), cursor, cursor_size) > 0;
        if (is_after && !add_name(page, &room, name))
            break;
    }
    const bool whole = errno == 0 || system_failed(error, "listing the directory");
    closedir(entries);
    if (!whole)
        return false;

    if (page->count > 0)
        qsort(page->names, page->count, sizeof *page->names, by_place);
    limit = limit == 0 ? 1 : limit > DIRECTORY_MAX_NAMES ? DIRECTORY_MAX_NAMES : limit;
    for (; page->count > limit; page->more = true)
        free(page->names[--page->count]);
    return true;
}

void directory_page_free(struct directory_page *page)
{
    while (page->count > 0)
        free(page->names[--page->count]);
    free(page->names);
}
