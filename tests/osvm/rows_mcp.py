"""osvm mcp: a client on two pipes, the SDK's MCP server in a virtual machine of its own."""

import json
import os
import signal
import subprocess

from harness import LIMIT_S, Skipped, await_condition, check, row
from rows_vm import machine_pids


def server(host, name="m", more=""):
    if not (host.build / "unikernel/mcp/mcp_tools").exists():
        raise Skipped("unikernel/mcp/mcp_tools is not built")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skipped("no /dev/kvm")
    return host.file(f"{name}.yaml", f"metadata: {{name: {name}}}\ncomponent_type: mcp_server\n"
                     f"isolation: unikernel\n{more}\n")


class Client:
    """An MCP client by the stdio transport, which has started `osvm mcp`."""

    def __init__(self, host, name="m"):
        self.popen = subprocess.Popen(host.words("mcp", name), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.kill()
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            stream.close()

    def send(self, method, number=None, **params):
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        if number is not None:
            message["id"] = number
        self.popen.stdin.write(json.dumps(message).encode() + b"\n")
        self.popen.stdin.flush()

    def answer(self, number):
        line = self.popen.stdout.readline()
        check(line.endswith(b"\n"), f"no line: {line!r}")
        answer = json.loads(line)
        check(answer["jsonrpc"] == "2.0" and answer["id"] == number, str(answer))
        return answer

    def ask(self, method, number, **params):
        self.send(method, number, **params)
        return self.answer(number)["result"]

    def initialize(self):
        said = self.ask("initialize", 0, protocolVersion="2025-06-18", capabilities={},
                        clientInfo={"name": "row", "version": "1"})
        check(said["protocolVersion"] == "2025-06-18" and said["serverInfo"]["name"], str(said))
        self.send("notifications/initialized")

    def end(self):
        """Say no more. Returns the status, what came besides, and its standard error."""
        out, err = self.popen.communicate(timeout=LIMIT_S)
        return self.popen.returncode, out, err.decode()


@row("mcp: it starts its server, passes the protocol alone, and ends with its client")
def _(host):
    host.start_daemon()
    host.osvm("create", server(host))
    with Client(host) as client:
        client.initialize()
        tools = [tool["name"] for tool in client.ask("tools/list", 1)["tools"]]
        check("calculate" in tools, str(tools))
        said = client.ask("tools/call", "two", name="calculate", arguments={"expression": "6*7"})
        check(not said.get("isError") and "42" in said["content"][0]["text"], str(said))
        check(client.end() == (0, b"", ""), "it did not end well")
    check(host.inspect("m")["status"] == "running", "the server ended with it")


@row("mcp: all that the client said before the server ran is answered, also after its end of file")
def _(host):
    host.start_daemon()
    host.osvm("create", server(host))
    with Client(host) as client:
        for number in range(20):
            client.send("ping", number)
        status, out, err = client.end()
        ids = [json.loads(line)["id"] for line in out.splitlines()]
        check(status == 0 and ids == list(range(20)), f"{status} {ids} {err}")


@row("mcp: many clients of one server")
def _(host):
    host.start_daemon()
    host.osvm("create", server(host))
    host.osvm("start", "m")
    clients = [Client(host) for _ in range(8)]
    try:
        for client in clients:
            client.initialize()
        for client in clients:
            client.ask("ping", 1)
            check(client.end()[0] == 0, "one did not end well")
    finally:
        for client in clients:
            client.__exit__()


@row("mcp: the server dies in mid-call: an error is the answer, and the bridge ends")
def _(host):
    host.start_daemon()
    host.osvm("create", server(host))
    with Client(host) as client:
        client.initialize()
        guardian, machine = machine_pids(host, "m")
        os.kill(machine, signal.SIGSTOP)  # so that the call is under way for certain
        client.send("tools/call", 5, name="calculate", arguments={"expression": "1+1"})
        os.kill(guardian, signal.SIGKILL)
        answer = client.answer(5)
        check(answer["error"]["code"] == -32000, str(answer))
        status, out, err = client.end()
        check(status == 1 and out == b"" and "the server is gone" in err, f"{status} {out} {err}")
    await_condition(lambda: host.inspect("m")["status"] in ("failed", "starting", "running"), "its end to be seen")


@row("mcp: what is not there, or has no such server, is said on standard error alone")
def _(host):
    done = host.osvm("mcp", "m", status=1)
    check("start one: osvm daemon" in done.stderr and not done.stdout, done.stderr)
    host.start_daemon()
    done = host.osvm("mcp", "m", status=1)
    check("no such component" in done.stderr and not done.stdout, done.stderr)
    host.create("s", "exec sleep 1000")
    done = host.osvm("mcp", "s", status=1)
    check("has no vsock" in done.stderr and not done.stdout, done.stderr)
    host.osvm("create", server(host, more="network: {access: none}"))
    done = host.osvm("mcp", "m", status=1)
    check("say vsock_only" in done.stderr and not done.stdout, done.stderr)
    host.osvm("create", server(host, "broken", more="resource_limits: {max_memory_mb: 2}"))
    done = host.osvm("mcp", "broken", status=1)
    check("broken" in done.stderr and not done.stdout, done.stderr)
