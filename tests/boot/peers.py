"""The other ends of a row's devices: a disk's file, sockets of vsock, a tap in a namespace of its
own. Each is made for one row and gone after it."""

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

TIMEOUT_S = 20
VSOCK_ECHO_PORT = 5252  # unikernel/images/vsock_echo.c
HOST_ADDRESS = "10.77.0.1/24"
GUEST_ADDRESS = "10.77.0.2"
NET_PEER = Path(__file__).resolve().parent / "net_peer.py"

_numbers = itertools.count()  # one step is atomic: rows run in threads


def disk_bytes(size):
    """The pattern of guests/virtio_block.c."""
    block = bytes((i * 7) & 0xFF for i in range(256)) * 2  # of one sector, at offset 0
    return b"".join(bytes((b + n + n // 256) & 0xFF for b in block) for n in range(size // 512))


def serve_echo(path, stack):
    """Send back what comes on each connection to a Unix socket."""
    def echo(connection):
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()

    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    listener.listen(256)
    stack.callback(lambda: listener.shutdown(socket.SHUT_RDWR))
    threading.Thread(target=accept, daemon=True).start()


def vsock_connect(path, port):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(TIMEOUT_S)
    connection.connect(str(path))
    connection.sendall(b"CONNECT %d\n" % port)
    answer = b""
    while not answer.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            raise OSError("closed with no answer")
        answer += byte
    if not answer.startswith(b"OK "):
        raise OSError(f"answered {answer!r}")
    return connection


def _exchange(connection, sent):
    """Whether the connection echoes; sends and receives at the same time."""
    sender = threading.Thread(target=connection.sendall, args=(sent,), daemon=True)
    sender.start()
    got = bytearray()
    while len(got) < len(sent):
        data = connection.recv(65536)
        if not data:
            break
        got += data
    sender.join(TIMEOUT_S)
    return bytes(got) == sent


def vsock_clients(path, count, size):
    """Talk to unikernel/images/vsock_echo.c by `count` connections that are open together, then end
    it. Returns complaints."""
    notes = []
    try:
        try:
            vsock_connect(path, VSOCK_ECHO_PORT + 1).close()
            notes.append("a port that nobody listens on answers")
        except OSError:
            pass
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(vsock_connect(path, VSOCK_ECHO_PORT))
                           for _ in range(count)]
            for number, connection in enumerate(connections):
                if not _exchange(connection, os.urandom(size)):
                    notes.append(f"connection {number} does not echo its {size} bytes")
        with vsock_connect(path, VSOCK_ECHO_PORT) as connection:
            connection.sendall(b"quit\n")
            if connection.recv(16) != b"quit\n":
                notes.append("it does not answer to quit")
    except OSError as error:
        notes.append(f"vsock: {error}")
    return notes


def _run(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")


def missing_tap():
    """What keeps this process from making a namespace with a tap, or nothing."""
    if os.geteuid() != 0:
        return "a tap needs root"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    name = f"osvm-try-{os.getpid()}-{next(_numbers)}"
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "netns", "del", name)
    except (OSError, subprocess.SubprocessError) as error:
        return f"no network namespaces: {error}"
    return ""


def make_tap(mtu, stack):
    """A namespace with tap0 in it, and a host that answers ARP and UDP. Returns its name."""
    name = f"osvm-boot-{os.getpid()}-{next(_numbers)}"
    _run("ip", "netns", "add", name)
    stack.callback(_run, "ip", "netns", "del", name)
    inside = ("ip", "netns", "exec", name)
    _run(*inside, "ip", "tuntap", "add", "tap0", "mode", "tap", "vnet_hdr")
    _run(*inside, "ip", "address", "add", HOST_ADDRESS, "dev", "tap0")
    _run(*inside, "ip", "link", "set", "tap0", "mtu", mtu, "up")
    peer = subprocess.Popen([*inside, sys.executable, str(NET_PEER), "udp-echo", "7"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    stack.callback(peer.wait)
    stack.callback(peer.kill)
    stack.callback(peer.stdout.close)
    peer.stdout.readline()
    return name


def http_client(namespace, size):
    """Fetch from unikernel/images/http.c, then end it. Returns complaints."""
    try:
        _run("ip", "netns", "exec", namespace, sys.executable, str(NET_PEER), "http", GUEST_ADDRESS,
             size)
    except (OSError, subprocess.SubprocessError) as error:
        return [str(error)]
    return []
