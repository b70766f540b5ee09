"""The virtio console: where it leads, what is lost (nothing), the window's size."""

import fcntl
import json
import os
import select
import struct
import termios

from harness import LIMIT_S, Rows, await_condition, check
from rows_console import CTRL_A, Client, Terminal, await_stall, read_all, wait_gone

ROWS = Rows()
LINES = 20000
FLOOD = b"READY\n" + b"".join(b"line %06d\n" % i for i in range(LINES))
STDIO = ("--console", "none", "--virtio-console", "stdio")


def guest(bench, cmdline=""):
    return ("--kernel", bench.built("tests/boot/virtio_console"), "--cmdline", cmdline)


@ROWS.row("stdio: input goes in, output comes out, by each transport")
def _(bench):
    text = b"a brown fox jumps\r\n\t\x00\x7f\xff" * 400 + b"q"
    bench.write("in", text)
    for transport in ("mmio", "pci"):
        with open(bench.folder / "in", "rb") as file:
            ended = bench.run(*guest(bench), *STDIO, "--transport", transport, stdin=file)
        check(ended.status == 0 and ended.out == b"READY\n" + text, f"{transport}: {ended}")


@ROWS.row("stdio: refused while the serial console has it")
def _(bench):
    bench.refused("--virtio-console", "stdio", says=("--virtio-console stdio", "--console none"))
    bench.write("vm.json", json.dumps({"virtio-console": "stdio"}))
    bench.refused("--config", "vm.json", says="--console none")
    bench.refused("--virtio-console", "tty", says=("--virtio-console", "'tty'"))
    bench.refused("--virtio-console", "file=", says=("--virtio-console", "empty"))
    bench.refused("--virtio-console", "file=none/there", says=("virtio console", "'none/there'"))
    bench.refused("--virtio-console", "socket=" + "x" * 200, says=("virtio console", "longer than"))


@ROWS.row("stdio: a slow reader loses nothing")
def _(bench):
    with bench.start(*guest(bench, f"mode=flood lines={LINES}"), *STDIO) as vmm:
        out = vmm.popen.stdout.fileno()
        fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, 4096)
        await_stall(out)
        vmm.out = read_all(out)
        ended = vmm.end()
    check(ended.status == 0 and ended.err == "" and ended.out == FLOOD, str(ended))


@ROWS.row("stdio: the reader goes away, the guest goes on")
def _(bench):
    with bench.start(*guest(bench, f"mode=flood lines={LINES}"), *STDIO) as vmm:
        vmm.await_output(b"READY\n")
        vmm.popen.stdout.close()
        ended = vmm.end()
    check(ended.status == 0, str(ended))


@ROWS.row("stdio: a full disk is told of once, the guest goes on")
def _(bench):
    with open("/dev/full", "wb") as full:
        ended = bench.run(*guest(bench, "mode=flood"), *STDIO, stdout=full)
    check(ended.status == 0 and ended.err.count("\n") == 1, str(ended))
    check("virtio console: output is lost" in ended.err, str(ended))


@ROWS.row("file: all of it, after what was there")
def _(bench):
    bench.write("out", "before\n")
    ended = bench.run(*guest(bench, f"mode=flood lines={LINES}"), "--virtio-console", "file=out")
    check(ended.status == 0 and b"READY" not in ended.out, str(ended))
    check((bench.folder / "out").read_bytes() == b"before\n" + FLOOD, "not what was sent")


@ROWS.row("socket: one client after the other, beside the serial one's; gone at the end")
def _(bench):
    path = bench.folder / "v"
    with bench.start(*guest(bench), "--console", "socket=s", "--virtio-console", "socket=v") as vmm:
        with Client(bench.folder / "s"):
            for text in (b"first client", b"second one", b"third"):
                with Client(path) as client:
                    expect_echo(client, text)
            with Client(path) as client:
                client.sendall(b"q")
            wait_gone(vmm, path, 0)
    check(not (bench.folder / "s").exists(), "the serial one's socket is left behind")


def expect_echo(client, text):
    """What was said while nobody was connected is lost, or is "READY" to the first client."""
    client.sendall(text)
    got = b""
    while not got.endswith(text):
        some = client.recv(65536)
        check(some, f"closed after {got!r}")
        got += some
    check(got in (text, b"READY\n" + text), f"{got!r} is not {text!r}")


@ROWS.row("socket: a client that does not read loses nothing of its echo")
def _(bench):
    text = bytes(i % 251 for i in range(300000)).replace(b"q", b"-")
    path = bench.folder / "v"
    with bench.start(*guest(bench), "--virtio-console", "socket=v") as vmm:
        with Client(path) as client:
            expect_echo(client, b"ready?")
            client.setblocking(False)
            sent = 0
            while sent < len(text):  # until neither side takes any more
                if not select.select([], [client], [], 0.5)[1]:
                    break
                sent += client.send(text[sent : sent + 4096])
            client.settimeout(LIMIT_S)
            client.expect(text[:sent])
            client.sendall(b"q")
            client.expect(b"q")
        wait_gone(vmm, path, 0)


def set_size(terminal, cols, rows):
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


@ROWS.row("terminal: raw, keys go to the guest, Ctrl-A x ends")
def _(bench):
    with Terminal(bench, *guest(bench), *STDIO) as terminal:
        terminal.expect(b"READY")
        await_condition(terminal.is_raw, "a raw terminal")
        for key in (b"a", b"\x03", b"\x1a", b"\r", b"\x7f"):
            terminal.type(key)
            terminal.expect(key)
        terminal.type(CTRL_A + b"x")
        terminal.check_end(0)


@ROWS.row("terminal: the guest knows its size, and each new one")
def _(bench):
    for transport in ("mmio", "pci"):
        with Terminal(bench, *guest(bench, "mode=size"), *STDIO,
                      "--transport", transport) as terminal:
            terminal.expect(b"READY")
            for cols, rows in ((80, 25), (132, 43), (1, 1), (65535, 65535)):
                set_size(terminal, cols, rows)
                terminal.expect(b"%dx%d" % (cols, rows))
            terminal.type(b"q")
            terminal.check_end(0)


@ROWS.row("--check says where it leads, and makes nothing")
def _(bench):
    for where in ("file=new", "socket=s"):
        ended = bench.run("--check", "--virtio-console", where)
        check(ended.status == 0 and ended.err == "", str(ended))
        check(f"virtio console: {where.replace('=', ' ')}".encode() in ended.out, str(ended))
    check(not os.listdir(bench.folder), f"left {os.listdir(bench.folder)}")
