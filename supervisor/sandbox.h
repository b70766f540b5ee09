/*
 * osvm-sandbox: become a program in namespaces, a root, limits and a filter of its own. Its
 * arguments are the contract between it and whoever launches it.
 *
 *   osvm-sandbox --name NAME [OPTION]... -- PROGRAM ARG…
 *
 * --root DIR[:rw]        its root is this folder; without it an empty one, on which are mounted
 * --bind HOST:INSIDE[:rw]  files and folders of the host, read-only unless said otherwise
 * --tmp BYTES            all that it can write besides (/tmp and /dev/shm together), 16 MiB by
 * default
 * --uid N --gid N        who it is on the host, where the caller may choose (root)
 * --directory DIR        where it starts
 * --nofile N --nproc N --memory BYTES --cpu-time SECONDS
 *                        resource limits of each process, set where the cgroup does not do it
 * --cgroup FILE          a cgroup.procs (or v1 tasks) file to write itself into; repeatable
 * --seccomp FILE         a filter: struct sock_filter records, as libseccomp exports them
 * --apparmor PROFILE     the profile of the program
 * --keep-network         stay in the caller's network namespace (access full)
 * --no-aslr              addresses are not randomized
 *
 *   osvm-sandbox --join PID:START [OPTION]... -- PROGRAM ARG…
 *   osvm-sandbox [--join PID:START] --probe tcp:PORT | --probe http:PORT:PATH
 *
 * --join PID:START       PROGRAM is run in the namespaces and control groups of this process
 *                        (START: field 22 of /proc/PID/stat), as its user, with the limits, filter
 *                        and writable places of the other options; it is looked for in PATH. Its
 *                        user namespace is another than the caller's, or it is refused. Where it
                        can't be started, the status is 127 (it is not there) or 126
 * --probe WHAT           connect to a port of the loopback address that the process has, or,
 *                        without --join, the caller; http: a GET, to
 *                        be answered with 2xx or 3xx. Status 0, or 1 with a line on standard output
 *
 * Own user, mount, pid, ipc, uts, cgroup and network namespaces; no new privileges; no capability;
 * no descriptor but 0, 1 and 2 (and 3 where it is open); session and keyring of its own; Landlock
 * where the kernel has it. It is refused (125, one line on standard error) where any of that
 * can't be had: nothing runs with less.
 *
 * Two processes stay: one outside that waits, one that is pid 1 inside, reaps, and passes SIGTERM
 * on. When either ends, the kernel ends all that is inside. The exit status is the program's;
 * 128 + N where signal N ended it.
 */
#ifndef OSVM_SUPERVISOR_SANDBOX_H
#define OSVM_SUPERVISOR_SANDBOX_H

#define SANDBOX_EXIT_REFUSED 125

#endif
