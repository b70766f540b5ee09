#!/usr/bin/env python3
"""What a guest's network talks to, run inside the network namespace of its tap.

usage: net_peer.py udp-echo PORT          send back what comes, until killed
       net_peer.py http ADDRESS SIZE      look at all that images/http.c serves, then end it
"""

import concurrent.futures
import hashlib
import socket
import sys
import time
import urllib.error
import urllib.request

TIMEOUT_S = 20


def udp_echo(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        peer.bind(("0.0.0.0", port))
        print("READY", flush=True)
        while True:
            data, address = peer.recvfrom(65536)
            peer.sendto(data, address)


def fetch(address, path, data=None):
    with urllib.request.urlopen(f"http://{address}{path}", data, TIMEOUT_S) as answer:
        return answer.status, answer.read()


def pattern(size):
    period = bytes(i % 251 for i in range(251))
    return (period * (size // 251 + 1))[:size]


def expect(condition, what):
    if not condition:
        raise SystemExit(f"http: {what}")


def http(address, size):
    end = time.monotonic() + TIMEOUT_S
    while True:
        try:
            status, body = fetch(address, "/")
            break
        except (urllib.error.URLError, OSError) as error:
            expect(time.monotonic() < end, f"no answer: {error}")
            time.sleep(0.05)
    expect(status == 200 and b"osvm" in body, f"/ is {status} {body[:80]!r}")
    status, body = fetch(address, f"/bytes/{size}")
    expect(hashlib.sha256(body).digest() == hashlib.sha256(pattern(size)).digest(),
           f"{len(body)} of {size} bytes, or others")
    sent = pattern(size)
    status, body = fetch(address, "/sum", sent)
    expect(body.strip() == b"%d %d" % (len(sent), sum(sent) & 0xffffffff), f"/sum says {body!r}")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda n: fetch(address, f"/bytes/{n}")[1], range(1000, 1064)))
    expect(bodies == [pattern(n) for n in range(1000, 1064)], "64 requests by 8 at once")
    try:
        fetch(address, "/nothing")
        expect(False, "/nothing is there")
    except urllib.error.HTTPError as error:
        expect(error.code == 404, f"/nothing is {error.code}")
    fetch(address, "/quit", b"")


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "udp-echo":
        udp_echo(int(arguments[1]))
    elif len(arguments) == 3 and arguments[0] == "http":
        http(arguments[1], int(arguments[2]))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
