/* Makes the N-th call that changes files below a folder fail, or the process die there as if the power went.
 *
 * Loaded with LD_PRELOAD and silent until fault_arm() is called. Counted are: write, pwrite, writev, fsync,
 * fdatasync, ftruncate, fallocate, rename, unlink, link, mkdir, and open where it creates or truncates.
 *
 * A power cut is simulated by undoing what was not made durable: data of a file by fsync or fdatasync of it,
 * names (create, rename, unlink) by fsync of their folder. Stricter than most file systems, as POSIX is.
 * What is changed through mmap is neither counted nor undone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { COUNT, FAIL_EIO, FAIL_ENOSPC, SHORT_WRITE, KILL, POWER, SHUFFLE };
enum op { CREATE, UNLINK, RENAME, MKDIR };

struct change { /* of a file's data: a write, or a truncation where `new` is NULL */
    struct change *previous, *next;
    off_t offset, old_size, new_size;
    size_t length, old_length;
    char *old, *new;
};
struct file {
    struct file *next;
    dev_t dev;
    ino_t ino;
    int fd; /* never closed: closing any descriptor of a file drops the process's locks on it */
    struct change *first, *last;
};
struct entry { /* of a folder */
    struct entry *previous, *next;
    enum op op;
    dev_t dev; /* of the folder */
    ino_t ino;
    char path[PATH_MAX], to[PATH_MAX], saved[PATH_MAX];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX], shadow[PATH_MAX], last_call[64];
static size_t root_length;
static long calls, at;
static enum kind kind;
static int forever, fired;
static unsigned long random_state, saved_count;
static struct file *files;
static struct entry *first_entry, *last_entry;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_fsync)(int), (*real_fdatasync)(int), (*real_ftruncate)(int, off_t);
static int (*real_fallocate)(int, int, off_t, off_t);
static int (*real_renameat)(int, const char *, int, const char *);
static int (*real_unlinkat)(int, const char *, int), (*real_mkdirat)(int, const char *, mode_t);
static int (*real_linkat)(int, const char *, int, const char *, int);
static int (*real_openat)(int, const char *, int, ...);

__attribute__((constructor)) static void load(void)
{
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fallocate = dlsym(RTLD_NEXT, "fallocate64");
    real_renameat = dlsym(RTLD_NEXT, "renameat");
    real_unlinkat = dlsym(RTLD_NEXT, "unlinkat");
    real_mkdirat = dlsym(RTLD_NEXT, "mkdirat");
    real_linkat = dlsym(RTLD_NEXT, "linkat");
    real_openat = dlsym(RTLD_NEXT, "openat64");
}

/* Called from the program under test, before its first change. `folder` has no symbolic link in it;
 * `aside` is a folder outside of it on the same file system. */
void fault_arm(const char *folder, const char *aside, long call, int what, int for_ever, unsigned long seed)
{
    snprintf(root, sizeof root, "%s", folder);
    snprintf(shadow, sizeof shadow, "%s", aside);
    root_length = strlen(root);
    calls = 0;
    at = call;
    kind = what;
    forever = for_ever;
    random_state = seed * 2654435761UL + 88172645463325252UL;
}

long fault_calls(void) { return calls; }
int fault_fired(void) { return fired; }
const char *fault_call(void) { return last_call; }

static unsigned long chance(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int inside(const char *path)
{
    return root_length && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int path_of(int fd, char *path)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, PATH_MAX - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return inside(path);
}

static int absolute(int folder, const char *path, char *out)
{
    char base[PATH_MAX];
    if (path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
        return inside(out);
    }
    if (folder == AT_FDCWD) {
        if (!getcwd(base, sizeof base))
            return 0;
    } else
        path_of(folder, base);
    if (snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX)
        return 0;
    return inside(out);
}

/* --- what would be lost ------------------------------------------------------------------------------ */

static struct file *track(int fd)
{
    struct stat status;
    char name[64];
    if (fstat(fd, &status) || !S_ISREG(status.st_mode))
        return NULL;
    for (struct file *file = files; file; file = file->next)
        if (file->dev == status.st_dev && file->ino == status.st_ino)
            return file;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int own = real_openat(AT_FDCWD, name, O_RDWR | O_CLOEXEC);
    if (own < 0)
        return NULL;
    struct file *file = calloc(1, sizeof *file);
    file->dev = status.st_dev;
    file->ino = status.st_ino;
    file->fd = own;
    file->next = files;
    files = file;
    return file;
}

static off_t size_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) ? 0 : status.st_size;
}

static void remember(struct file *file, off_t offset, const void *data, size_t length, off_t new_size)
{
    struct change *change = calloc(1, sizeof *change);
    change->offset = offset;
    change->length = length;
    change->old_size = size_of(file->fd);
    change->new_size = new_size;
    if (data) {
        change->new = malloc(length + 1);
        memcpy(change->new, data, length);
    }
    off_t end = data ? offset + (off_t)length : change->old_size;
    if (end > change->old_size)
        end = change->old_size;
    if (end > offset) {
        change->old = malloc(end - offset);
        ssize_t got = pread(file->fd, change->old, end - offset, offset);
        change->old_length = got > 0 ? got : 0;
    }
    change->previous = file->last;
    if (file->last)
        file->last->next = change;
    else
        file->first = change;
    file->last = change;
}

static void forget(struct file *file)
{
    for (struct change *change = file->first, *next; change; change = next) {
        next = change->next;
        free(change->old);
        free(change->new);
        free(change);
    }
    file->first = file->last = NULL;
}

static struct entry *note(enum op op, const char *path, const char *to)
{
    struct entry *entry = calloc(1, sizeof *entry);
    char parent[PATH_MAX];
    struct stat status;
    entry->op = op;
    snprintf(entry->path, PATH_MAX, "%s", path);
    snprintf(entry->to, PATH_MAX, "%s", to ? to : "");
    snprintf(parent, sizeof parent, "%s", to ? to : path);
    char *slash = strrchr(parent, '/');
    if (slash)
        *slash = 0;
    if (!stat(parent, &status)) {
        entry->dev = status.st_dev;
        entry->ino = status.st_ino;
    }
    /* What the name stood for is kept under another name until the folder is synced. */
    const char *doomed = op == UNLINK ? path : op == RENAME ? to : NULL;
    if (doomed) {
        snprintf(entry->saved, PATH_MAX, "%.4000s/%lu", shadow, ++saved_count);
        if (real_linkat(AT_FDCWD, doomed, AT_FDCWD, entry->saved, 0))
            entry->saved[0] = 0;
    }
    return entry;
}

static void keep(struct entry *entry)
{
    entry->previous = last_entry;
    if (last_entry)
        last_entry->next = entry;
    else
        first_entry = entry;
    last_entry = entry;
}

static void drop_entry(struct entry *entry)
{
    if (entry->previous)
        entry->previous->next = entry->next;
    else
        first_entry = entry->next;
    if (entry->next)
        entry->next->previous = entry->previous;
    else
        last_entry = entry->previous;
    if (entry->saved[0])
        real_unlinkat(AT_FDCWD, entry->saved, 0);
    free(entry);
}

static void made_durable(int fd)
{
    struct stat status;
    if (fstat(fd, &status))
        return;
    if (S_ISDIR(status.st_mode)) {
        for (struct entry *entry = first_entry, *next; entry; entry = next) {
            next = entry->next;
            if (entry->dev == status.st_dev && entry->ino == status.st_ino)
                drop_entry(entry);
        }
        return;
    }
    for (struct file *file = files; file; file = file->next)
        if (file->dev == status.st_dev && file->ino == status.st_ino)
            forget(file);
}

static void undo_data(struct file *file)
{
    for (struct change *change = file->last; change; change = change->previous) {
        if (change->old_length)
            real_pwrite(file->fd, change->old, change->old_length, change->offset);
        real_ftruncate(file->fd, change->old_size);
    }
}

/* The disk wrote what it liked, in any order, in sectors: each 512 bytes of each write made it or not. */
static void redo_some(struct file *file)
{
    for (struct change *change = file->first; change; change = change->next) {
        if (!change->new) {
            if (chance() & 1)
                real_ftruncate(file->fd, change->new_size);
            continue;
        }
        unsigned long luck = chance() % 4; /* none, all, and some of it twice as likely */
        for (size_t done = 0; done < change->length;) {
            size_t piece = 512 - (change->offset + done) % 512;
            if (piece > change->length - done)
                piece = change->length - done;
            if (luck == 1 || (luck > 1 && chance() & 1))
                real_pwrite(file->fd, change->new + done, piece, change->offset + done);
            done += piece;
        }
    }
}

static void undo_entry(struct entry *entry)
{
    if (entry->op == CREATE)
        real_unlinkat(AT_FDCWD, entry->path, 0);
    else if (entry->op == MKDIR)
        real_unlinkat(AT_FDCWD, entry->path, AT_REMOVEDIR);
    else if (entry->op == RENAME)
        real_renameat(AT_FDCWD, entry->to, AT_FDCWD, entry->path);
    if (entry->saved[0])
        real_linkat(AT_FDCWD, entry->saved, AT_FDCWD, entry->op == RENAME ? entry->to : entry->path, 0);
}

static void die(void)
{
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%.4000s/struck", shadow);
    int report = real_openat(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (report >= 0)
        real_write(report, last_call, strlen(last_call));
    if (kind == POWER || kind == SHUFFLE) {
        for (struct file *file = files; file; file = file->next) {
            undo_data(file);
            if (kind == SHUFFLE)
                redo_some(file);
        }
        /* Names change in order: some of the last changes are lost. */
        for (struct entry *entry = last_entry; entry; entry = entry->previous) {
            if (kind == SHUFFLE && chance() % 3 == 0)
                break;
            undo_entry(entry);
        }
    }
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* --- counting ---------------------------------------------------------------------------------------- */

/* Whether the call is to fail (errno is set), be short (2) or go on (0). The mutex is held. */
static int strike(const char *name, int writes)
{
    calls++;
    if (!at || calls < at || (calls > at && !forever))
        return 0;
    if (calls == at)
        snprintf(last_call, sizeof last_call, "%s", name);
    switch (kind) {
    case COUNT:
        return 0;
    case SHORT_WRITE:
        fired |= writes;
        return writes ? 2 : 0;
    case FAIL_EIO:
    case FAIL_ENOSPC:
        fired = 1;
        errno = kind == FAIL_EIO ? EIO : ENOSPC;
        return 1;
    default:
        die();
    }
    return 0;
}

#define LOCK pthread_mutex_lock(&mutex)
#define LEAVE(result) do { int error_ = errno; pthread_mutex_unlock(&mutex); errno = error_; return result; } while (0)

static ssize_t guarded_write(int fd, const void *data, size_t length, off_t offset, int positioned)
{
    LOCK;
    int verdict = strike(positioned ? "pwrite" : "write", 1);
    if (verdict == 1)
        LEAVE(-1);
    if (verdict == 2 && length > 1)
        length /= 2;
    if (!positioned) {
        int flags = fcntl(fd, F_GETFL);
        offset = flags & O_APPEND ? size_of(fd) : lseek(fd, 0, SEEK_CUR);
    }
    struct file *file = track(fd);
    if (file)
        remember(file, offset, data, length, 0);
    ssize_t result = positioned ? real_pwrite(fd, data, length, offset) : real_write(fd, data, length);
    LEAVE(result);
}

ssize_t write(int fd, const void *data, size_t length)
{
    char path[PATH_MAX];
    if (!root_length || !path_of(fd, path))
        return real_write(fd, data, length);
    return guarded_write(fd, data, length, 0, 0);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset)
{
    char path[PATH_MAX];
    if (!root_length || !path_of(fd, path))
        return real_pwrite(fd, data, length, offset);
    return guarded_write(fd, data, length, offset, 1);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    char path[PATH_MAX];
    if (!root_length || !path_of(fd, path))
        return real_writev(fd, parts, count);
    size_t length = 0;
    for (int i = 0; i < count; i++)
        length += parts[i].iov_len;
    char *data = malloc(length + 1), *end = data;
    for (int i = 0; i < count; i++)
        end = (char *)memcpy(end, parts[i].iov_base, parts[i].iov_len) + parts[i].iov_len;
    ssize_t result = guarded_write(fd, data, length, 0, 0);
    free(data);
    return result;
}

static int guarded_sync(int fd, const char *name, int (*real)(int))
{
    char path[PATH_MAX];
    if (!root_length || !path_of(fd, path))
        return real(fd);
    LOCK;
    if (strike(name, 0) == 1)
        LEAVE(-1);
    /* Not asked of the real disk: the machine under the test keeps its power. */
    made_durable(fd);
    LEAVE(0);
}

int fsync(int fd) { return guarded_sync(fd, "fsync", real_fsync); }
int fdatasync(int fd) { return guarded_sync(fd, "fdatasync", real_fdatasync); }

int ftruncate64(int fd, off_t size)
{
    char path[PATH_MAX];
    if (!root_length || !path_of(fd, path))
        return real_ftruncate(fd, size);
    LOCK;
    if (strike("ftruncate", 0) == 1)
        LEAVE(-1);
    struct file *file = track(fd);
    if (file)
        remember(file, size, NULL, 0, size);
    int result = real_ftruncate(fd, size);
    LEAVE(result);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int fallocate64(int fd, int mode, off_t offset, off_t length)
{
    char path[PATH_MAX];
    if (root_length && path_of(fd, path)) {
        LOCK;
        if (strike("fallocate", 0) == 1)
            LEAVE(-1);
        struct file *file = track(fd);
        off_t size = size_of(fd);
        if (file && !mode)
            remember(file, size, NULL, 0, offset + length > size ? offset + length : size);
        int result = real_fallocate(fd, mode, offset, length);
        LEAVE(result);
    }
    return real_fallocate(fd, mode, offset, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length) { return fallocate64(fd, mode, offset, length); }

int posix_fallocate64(int fd, off_t offset, off_t length) { return fallocate64(fd, 0, offset, length) ? errno : 0; }
int posix_fallocate(int fd, off_t offset, off_t length) { return posix_fallocate64(fd, offset, length); }

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    char old[PATH_MAX], new[PATH_MAX];
    if (!root_length || !absolute(from_folder, from, old) || !absolute(to_folder, to, new))
        return real_renameat(from_folder, from, to_folder, to);
    LOCK;
    if (strike("rename", 0) == 1)
        LEAVE(-1);
    struct entry *entry = note(RENAME, old, new);
    int result = real_renameat(from_folder, from, to_folder, to);
    if (!result)
        keep(entry);
    LEAVE(result);
}

int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int unlinkat(int folder, const char *name, int flags)
{
    char path[PATH_MAX];
    if (!root_length || (flags & AT_REMOVEDIR) || !absolute(folder, name, path))
        return real_unlinkat(folder, name, flags);
    LOCK;
    if (strike("unlink", 0) == 1)
        LEAVE(-1);
    struct entry *entry = note(UNLINK, path, NULL);
    int result = real_unlinkat(folder, name, flags);
    if (!result)
        keep(entry);
    LEAVE(result);
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    char path[PATH_MAX];
    if (!root_length || !absolute(to_folder, to, path))
        return real_linkat(from_folder, from, to_folder, to, flags);
    LOCK;
    if (strike("link", 0) == 1)
        LEAVE(-1);
    int result = real_linkat(from_folder, from, to_folder, to, flags);
    if (!result)
        keep(note(CREATE, path, NULL));
    LEAVE(result);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int mkdirat(int folder, const char *name, mode_t mode)
{
    char path[PATH_MAX];
    if (!root_length || !absolute(folder, name, path))
        return real_mkdirat(folder, name, mode);
    LOCK;
    if (strike("mkdir", 0) == 1)
        LEAVE(-1);
    int result = real_mkdirat(folder, name, mode);
    if (!result)
        keep(note(MKDIR, path, NULL));
    LEAVE(result);
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

static int guarded_open(int folder, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    struct stat status;
    if (!root_length || !(flags & (O_CREAT | O_TRUNC)) || !absolute(folder, name, path))
        return real_openat(folder, name, flags, mode);
    LOCK;
    int exists = !lstat(path, &status);
    int creates = !exists && (flags & O_CREAT), empties = exists && (flags & O_TRUNC) && status.st_size;
    if ((creates || empties) && strike(creates ? "create" : "truncate", 0) == 1)
        LEAVE(-1);
    if (empties) {
        int fd = real_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
        struct file *file = fd < 0 ? NULL : track(fd); /* fd is left open, as `struct file` says */
        if (file)
            remember(file, 0, NULL, 0, 0);
    }
    int result = real_openat(folder, name, flags, mode);
    if (creates && result >= 0)
        keep(note(CREATE, path, NULL));
    LEAVE(result);
}

#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }

int open64(const char *name, int flags, ...) { MODE return guarded_open(AT_FDCWD, name, flags, mode); }
int open(const char *name, int flags, ...) { MODE return guarded_open(AT_FDCWD, name, flags, mode); }
int openat64(int folder, const char *name, int flags, ...) { MODE return guarded_open(folder, name, flags, mode); }
int openat(int folder, const char *name, int flags, ...) { MODE return guarded_open(folder, name, flags, mode); }
