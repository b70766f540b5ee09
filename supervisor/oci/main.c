/* osvm-oci: an OCI runtime in namespaces that end with it; see ../oci.h. */
#include <errno.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../process.h"
#include "../reaper.h"
#include "base/log.h"
#include "options.h"
#include "stage.h"

static int refuse(const struct error *err)
{
    const struct log log = {.fd = STDERR_FILENO, .level = LOG_WARNING, .prefix = "osvm-oci"};

    log_error(&log, "%s", err->text);
    return OCI_EXIT_REFUSED;
}

/* In the runtime's own process. Returns where it could not be started. */
static int become_runtime(const struct oci_options *options, struct error *err)
{
    const char *const crun[] = {options->program,
                                "--root",
                                OCI_STAGE "/state",
                                "--cgroup-manager=disabled",
                                "run",
                                "--bundle",
                                OCI_STAGE,
                                OCI_ID,
                                NULL};
    const char *const runc[] = {
        options->program, "--root", OCI_STAGE "/state", "run", "--bundle", OCI_STAGE, OCI_ID, NULL};
    char *const environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};

    if (options->no_aslr && personality(ADDR_NO_RANDOMIZE) < 0)
        return error_set_errno(err, -errno, "addresses are randomized whatever is said");
    process_reset_signals();
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    execve(options->program, (char *const *)(options->runc ? runc : crun), environment);
    return error_set_errno(err, -errno, "cannot start '%s'", options->program);
}

/* pid 1 of the namespace. */
static int inside(const struct oci_options *options)
{
    struct error err = {0};
    pid_t pid;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (stage_make(options, &err) < 0)
        return refuse(&err);
    pid = fork();
    if (pid < 0)
        error_set_errno(&err, -errno, "cannot make a process");
    if (pid > 0) {
        close_range(0, ~0U, 0); /* nobody waits for the end of an output because of this process */
        return reaper_wait(pid);
    }
    if (pid == 0)
        become_runtime(options, &err);
    return refuse(&err);
}

int main(int argc, char *argv[])
{
    struct clone_args args = {.flags = CLONE_NEWNS | CLONE_NEWPID, .exit_signal = SIGCHLD};
    struct oci_options options;
    struct error err = {0};
    sigset_t all;
    pid_t pid;
    int status;

    if (oci_options_parse(argc, argv, &options, &err) < 0)
        return refuse(&err);
    stage_remove_group(&options);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid < 0) {
        error_set_errno(&err, -errno, "cannot make namespaces; it wants root");
        return refuse(&err);
    }
    if (pid == 0)
        return inside(&options);
    status = reaper_wait(pid);
    stage_remove_group(&options);
    return status;
}
