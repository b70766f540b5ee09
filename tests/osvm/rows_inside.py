"""What is done inside a component that runs: exec, probes, stats, health."""

import json
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

from harness import LIMIT_S, await_condition, check, mounts_of, processes_with, row, row_for_each
from rows_attacks import LEVELS
from rows_container import container_of
from rows_vm import ECHO, create as create_vm

RUNS = "echo up; exec sleep 1000"
READY = "readiness: {type: console, pattern: up, interval_ms: 20}"


def start(host, level, name="a", command=RUNS, more=READY, profile=""):
    """A component at a level that shares the host's kernel; python3 is in it."""
    host.start_daemon()
    words, mounts = LEVELS[level](host, profile)
    host.osvm("create", host.component(name, command, more + mounts_of(mounts), level=words))
    host.osvm("start", name)


def level_row(name):
    return row_for_each(LEVELS, "inside: ", name)


# --- exec ---------------------------------------------------------------------------------------------


@level_row("exec: streams, status, folder, environment")
def _(host, level):
    start(host, level, more=READY + "\nenvironment: {WORD: said}")
    done = host.osvm("exec", "-w", "/usr", "-e", "MORE=too", "a", "--", "sh", "-c",
                     "cat; echo $WORD $MORE; pwd; echo err >&2; exit 7", status=7, input="in\n")
    check(done.stdout == "in\nsaid too\n/usr\n" and done.stderr == "err\n", f"{done.stdout!r} {done.stderr!r}")
    host.osvm("exec", "a", "sh", "-c", "kill -SEGV $$", status=139)
    host.osvm("exec", "a", "no-such-command", status=127)
    check("--json" in host.osvm("exec", "a", "echo", "--json").stdout, "its words are its own")


@level_row("exec: it is confined as the component is")
def _(host, level):
    start(host, level)
    script = ("import os, json\n"
              "status = dict(l.rstrip('\\n').split(':\\t') for l in open('/proc/self/status') if ':\\t' in l)\n"
              "print(json.dumps({'status': status, 'groups': open('/proc/self/cgroup').read(),\n"
              "  'maps': open('/proc/self/uid_map').read().split(), 'pid': os.getpid(), 'fds': os.listdir('/proc/self/fd'),\n"
              "  'root': sorted(os.listdir('/')), 'ids': [os.getuid(), os.getgid(), os.getgroups()]}))")
    seen = json.loads(host.osvm("exec", "a", "python3", "-c", script).stdout)
    for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        check(int(seen["status"][key], 16) == 0, f"{key} {seen['status'][key]}")
    check(seen["status"]["NoNewPrivs"] == "1" and seen["status"]["Seccomp"] == "2", str(seen["status"]))
    check(seen["maps"][2] == "1" and seen["maps"][1] != "0" and seen["pid"] < 1000, str(seen["maps"]))
    check(set(seen["fds"]) <= {"0", "1", "2", "3"}, str(seen["fds"]))
    check("root" not in seen["root"] and "home" not in seen["root"], str(seen["root"]))
    check(str(seen["ids"][0]) == seen["maps"][0], str(seen))
    inner = int([pid for pid in processes_with("sleep\x001000")][0])
    host_side = subprocess.Popen(host.words("exec", "a", "sleep", "4321"))

    def sleepers():
        return [pid for pid in processes_with("sleep\x004321") if Path(f"/proc/{pid}/comm").read_text() == "sleep\n"]

    await_condition(sleepers, "its command")
    joined = sleepers()[0]
    for name in ("user", "mnt", "pid", "ipc", "uts", "net", "cgroup"):
        check(os.readlink(f"/proc/{inner}/ns/{name}") == os.readlink(f"/proc/{joined}/ns/{name}"), f"another {name}")
    with open(f"/proc/{inner}/cgroup") as one, open(f"/proc/{joined}/cgroup") as other:
        limits = ("memory", "pids", "cpu")
        mine = {line for line in one if line.split(":")[1].split(",")[0] in limits}
        check(mine and mine <= set(other), "other control groups")
    host_side.kill()  # with it ends what it runs
    host_side.wait()
    await_condition(lambda: not processes_with("sleep\x004321"), "its end")


@level_row("exec: the limits hold for what comes in as well")
def _(host, level):
    start(host, level, more=READY + "\nresource_limits: {max_memory_mb: 64, max_processes: 6, max_file_descriptors: 20}")
    done = host.osvm("exec", "a", "python3", "-c", "print(len(bytearray(10 << 30)))", status=None)
    check(done.returncode != 0 and not done.stdout, f"{done.returncode} {done.stdout}")
    done = host.osvm("exec", "a", "sh", "-c", "f() { f | f & }; f; sleep 1; echo end", status=None)
    check("fork" in done.stderr.lower(), done.stderr[-300:])
    done = host.osvm("exec", "a", "python3", "-c", "import os\nfor i in range(100): os.dup(0)", status=None)
    check("Too many open files" in done.stderr, done.stderr)
    check(host.inspect("a")["status"] == "running", "the component suffered")


@level_row("exec: -t: a terminal with job control, and its end")
def _(host, level):
    start(host, level)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(host.words()[0], host.words("exec", "-it", "a", "sh"))

    def await_text(text):
        said = b""
        end = time.monotonic() + LIMIT_S
        while text not in said:
            check(time.monotonic() < end, f"no {text}: {said}")
            if select.select([terminal], [], [], 0.2)[0]:
                said += os.read(terminal, 4096)
        return said

    os.write(terminal, b"echo be''gun; sleep 5432\n")
    await_text(b"begun")
    await_condition(lambda: processes_with("sleep\x005432"), "its command")
    os.write(terminal, b"\x03")
    await_condition(lambda: not processes_with("sleep\x005432"), "Ctrl-C to end it")
    os.write(terminal, b"echo o''k $?; exit 3\n")
    await_text(b"ok 130")
    check(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3, "its status")
    os.close(terminal)


@level_row("signals: none is ignored, whatever the daemon or the caller ignores")
def _(host, level):
    def ignore():
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)

    host.start_daemon(preexec_fn=ignore)
    words, mounts = LEVELS[level](host, "")
    host.osvm("create", host.component("a", "grep -h Sig[IB] /proc/self/status; echo up; exec sleep 1000",
                                       READY + mounts_of(mounts), level=words))
    host.osvm("start", "a")
    done = host.osvm("exec", "a", "grep", "-h", "Sig[IB]", "/proc/self/status", preexec_fn=ignore)
    for text in (host.osvm("logs", "a").stdout, done.stdout):
        check(text.split()[:4] == ["SigBlk:", "0" * 16, "SigIgn:", "0" * 16], text)


@level_row("exec: a script whose interpreter is the program that came in")
def _(host, level):
    folder = host.folder / "evil"
    folder.mkdir()
    (folder / "script").write_text("#!/proc/self/exe\n")
    (folder / "script").chmod(0o755)
    folder.chmod(0o755)
    words, mounts = LEVELS[level](host, "")
    host.start_daemon()
    lines = [*mounts, f"{{host_path: {folder}, guest_path: /rw}}"]
    host.osvm("create", host.component("a", RUNS, READY + mounts_of(lines), level=words))
    host.osvm("start", "a")
    done = host.osvm("exec", "a", "/rw/script", status=None)
    check("usage: osvm-sandbox" in done.stderr or done.returncode in (126, 127), f"{done.returncode} {done.stderr}")
    # What it would have hold of is a sealed copy, which says so.
    seen = host.osvm("exec", "a", "sh", "-c", "exec 5</proc/self/exe; true")
    check(seen.returncode == 0, seen.stderr)


@row("inside: exec: what can't be, and why")
def _(host):
    host.start_daemon()
    host.create("a", RUNS, READY)
    check("start it first" in host.osvm("exec", "a", "true", status=1).stderr, "it does not run")
    check("no such component" in host.osvm("exec", "b", "true", status=1).stderr, "there is none")
    host.osvm("exec", "a", status=2)
    host.osvm("exec", "-x", "a", "true", status=2)
    create_vm(host, "v", ECHO, "readiness: {type: guest}")
    host.osvm("start", "v")
    check("virtual machine" in host.osvm("exec", "v", "true", status=1).stderr, "nothing runs in a VM from outside")


@row("inside: exec: level none is beside it, on the host")
def _(host):
    host.start_daemon()
    host.create("a", RUNS, READY, level="none")
    host.osvm("start", "a")
    check(host.osvm("exec", "a", "sh", "-c", "id -u").stdout == f"{os.getuid()}\n", "another user")


# --- probes -------------------------------------------------------------------------------------------

SERVER = ("exec python3 -c 'import http.server, sys\\n"
          "class H(http.server.BaseHTTPRequestHandler):\\n"
          "  def do_GET(self):\\n"
          "    self.send_response(200 if self.path == \"/good\" else 500); self.end_headers()\\n"
          "http.server.HTTPServer((\"127.0.0.1\", 8091), H).serve_forever()'")


def server(host, level, more):
    start(host, level, command=SERVER.replace("\\n", "\n"), more=more)


@level_row("probes: its own ports, not the host's")
def _(host, level):
    server(host, level, "readiness: {type: http, port: 8091, path: /good, interval_ms: 50}\n"
           "health: {type: tcp, port: 8091, interval_ms: 50}")
    await_condition(lambda: host.inspect("a")["health"] == "healthy", "its health")
    # The same port of the host, where nobody listens, and where somebody else does.
    import socket
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        words, mounts = LEVELS[level](host, "")
        more = f"readiness: {{type: tcp, port: {other.getsockname()[1]}, interval_ms: 50}}\nresource_limits: {{boot_timeout: 1}}"
        host.osvm("create", host.component("b", RUNS, more + mounts_of(mounts), level=words))
        check("boot_timeout" in host.osvm("start", "b", status=1).stderr, "another's port counted as its own")


@level_row("probes: a bad answer is degraded, then unhealthy; health says why")
def _(host, level):
    server(host, level, "readiness: {type: tcp, port: 8091, interval_ms: 50}\n"
           "health: {type: http, port: 8091, path: /bad, interval_ms: 100, failures: 3}")
    await_condition(lambda: host.inspect("a")["health"] == "unhealthy", "it to be unhealthy")
    done = host.osvm("health", status=1)
    check("not well" in done.stdout, done.stdout)
    entry = json.loads(host.osvm("--json", "health", "a", status=1).stdout)[0]
    check(entry["health"] == "unhealthy" and entry["detail"] and entry["probed"], str(entry))


@row("inside: probes: at level none the loopback address is the host's")
def _(host):
    host.start_daemon()
    host.create("a", SERVER.replace("\\n", "\n"), "readiness: {type: http, port: 8091, path: /good, interval_ms: 50}\n"
                "health: {type: http, port: 8091, path: /bad, interval_ms: 100, failures: 2}", level="none")
    host.create("b", RUNS, "readiness: {type: tcp, port: 8092, interval_ms: 50}\nresource_limits: {boot_timeout: 1}",
                level="none")
    host.osvm("start", "a")
    await_condition(lambda: host.inspect("a")["health"] == "unhealthy", "it to be unhealthy")
    check("not well" in host.inspect("a")["probe_detail"], str(host.inspect("a")["probe_detail"]))
    check("boot_timeout" in host.osvm("start", "b", status=1).stderr, "a port where nobody listens is ready")
    check(host.inspect("b")["status"] == "failed", "it goes on")


@level_row("probes: exec; one that hangs is ended")
def _(host, level):
    start(host, level, more="readiness: {type: exec, command: [test, -e, /tmp/ready], interval_ms: 50, timeout_ms: 5000}\n"
          "health: {type: exec, command: [sh, -c, 'sleep 98765'], interval_ms: 50, timeout_ms: 200, failures: 2}",
          command="sleep 0.3; touch /tmp/ready; exec sleep 1000")
    seen = host.inspect("a")
    check(seen["ready"] - seen["started"] > 0.25, "it was ready too early")
    await_condition(lambda: host.inspect("a")["health"] == "unhealthy", "it to be unhealthy")
    host.osvm("stop", "a")
    check(not processes_with("sleep\x0098765"), "a probe's command is left")


@row("inside: probes: TCP and HTTP are not for virtual machines, and that is said")
def _(host):
    path = host.file("a.yaml", "metadata: {name: a}\ncomponent_type: mcp_server\nisolation: unikernel\n"
                     "readiness: {type: tcp, port: 80}\n")
    check(":4: readiness.type: the host reaches no TCP port" in host.osvm("check", path, status=1).stderr, "")


# --- stats --------------------------------------------------------------------------------------------


@level_row("stats: CPU, memory, processes and disk are what they are")
def _(host, level):
    start(host, level, command="exec python3 -c '\nimport time\nx = bytearray(50 << 20)\nend = time.process_time() + 0.5\n"
          "while time.process_time() < end: pass\nprint(\"up\", flush=True)\ntime.sleep(1000)'",
          more=READY + "\nresource_limits: {max_memory_mb: 200, boot_timeout: 20}")
    seen = json.loads(host.osvm("--json", "stats", "a").stdout)[0]
    check(0.5 <= seen["cpu_seconds"] < 5, str(seen["cpu_seconds"]))
    check(50 << 20 <= seen["memory_bytes"] < 150 << 20 and seen["memory_limit_bytes"] == 200 << 20, str(seen))
    check(1 <= seen["processes"] <= 60 and seen["uptime_seconds"] > 0 and seen["received_bytes"] == 0, str(seen))
    done = host.osvm("stats")
    check("CPU%" in done.stdout and "a " in done.stdout, done.stdout)
    check("does not run" in host.osvm("stats", "b", status=1).stderr, "")


@row("inside: stats: a virtual machine's")
def _(host):
    host.start_daemon()
    create_vm(host, "v", ECHO, "readiness: {type: guest}")
    host.osvm("start", "v")
    seen = json.loads(host.osvm("--json", "stats").stdout)[0]
    check(seen["level"] == "unikernel" and 0 < seen["memory_bytes"] < 64 << 20 and seen["processes"] >= 3, str(seen))


@row("inside: tables fit the terminal, and top ends with q")
def _(host):
    import fcntl
    import struct
    import termios
    host.start_daemon()
    host.create("a-component-of-a-rather-long-name-indeed-so-that-it-is-cut", RUNS)
    for words, end in ((["ps"], b""), (["top"], b"q")):
        pid, terminal = pty.fork()
        if pid == 0:
            time.sleep(0.2)
            os.execv(host.words()[0], host.words(*words))
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        if end:
            time.sleep(0.8)
            os.write(terminal, end)
        said = b""
        while True:
            try:
                more = os.read(terminal, 4096)
            except OSError:
                break
            said += more
        check(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, f"{words}: {said}")
        import re
        text = re.sub(rb"\x1b\[[0-9?]*[a-zA-Z]", b"", said)
        check(all(len(line) <= 60 for line in text.replace(b"\r", b"").split(b"\n")), str(text))
        os.close(terminal)
    check("wants a terminal" in host.osvm("top", status=1).stderr, "")
