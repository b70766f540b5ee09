"""A component that means harm, at each level that shares the host's kernel: what it tries fails.

The levels are one table, the attacks another; each attack is a row at each level.
"""

import os
import subprocess

from harness import LIMIT_S, Skipped, await_condition, check, mounts_of, processes_with, row, row_for_each
from rows_container import container_of

LEVELS = {
    "sandbox": lambda host, profile: ("{level: process_sandbox%s}" % profile, []),
    "crun": lambda host, profile: container_of(host, "crun", profile),
    "runc": lambda host, profile: container_of(host, "runc", profile),
}


class Level:
    def __init__(self, host, name):
        self.host, self.name = host, name

    def attack(self, command, more="", mounts=(), profile=None):
        """Run a shell command as a component. `mounts`: lines of the list of that name."""
        profile = f", seccomp_profile: {profile}" if profile else ""
        level, own_mounts = LEVELS[self.name](self.host, profile)
        lines = [*own_mounts, *mounts]
        more += mounts_of(lines)
        return self.host.osvm("run", self.host.component("a", command, more, level=level), status=None)


def attack_row(name, levels=tuple(LEVELS)):
    def add(function):
        row_for_each(levels, "", name)(lambda host, level: function(Level(host, level)))
        return function

    return add


@attack_row("the host's passwd file")
def _(level):
    done = level.attack("cat /etc/passwd /proc/1/root/etc/passwd; ls /root /home; echo end")
    check("root:" not in done.stdout and done.stdout == "end\n", done.stdout + done.stderr)


@attack_row("/dev/mem and other devices")
def _(level):
    done = level.attack("head -c 1 /dev/mem; head -c 1 /dev/kmsg; mknod /tmp/m c 1 1 && head -c 1 /tmp/m; "
                        "ls /dev; echo end")
    check("mem" not in done.stdout.split() and "end" in done.stdout, done.stdout + done.stderr)


@attack_row("the network")
def _(level):
    done = level.attack("python3 -c 'import socket\ns=socket.create_connection((\"10.0.0.1\", 80), 3)' && echo BROKEN")
    check("BROKEN" not in done.stdout and "unreachable" in done.stderr, done.stdout + done.stderr)


@attack_row("more memory than its limit")
def _(level):
    done = level.attack("exec python3 -c 'x = bytearray(10 << 30); print(len(x))'",
                        "resource_limits: {max_memory_mb: 96}")
    check(done.returncode != 0 and not done.stdout, f"{done.returncode} {done.stdout}")
    check("Memory" in done.stderr or "memory" in done.stderr, done.stderr)


@attack_row("more memory, in many processes")
def _(level):
    done = level.attack("for i in 1 2 3 4; do python3 -c 'x = bytearray(40 << 20); import time; time.sleep(2); "
                        "print(len(x))' & done; wait", "resource_limits: {max_memory_mb: 96}")
    check(done.stdout.count("41943040") < 4, done.stdout)


@attack_row("a fork bomb")
def _(level):
    done = level.attack("f() { f | f & }; f; sleep 1; echo end; exit 0", "resource_limits: {max_processes: 20}")
    check("Cannot fork" in done.stderr, done.stderr[-300:])
    await_condition(lambda: not processes_with(f"--run={level.host.folder}"), "the bomb's end")


@attack_row("no more processes than its limit")
def _(level):
    done = level.attack("exec python3 -c 'import os, time\nn = 1\ntry:\n  while n < 50:\n    if os.fork() == 0:\n"
                        "      time.sleep(60)\n    n += 1\nexcept OSError: pass\nprint(n, flush=True)'",
                        "resource_limits: {max_processes: 7}")
    check(done.stdout == "7\n", f"{done.stdout} {done.stderr}")


@attack_row("more than its disk limit")
def _(level):
    done = level.attack("dd if=/dev/zero of=/tmp/x bs=1M count=20; dd if=/dev/zero of=/dev/shm/x bs=1M count=20; "
                        "du -cm /tmp /dev/shm | tail -n 1", "resource_limits: {max_disk_mb: 8}")
    check("No space left" in done.stderr, done.stderr)
    check(int(done.stdout.split()[-2]) <= 8, done.stdout)


@attack_row("more descriptors than its limit")
def _(level):
    done = level.attack("exec python3 -c 'import os\nfor i in range(100): os.dup(0)'",
                        "resource_limits: {max_file_descriptors: 32}")
    check("Too many open files" in done.stderr, done.stderr)


@attack_row("more time than its limit")
def _(level):
    done = level.attack("echo up; while :; do :; done", "resource_limits: {max_execution_time_sec: 1}\n"
                        "stop_grace_ms: 200")
    check(done.returncode == 124 and done.stdout == "up\n", f"{done.returncode} {done.stdout}{done.stderr}")
    check(not processes_with(f"--run={level.host.folder}"), "it still runs")


@attack_row("nothing of the root can be changed")
def _(level):
    done = level.attack("for f in /x /usr/x /bin/sh /lib/x /etc/x /proc/sys/kernel/hostname; do "
                        "(echo x >$f) 2>/dev/null && echo changed $f; done; echo end")
    check(done.stdout == "end\n", done.stdout + done.stderr)


@attack_row("no capability, no new privileges, a filter")
def _(level):
    done = level.attack("cat /proc/self/status; echo; cat /proc/self/uid_map")
    text, map_line = done.stdout.rsplit("\n\n", 1)
    status = dict(line.split(":\t") for line in text.splitlines() if ":\t" in line)
    for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        check(int(status[key], 16) == 0, f"{key} {status[key]}")
    check(status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", str(status))
    inside, outside, count = map(int, map_line.split())
    check(str(inside) in status["Uid"].split() and count == 1, f"{status['Uid']} {map_line}")
    check(outside != 0, f"it is root on the host: {map_line}")


@attack_row("mounts are what was asked for, read-only unless said otherwise")
def _(level):
    host = level.host
    for name, mode in (("ro", 0o755), ("rw", 0o777)):
        (host.folder / name).mkdir()
        os.chmod(host.folder / name, mode)
    done = level.attack("touch /ro/x; touch /rw/x && ls /rw", mounts=[
        f"{{host_path: {host.folder}/ro, guest_path: /ro}}",
        f"{{host_path: {host.folder}/rw, guest_path: /rw, read_only: false}}"])
    check(done.stdout == "x\n" and "Read-only" in done.stderr, done.stdout + done.stderr)


@attack_row("it sees no process but its own")
def _(level):
    done = level.attack("echo /proc/[0-9]*; cat /proc/1/cmdline | tr '\\0' ' '")
    pids = [word for word in done.stdout.split() if word.startswith("/proc/")]
    check(len(pids) <= 3 and str(level.host.folder) not in done.stdout, done.stdout)


@attack_row("a strict profile takes sockets and processes away")
def _(level):
    done = level.attack("exec python3 -c 'import socket; socket.socket()'", profile="strict")
    check("Operation not permitted" in done.stderr, done.stderr)


@attack_row("a default profile has no namespaces, no mounts, and no typing for others")
def _(level):
    done = level.attack("exec python3 -c 'import ctypes, fcntl\nc = ctypes.CDLL(None, use_errno=True)\n"
                        "def said(r): print(r, ctypes.get_errno())\n"
                        "said(c.unshare(0x10000000))\nsaid(c.mount(b\"x\", b\"/tmp\", b\"tmpfs\", 0, None))\n"
                        "for n in (0x5412, 0x541c, (1 << 32) | 0x5412):\n"
                        "  ctypes.set_errno(0)\n"
                        "  said(c.syscall(16, 0, ctypes.c_ulong(n), b\"x\"))\n"
                        "said(c.syscall(16, 0, ctypes.c_ulong(0x541b), b\"1234\"))'")
    lines = done.stdout.splitlines()
    check(lines[:5] == ["-1 1"] * 5, done.stdout + done.stderr)  # EPERM
    check(lines[5] != "-1 1", "other requests are refused too")


@row("sandbox: as an ordinary user it is refused where its limits could not be enforced, or holds")
def _(host):
    if os.geteuid() != 0:
        raise Skipped("these rows run as an ordinary user already")
    path = host.component("a", "id -u; cat /proc/self/uid_map")
    for item in (host.folder, path):
        os.chmod(item, 0o755)
    home = host.folder / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    done = subprocess.run([str(host.build / "supervisor/osvm"), "--state", f"{home}/s", "--run", f"{home}/r",
                           "run", str(path)], user=65534, group=65534, extra_groups=[], capture_output=True,
                          text=True, check=False, env={"PATH": os.environ["PATH"]}, timeout=LIMIT_S)
    if done.returncode == 125:
        check("could not be enforced" in done.stderr, done.stderr)
    else:
        check(done.returncode == 0 and done.stdout.startswith("65534"), done.stdout + done.stderr)
