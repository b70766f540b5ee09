"""What devices let the guest have: memory, disk, files, the network's rate."""

import os
import socket
import struct
import threading
import time

import hosts
from harness import Rows, check

ROWS = Rows()
MIB = 1 << 20


def guest(bench, what, *words):
    return ["--kernel", bench.built("tests/limits/limits_guest"), "--cmdline", f"do={what}", *words]


def check_report(ended):
    check(ended.status == 0 and b"\nnot ok" not in b"\n" + ended.out, str(ended))


@ROWS.row("memory: the guest has what it has, and the host gives no more")
def _(bench):
    ended = bench.run(*guest(bench, "memory mem=96", "--mem", "96", "--exit-record", "record"))
    check_report(ended)
    memory = bench.record()["memory"]
    check(memory["guest-resident-bytes"] <= 96 * MIB == memory["guest-bytes"], str(memory))


@ROWS.row("memory: osvm-vmm's own data are bounded")
def _(bench):
    with bench.start(*guest(bench, "idle")) as process:
        process.await_output(b"READY")
        with open(f"/proc/{hosts.vm_process(process.pid)}/limits", encoding="ascii") as file:
            line = next(line for line in file if line.startswith("Max data size"))
        soft, hard = line.split()[3:5]
        check(soft == hard and int(hard) < 256 * MIB, line)


@ROWS.row("disk: nothing is written behind its end")
def _(bench):
    path = bench.write("disk", b"\0" * (8 * MIB) + b"behind")
    check_report(bench.run(*guest(bench, "disk", "--disk", f"path={path},size=8M", "--disk-limit",
                                  "8M")))
    check(path.stat().st_size == 8 * MIB + 6, "it has grown")
    check(path.read_bytes().endswith(b"behind"), "what is behind was written")


@ROWS.row("disk: more than --disk-limit is refused")
def _(bench):
    bench.refused("--disk", "scratch=6M", "--disk", "scratch=6M", "--disk-limit", "8M",
                  says="--disk-limit: the writable disks have more than 8 MiB")
    path = bench.write("disk", b"\0" * (8 * MIB))
    ended = bench.run("--disk", f"path={path},ro", "--disk", "scratch=6M", "--disk-limit", "8M")
    check(ended.status == 0, f"what is read only counts: {ended}")


def serve_connections(bench):
    """Accept whatever comes to the guest's port 7000."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(bench.folder / "vsock_7000"))
    listener.listen(512)
    kept = []

    def accept():
        try:
            while True:
                kept.append(listener.accept()[0])
        except OSError:
            pass

    threading.Thread(target=accept, daemon=True).start()
    return listener, kept


@ROWS.row("files: the guest has osvm-vmm open no more than --limit-fds")
def _(bench):
    listener, kept = serve_connections(bench)
    with bench.start(*guest(bench, "files", "--vsock", "cid=3,path=vsock", "--limit-fds",
                            "64")) as process:
        process.await_output(b"READY")
        vm = hosts.vm_process(process.pid)
        opened = int(process.out.split(b"opened ")[1].split()[0])
        check(0 < opened < 64, f"{opened} connections were opened")
        check(len(os.listdir(f"/proc/{vm}/fd")) <= 64, "it has more files open")
        # A host client that cannot be served waits, and does not keep the loop busy.
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(bench.folder / "vsock"))
            time.sleep(0.2)
            before = hosts.cpu_seconds(vm)[0]
            time.sleep(1)
            used = hosts.cpu_seconds(vm)[0] - before
        check(used < 0.3, f"waiting for a descriptor takes {used:.2f} s of CPU time a second")
    listener.shutdown(socket.SHUT_RDWR)
    for connection in kept:
        connection.close()


# ---- The network's rate, over the stream that passt speaks: u32 length, frame. ----

RATE = MIB  # bytes a second


class Counter(threading.Thread):
    """Bytes of frames that came out of a stream."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.bytes = stream, 0

    def run(self):
        pending = b""
        try:
            while data := self.stream.recv(65536):
                pending += data
                while len(pending) >= 4:
                    (length,) = struct.unpack(">I", pending[:4])
                    if len(pending) < 4 + length:
                        break
                    self.bytes += length
                    pending = pending[4 + length:]
        except OSError:
            pass


class Flood(threading.Thread):
    """Frames into a stream, as fast as it takes them."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.bytes = stream, 0
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # little that is only on its way

    def run(self):
        frame = b"\xff" * 6 + b"\2" * 6 + b"\x88\xb5" + b"x" * 1500
        try:
            while True:
                self.stream.sendall(struct.pack(">I", len(frame)) + frame)
                self.bytes += len(frame)
        except OSError:
            pass


def measure(bench, what, devices, make):
    pairs = [socket.socketpair() for _ in range(devices)]
    words = []
    for _, theirs in pairs:
        words += ["--net", f"fd={theirs.fileno()}"]
    with bench.start(*guest(bench, f"{what} devices={devices}", "--net-rate", "1M", *words),
                     pass_fds=[theirs.fileno() for _, theirs in pairs]) as process:
        process.await_output(b"READY")
        counters = [make(ours) for ours, _ in pairs]
        for counter in counters:
            counter.start()
        time.sleep(0.5)  # past what the bucket held
        hosts.measure(hosts.vm_process(process.pid), lambda: sum(c.bytes for c in counters), RATE, 1)
    for pair in pairs:
        for end in pair:
            end.close()


@ROWS.row("net: one device sends as fast as --net-rate")
def _(bench):
    measure(bench, "send", 1, Counter)


@ROWS.row("net: two devices together send as fast as --net-rate")
def _(bench):
    measure(bench, "send", 2, Counter)


@ROWS.row("net: one device receives as fast as --net-rate")
def _(bench):
    measure(bench, "receive", 1, Flood)


@ROWS.row("net: two devices together receive as fast as --net-rate")
def _(bench):
    measure(bench, "receive", 2, Flood)
