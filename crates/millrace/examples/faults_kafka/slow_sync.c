/* Preloaded into a server: a disk whose every sync takes SLOW_SYNC_US, so that kills meet what lies between two of them. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int slow(long call, int file) {
    const char *time = getenv("SLOW_SYNC_US");
    if (time) usleep(atoi(time));
    return syscall(call, file);
}

int fsync(int file) { return slow(SYS_fsync, file); }
int fdatasync(int file) { return slow(SYS_fdatasync, file); }
