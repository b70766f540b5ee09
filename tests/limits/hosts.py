"""The kinds of host that the limits are held on: words to put before the command."""

import os
import subprocess
import time

from harness import Skipped, check


def _wants_root():
    if os.geteuid() != 0:
        raise Skipped("wants root, to become another user and to hide cgroups")


def _own_mounts(commands, *after):
    return ["unshare", "-m", "sh", "-c", f'{commands} && exec "$@"', "sh", *after]


def plain():
    """The host as it is."""
    return []


def without_cgroups():
    _wants_root()
    return _own_mounts("umount -l /sys/fs/cgroup")


NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def ordinary_user():
    """A user who may use /dev/kvm, and no cgroup."""
    _wants_root()
    return _own_mounts("mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/kvm c 10 232 && "
                       "mknod -m 666 /dev/null c 1 3", *NOBODY)


HOSTS = {"as it is": plain, "without cgroups": without_cgroups, "an ordinary user": ordinary_user}


def has_cgroup(controller):
    """Whether this process may make groups of version 1 here."""
    return os.access(f"/sys/fs/cgroup/{controller}/cgroup.procs", os.W_OK)


def groups():
    """All groups of osvm-vmm that there are."""
    found = subprocess.run(["find", "/sys/fs/cgroup", "-name", "osvm-vmm-*", "-type", "d"],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return set(found.stdout.split())


def vm_process(guardian):
    """The process that runs the machine: the guardian's child. 0: not there yet."""
    try:
        with open(f"/proc/{guardian}/task/{guardian}/children", encoding="ascii") as file:
            words = file.read().split()
    except OSError:
        words = []
    return int(words[0]) if words else 0


def threads(pid):
    """Names of the threads of a process, by their numbers."""
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii") as file:
            found[int(task)] = file.read().strip()
    return found


def allowed_cpus(pid):
    """Cpus_allowed_list of a process or thread."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("Cpus_allowed_list:"):
                return line.split()[1]
    return ""


def cpu_seconds(pid):
    """CPU time that a process has used and that its threads have waited for a CPU of the host."""
    used = waited = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            words = file.read().split()
        used += int(words[0])
        waited += int(words[1])
    return used / 1e9, waited / 1e9


WINDOW_S = 3
WINDOWS = 4
BUSY = 0.1  # CPUs that the threads waited for, for each CPU that they are to have


def measure(vm, count, wanted, cpus):
    """See that count() grows by `wanted` a second, within 5 %.

    More is never right. Less is only where the threads did not wait for the host's CPUs (of which
    they are to have `cpus`): a window in which they did is tried again, and in the end skipped.
    """
    seen = []
    for _ in range(WINDOWS):
        waited, begin, start = cpu_seconds(vm)[1], count(), time.monotonic()
        time.sleep(WINDOW_S)
        took = time.monotonic() - start
        part = (count() - begin) / took / wanted
        waited = (cpu_seconds(vm)[1] - waited) / took
        seen.append(f"{part:.3f} (waited for {waited:.2f} CPUs)")
        check(part <= 1.05, f"it has {part:.3f} of what it may have")
        if part >= 0.95:
            print(f"    of the limit it had {', '.join(seen)}")
            return
        check(waited > BUSY * cpus, f"it has only {seen[-1]} of what it may have")
    raise Skipped(f"the host is busy: of the limit it had {', '.join(seen)}")
