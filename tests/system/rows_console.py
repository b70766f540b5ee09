"""The console: standard streams, a file, a socket, a terminal."""

import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import time

from harness import LIMIT_S, Failed, Process, Rows, await_condition, check

ROWS = Rows()
LINES = 8192
CTRL_A = b"\x01"


def flood(bench):
    return bench.guest("flood", f"FLOOD_LINES={LINES}")


FLOOD = b"READY\n" + b"".join(b"%08x-------\n" % i for i in range(LINES))


def check_flood(data):
    if data != FLOOD:
        wrong = next((i for i, (a, b) in enumerate(zip(data, FLOOD)) if a != b),
                     min(len(data), len(FLOOD)))
        raise Failed(f"{len(data)} bytes of {len(FLOOD)}, the first wrong one is {wrong}: "
                     f"{data[wrong - 20 : wrong + 20]!r}")


def read_all(fd):
    data = b""
    while True:
        check(select.select([fd], [], [], LIMIT_S)[0], f"no more after {len(data)} bytes")
        some = os.read(fd, 65536)
        if not some:
            return data
        data += some


def queued(fd):
    """Bytes that wait in a pipe or socket."""
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]


def await_stall(fd):
    """Until a writer has put as much into fd as goes in, and has stopped."""
    await_condition(lambda: queued(fd) > 0, "something in the pipe")
    seen = -1
    while seen != queued(fd):
        seen = queued(fd)
        time.sleep(0.2)


@ROWS.row("stdio: input goes in, output comes out")
def _(bench):
    text = b"a brown fox jumps\r\n\t\x00\x7f\xff" * 40 + b"q"
    (bench.folder / "in").write_bytes(text)
    for source in ("a file", "a pipe"):
        if source == "a file":
            with open(bench.folder / "in", "rb") as file:
                ended = bench.run("--kernel", bench.guest("echo"), stdin=file)
        else:
            reader, writer = os.pipe()
            os.write(writer, text)
            os.close(writer)
            with os.fdopen(reader, "rb") as file:
                ended = bench.run("--kernel", bench.guest("echo"), stdin=file)
        check(ended.status == 0 and ended.out == b"READY\n" + text, f"{source}: {ended}")


@ROWS.row("stdio: standard input ends, the guest goes on")
def _(bench):
    ended = bench.run("--kernel", flood(bench), limit=120)
    check(ended.status == 0 and ended.err == "", str(ended))
    check_flood(ended.out)


@ROWS.row("stdio: a slow reader loses nothing")
def _(bench):
    with bench.start("--kernel", flood(bench)) as vmm:
        out = vmm.popen.stdout.fileno()
        fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, 4096)
        await_stall(out)
        vmm.out = read_all(out)
        ended = vmm.end()
    check(ended.status == 0 and ended.err == "", str(ended))
    check_flood(ended.out)


@ROWS.row("stdio: a stalled reader does not keep SIGTERM from ending it")
def _(bench):
    with bench.start("--kernel", flood(bench)) as vmm:
        out = vmm.popen.stdout.fileno()
        fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, 4096)
        await_stall(out)
        vmm.signal(signal.SIGTERM)
        await_condition(lambda: vmm.popen.poll() is not None, "the end", 5)
        check(vmm.end().status == 143, str(vmm.popen.returncode))


@ROWS.row("stdio: the reader goes away, the guest goes on")
def _(bench):
    with bench.start("--kernel", flood(bench)) as vmm:
        vmm.await_output(b"READY\n")
        vmm.popen.stdout.close()
        ended = vmm.end(120)
    check(ended.status == 0, str(ended))


@ROWS.row("stdio: a full disk is told of once, the guest goes on")
def _(bench):
    with open("/dev/full", "wb") as full:
        ended = bench.run(stdout=full)
    check(ended.status == 0 and ended.err.count("\n") == 1 and "lost" in ended.err, str(ended))


def closing(*fds):
    def close():
        for fd in fds:
            os.close(fd)

    return close


@ROWS.row("stdio: closed streams stay closed, whatever is opened")
def _(bench):
    for fds in ((0,), (1,), (2,), (0, 1), (0, 1, 2)):
        options = {"stdout": None} if 1 in fds else {}
        words = ["--kernel", bench.guest("sleep"), "--exit-record", "record"]
        with bench.start(*words, stderr=None if 2 in fds else -1, preexec_fn=closing(*fds),
                         **options) as vmm:
            def ready():
                pid = vmm.vm_pid()
                try:
                    comms = [open(f"/proc/{pid}/task/{t}/comm", encoding="ascii").read()
                             for t in os.listdir(f"/proc/{pid}/task")]
                except OSError:
                    comms = []
                return any("vcpu" in comm for comm in comms)

            await_condition(ready, "a vCPU thread")
            for fd in fds:
                try:
                    target = os.readlink(f"/proc/{vmm.vm_pid()}/fd/{fd}")
                except FileNotFoundError:
                    continue
                check(target == "/dev/null", f"closed {fds}: descriptor {fd} is now {target}")
            vmm.signal(signal.SIGTERM)
            check(vmm.end().status == 143, f"closed {fds}: {vmm.popen.returncode}")


@ROWS.row("stdio: all three closed, and it ends as ever")
def _(bench):
    for fds in ((0,), (1,), (0, 1, 2)):
        ended = bench.run("--exit-record", "record", preexec_fn=closing(*fds),
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        check(ended.status == 0, f"closed {fds}: {ended}")
        check(bench.record()["reason"] == "guest-exit", str(bench.record()))


@ROWS.row("none: nothing is printed")
def _(bench):
    ended = bench.run("--console", "none")
    check((ended.status, ended.out, ended.err) == (0, b"", ""), str(ended))


@ROWS.row("file: all of it, after what was there")
def _(bench):
    bench.write("out", "before\n")
    ended = bench.run("--kernel", flood(bench), "--console", "file=out", limit=120)
    check((ended.status, ended.out, ended.err) == (0, b"", ""), str(ended))
    data = (bench.folder / "out").read_bytes()
    check(data.startswith(b"before\n"), "what was there is gone")
    check_flood(data[7:])


class Client(socket.socket):
    """A client of the console's socket, which may not be there yet."""

    def __init__(self, path):
        super().__init__(socket.AF_UNIX)
        self.settimeout(LIMIT_S)

        def connected():
            try:
                self.connect(str(path))
                return True
            except (FileNotFoundError, ConnectionRefusedError):
                return False

        await_condition(connected, f"a connection to {path}")

    def expect(self, data):
        got = b""
        while len(got) < len(data):
            some = self.recv(65536)
            check(some, f"closed after {got!r}")
            got += some
        check(got == data, f"{got!r} is not {data!r}")


def wait_gone(vmm, path, status):
    ended = vmm.end()
    check(ended.status == status, str(ended))
    check(not path.exists(), "the socket is left behind")


@ROWS.row("socket: one client after the other; gone at the end")
def _(bench):
    path = bench.folder / "s"
    with bench.start("--kernel", bench.guest("echo", "QUIET"), "--console", "socket=s") as vmm:
        for text in (b"first client", b"second one", b"third"):
            with Client(path) as client:
                client.sendall(text)
                client.expect(text)
        with Client(path) as client:
            client.sendall(b"q")
            client.expect(b"q")
            check(client.recv(1) == b"", "not closed at the end")
        wait_gone(vmm, path, 0)


@ROWS.row("socket: a second client waits for the first")
def _(bench):
    path = bench.folder / "s"
    with bench.start("--kernel", bench.guest("echo", "QUIET"), "--console", "socket=s") as vmm:
        with Client(path) as first, Client(path) as second:
            second.sendall(b"SECOND")
            first.sendall(b"first")
            first.expect(b"first")
            first.close()
            second.expect(b"SECOND")
            second.sendall(b"q")
        wait_gone(vmm, path, 0)


@ROWS.row("socket: a client that only reads (half closed)")
def _(bench):
    path = bench.folder / "s"
    with bench.start("--kernel", bench.guest("echo", "QUIET"), "--console", "socket=s") as vmm:
        with Client(path) as client:
            client.sendall(b"abc")
            client.shutdown(socket.SHUT_WR)
            client.expect(b"abc")
        with Client(path) as client:
            client.sendall(b"q")
            client.expect(b"q")
        wait_gone(vmm, path, 0)


@ROWS.row("socket: a slow client loses nothing")
def _(bench):
    path = bench.folder / "s"
    with bench.start("--kernel", bench.guest("echo", "QUIET"), "--console", "socket=s") as vmm:
        text = bytes(i % 251 for i in range(65536)).replace(b"q", b"-")
        with Client(path) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            sent = 0
            client.setblocking(False)
            while sent < len(text):  # until neither side takes any more
                if not select.select([], [client], [], 1)[1]:
                    break
                sent += client.send(text[sent : sent + 1024])
            client.settimeout(LIMIT_S)
            client.expect(text[:sent])
            client.sendall(b"q")
            client.expect(b"q")
        wait_gone(vmm, path, 0)


@ROWS.row("socket: a stale one is replaced")
def _(bench):
    path = bench.folder / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with bench.start("--kernel", bench.guest("echo", "QUIET"), "--console", "socket=s") as vmm:
        with Client(path) as client:
            client.sendall(b"q")
            client.expect(b"q")
        wait_gone(vmm, path, 0)


@ROWS.row("socket: gone after SIGTERM too")
def _(bench):
    path = bench.folder / "s"
    with bench.start("--kernel", bench.guest("sleep"), "--console", "socket=s") as vmm:
        with Client(path):
            vmm.signal(signal.SIGTERM)
            wait_gone(vmm, path, 143)


class Terminal:
    """A pseudo-terminal, and osvm-vmm in its foreground."""

    def __init__(self, bench, *words):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""

        def control():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.vmm = Process([bench.vmm, *map(str, words)], bench.folder, stdin=self.slave,
                           stdout=self.slave, stderr=self.slave, preexec_fn=control)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.vmm.kill()
        os.close(self.master)
        os.close(self.slave)

    def type(self, data):
        os.write(self.master, data)

    def expect(self, text):
        def seen():
            if select.select([self.master], [], [], 0)[0]:
                self.seen += os.read(self.master, 65536)
            return text in self.seen

        await_condition(seen, f"{text!r} on the terminal; there is {self.seen!r}")

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def check_end(self, status):
        ended = self.vmm.end()
        check(ended.status == status, f"{ended}, terminal {self.seen!r}")
        check(termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was")


@ROWS.row("terminal: raw while it runs, keys go to the guest one by one")
def _(bench):
    with Terminal(bench, "--kernel", bench.guest("echo")) as terminal:
        terminal.expect(b"READY")
        await_condition(terminal.is_raw, "a raw terminal")
        for key in (b"a", b"\x03", b"\x1a", b"\x04", b"\r", b"\x7f"):  # Ctrl-C, -Z, -D among them
            terminal.type(key)
            terminal.expect(key)
        terminal.type(b"q")
        terminal.check_end(0)


@ROWS.row("terminal: Ctrl-A x ends it")
def _(bench):
    with Terminal(bench, "--kernel", bench.guest("echo"), "--exit-record", "record") as terminal:
        terminal.expect(b"READY")
        await_condition(terminal.is_raw, "a raw terminal")
        terminal.type(CTRL_A)
        terminal.type(b"x")
        terminal.check_end(0)
    check(bench.record()["reason"] == "console", str(bench.record()))


@ROWS.row("terminal: Ctrl-A x ends a guest that takes no input")
def _(bench):
    with Terminal(bench, "--kernel", bench.guest("spin")) as terminal:
        terminal.expect(b"READY")
        await_condition(terminal.is_raw, "a raw terminal")
        terminal.type(b"x" * 100 + CTRL_A + b"x")
        terminal.check_end(0)


@ROWS.row("terminal: Ctrl-A c says the status")
def _(bench):
    with Terminal(bench, "--kernel", bench.guest("echo"), "--cpus", "2") as terminal:
        terminal.expect(b"READY")
        await_condition(terminal.is_raw, "a raw terminal")
        terminal.type(CTRL_A + b"c")
        terminal.expect(b"2 CPUs")
        terminal.expect(b"256 MiB")
        terminal.type(b"still here")
        terminal.expect(b"still here")
        terminal.type(b"q")
        terminal.check_end(0)


@ROWS.row("terminal: Ctrl-A a and Ctrl-A Ctrl-A are a Ctrl-A for the guest")
def _(bench):
    with Terminal(bench, "--kernel", bench.guest("echo")) as terminal:
        terminal.expect(b"READY")
        await_condition(terminal.is_raw, "a raw terminal")
        terminal.type(b"<" + CTRL_A + b"a>[" + CTRL_A + CTRL_A + b"]")
        terminal.expect(b"<\x01>[\x01]")
        terminal.type(b"q")
        terminal.check_end(0)


@ROWS.row("terminal: as it was after every end")
def _(bench):
    for guest, status in (("power_off", 0), ("reset", 0), ("triple_fault", 126)):
        with Terminal(bench, "--kernel", bench.guest(guest)) as terminal:
            terminal.expect(b"READY")
            terminal.check_end(status)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        with Terminal(bench, "--kernel", bench.guest("sleep")) as terminal:
            terminal.expect(b"READY")
            await_condition(terminal.is_raw, "a raw terminal")
            terminal.vmm.signal(number)
            terminal.check_end(128 + number)


@ROWS.row("terminal: left alone where the console is elsewhere")
def _(bench):
    with Terminal(bench, "--kernel", bench.guest("sleep"), "--console", "file=out") as terminal:
        await_condition(lambda: (bench.folder / "out").exists() and
                        (bench.folder / "out").read_bytes() == b"READY\n", "the guest")
        check(not terminal.is_raw(), "it is raw")
        terminal.type(b"\x03")
        terminal.check_end(128 + signal.SIGINT)
