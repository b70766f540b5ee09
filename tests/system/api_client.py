"""A client of osvm-vmm's API: HTTP on a Unix socket, and a guest that does what it is asked for."""

import http.client
import json
import os
import socket
import subprocess

from harness import LIMIT_S, Failed, await_condition, check

GUEST = "tests/boot/on_request"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=LIMIT_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT_S)
        self.sock.connect(str(self.path))


class Api:
    """osvm-vmm with --api-sock, and one connection to it that is kept."""

    def __init__(self, bench, *words, **options):
        self.bench = bench
        self.socket = bench.folder / "api.sock"
        options.setdefault("stdin", subprocess.PIPE)
        self.vmm = bench.start("--api-sock", self.socket, *words, **options)
        self.http = _Connection(self.socket)

    def __enter__(self):
        def listens():
            ended = self.vmm.popen.poll()
            check(ended is None, f"it has ended with {ended}")
            with open(f"/proc/{self.vmm.pid}/net/unix", encoding="utf-8") as table:
                return any(line.split()[3] == "00010000" and line.endswith(f" {self.socket}\n")
                           for line in table)
        await_condition(listens, "it listens on the socket")
        return self

    def __exit__(self, *_):
        self.http.close()
        self.vmm.kill()

    def call(self, method, path, body=None):
        """Status and parsed body."""
        text = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        self.http.request(method, path, text)
        answer = self.http.getresponse()
        data = answer.read()
        return answer.status, json.loads(data) if data else None

    def get(self, path):
        status, body = self.call("GET", path)
        check(status == 200, f"GET {path}: {status} {body}")
        return body

    def put(self, path, body):
        status, answer = self.call("PUT", path, body)
        check((status, answer) == (204, None), f"PUT {path}: {status} {answer}")

    def patch(self, path, body):
        status, answer = self.call("PATCH", path, body)
        check((status, answer) == (204, None), f"PATCH {path}: {status} {answer}")

    def refused(self, method, path, body, *says):
        status, answer = self.call(method, path, body)
        text = f"{method} {path} {body}: {status} {answer}"
        check(status == 400 and answer and list(answer) == ["fault_message"], text)
        for part in says:
            check(part in answer["fault_message"], f"does not say '{part}': {text}")

    def boot(self, guest=None, cmdline=None):
        body = {"kernel_image_path": str(guest or self.bench.built(GUEST))}
        if cmdline is not None:
            body["boot_args"] = cmdline
        self.put("/boot-source", body)

    def start(self):
        self.put("/actions", {"action_type": "InstanceStart"})

    def start_guest(self):
        """The guest that does what it is asked for, from its first word on."""
        self.boot(cmdline="")
        self.start()
        self.vmm.await_output(b"READY\n")

    def send(self, line):
        self.vmm.popen.stdin.write(line.encode() + b"\n")
        self.vmm.popen.stdin.flush()

    def ask(self, line):
        """The guest's answer to a line: its words behind the first."""
        start = len(self.vmm.out)
        self.send(line)
        self.vmm.read_until(lambda: b"\n" in self.vmm.out[start:], LIMIT_S)
        answer = self.vmm.out[start:].decode().split()
        check(answer and answer[0] == line.split()[0], f"{line}: {self.vmm.out[start:]!r}")
        return [int(word) for word in answer[1:]]

    def state(self):
        return self.get("/")["state"]

    def end(self):
        self.send("quit")
        ended = self.vmm.end()
        check(ended.status == 0, str(ended))
        check(not os.path.exists(self.socket), "the socket is left behind")
        return ended


class Raw:
    """A connection on which any bytes can be sent."""

    def __init__(self, api):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(api.socket))  # waits while many do
        self.socket.settimeout(LIMIT_S)
        self.input = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(65536)
        self.input += data
        return data

    def answer(self):
        """The next answer: its status and its body."""
        while b"\r\n\r\n" not in self.input:
            check(self.more(), f"it hung up; before that: {self.input!r}")
        head, rest = self.input.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        length = int(headers.get("content-length", 0))
        while len(rest) < length:
            self.input = b""
            check(self.more(), "it hung up within a body")
            rest += self.input
        self.input = rest[length:]
        return int(lines[0].split()[1]), rest[:length].decode()

    def is_closed(self):
        try:
            while data := self.more():
                if len(self.input) > 1 << 20:
                    raise Failed(f"it goes on: {data!r}")
        except ConnectionResetError:
            pass
        return True
