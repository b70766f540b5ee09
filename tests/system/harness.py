"""What the rows share: running osvm-vmm, the guests, and looking at what is left behind."""

import contextlib
import dataclasses
import itertools
import json
import os
import selectors
import signal
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIMIT_S = 30


class Failed(Exception):
    """The row has failed; the text says how."""


class Skipped(Exception):
    """The row cannot be tried here; the text says why."""


class Rows(list):
    """The tests of one subject: pairs of a name and a function that takes a Bench."""

    def row(self, name):
        def add(function):
            self.append((name, function))
            return function

        return add


def check(condition, text):
    if not condition:
        raise Failed(text)


def await_condition(condition, what, limit=LIMIT_S):
    """Until condition() is true."""
    end = time.monotonic() + limit
    while not condition():
        check(time.monotonic() < end, f"in {limit} s not: {what}")
        time.sleep(0.005)


_numbers = itertools.count()


@contextlib.contextmanager
def in_netns(command):
    """A network namespace of its own, where a shell command was run: the words to put before a
    command that is to run there."""
    name = f"osvm-system-{os.getpid()}-{next(_numbers)}"
    inside = ["ip", "netns", "exec", name]
    try:
        subprocess.run(["ip", "netns", "add", name], check=True, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        raise Skipped("no network namespace can be made here") from None
    try:
        if subprocess.run([*inside, "sh", "-c", command], check=False).returncode != 0:
            raise Skipped("no tap can be made here")
        yield inside
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


@dataclasses.dataclass
class Ended:
    status: int
    out: bytes
    err: str

    def __str__(self):
        return f"status {self.status}, out {self.out[-300:]!r}, err {self.err[-600:]!r}"


class Process:
    """A running osvm-vmm in a session of its own, so that nothing of it can stay unseen."""

    def __init__(self, words, cwd, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        self.popen = subprocess.Popen(words, cwd=cwd, start_new_session=True, **options)
        self.pid = self.popen.pid
        self.out = b""
        self.err = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream:
                stream.close()

    def vm_pid(self):
        """The process that runs the machine: the guardian's child. Waits until it is there."""
        children = f"/proc/{self.pid}/task/{self.pid}/children"
        found = []

        def forked():
            with open(children, encoding="ascii") as file:
                found[:] = map(int, file.read().split())
            return found

        await_condition(forked, "the machine's process")
        return found[0]

    def signal(self, number):
        self.popen.send_signal(number)

    def read_until(self, done, limit):
        """Collect output until done() or both streams have ended."""
        end = time.monotonic() + limit
        with selectors.DefaultSelector() as selector:
            for name in ("out", "err"):
                stream = getattr(self.popen, "std" + name)
                if stream and not stream.closed:
                    selector.register(stream, selectors.EVENT_READ, name)
            while not done() and selector.get_map():
                left = end - time.monotonic()
                check(left > 0, f"no end in {limit} s; out {self.out[-300:]!r}, "
                                f"err {self.err[-300:]!r}")
                for key, _ in selector.select(left):
                    data = os.read(key.fd, 65536)
                    setattr(self, key.data, getattr(self, key.data) + data)
                    if not data:
                        selector.unregister(key.fileobj)
                        key.fileobj.close()

    def await_output(self, text, limit=LIMIT_S):
        self.read_until(lambda: text in self.out, limit)
        check(text in self.out, f"ended without {text!r}: out {self.out!r}, err {self.err!r}")

    def session_is_gone(self):
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def end(self, limit=LIMIT_S, killed=False):
        """Wait for its end; nothing of its session may outlive it. Where the guardian was killed
        the kernel ends the machine's process, and that takes a moment."""
        self.read_until(lambda: False, limit)
        try:
            status = self.popen.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failed(f"still running after {limit} s") from None
        if killed:
            await_condition(self.session_is_gone, "the end of all its processes", limit)
        check(self.session_is_gone(), "a process of it is left behind")
        return Ended(status, self.out, self.err.decode(errors="replace"))


class Bench:
    """What a row works with: the program, the guests, and a folder of its own (empty at first)."""

    def __init__(self, vmm, guests, folder, build):
        self.vmm = str(vmm)
        self.guests = guests
        self.folder = folder
        self.build = build

    def start(self, *words, before=(), **options):
        return Process([*before, self.vmm, *map(str, words)], self.folder, **options)

    def run(self, *words, limit=LIMIT_S, **options):
        with self.start(*words, **options) as process:
            return process.end(limit)

    def guest(self, name, *defines):
        """The path of a guest of guest.S, made at its first use."""
        label = "-".join([name, *defines]).replace("=", "")
        kind = f"GUEST_{name.upper()}"
        if not any(define.startswith(kind + "=") for define in defines):
            defines = (kind, *defines)
        path = self.guests / label
        if not path.exists():
            subprocess.run(
                ["gcc", "-m32", "-nostdlib", "-static", "-no-pie", f"-Wl,-T,{HERE}/guest.ld",
                 "-Wl,--build-id=none", "-Wl,-z,noexecstack,--no-warn-rwx-segments",
                 *("-D" + define for define in defines), "-o", path, HERE / "guest.S"],
                check=True)
        return path

    def built(self, name):
        """A file of the build folder."""
        path = self.build / name
        if not path.exists():
            raise Skipped(f"{name} is not built")
        return path

    def as_nobody(self):
        """Words to put before a command that is to run without rights."""
        if os.geteuid() != 0:
            raise Skipped("wants root, to become another user")
        return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    def with_dev(self, command):
        """Words to put before a command that is to see an own /dev, filled by a shell command."""
        if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL,
                          check=False).returncode != 0:
            raise Skipped("wants a mount namespace, which is not to be had here")
        return ["unshare", "-m", "sh", "-c",
                f'mount -t tmpfs tmpfs /dev && {command} && exec "$@"', "sh"]

    def write(self, name, data):
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def record(self, name="record"):
        return json.loads((self.folder / name).read_text())

    def refused(self, *words, says=(), **options):
        """It must be refused: status 125, one clear line, nothing printed, nothing left."""
        before = sorted(os.listdir(self.folder))
        ended = self.run(*words, **options)
        check(ended.status == 125, f"not refused: {ended}")
        check(ended.out == b"", f"printed something: {ended}")
        check(ended.err.endswith("\n") and ended.err.count("\n") == 1, f"not one line: {ended}")
        check(ended.err.startswith("osvm-vmm: "), f"does not say who speaks: {ended}")
        for text in [says] if isinstance(says, str) else says:
            check(text in ended.err, f"does not say '{text}': {ended}")
        left = sorted(os.listdir(self.folder))
        check(left == before, f"left behind: {set(left) ^ set(before)}")
