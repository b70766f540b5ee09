"""The gdb stub: gdb itself drives it, and a client that does not mean well."""

import os
import re
import shutil
import signal
import socket
import subprocess

from harness import LIMIT_S, Failed, Rows, Skipped, await_condition, check

ROWS = Rows()
GUEST = "tests/gdb/gdb_guest"
SPIN = ("--cmdline", "spin=1", "--cpus", "2")
KILLED = 128 + signal.SIGKILL


class Gdb:
    """A guest that waits for gdb, and runs of gdb on it."""

    def __init__(self, bench, *words, kernel=GUEST):
        if not shutil.which("gdb"):
            raise Skipped("gdb is not installed")
        self.bench = bench
        self.kernel = bench.built(kernel)
        self.socket = bench.folder / "gdb.sock"
        self.vmm = bench.start("--kernel", self.kernel, "--gdb", self.socket, *words)

    def __enter__(self):
        await_condition(self.listens, "it listens on the socket")
        return self

    def listens(self):
        """Seen from outside: a connection would be a client, and its end let the guest go."""
        with open("/proc/net/unix", encoding="utf-8") as table:
            return any(line.split()[3] == "00010000" and line.endswith(f" {self.socket}\n")
                       for line in table)

    def __exit__(self, *_):
        self.vmm.kill()

    def words(self, *commands):
        words = ["gdb", "-q", "-nx", "-batch", str(self.kernel)]
        setup = ("set pagination off", "set confirm off", "set width 0",
                 f"target remote {self.socket}")
        for command in (*setup, *commands):
            words += ["-ex", command]
        return words

    def __call__(self, *commands):
        """Run gdb with these commands; what it says."""
        ended = subprocess.run(self.words(*commands), capture_output=True, text=True,
                               timeout=2 * LIMIT_S, check=False)
        return ended.stdout + ended.stderr

    def address(self, symbol):
        symbols = subprocess.run(["nm", self.kernel], capture_output=True, text=True, check=True)
        return int(re.search(rf"^(\w+) T {symbol}$", symbols.stdout, re.MULTILINE)[1], 16)

    def start(self, *commands):
        return subprocess.Popen(self.words(*commands), stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)


class Raw:
    """The protocol without gdb."""

    def __init__(self, gdb):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT_S)
        self.socket.connect(str(gdb.socket))
        self.input = b""

    def close(self):
        self.socket.close()

    def send(self, payload):
        self.socket.sendall(b"$" + payload + b"#%02x" % (sum(payload) & 255))

    def reply(self):
        """The next packet's payload; acknowledgments are passed over."""
        while not (found := re.search(rb"\$([^#]*)#..", self.input)):
            data = self.socket.recv(65536)
            check(data, f"the stub hung up; before that: {self.input!r}")
            self.input += data
        self.input = self.input[found.end():]
        return found[1]

    def ask(self, payload):
        self.send(payload)
        return self.reply()


def says(text, *patterns):
    for pattern in patterns:
        check(re.search(pattern, text, re.MULTILINE), f"no '{pattern}' in {text!r}")


def ends(gdb, status):
    ended = gdb.vmm.end()
    check(ended.status == status, f"wanted {status}: {ended}")
    check(not gdb.socket.exists(), "the socket is still there")
    return ended


@ROWS.row("the guest waits for gdb before its first instruction")
def _(bench):
    with Gdb(bench) as gdb:
        text = gdb("info registers rip cr0", "x/i $pc", "continue")
        says(text, "pvh_start", r"^rip +0x\w+ +0x\w+ <pvh_start>", r"^cr0 +0x11",
             "exited with code 033")
        ends(gdb, 27)


@ROWS.row("break, print, backtrace, step, finish")
def _(bench):
    with Gdb(bench) as gdb:
        text = gdb("break inner", "continue", "backtrace 3", "info args", "print *pair", "next",
                   "print sum", "next", "print sum", "finish", "step", "step", "print result",
                   "info breakpoints", "continue")
        says(text, r"^Breakpoint 1, inner \(number=20", r"^#1 .* outer \(number=10\)",
             r"^#2 .* ring0 ", "^number = 20", r"= \{first = 3, second = 4\}", r"\$2 = 23$",
             r"\$3 = 27$", r"Value returned is \$4 = 27", r"\$5 = 27$",
             "breakpoint already hit 1 time", "exited with code 033")
        ends(gdb, 27)


@ROWS.row("a hardware breakpoint")
def _(bench):
    with Gdb(bench) as gdb:
        says(gdb("hbreak outer", "continue", "print number", "delete", "continue"),
             r"^Breakpoint 1, outer", r"\$1 = 10$", "exited with code 033")
        ends(gdb, 27)


@ROWS.row("five hardware breakpoints are one too many, and that is said")
def _(bench):
    with Gdb(bench) as gdb:
        says(gdb(*(f"hbreak *{0x200000 + i:#x}" for i in range(5)), "continue"),
             "Cannot insert hardware breakpoint 5")


@ROWS.row("memory and registers are changed")
def _(bench):
    with Gdb(bench) as gdb:
        text = gdb("break inner", "continue", 'set var text = "by gdb"', "set var number = 70",
                   "set $r12 = 0x1234567890", "print/x $r12", "print $r12 = 0", "delete",
                   "x/s text", "continue")
        says(text, "= 0x1234567890$", '"by gdb"', "exited with code 0115")
        check(b"text is 'by gdb'" in ends(gdb, 77).out, "the guest does not see it")


@ROWS.row("all kinds of registers")
def _(bench):
    with Gdb(bench) as gdb:
        text = gdb("break inner", "continue", "info registers", "info all-registers",
                   "print $xmm0", "print $cr3 == $cr3", "set $mxcsr = 0x1f80",
                   "set $st0 = 1.5", "print $st0", "set $xmm1.v4_int32[2] = 7",
                   "print $xmm1.v4_int32", "set $cs = 3")
        says(text, r"^rax +0x", r"^gs_base +0x", r"^efer +0x500", r"^xmm15 +\{", r"^st7 ",
             r"^mxcsr ", r"= 1\.5$", r"\{\d+, \d+, 7, \d+\}", "Could not write register")


@ROWS.row("what is not mapped cannot be read or written, and the rest goes on")
def _(bench):
    with Gdb(bench) as gdb:
        text = gdb("hbreak inner", "continue", "x/b 0x700000000000",
                   "set *(char *)0x700000000000 = 1", "x/b 0xd8000000", "break *0x700000000000",
                   "continue", "delete 2", "print number")
        says(text, "Cannot access memory at address 0x700000000000",
             "Cannot access memory at address 0xd8000000", "Cannot insert breakpoint 2",
             r"= 20$")


@ROWS.row("a large piece of memory, over many packets and pages")
def _(bench):
    with Gdb(bench) as gdb:
        pattern = os.urandom(100_001)
        given = bench.write("given", pattern)
        gdb(f"restore {given} binary 0x400123",
            f"dump binary memory {bench.folder}/got 0x400123 {0x400123 + len(pattern):#x}")
        check((bench.folder / "got").read_bytes() == pattern, "it came back changed")


@ROWS.row("what gdb reads at a breakpoint is the guest's own byte")
def _(bench):
    with Gdb(bench) as gdb:
        raw = Raw(gdb)
        address = gdb.address("inner")
        before = raw.ask(b"m%x,4" % address)
        check(raw.ask(b"Z0,%x,1" % address) == b"OK", "not inserted")
        check(raw.ask(b"Z0,%x,1" % address) == b"OK", "not inserted again")
        check(raw.ask(b"m%x,4" % address) == before, "the INT3 shows")
        check(raw.ask(b"M%x,2:9090" % address) == b"OK", "not written")
        check(raw.ask(b"m%x,2" % address) == b"9090", "what was written does not show")
        check(raw.ask(b"z0,%x,1" % address) == b"OK", "not removed")
        check(raw.ask(b"z0,%x,1" % address) == b"OK", "not removed again")
        check(raw.ask(b"m%x,2" % address) == b"9090", "the INT3 is left")
        raw.close()


@ROWS.row("a watchpoint by single steps")
def _(bench):
    with Gdb(bench) as gdb:
        text = gdb("break outer", "continue", "set can-use-hw-watchpoints 0", "watch result",
                   "continue", "backtrace 1", "delete", "continue")
        says(text, "^Watchpoint 2: result", "^Old value = 1", "^New value = 27",
             r"^#0 .*outer", "exited with code 033")
        ends(gdb, 27)


@ROWS.row("code in ring 3: break, step, finish, watch; the guest's own INT3 stays its own")
def _(bench):
    with Gdb(bench) as gdb:
        text = gdb("break main", "break ring3", "continue", "next", "continue", "backtrace 2",
                   "stepi", "next", "next", "print twice", "finish", "set var result = 0",
                   "set can-use-hw-watchpoints 0", "watch text[0]", "set var text[0] = 'A'", "next",
                   "delete", "continue")
        says(text, r"^Breakpoint 1, main \(\)", r"^Breakpoint 2, ring3 \(number=20\)",
             r"^#1 .* main \(\)", r"\$1 = 40$", r"Value returned is \$2 = 41", "exited normally")
        ends(gdb, 0)
    with Gdb(bench, kernel="tests/boot/exceptions") as gdb:
        says(gdb("break main", "continue", "delete", "continue"), r"Breakpoint 1, .*\bmain", "exited")
        out = ends(gdb, 0).out
        check(b"ok 1" in out and b"not ok" not in out, f"the guest's exceptions changed: {out}")


@ROWS.row("a watchpoint by hardware")
def _(bench):
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        if not re.search(r"^flags.*\b(vmx|svm)\b", cpuinfo.read(), re.MULTILINE):
            raise Skipped("this KVM emulates the guest, and tells of no watchpoints")
    with Gdb(bench) as gdb:
        text = gdb("break outer", "continue", "watch result", "continue", "delete", "continue")
        says(text, "^Hardware watchpoint 2: result", "^New value = 27", "exited with code 033")
        ends(gdb, 27)


@ROWS.row("CPUs are threads; one alone is stepped")
def _(bench):
    with Gdb(bench, *SPIN) as gdb:
        text = gdb("break spin", "continue", "continue", "info threads", "delete",
                   "thread apply all backtrace 1", "set scheduler-locking on", "print spins[1]",
                   "thread 1", *6 * ("next",), "print spins[1]", "thread 2", *6 * ("next",),
                   "print spins[0]", *3 * ("next",), "print spins[0]", "set var released = 1",
                   "set scheduler-locking off", "continue")
        says(text, r"Thread 1 \(CPU 0\)", r"Thread 2 \(CPU 1\)",
             r"Thread \d hit Breakpoint 1, spin", r"^\* \d ", "exited with code 033")
        values = dict(re.findall(r"^\$(\d) = (\d+)$", text, re.MULTILINE))
        check(values["1"] == values["2"], f"CPU 1 ran while CPU 0 was stepped: {text}")
        check(values["3"] == values["4"], f"CPU 0 ran while CPU 1 was stepped: {text}")
        ends(gdb, 27)


@ROWS.row("Ctrl-C in gdb")
def _(bench):
    with Gdb(bench, *SPIN) as gdb:
        debugger = gdb.start("continue", "info threads", "set var released = 1", "continue")
        gdb.vmm.await_output(b"spinning")
        debugger.send_signal(signal.SIGINT)
        text = debugger.communicate(timeout=2 * LIMIT_S)[0]
        says(text, "received signal SIGINT", "CPU 1", "exited with code 033")
        ends(gdb, 27)


@ROWS.row("detach: the guest goes on without its breakpoints; another gdb comes")
def _(bench):
    with Gdb(bench, *SPIN) as gdb:
        says(gdb("break spin", "continue", "detach"), "Breakpoint 1, spin", "detached")
        gdb.vmm.await_output(b"spinning")
        says(gdb("print spins[0] > 0", "set var released = 1", "break main"), "= 1$")
        ends(gdb, 27)


@ROWS.row("gdb dies: at a breakpoint, and while the guest runs")
def _(bench):
    with Gdb(bench, *SPIN) as gdb:
        raw = Raw(gdb)
        address = gdb.address("spin")
        check(raw.ask(b"Z0,%x,1" % address) == b"OK", "not inserted")
        check(raw.ask(b"vCont;c").startswith(b"T05"), "did not stop")
        raw.close()
        gdb.vmm.await_output(b"spinning")
        raw = Raw(gdb)
        check(raw.ask(b"Z0,%x,1" % address) == b"OK", "not inserted")
        raw.send(b"vCont;c")
        raw.close()
        for _ in range(5):
            raw = Raw(gdb)
            check(raw.ask(b"?").startswith(b"T"), "does not stop for the next client")
            check(raw.ask(b"Z0,%x,1" % address) == b"OK", "not inserted")
            raw.send(b"vCont;c")
            raw.close()
        gdb("set var released = 1")
        ends(gdb, 27)


@ROWS.row("kill: status 137, and the record says who")
def _(bench):
    with Gdb(bench, *SPIN, "--exit-record", "record") as gdb:
        gdb("break spin", "continue", "kill")
        ends(gdb, KILLED)
        record = bench.record()
        check(record["reason"] == "debugger" and record["status"] == KILLED, str(record))


@ROWS.row("a port of this host alone")
def _(bench):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if not shutil.which("gdb"):
        raise Skipped("gdb is not installed")
    kernel = bench.built(GUEST)
    with bench.start("--kernel", kernel, "--gdb", port) as vmm:
        def listens():
            with open("/proc/net/tcp", encoding="ascii") as table:
                return f"0100007F:{port:04X} 00000000:0000 0A" in table.read()
        await_condition(listens, "it listens on 127.0.0.1")
        text = subprocess.run(["gdb", "-q", "-nx", "-batch", kernel, "-ex",
                               f"target remote 127.0.0.1:{port}", "-ex", "continue"],
                              capture_output=True, text=True, timeout=LIMIT_S, check=False).stdout
        says(text, "exited with code 033")
        check(vmm.end().status == 27, "not the guest's status")


@ROWS.row("SIGTERM ends it while it waits for gdb, and while gdb has it stopped")
def _(bench):
    with Gdb(bench) as gdb:
        gdb.vmm.signal(signal.SIGTERM)
        ends(gdb, 128 + signal.SIGTERM)
    with Gdb(bench) as gdb:
        raw = Raw(gdb)
        check(raw.ask(b"?") == b"T05thread:1;", "not stopped")
        gdb.vmm.signal(signal.SIGTERM)
        ends(gdb, 128 + signal.SIGTERM)


@ROWS.row("places that cannot be")
def _(bench):
    bench.refused("--gdb", "", says="--gdb")
    bench.refused("--gdb", "70000", says="'70000' is not a port")
    bench.refused("--gdb", "0", says="'0' is not a port")
    bench.refused("--gdb", "nowhere/socket", says="--gdb nowhere/socket")
    bench.write("file", "a file")
    bench.refused("--gdb", "file", says="no socket")


@ROWS.row("--check makes no socket")
def _(bench):
    ended = bench.run("--check", "--gdb", "s")
    check(ended.status == 0 and not os.listdir(bench.folder), str(ended))


NONSENSE = [
    b"", b"g1", b"G", b"G00", b"Gzz", b"p", b"pffff", b"p-1", b"P", b"P0", b"P0=", b"P0=1",
    b"Pff=00", b"m", b"m0", b"m0,", b"m,1", b"m0,ffffffffffffffff", b"mffffffffffffffff,10",
    b"m0,1x", b"m00000000000000000,1", b"M0,1", b"M0,1:", b"M0,1:0", b"M0,2:00", b"M0,1:zz",
    b"X0,5:ab", b"M0,ffffffff:00", b"Z", b"Z9,0,1", b"Z0", b"Z0,", b"Z0,0", b"Z1,0,0",
    b"Z2,1,ffffffff", b"Z2,7,40", b"Z0,fffffffffffffff0,1", b"z2,0,0", b"z0,1234,1", b"vCont",
    b"vCont;", b"vCont;x", b"vCont;c:0:", b"vCont;s:ffff", b"vCont;c:", b"vCont;;c", b"vCont;C",
    b"vCont;S05:zz", b"vMustReplyEmpty", b"vFile:open:2f,0,0", b"H", b"Hg", b"Hx1", b"Hgffff",
    b"T", b"T0", b"T-1", b"Tffff", b"czz", b"szz", b"Cx", b"C05;zz",
    b"qXfer:features:read:target.xml:", b"qXfer:features:read:target.xml:ffffff,1",
    b"qXfer:features:read:target.xml:0,ffffffffffff", b"qXfer:features:read:other:0,10",
    b"qThreadExtraInfo,", b"qThreadExtraInfo,ffff", b"qsThreadInfo", b"q", b"Q", b"!",
    b"\x80\xff\x00\x01", b"qSupported:" + b"a+;" * 5000, b"m" + b"0" * 16000, b"A" * 16384,
]


@ROWS.row("a client that talks nonsense")
def _(bench):
    with Gdb(bench, *SPIN) as gdb:
        raw = Raw(gdb)
        registers = raw.ask(b"g")
        for payload in NONSENSE:
            raw.send(payload)
            raw.reply()
        raw.socket.sendall(b"$" + b"B" * 300_000 + b"#%02x" % (300_000 * ord("B") & 255))
        check(raw.reply() == b"E07", "a packet without an end is not refused")
        raw.socket.sendall(b"$g#00" + b"$g#zz" + b"$$$g" + b"+" * 5000 + b"\x03" * 100 + b"noise")
        check(raw.ask(b"g") == registers, "the registers are not what they were")
        raw.socket.sendall(b"-")
        check(raw.reply() == registers, "a reply is not given again")
        raw.close()
        says(gdb("set var released = 1", "continue"), "exited with code 033")
        ends(gdb, 27)


@ROWS.row("a client that asks and never reads does not stop the others")
def _(bench):
    with Gdb(bench) as gdb:
        raw = Raw(gdb)
        raw.socket.settimeout(0.5)
        try:
            for _ in range(100_000):
                raw.send(b"g")
            raise Failed("100,000 questions were taken from one who reads no answer")
        except TimeoutError:
            pass
        gdb.vmm.signal(signal.SIGTERM)
        ends(gdb, 128 + signal.SIGTERM)


@ROWS.row("packets while the guest runs are refused; Ctrl-C is heard")
def _(bench):
    with Gdb(bench, *SPIN) as gdb:
        raw = Raw(gdb)
        raw.send(b"vCont;c")
        gdb.vmm.await_output(b"spinning")
        for payload in (b"g", b"m0,10", b"Z0,100000,1", b"D"):
            check(raw.ask(payload) == b"E10", f"{payload} is not refused")
        for _ in range(20):
            raw.socket.sendall(b"\x03")
            check(raw.reply().startswith(b"T02thread:"), "did not stop")
            raw.send(b"vCont;c")
        raw.close()
        gdb("set var released = 1")
        ends(gdb, 27)
