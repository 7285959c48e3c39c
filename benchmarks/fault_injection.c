/* Fails the n-th call of a kind on files below a folder, once. Loaded with LD_PRELOAD; see fault_injection.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPEN, READ, WRITE, FSYNC, RENAME };

static char folder[4096];
static int watched = -1;
static long failing, seen;

void fault_set(const char *path, int kind, long number)
{
    snprintf(folder, sizeof folder, "%s", path);
    watched = kind, failing = number, seen = 0;
}

long fault_count(void) { return seen; }

static int fails(int kind, const char *path)
{
    if (kind != watched || strncmp(path, folder, strlen(folder)))
        return 0;
    return __sync_add_and_fetch(&seen, 1) == failing;
}

static int fails_at(int kind, int descriptor)
{
    char link[64], path[4096];
    ssize_t length;
    if (kind != watched)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return fails(kind, path);
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define FAIL(error) do { errno = error; return -1; } while (0)

#define OPENS(name)                                                   \
    int name(const char *path, int flags, ...)                        \
    {                                                                 \
        REAL(name);                                                   \
        va_list more;                                                 \
        va_start(more, flags);                                        \
        mode_t mode = va_arg(more, int);                              \
        va_end(more);                                                 \
        if (fails(OPEN, path)) FAIL(EIO);                             \
        return real(path, flags, mode);                               \
    }
OPENS(open)
OPENS(open64)

ssize_t read(int fd, void *to, size_t size) { REAL(read); if (fails_at(READ, fd)) FAIL(EIO); return real(fd, to, size); }
ssize_t pread(int fd, void *to, size_t size, off_t at) { REAL(pread); if (fails_at(READ, fd)) FAIL(EIO); return real(fd, to, size, at); }
ssize_t pread64(int fd, void *to, size_t size, off64_t at) { REAL(pread64); if (fails_at(READ, fd)) FAIL(EIO); return real(fd, to, size, at); }

/* Half of what was to be written is in the file. */
ssize_t write(int fd, const void *from, size_t size)
{
    REAL(write);
    if (fails_at(WRITE, fd)) { if (real(fd, from, size / 2) < 0) return -1; FAIL(ENOSPC); }
    return real(fd, from, size);
}
ssize_t pwrite(int fd, const void *from, size_t size, off_t at)
{
    REAL(pwrite);
    if (fails_at(WRITE, fd)) { if (real(fd, from, size / 2, at) < 0) return -1; FAIL(ENOSPC); }
    return real(fd, from, size, at);
}
ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at)
{
    REAL(pwrite64);
    if (fails_at(WRITE, fd)) { if (real(fd, from, size / 2, at) < 0) return -1; FAIL(ENOSPC); }
    return real(fd, from, size, at);
}

int fsync(int fd) { REAL(fsync); if (fails_at(FSYNC, fd)) FAIL(EIO); return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); if (fails_at(FSYNC, fd)) FAIL(EIO); return real(fd); }
int rename(const char *from, const char *to) { REAL(rename); if (fails(RENAME, to)) FAIL(EIO); return real(from, to); }
