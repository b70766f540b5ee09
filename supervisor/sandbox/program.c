#include "program.h"

#include <errno.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../process.h"
#include "../sandbox.h"
#include "confine.h"

/* Where a component may say that it is ready; see ../monitor.h. */
#define LAST_INHERITED_FD 3

void program_outlive_not(int outside)
{
    struct pollfd dead = {.fd = outside, .events = POLLIN};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (poll(&dead, 1, 0) != 0)
        _exit(SANDBOX_EXIT_REFUSED);
}

int program_become(const struct sandbox_options *options, int filter, bool joined,
                   struct error *err)
{
    int r;

    setsid();
    if (joined) /* fails for who has no terminal, or one that is another session's */
        ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    if (chdir(options->directory) < 0)
        return error_set_errno(err, -errno, "cannot start in '%s'", options->directory);
    r = confine_apparmor(options->apparmor, err);
    if (r == 0)
        r = confine_files(options, err);
    if (r == 0)
        r = confine_resources(options, err);
    if (r < 0)
        return r;
    process_reset_signals();
    close_range(LAST_INHERITED_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    r = confine_calls(filter, err);
    if (r < 0)
        return r;
    if (joined)
        execvp(options->program[0], options->program);
    else
        execv(options->program[0], options->program);
    return error_set_errno(err, -errno, "cannot start '%s'", options->program[0]);
}
