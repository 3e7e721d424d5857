/* Preloaded into a node: syncing a write-ahead log fails with EIO, each time while $FAIL_SYNC is a directory; or once,
   when $FAIL_SYNC is a file and the log holds what stands in it, which takes the file away. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int holds(int log, const char *marker, size_t length) {
    struct stat found;
    if (fstat(log, &found) != 0 || found.st_size == 0) return 0;
    void *content = mmap(NULL, found.st_size, PROT_READ, MAP_SHARED, log, 0);
    if (content == MAP_FAILED) return 0;
    int held = memmem(content, found.st_size, marker, length) != NULL;
    munmap(content, found.st_size);
    return held;
}

static int fails(int fd) {
    char link[64], path[4096], marker[64];
    const char *armed = getenv("FAIL_SYNC");
    struct stat found;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    if (armed == NULL || length < 4 || memcmp(path + length - 4, "-wal", 4) != 0) return 0;
    if (stat(armed, &found) != 0) return 0;
    if (S_ISDIR(found.st_mode)) return 1;
    int file = open(armed, O_RDONLY);
    length = read(file, marker, sizeof marker);
    close(file);
    return length > 0 && holds(fd, marker, length) && unlink(armed) == 0;
}

static int pass_on(const char *name, int fd) {
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}

int fsync(int fd) { return pass_on("fsync", fd); }
int fdatasync(int fd) { return pass_on("fdatasync", fd); }
