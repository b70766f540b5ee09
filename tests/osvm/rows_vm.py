"""Components in virtual machines: osvm-vmm's arguments, what a guest says, its ends, its jail."""

import json
import os
import signal
import socket
from pathlib import Path

from harness import LIMIT_S, Skipped, await_condition, check, processes_with, row


def unikernel(host, name, image, more="", access="vsock_only"):
    """A component file with an image of the build folder."""
    path = host.build / image
    if not path.exists():
        raise Skipped(f"{image} is not built")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skipped("no /dev/kvm")
    return host.file(f"{name}.yaml", f"metadata: {{name: {name}}}\ncomponent_type: service\n"
                     f"isolation: {{level: unikernel, image_path: {path}}}\nnetwork: {{access: {access}}}\n{more}\n")


ECHO, HELLO, IDLE = "unikernel/vsock_echo", "unikernel/hello", "tests/boot/idle"


def create(host, name, image, more="", **options):
    host.osvm("create", unikernel(host, name, image, more, **options))


def asked(host, name, port, text):
    """What a port of the guest answers to a text."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(LIMIT_S)
        client.connect(str(host.folder / f"run/{name}/vm/vsock.sock"))
        client.sendall(f"CONNECT {port}\n".encode())
        file = client.makefile("rb")
        check(file.readline().startswith(b"OK "), "nobody listens")
        client.sendall(text)
        return file.read(len(text))


def machine_pids(host, name):
    """The two processes of an osvm-vmm: the guardian, and the machine's."""
    return sorted(pid for pid in processes_with(f"--exit-record={host.folder}/run/{name}/record.json")
                  if b"osvm-monitor" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0])


@row("vm: run: output and status are the guest's")
def _(host):
    done = host.osvm("run", unikernel(host, "a", HELLO, "resource_limits: {max_memory_mb: 48, max_cpu_cores: 3}"))
    check("Hello from inside" in done.stdout, done.stdout)
    check("memory:     48 MiB" in done.stdout and "CPUs:       3" in done.stdout, done.stdout)
    check(not processes_with(f"{host.folder}/run/a"), "something is left")


@row("vm: run: the execution time is over")
def _(host):
    done = host.osvm("run", unikernel(host, "a", IDLE, "resource_limits: {max_execution_time_sec: 1}"), status=124)
    check("--time-limit: it has run for 1 s" in done.stderr, done.stderr)


@row("vm: running is said by the guest; logs, stop")
def _(host):
    host.start_daemon()
    create(host, "a", ECHO, "readiness: {type: guest}")
    host.osvm("start", "a")
    seen = host.inspect("a")
    check(seen["status"] == "running" and seen["level"] == "unikernel" and seen["security_score"] == 95, str(seen))
    check((host.folder / "run/a/ready").exists(), "it did not say so itself")
    check(asked(host, "a", 5252, b"hello\n") == b"hello\n", "it does not answer")
    await_condition(lambda: "READY: cid 3" in host.osvm("logs", "a").stdout, "its output")
    host.osvm("stop", "a")
    seen = host.inspect("a")
    check(seen["last_end"]["code"] == 143 and "SIGTERM" in seen["message"], str(seen))
    check(not (host.folder / "run/a").exists(), "its run folder is left")
    check(not machine_pids(host, "a"), "its processes are left")


@row("vm: a guest that never says that it is ready is ended after its boot timeout")
def _(host):
    host.start_daemon()
    create(host, "a", IDLE, "readiness: {type: guest}\nresource_limits: {boot_timeout: 1}")
    done = host.osvm("start", "a", status=1)
    check("ready" in done.stderr, done.stderr)
    check(not machine_pids(host, "a"), "it still runs")


@row("vm: a vsock probe; a port where nobody listens is not ready")
def _(host):
    host.start_daemon()
    create(host, "a", ECHO, "readiness: {type: vsock, port: 5252, interval_ms: 20}\n"
           "health: {type: vsock, port: 5252, interval_ms: 20}")
    create(host, "b", ECHO, "readiness: {type: vsock, port: 1, interval_ms: 20}\nresource_limits: {boot_timeout: 1}")
    host.osvm("start", "a")
    await_condition(lambda: host.inspect("a")["health"] == "healthy", "its health")
    check("boot_timeout" in host.osvm("start", "b", status=1).stderr, "")


@row("vm: the command is the guest's command line")
def _(host):
    host.start_daemon()
    create(host, "a", ECHO, "readiness: {type: guest}\ncommand: [some, port=77]")
    host.osvm("start", "a")
    check(asked(host, "a", 77, b"hello\n") == b"hello\n", "it does not answer")


@row("vm: kill")
def _(host):
    host.start_daemon()
    create(host, "a", ECHO, "readiness: {type: guest}")
    host.osvm("start", "a")
    host.osvm("kill", "a")
    check(host.inspect("a")["last_end"]["code"] == signal.SIGKILL, str(host.inspect("a")["last_end"]))
    check(not machine_pids(host, "a"), "its processes are left")


@row("vm: its process is killed; said, and started again by its policy")
def _(host):
    host.start_daemon()
    create(host, "a", ECHO, "readiness: {type: guest}\nrestart: {policy: on-failure, delay_ms: 20}")
    host.osvm("start", "a")
    before = machine_pids(host, "a")
    check(len(before) == 2, f"{before}")
    os.kill(before[1], signal.SIGKILL)
    await_condition(lambda: host.inspect("a")["restarts"] == 1 and host.inspect("a")["status"] == "running",
                    "its second start")
    seen = host.inspect("a")
    check(seen["last_end"]["code"] == 137, str(seen["last_end"]))
    check(not set(before) & set(machine_pids(host, "a")), "the old one still runs")


@row("vm: kill -9 of the daemon; the guest goes on, and is found again")
def _(host):
    host.start_daemon()
    create(host, "a", ECHO, "readiness: {type: guest}")
    host.osvm("start", "a")
    before = machine_pids(host, "a")
    host.kill_daemon()
    check(asked(host, "a", 5252, b"still\n") == b"still\n", "it does not answer")
    host.start_daemon()
    check(host.inspect("a")["status"] == "running" and machine_pids(host, "a") == before, str(host.inspect("a")))
    host.osvm("stop", "a")
    check(not machine_pids(host, "a"), "an adopted one cannot be stopped")


@row("vm: as root each machine is a user of its own, who can write its sockets' folder alone")
def _(host):
    if os.geteuid() != 0:
        raise Skipped("wants root")
    host.start_daemon()
    users = []
    for name in ("a", "b"):
        create(host, name, ECHO, "readiness: {type: guest}")
        host.osvm("start", name)
        user = os.stat(f"/proc/{machine_pids(host, name)[1]}").st_uid
        status = dict(line.split(":\t") for line in
                      Path(f"/proc/{machine_pids(host, name)[1]}/status").read_text().splitlines() if ":\t" in line)
        run, inner = os.stat(host.folder / "run" / name), os.stat(host.folder / "run" / name / "vm")
        check((run.st_uid, run.st_mode & 0o777) == (0, 0o700), f"{run}")
        check((inner.st_uid, inner.st_mode & 0o777) == (int(status["Uid"].split()[0]), 0o700), f"{inner}")
        check(int(status["CapEff"], 16) == 0 and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", str(status))
        users.append(int(status["Uid"].split()[0]))
        check(user in (0, users[-1]), f"{user}")  # /proc is root's where it is not dumpable
    check(0 not in users and users[0] != users[1], f"users {users}")


REFUSED = [
    ("resource_limits: {max_file_descriptors: 63}", "needs 64 at least"),
    ("command: ['a b']", "no blank"),
    ("security: {memory_encryption: true}", "choose level tee"),
    ("network: {access: restricted}", "no packet filter"),
]


@row("vm: what cannot be had is refused, with the reason")
def _(host):
    for more, text in REFUSED:
        path = unikernel(host, "a", ECHO, more)
        if more.startswith("network"):
            path.write_text(path.read_text().replace("network: {access: vsock_only}\n", ""))
        done = host.osvm("run", path, status=125)
        check(text in done.stderr, f"{more}: {done.stderr}")
    done = host.osvm("run", host.file("b.yaml", "metadata: {name: b}\ncomponent_type: service\n"
                                      "isolation: {level: micro_vm, kernel_path: /nowhere}\n"), status=125)
    check("isolation.kernel_path: cannot read '/nowhere'" in done.stderr, done.stderr)


@row("vm: no network: no vsock either")
def _(host):
    host.start_daemon()
    create(host, "a", HELLO, access="none")
    host.osvm("start", "a", status=None)
    await_condition(lambda: host.inspect("a")["status"] == "stopped", "its end")
    check(json.loads(host.osvm("--json", "ps").stdout)[0]["message"] == "it ended with status 0", "")
