"""osvm mcp: a client on two pipes, the SDK's MCP server in a virtual machine of its own."""

import json
import os
import signal
import subprocess
from pathlib import Path

from harness import LIMIT_S, Skipped, await_condition, check, mounts_of, row, row_for_each
from rows_attacks import LEVELS
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
    check("is no MCP server that can be reached" in done.stderr and not done.stdout, done.stderr)
    host.osvm("create", server(host, more="network: {access: none}"))
    done = host.osvm("mcp", "m", status=1)
    check("say vsock_only" in done.stderr and not done.stdout, done.stderr)
    host.osvm("create", server(host, "broken", more="resource_limits: {max_memory_mb: 2}"))
    done = host.osvm("mcp", "broken", status=1)
    check("broken" in done.stderr and not done.stdout, done.stderr)


# --- servers on standard input and output ---------------------------------------------------------------

# An MCP server as people write them: a line, an answer; what it logs goes to standard error.
STDIO_SERVER = """
import json, os, sys, time
print("begins", file=sys.stderr, flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    method = asked["method"]
    if method == "die":
        os._exit(9)
    if method == "linger":
        sys.stdin = iter(lambda: (time.sleep(1000), "")[1], "")
    if method == "noise":
        print("this is no message", flush=True)
    result = {"protocolVersion": asked.get("params", {}).get("protocolVersion"), "serverInfo": {"name": "s"},
              "capabilities": {}} if method == "initialize" else {"echo": asked.get("params"), "pid": os.getppid()}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
    if method == "linger":
        time.sleep(1000)
"""


def stdio_component(host, level, name="m", more=""):
    """The server at a level that shares the host's kernel."""
    (host.folder / "server").mkdir(exist_ok=True)
    (host.folder / "server/server.py").write_text(STDIO_SERVER, encoding="utf-8")
    host.folder.chmod(0o755)
    words, mounts = LEVELS[level](host, "") if level != "none" else ("none", [])
    place = "/ro" if level != "none" else host.folder / "server"
    lines = [*mounts, f"{{host_path: {host.folder}/server, guest_path: /ro}}"] if level != "none" else []
    more += mounts_of(lines)
    return host.file(f"{name}.yaml", f"metadata: {{name: {name}}}\ncomponent_type: mcp_server\nisolation: {words}\n"
                     f"network: {{access: none}}\ncommand: [/usr/bin/python3, {place}/server.py]\n{more}\n")


def stdio_row(name, levels=(*LEVELS, "none")):
    return row_for_each(levels, "mcp: ", name)


def serve(host, level, more=""):
    """A daemon that keeps the server."""
    host.start_daemon()
    host.osvm("create", stdio_component(host, level, more=more))


@stdio_row("a server on standard input and output: one client after the other")
def _(host, level):
    serve(host, level)
    for turn in range(3):
        with Client(host) as client:
            client.initialize()
            said = client.ask("noise", 7, word="x" * 100000)
            check(said["echo"] == {"word": "x" * 100000}, str(said)[:200])
            status, out, err = client.end()
            check(status == 0 and out == b"" and "is no message: this is no message" in err, f"{status} {out} {err}")
        seen = host.inspect("m")
        check(seen["status"] == "stopped" and seen["last_end"]["code"] == 0, f"turn {turn}: {seen['message']}")
    check("begins" in host.osvm("logs", "m").stderr, "what it says on standard error is in its log")


@stdio_row("one that does not end with its client is ended", levels=("sandbox", "crun"))
def _(host, level):
    serve(host, level, "stop_grace_ms: 300")
    with Client(host) as client:
        client.initialize()
        client.ask("linger", 1)
        check(client.end()[0] == 0, "the bridge's status")
    await_condition(lambda: host.inspect("m")["status"] == "stopped", "its end")


@stdio_row("it dies in mid-call: an error is the answer", levels=("sandbox", "crun"))
def _(host, level):
    serve(host, level)
    with Client(host) as client:
        client.initialize()
        client.send("die", 5)
        check(client.answer(5)["error"]["code"] == -32000, "")
        status, _, err = client.end()
        check(status == 1 and "the server is gone" in err, err)


@stdio_row("a second client at the same time is told", levels=("sandbox",))
def _(host, level):
    serve(host, level)
    with Client(host) as client:
        client.initialize()
        with Client(host) as other:
            status, out, err = other.end()
            check(status == 1 and not out and "one at a time" in err, err)
        client.ask("ping", 2)


@stdio_row("a client that is killed takes nothing with it but its server", levels=("sandbox", "crun"))
def _(host, level):
    serve(host, level)
    with Client(host) as client:
        client.initialize()
        client.popen.kill()
    await_condition(lambda: host.inspect("m")["status"] == "stopped", "its end")
    with Client(host) as client:
        client.initialize()


@stdio_row("the daemon's end is nothing to a client", levels=("sandbox",))
def _(host, level):
    serve(host, level)
    with Client(host) as client:
        client.initialize()
        host.kill_daemon()
        client.ask("ping", 2)
        host.start_daemon()
        client.ask("ping", 3)


# --- the reference server of npm, unchanged, and unchanged clients ---------------------------------------


def everything(host, level, name="e"):
    """server-everything as a component."""
    clients = host.build / "mcp-clients"
    if not (clients / "installed-lock.json").exists():
        raise Skipped("the clients of npm are not installed: tests/mcp/install BUILD_DIR")
    words, mounts = LEVELS[level](host, "")
    if mounts:  # a container's root is read-only, and has to have what is mounted on
        (host.folder / "root/app/node_modules").mkdir(parents=True)
    lines = [*mounts, f"{{host_path: {clients}/node_modules, guest_path: /app/node_modules}}"]
    return host.file(f"{name}.yaml", f"metadata: {{name: {name}}}\ncomponent_type: mcp_server\nisolation: {words}\n"
                     "network: {access: none}\n"
                     "resource_limits: {max_memory_mb: 512, max_processes: 40}\n"
                     "command: [/usr/bin/node, /app/node_modules/@modelcontextprotocol/server-everything/dist/index.js, stdio]\n"
                     + mounts_of(lines) + "\n")


@stdio_row("npm's inspector and npm's reference server", levels=("sandbox", "crun"))
def _(host, level):
    host.start_daemon()
    host.osvm("create", everything(host, level))
    inspector = host.build / "mcp-clients/node_modules/.bin/mcp-inspector"
    for words, find in ((["tools/list"], "echo"),
                        (["tools/call", "--tool-name", "echo", "--tool-arg", "message=hi"], "Echo: hi")):
        done = subprocess.run([inspector, "--cli", *host.words("mcp", "e"), "--method", *words], capture_output=True,
                              text=True, check=False, timeout=4 * LIMIT_S, cwd=host.folder)
        check(done.returncode == 0 and find in done.stdout, done.stdout[-500:] + done.stderr[-500:])
    await_condition(lambda: host.inspect("e")["status"] == "stopped", "the server to end with its client")


@stdio_row("npm's SDK client and npm's reference server", levels=("sandbox", "crun"))
def _(host, level):
    host.start_daemon()
    host.osvm("create", everything(host, level))
    client = Path(__file__).resolve().parent.parent / "mcp/sdk_client.mjs"
    modules = host.build / "mcp-clients"
    (modules / client.name).write_bytes(client.read_bytes())  # it finds the modules beside it
    script = host.file("bridge", "#!/bin/sh\nexec " + " ".join(host.words("mcp", "e")) + "\n")
    script.chmod(0o755)
    done = subprocess.run(["node", client.name, "everything", script], capture_output=True, text=True, check=False,
                          timeout=4 * LIMIT_S, cwd=modules)
    check(done.returncode == 0, done.stdout[-500:] + done.stderr[-500:])


@row("mcp: npm's inspector and the SDK's own server in a unikernel")
def _(host):
    host.start_daemon()
    host.osvm("create", server(host))
    inspector = host.build / "mcp-clients/node_modules/.bin/mcp-inspector"
    if not inspector.exists():
        raise Skipped("the clients of npm are not installed: tests/mcp/install BUILD_DIR")
    done = subprocess.run([inspector, "--cli", *host.words("mcp", "m"), "--method", "tools/call", "--tool-name", "hash",
                           "--tool-arg", "text=abc"], capture_output=True, text=True, check=False, timeout=4 * LIMIT_S,
                          cwd=host.folder)
    check(done.returncode == 0 and "ba7816bf" in done.stdout, done.stdout + done.stderr)
