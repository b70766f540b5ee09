"""Components in containers, by each OCI runtime: their lives and ends, and what is left of them."""

import json
import os
import shutil
import signal
from pathlib import Path

from harness import Skipped, await_condition, check, mounts_of, processes_with, row, row_for_each

RUNTIMES = ("crun", "runc")


def container_of(host, runtime, profile=""):
    """A root folder with the host's programs: the words of `isolation`, the lines of `mounts`."""
    if not shutil.which(runtime, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"):
        raise Skipped(f"{runtime} is not installed")
    if os.geteuid() != 0:
        raise Skipped("containers want root")
    root = host.folder / "root"
    if not root.exists():
        for name in ("proc", "dev", "tmp", "usr", "etc", "ro", "rw"):
            (root / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (root / name).symlink_to(f"usr/{name}")
    return (f"{{level: container, runtime: {runtime}, root_path: {root}{profile}}}",
            ["{host_path: /usr, guest_path: /usr}"])


def container(host, runtime, name, command, more=""):
    level, mounts = container_of(host, runtime)
    return host.component(name, command, more + mounts_of(mounts), level=level)


def create(host, *arguments):
    host.osvm("create", container(host, *arguments))


def runtime_row(name):
    return row_for_each(RUNTIMES, "", name)


def nothing_is_left(host, mark):
    """No process, no control group, nothing in the run folder."""
    await_condition(lambda: not processes_with(mark), "its processes to be gone")
    await_condition(lambda: not list((host.folder / "run").glob("*/config.json")), "its run folder to be gone")


def groups():
    return {str(path) for pattern in ("*/osvm-*", "*/*/osvm-*", "*/*/*/osvm-*")
            for path in Path("/sys/fs/cgroup").glob(pattern)}


@runtime_row("run: output, status, environment, folder, host name")
def _(host, runtime):
    done = host.osvm("run", container(host, runtime, "a", "echo $WORD; pwd; hostname; echo err >&2; exit 5",
                                      "environment: {WORD: said}\nworking_directory: /usr"), status=5)
    check(done.stdout == "said\n/usr\na\n" and done.stderr == "err\n", f"{done.stdout!r} {done.stderr!r}")
    nothing_is_left(host, str(host.folder))


@runtime_row("run: a signal's end is 128 + N")
def _(host, runtime):
    done = host.osvm("run", container(host, runtime, "a", "sh -c 'kill -SEGV $$'; exit $?"), status=139)
    check(not done.stdout, done.stdout)


@runtime_row("daemon: start, logs, stop by its own leave, by force after the grace time")
def _(host, runtime):
    host.start_daemon()
    before = groups()
    create(host, runtime, "a", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.02; done",
           "readiness: {type: console, pattern: up, interval_ms: 20}")
    create(host, runtime, "b", "trap '' TERM; echo up; while :; do sleep 0.02; done",
           "readiness: {type: console, pattern: up, interval_ms: 20}\nstop_grace_ms: 200")
    host.osvm("start", "a", "b")
    seen = host.inspect("a")
    check((seen["status"], seen["level"], seen["runtime"]) == ("running", "container", runtime), str(seen))
    host.osvm("stop", "a")
    check(host.inspect("a")["last_end"]["code"] == 3, str(host.inspect("a")["last_end"]))
    check(host.osvm("logs", "a").stdout == "up\nbye\n", host.osvm("logs", "a").stdout)
    host.osvm("stop", "b")
    check(host.inspect("b")["last_end"]["code"] == 9, str(host.inspect("b")["last_end"]))
    nothing_is_left(host, "osvm-oci\0")
    check(groups() <= before, f"left: {groups() - before}")


def killing(host, runtime, who):
    """Start one, kill -9 a process of it, and see that all of it is gone and nothing is left."""
    before = groups()
    create(host, runtime, "a", "echo up; exec sleep 7654321", "readiness: {type: console, pattern: up, interval_ms: 20}")
    host.osvm("start", "a")
    os.kill(who(), signal.SIGKILL)
    host.await_status("a", "failed")
    await_condition(lambda: not processes_with("sleep\x007654321"), "its process to be gone")
    nothing_is_left(host, f"{host.folder}/run/a/config.json")
    host.osvm("start", "a")  # and it can be started again
    check(host.inspect("a")["status"] == "running", "it does not start again")
    host.osvm("kill", "a")
    nothing_is_left(host, f"{host.folder}/run/a/config.json")
    left = groups() - before
    # What a killed monitor leaves is removed with the next of its name; here by this row's start.
    check(not left, f"left: {left}")


@runtime_row("kill -9 of the runtime")
def _(host, runtime):
    host.start_daemon()
    killing(host, runtime, lambda: processes_with(f"/{runtime}\0--root\0/tmp/state\0")[0])


@runtime_row("kill -9 of osvm-oci")
def _(host, runtime):
    host.start_daemon()
    killing(host, runtime, lambda: min(
        pid for pid in processes_with(f"osvm-oci\0--name={host.inspect('a')['id']}")
        if b"osvm-monitor" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]))


@runtime_row("kill -9 of its monitor")
def _(host, runtime):
    host.start_daemon()
    killing(host, runtime, lambda: host.inspect("a")["pid"])


@runtime_row("a bundle: its words and its root count, not how isolated it would be")
def _(host, runtime):
    container_of(host, runtime)
    shutil.copytree("/usr/lib/x86_64-linux-gnu", host.folder / "root/none", ignore=lambda *_: os.listdir(
        "/usr/lib/x86_64-linux-gnu"))
    bundle = {"ociVersion": "1.0.0", "root": {"path": "root", "readonly": False},
              "process": {"args": ["/bin/sh", "-c", "echo $A; pwd; cat /proc/self/status"], "env": ["A=from bundle"],
                          "cwd": "/usr", "user": {"uid": 0, "gid": 0},
                          "capabilities": {"effective": ["CAP_SYS_ADMIN"], "permitted": ["CAP_SYS_ADMIN"],
                                           "bounding": ["CAP_SYS_ADMIN"]}},
              "linux": {"namespaces": []}}
    host.file("config.json", json.dumps(bundle))
    path = host.file("a.yaml", "metadata: {name: a}\ncomponent_type: service\nnetwork: {access: none}\n"
                     f"isolation: {{level: container, runtime: {runtime}, bundle: {host.folder}}}\n"
                     "mounts:\n- {host_path: /usr, guest_path: /usr}\n")
    done = host.osvm("run", path)
    check(done.stdout.startswith("from bundle\n/usr\n"), done.stdout + done.stderr)
    check("CapEff:\t0000000000000000" in done.stdout and "Seccomp:\t2" in done.stdout, done.stdout)


REFUSED = [
    ("image: alpine", "images are not run yet"),
    ("bundle: /nowhere", "'/nowhere/config.json'"),
    ("root_path: /nowhere", "is no folder"),
    ("root_path: /usr", "has no folder 'proc'"),
    ("runtime: podman, root_path: /", "no runtime 'podman'"),
]


@row("container: what cannot be had is refused, with the reason")
def _(host):
    container_of(host, "crun")
    for words, text in REFUSED:
        path = host.component("a", "true", level=f"{{level: container, {words}}}")
        done = host.osvm("run", path, status=125)
        check(text in done.stderr, f"{words}: {done.stderr}")
    path = container(host, "crun", "a", "true", "security: {read_only_root: false}")
    check("max_disk_mb" in host.osvm("run", path, status=125).stderr, "")
    path = container(host, "crun", "a", "true")
    path.write_text(path.read_text().replace("access: none", "access: full"))
    check("choose a micro_vm" in host.osvm("run", path, status=125).stderr, "")
