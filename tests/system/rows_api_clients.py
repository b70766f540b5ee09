"""The API: clients that are slow, many, gone, or do not speak HTTP."""

import contextlib
import json
import os
import signal

from api_client import Api, Raw
from harness import Rows, await_condition, check

ROWS = Rows()

# What a client may send, and the status of the answer.
HEAD = b"PUT /machine-config HTTP/1.1\r\nContent-Length: "
MALFORMED = [
    ("no HTTP", b"hello\r\n\r\n", 400),
    ("a zero byte", b"GET /\0 HTTP/1.1\r\n\r\n", 400),
    ("HTTP/3", b"GET / HTTP/3.0\r\n\r\n", 400),
    ("bare line feeds", b"GET / HTTP/1.1\n\n\r\n\r\n", 400),
    ("two lengths", HEAD + b"2\r\nContent-Length: 3\r\n\r\n{}", 400),
    ("chunks", b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400),
    ("one byte too many", HEAD + b"51201\r\n\r\n" + b" " * 51201, 413),
    ("far too many", HEAD + b"99999999999999999999\r\n\r\n" + b" " * 300000, 413),
    ("a head without an end", b"GET / HTTP/1.1\r\nX: " + b"y" * 300000, 413),
]


def add_malformed():
    for name, data, status in MALFORMED:
        def row(bench, data=data, status=status):
            with Api(bench) as api:
                with Raw(api) as raw:
                    raw.send(data)
                    got, body = raw.answer()
                    check(got == status and "fault_message" in json.loads(body), f"{got} {body}")
                    raw.socket.shutdown(1)
                    check(raw.is_closed(), "it goes on with that")
                check(api.state() == "Not started", "it is not what it was")
        ROWS.row(f"malformed: {name}")(row)


add_malformed()


@ROWS.row("the longest request is taken")
def _(bench):
    with Api(bench) as api, Raw(api) as raw:
        body = json.dumps({"vcpu_count": 1, "mem_size_mib": 64}).encode()
        head = HEAD + b"%d\r\n\r\n"
        body = body.ljust(51200 - len(head % 51000))
        raw.send(head % len(body) + body)
        check(raw.answer()[0] == 204, "not taken")


@ROWS.row("requests one behind the other are answered in order, of a machine that runs, too")
def _(bench):
    with Api(bench) as api:
        api.start_guest()
        with Raw(api) as raw:
            body = [b'{"state": "Paused"}', b'{"state": "Resumed"}']
            raw.send(b"".join(b"PATCH /vm HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s"
                              b"GET / HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n"
                              % (len(b), b) for b in body * 20))
            for state in ["Paused", "Running"] * 20:
                check(raw.answer()[0] == 204, "PATCH")
                check(json.loads(raw.answer()[1])["state"] == state, "out of order")
                check(raw.answer()[0] == 200, "GET /metrics")
        api.end()


@ROWS.row("Connection: close and HTTP/1.0 close; Expect: 100-continue is answered")
def _(bench):
    with Api(bench) as api:
        for head in (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"):
            with Raw(api) as raw:
                raw.send(head)
                check(raw.answer()[0] == 200 and not raw.more(), "not closed")
        with Raw(api) as raw:
            body = b'{"vcpu_count": 1, "mem_size_mib": 64}'
            raw.send(HEAD + b"%d\r\nExpect: 100-continue\r\n\r\n" % len(body))
            check(raw.answer()[0] == 100, "no 100")
            raw.send(body)
            check(raw.answer()[0] == 204, "no 204")


@ROWS.row("a client that sends byte by byte holds up nobody")
def _(bench):
    with Api(bench) as api:
        api.start_guest()
        with Raw(api) as slow:
            for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n":
                slow.send(bytes([byte]))
                api.get("/")
            check(slow.answer()[0] == 200, "the slow one has no answer")
        api.ask("alive")
        api.end()


@ROWS.row("a client that asks and never reads holds up nobody, and is not waited for")
def _(bench):
    with Api(bench) as api:
        api.start_guest()
        with Raw(api) as raw:
            raw.socket.settimeout(0.3)
            try:
                for _ in range(100_000):
                    raw.send(b"GET /metrics HTTP/1.1\r\n\r\n" * 100)
                check(False, "10,000,000 questions were taken from one who reads no answer")
            except TimeoutError:
                pass
            api.get("/metrics")
            api.patch("/vm", {"state": "Paused"})
            api.patch("/vm", {"state": "Resumed"})
        api.end()


@ROWS.row("clients that vanish: in mid request, and while the answer is on its way")
def _(bench):
    with Api(bench) as api:
        api.start_guest()
        for data in (b"", b"GET", b"GET / HTTP/1.1\r\n", HEAD + b"10\r\n\r\n{", HEAD + b"2\r\n\r\n{}",
                     b"GET /metrics HTTP/1.1\r\n\r\n" * 50):
            for _ in range(100):
                with Raw(api) as raw:
                    raw.send(data)
        check(api.state() == "Running", "not running")
        api.end()
    with Api(bench) as api:
        api.boot()
        with Raw(api) as raw:
            body = b'{"action_type": "InstanceStart"}'
            raw.send(b"PUT /actions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        api.vmm.await_output(b"READY\n")
        check(api.state() == "Running", "not running")
        api.end()


@ROWS.row("one that sends all and then only listens gets its answer")
def _(bench):
    with Api(bench) as api:
        api.start_guest()
        with Raw(api) as raw:
            raw.send(b"GET /metrics HTTP/1.1\r\n\r\n" * 3)
            raw.socket.shutdown(1)
            for _ in range(3):
                check(raw.answer()[0] == 200, "no answer")
            check(not raw.more(), "it is kept")
        api.end()


@ROWS.row("64 clients at once, and idle ones that make room for more")
def _(bench):
    with Api(bench) as api:
        api.start_guest()
        api.http.close()
        clients = [Raw(api) for _ in range(64)]
        try:
            for _ in range(3):
                for client in clients:
                    client.send(b"GET /metrics HTTP/1.1\r\n\r\n")
                check(all(client.answer()[0] == 200 for client in clients), "not all are answered")
            more = [Raw(api) for _ in range(200)]
            clients += more
            more[-1].send(b"GET / HTTP/1.1\r\n\r\n")
            check(more[-1].answer()[0] == 200, "the last one is not served")
            pid = api.vmm.pid
            check(len(os.listdir(f"/proc/{pid}/fd")) < 90, "the number of clients has no bound")
        finally:
            for client in clients:
                client.socket.close()
        api.end()


@contextlib.contextmanager
def asked_while_stopped(api):
    """A client that waits for an answer of the machine's process, which stands still: both."""
    api.start_guest()
    pid = api.vmm.vm_pid()
    os.kill(pid, signal.SIGSTOP)
    with Raw(api) as raw:
        raw.send(b"GET /metrics HTTP/1.1\r\n\r\n")
        check(api.state() == "Running", "GET / waits")
        yield raw, pid


@ROWS.row("a stopped machine's process makes no answer wait for ever, and nobody else")
def _(bench):
    with Api(bench) as api:
        with asked_while_stopped(api) as (raw, pid):
            status, body = raw.answer()
            check(status == 400 and "has not answered" in body, f"{status} {body}")
        os.kill(pid, signal.SIGCONT)
        await_condition(lambda: api.call("GET", "/metrics")[0] == 200, "it answers again")
        api.end()


@ROWS.row("a machine that ends while it is asked: the answer is an error, its status the guest's")
def _(bench):
    with Api(bench) as api:
        with asked_while_stopped(api) as (raw, pid):
            os.kill(pid, signal.SIGKILL)
            status, body = raw.answer()
            check(status == 400 and "ended" in body, f"{status} {body}")
        ended = api.vmm.end()
        check(ended.status == 128 + signal.SIGKILL, str(ended))
        check(not os.path.exists(api.socket), "the socket is left behind")
