"""Devices whose other end is hurt while the guest runs: a line in the log that says so, nothing lost
that was acknowledged, no busy loop, and the machine goes on."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

from harness import LIMIT_S, Rows, Skipped, await_condition, check, in_netns

ROWS = Rows()
MIB = 1 << 20
OK, IO_ERROR = 0, 1  # virtio-blk's status, as the guest tells it
TRANSPORTS = ("mmio", "pci")


class Guest:
    """osvm-vmm with tests/boot/guests/on_request.c, which does what it is asked for."""

    def __init__(self, bench, *words, **options):
        self.vmm = bench.start("--kernel", bench.built("tests/boot/on_request"), *words,
                               stdin=subprocess.PIPE, **options)

    def __enter__(self):
        self.vmm.await_output(b"READY\n")
        return self

    def __exit__(self, *_):
        self.vmm.kill()

    def ask(self, line):
        """The words of its answer behind the first."""
        start = len(self.vmm.out)
        self.vmm.popen.stdin.write(line.encode() + b"\n")
        self.vmm.popen.stdin.flush()
        self.vmm.read_until(lambda: b"\n" in self.vmm.out[start:], LIMIT_S)
        answer = self.vmm.out[start:].decode().split()
        check(answer and answer[0] == line.split()[0], f"{line}: {self.vmm.out[start:]!r}, "
                                                       f"{self.vmm.err!r}")
        return answer[1:]

    def numbers(self, line):
        return [int(word) for word in self.ask(line)]

    def await_log(self, text):
        self.vmm.read_until(lambda: text in self.vmm.err.decode(), LIMIT_S)
        check(text in self.vmm.err.decode(), f"no {text!r} in {self.vmm.err!r}")

    def end(self, most, least=None):
        """It still answers, and ends well, having said so many lines in its log."""
        self.ask("alive")
        self.vmm.popen.stdin.write(b"quit\n")
        self.vmm.popen.stdin.flush()
        ended = self.vmm.end()
        lines = ended.err.count("\n")
        check(ended.status == 0 and (most if least is None else least) <= lines <= most, str(ended))

    def processes(self):
        """Of its session, in any namespace."""
        done = subprocess.run(["ps", "-o", "pid=", "--sid", str(self.vmm.pid)],
                              stdout=subprocess.PIPE, check=False)
        return [int(pid) for pid in done.stdout.split()]

    def host_ticks(self):
        """CPU time of all of its threads that are no CPUs of the guest."""
        total = 0
        for pid in self.processes():
            for thread in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError):
                    with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii") as file:
                        name, fields = file.read().split("(", 1)[1].rsplit(")", 1)
                    if "vcpu" not in name:
                        total += sum(map(int, fields.split()[11:13]))
        return total

    def check_quiet(self):
        """It waits, and does not turn: CPU time does not grow while nothing happens."""
        before = self.host_ticks()
        time.sleep(0.5)
        grown = self.host_ticks() - before
        check(grown <= 2, f"the host's side turned for {grown} ticks of 50")


def small_mount(bench, size):
    """A file system of so many bytes in the row's folder, mounted in a namespace of its own: the
    words to put before a command that is to see it."""
    bench.with_dev("true")  # or skip
    mountpoint = bench.folder / "small"
    mountpoint.mkdir()
    return ["unshare", "-m", "sh", "-c",
            f'mount -t tmpfs -o size={size} small "{mountpoint}" && '
            f'truncate -s {8 * MIB} "{mountpoint}/disk" && exec "$@"', "sh"]


@ROWS.row("disk: the file system is full, then has room again")
def _(bench):
    for transport in TRANSPORTS:
        before = small_mount(bench, 4 * MIB)
        with Guest(bench, "--disk", "path=small/disk", "--transport", transport,
                   before=before) as guest:
            root = f"/proc/{guest.processes()[0]}/root{bench.folder}/small"
            with open(f"{root}/ballast", "wb") as file:
                file.write(bytes(MIB))
            done, status = guest.numbers("disk-fill")
            check(status == IO_ERROR and 40 <= done <= 48, f"{done} chunks, status {status}")
            guest.await_log("o space left")
            check(guest.numbers("disk-check %d" % done) == [done], "what was acknowledged is lost")
            guest.check_quiet()
            os.unlink(f"{root}/ballast")
            check(guest.numbers("disk-write %d" % done) == [OK], "it does not go on with room")
            check(guest.numbers("disk-check %d" % (done + 1)) == [done + 1], "chunks are lost")
            guest.end(1)
        shutil.rmtree(bench.folder / "small")


def in_namespace(inside, command):
    subprocess.run([*inside, "sh", "-c", command], check=True)


@ROWS.row("tap: set down under it, and up again")
def _(bench):
    for transport in TRANSPORTS:
        with in_netns("ip tuntap add tap0 mode tap vnet_hdr && ip link set tap0 up") as inside, \
             Guest(bench, "--net", "tap=tap0", "--transport", transport, before=inside) as guest:
            check(guest.numbers("net-send 100") == [100], "before")
            in_namespace(inside, "ip link set tap0 down")
            check(guest.numbers("net-send 600") == [600], "a tap that is down holds frames up")
            guest.check_quiet()
            in_namespace(inside, "ip link set tap0 up")
            check(received_by(inside, guest) >= 100, "after")
            guest.await_log("net0: the host drops what is sent: the interface is down")
            guest.end(5, 1)


def received_by(inside, guest):
    """How many of a hundred frames the tap takes, as its own count says."""
    def count():
        done = subprocess.run([*inside, "cat", "/sys/class/net/tap0/statistics/rx_packets"],
                              stdout=subprocess.PIPE, check=False)
        return int(done.stdout or 0)

    with_sysfs = count()
    guest.ask("net-send 100")
    return count() - with_sysfs


@ROWS.row("tap: deleted under it")
def _(bench):
    for transport in TRANSPORTS:
        with in_netns("ip tuntap add tap0 mode tap vnet_hdr && ip link set tap0 up") as inside, \
             Guest(bench, "--net", "tap=tap0", "--transport", transport, before=inside) as guest:
            check(guest.numbers("net-send 100") == [100], "before")
            in_namespace(inside, "ip link del tap0")
            guest.await_log("the link is down")
            check(guest.numbers("net-send 600") == [600], "frames are held up")
            guest.check_quiet()
            guest.end(1)


@ROWS.row("passt: killed under it")
def _(bench):
    if not shutil.which("passt"):
        raise Skipped("no passt here")
    for transport in TRANSPORTS:
        with Guest(bench, "--net", "passt", "--transport", transport) as guest:
            check(guest.numbers("net-send 100") == [100], "before")
            os.kill(passt_of(guest), signal.SIGKILL)
            guest.await_log("the link is down")
            check(guest.numbers("net-send 600") == [600], "frames are held up")
            guest.check_quiet()
            guest.end(3, 1)  # passt says something of its own where it is started as root


def passt_of(guest):
    def is_passt(pid):
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            return file.read().startswith("passt")

    def found():
        return [pid for pid in guest.processes() if is_passt(pid)]

    await_condition(found, "passt")
    return found()[0]


class Port:
    """A port of the host that vsock leads to."""

    def __init__(self, bench, port):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(bench.folder / f"v_{port}"))
        self.listener.listen()
        self.listener.settimeout(LIMIT_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        connection = self.listener.accept()[0]
        connection.settimeout(LIMIT_S)
        return connection


def pattern(start, length):
    """As the guest has it, by the number of each byte."""
    period = 251 * 256
    whole = bytes((i * 7 + i // 251) & 0xFF for i in range(period))
    return (whole * ((start + length) // period + 1))[start : start + length]


def read_exactly(connection, length):
    data = b""
    while len(data) < length:
        some = connection.recv(length - len(data))
        check(some, f"ended after {len(data)} of {length} bytes")
        data += some
    return data


def vsock_guest(bench, transport):
    return Guest(bench, "--vsock", "cid=3,path=v", "--transport", transport)


@ROWS.row("vsock: the host's end goes away in the middle, others go on")
def _(bench):
    for transport in TRANSPORTS:
        with Port(bench, 7) as port, vsock_guest(bench, transport) as guest:
            ends = []
            for s in (0, 1):
                check(guest.numbers(f"vsock-connect {s} 7") == [1], "no connection")
                ends.append(port.accept())
            guest.ask("vsock-write 0 5000")
            check(read_exactly(ends[0], 100) == pattern(0, 100), "other bytes")
            ends[0].close()  # with bytes unread
            guest.ask("vsock-write 0 100000")
            await_condition(lambda: guest.ask("vsock-state 0") == ["closed"], "the end of it")
            check(guest.numbers("vsock-write 1 100000") == [100000], "the other one")
            check(read_exactly(ends[1], 100000) == pattern(0, 100000), "other bytes")
            guest.check_quiet()
            check(guest.numbers("vsock-connect 0 7") == [1], "no new connection")
            port.accept().close()
            ends[1].close()
            guest.end(0)
        os.unlink(bench.folder / "v_7")


@ROWS.row("vsock: a host that does not read")
def _(bench):
    for transport in TRANSPORTS:
        with Port(bench, 7) as port, vsock_guest(bench, transport) as guest:
            check(guest.numbers("vsock-connect 0 7") == [1], "no connection")
            with port.accept() as end:
                [first] = guest.numbers("vsock-push 0")
                check(0 < first < 2 * MIB, f"{first} bytes went nowhere")
                guest.check_quiet()
                check(read_exactly(end, first) == pattern(0, first), "other bytes, or fewer")
                check(guest.numbers("vsock-write 0 30000") == [30000], "it does not go on")
                check(read_exactly(end, 30000) == pattern(first, 30000), "other bytes")
            guest.end(0)
        os.unlink(bench.folder / "v_7")


@ROWS.row("vsock: a guest that does not read")
def _(bench):
    text = pattern(0, 4 * MIB)
    for transport in TRANSPORTS:
        with Port(bench, 7) as port, vsock_guest(bench, transport) as guest:
            check(guest.numbers("vsock-connect 0 7") == [1], "no connection")
            with port.accept() as end:
                end.settimeout(0.5)
                sent = 0
                with contextlib.suppress(TimeoutError):
                    while sent < len(text):
                        sent += end.send(text[sent : sent + 4096])
                check(0 < sent < 2 * MIB, f"{sent} bytes went nowhere")
                guest.check_quiet()
                check(guest.numbers(f"vsock-read 0 {sent}") == [sent, 1, 0], f"not the {sent} bytes sent")
                end.settimeout(LIMIT_S)
                end.sendall(text[sent : sent + 30000])
                check(guest.numbers("vsock-read 0 30000") == [30000, 1, 0], "it does not go on")
            check(guest.numbers("vsock-read 0 1") == [0, 1, 1], "no end of the stream")
            guest.end(0)
        os.unlink(bench.folder / "v_7")
