#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

/* rt_sigaction(2): the size of the kernel's own set of signals. */
#define KERNEL_SIGSET_BYTES 8

uint64_t process_start_time(pid_t pid)
{
    _cleanup_free_ char *stat = NULL;
    char path[64];
    const char *at;
    size_t len;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (io_read_file(path, 4096, &stat, &len) < 0)
        return 0;
    at = strrchr(stat, ')'); /* field 2 is a name, with anything in it */
    for (unsigned field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

int process_open(const struct process_id *id)
{
    _cleanup_close_ int fd = -1;

    if (id->pid <= 0)
        return -ESRCH;
    fd = (int)syscall(SYS_pidfd_open, id->pid, 0);
    if (fd < 0)
        return -errno;
    if (process_start_time(id->pid) != id->start)
        return -ESRCH;
    return take_fd(&fd);
}

/* The kernel's own call: the C library keeps two signals to itself, which may be ignored as well.
 */
void process_reset_signals(void)
{
    /* SIG_DFL is 0, and so are no flags and no mask, however the kernel lays them out. */
    const unsigned long by_default[8] = {0};
    sigset_t none;

    for (int number = 1; number < NSIG; number++) /* for SIGKILL and SIGSTOP it fails */
        syscall(SYS_rt_sigaction, number, by_default, NULL, KERNEL_SIGSET_BYTES);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* proc(5): each thread has a list of its own, of those that it forked. */
static void add_children_of(pid_t pid, const char *thread, pid_t *list, size_t room, size_t *count)
{
    _cleanup_free_ char *text = NULL;
    char path[320];
    size_t len;

    snprintf(path, sizeof(path), "/proc/%d/task/%s/children", pid, thread);
    if (io_read_file(path, 1024 * 1024, &text, &len) < 0)
        return;
    for (char *at = text; *at && *count < room;) {
        char *end;
        long child = strtol(at, &end, 10);

        if (end == at)
            break;
        list[(*count)++] = (pid_t)child;
        at = end + (*end == ' ');
    }
}

void process_add_children(pid_t pid, pid_t *list, size_t room, size_t *count)
{
    char path[64];
    struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] != '.')
            add_children_of(pid, entry->d_name, list, room, count);
    }
    if (dir)
        closedir(dir);
}
