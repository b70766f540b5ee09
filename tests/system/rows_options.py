"""The options that are as they should be, and the config file."""

import json
import os
import re
import resource
import subprocess

from harness import Failed, Rows, Skipped, await_condition, check

ROWS = Rows()
OPTIONS = ["kernel", "cmdline", "initrd", "module", "mem", "cpus", "hugepages", "prefault", "thp",
           "ksm", "debug-exit", "arg", "env", "map", "keep-files", "stats", "console",
           "virtio-console", "log", "log-level", "exit-record", "ready-fd", "gdb", "config", "check", "help",
           "version"]


@ROWS.row("--help names every option and status")
def _(bench):
    for word in ("--help", "-h"):
        ended = bench.run(word)
        check(ended.status == 0 and ended.err == "", str(ended))
        text = ended.out.decode()
        for option in OPTIONS:
            check(f"--{option}" in text, f"--{option} is not in it")
        for status in ("125", "126", "128+N"):
            check(status in text, f"status {status} is not in it")
        check(max(map(len, text.splitlines())) <= 100, "a line is longer than 100")


@ROWS.row("--version")
def _(bench):
    for word in ("--version", "-V"):
        ended = bench.run(word)
        check(ended.status == 0 and ended.err == "", str(ended))
        check(re.fullmatch(rb"osvm-vmm \d+\.\d+\.\d+\n", ended.out), str(ended))


@ROWS.row("no options: the built-in image")
def _(bench):
    ended = bench.run()
    check(ended.status == 0 and ended.err == "", str(ended))
    check(b"Hello" in ended.out and b"CPUs: " in ended.out, str(ended))
    check(not os.listdir(bench.folder), "it left a file")


def plan(bench, *words):
    before = sorted(os.listdir(bench.folder))
    ended = bench.run("--check", *words)
    check(ended.status == 0 and ended.err == "", str(ended))
    check(b"READY" not in ended.out and b"Hello" not in ended.out, f"it was started: {ended}")
    left = sorted(os.listdir(bench.folder))
    check(left == before, f"it left {set(left) ^ set(before)}")
    return ended.out.decode()


def check_says(text, *wanted):
    for pattern in wanted:
        check(re.search(pattern, text, re.MULTILINE), f"no '{pattern}' in {text!r}")


@ROWS.row("--check says the plan")
def _(bench):
    bench.write("first", b"x" * 5000)
    bench.write("a,b", b"y" * 300)
    text = plan(bench, "--kernel", bench.guest("sleep"), "--cmdline", "one two", "--mem", "2G",
                "--cpus", "3", "--initrd", "first", "--module", "a,,b,arguments of it",
                "--debug-exit", "--prefault")
    check_says(text, r"^kernel: .*sleep.*PVH", r"^initrd: +first, 4\.8 KiB", r"a,b, 300 bytes",
               "arguments of it", r"^cmdline: +one two$", r"^memory: +2 GiB", r"^cpus: +3\b",
               r"^console: .*standard input", "0xf4")


@ROWS.row("--check makes no record, log line, console file or socket")
def _(bench):
    plan(bench, "--exit-record", "record")
    plan(bench, "--console", "file=new")
    plan(bench, "--console", "socket=s")


@ROWS.row("--check finds what cannot be had")
def _(bench):
    bench.refused("--check", "--kernel", "none", says="'none'")
    bench.refused("--check", "--mem", "1024T", says="this host")
    bench.refused("--check", "--cpus", "5000", says="at most")


@ROWS.row("sizes by their units")
def _(bench):
    for size, said in (("64", "64 MiB"), ("65536K", "64 MiB"), ("96m", "96 MiB"), ("1G", "1 GiB"),
                       ("1g", "1 GiB"), ("0x100", None), ("128MiB", "128 MiB")):
        if said:
            check_says(plan(bench, "--mem", size), rf"^memory: +{said}\b")
        else:
            bench.refused("--mem", size, says="--mem")


@ROWS.row("--config: every key, and with = and without")
def _(bench):
    config = {"kernel": str(bench.guest("exit", "GUEST_EXIT=9")), "cmdline": "c", "mem": "64M",
              "cpus": 2, "console": "file=out", "log": "log", "log-level": "info",
              "exit-record": "record", "prefault": False, "hugepages": False, "thp": "off", "ksm": False,
              "debug-exit": 0xF4,
              "module": ["vm.json,m"], "initrd": "vm.json"}
    bench.write("vm.json", json.dumps(config, indent=1))
    for words in (["--config", "vm.json"], ["--config=vm.json"]):
        ended = bench.run(*words)
        check((ended.status, ended.out, ended.err) == (9, b"", ""), str(ended))
    check((bench.folder / "out").read_bytes() == b"READY\n" * 2, "the console file is not it")
    check(bench.record()["memory"]["guest-bytes"] == 64 << 20, str(bench.record()))
    check("status 9" in (bench.folder / "log").read_text(), "the log is not it")


@ROWS.row("--config: the command line wins, wherever it stands")
def _(bench):
    bench.write("vm.json", '{"mem": 64, "cpus": 2, "cmdline": "file", "module": ["vm.json,file"]}')
    text = plan(bench, "--mem", "128", "--config", "vm.json", "--cmdline", "line")
    check_says(text, r"^memory: +128 MiB", r"^cpus: +2\b", r"^cmdline: +line$", "arguments: file")
    text = plan(bench, "--config", "vm.json", "--module", "vm.json,line")
    check_says(text, "arguments: line")
    check("arguments: file" not in text, f"both lists of modules: {text!r}")


@ROWS.row("--config: numbers and strings alike")
def _(bench):
    for mem in ("64", '"64"', '"64M"', '"65536K"'):
        bench.write("vm.json", f'{{"mem": {mem}}}')
        check_says(plan(bench, "--config", "vm.json"), r"^memory: +64 MiB")


@ROWS.row("--log appends, by its level")
def _(bench):
    bench.write("log", "before\n")
    ended = bench.run("--log", "log", "--log-level", "info")
    check(ended.status == 0 and ended.err == "", str(ended))
    text = (bench.folder / "log").read_text()
    check(text.startswith("before\n") and "PVH" in text and "status 0" in text, repr(text))
    bench.run("--log", "log2")
    check((bench.folder / "log2").read_text() == "", "a quiet run said something")


@ROWS.row("--log-level info on standard error")
def _(bench):
    ended = bench.run("--log-level", "info")
    check(ended.status == 0 and "status 0" in ended.err, str(ended))
    check(all(line.startswith("osvm-vmm: ") for line in ended.err.splitlines()), str(ended))


@ROWS.row("--prefault takes all memory, and its absence little")
def _(bench):
    bench.run("--mem", "64", "--prefault", "--exit-record", "all")
    bench.run("--mem", "64", "--exit-record", "some")
    check(bench.record("all")["memory"]["guest-resident-bytes"] == 64 << 20, str(bench.record("all")))
    check(bench.record("some")["memory"]["guest-resident-bytes"] < 8 << 20,
          str(bench.record("some")))


def pool():
    with open("/proc/sys/vm/nr_hugepages", encoding="ascii") as file:
        return int(file.read())


def free_hugepages():
    with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", encoding="ascii") as file:
        return int(file.read())


@ROWS.row("--hugepages: the pool is too small")
def _(bench):
    try:
        wanted = 2 * (free_hugepages() + 32)
    except OSError:
        raise Skipped("no huge pages in this kernel") from None
    bench.refused("--hugepages", "--mem", wanted, says=("nr_hugepages", str(wanted // 2)))


@ROWS.row("--hugepages: memory of an odd size")
def _(bench):
    bench.refused("--hugepages", "--mem", "65", says="multiple")


@ROWS.row("--hugepages: from the pool, and back to it")
def _(bench):
    try:
        before = pool()
        subprocess.run(["sysctl", "-q", f"vm.nr_hugepages={before + 40}"], check=True,
                       stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        raise Skipped("the pool of huge pages cannot be changed here") from None
    try:
        free = free_hugepages()
        if free < 32:
            raise Skipped("this host has no 32 huge pages to reserve")
        ended = bench.run("--hugepages", "--mem", "64", "--exit-record", "record")
        check(ended.status == 0 and b"64 MiB" in ended.out, str(ended))
        resident = bench.record()["memory"]["guest-resident-bytes"]
        check(0 < resident <= 64 << 20 and resident % (2 << 20) == 0, f"{resident} bytes resident")
        check(free_hugepages() == free, "it kept some")
    finally:
        subprocess.run(["sysctl", "-q", f"vm.nr_hugepages={before}"], check=True)


def guest_pages(pid, size_mib):
    """What the kernel says of the mapping that is guest memory: a dictionary of lines in smaps."""
    with open(f"/proc/{pid}/smaps", encoding="ascii") as file:
        for part in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", file.read(), flags=re.MULTILINE):
            lines = dict(line.split(":", 1) for line in part.splitlines()[1:])
            if int(lines.get("Size", "0 kB").split()[0]) == size_mib * 1024:
                return lines
    raise Failed(f"no mapping of {size_mib} MiB")


@ROWS.row("--thp=on: huge pages are behind the guest's memory")
def _(bench):
    with open("/sys/kernel/mm/transparent_hugepage/enabled", encoding="ascii") as file:
        if "[never]" in file.read():
            raise Skipped("this host makes no pages huge")
    with bench.start("--kernel", bench.guest("spin"), "--mem", "64", "--prefault",
                     "--thp=on") as process:
        process.await_output(b"READY")
        pages = guest_pages(process.vm_pid(), 64)
        huge = sum(int(pages[name].split()[0]) for name in ("AnonHugePages", "ShmemPmdMapped"))
        check(huge >= 2048, f"none: {pages}")


@ROWS.row("--thp=off, --ksm: the host is asked for it, and the guest runs")
def _(bench):
    for words, flag in ((("--thp=off",), "nh"), (("--ksm",), "mg"), (("--ksm", "--thp=off"), "nh")):
        with bench.start("--kernel", bench.guest("spin"), "--mem", "64", *words) as process:
            process.await_output(b"READY")
            flags = guest_pages(process.vm_pid(), 64)["VmFlags"].split()
            check(flag in flags, f"{words}: {flags}")


@ROWS.row("--ksm: two guests share pages")
def _(bench):
    with open("/sys/kernel/mm/ksm/run", encoding="ascii") as file:
        if file.read().strip() != "1":
            raise Skipped("this host's KSM is off (/sys/kernel/mm/ksm/run)")
    words = ("--kernel", bench.guest("spin"), "--mem", "32", "--prefault", "--ksm")
    with bench.start(*words) as one, bench.start(*words) as other:
        for process in (one, other):
            process.await_output(b"READY")

        def merged():
            with open(f"/proc/{other.pid}/ksm_merging_pages", encoding="ascii") as file:
                return int(file.read()) > 0
        await_condition(merged, "pages were merged", 120)


@ROWS.row("--thp, --ksm: --check says what the host does not do, and a run warns of it")
def _(bench):
    with open("/sys/kernel/mm/ksm/run", encoding="ascii") as file:
        runs = file.read().strip() == "1"
    text = plan(bench, "--ksm", "--thp=on")
    check_says(text, "^pages: +made huge where", "^pages: +merged")
    check(runs or "not done: --ksm" in text, text)
    ended = bench.run("--ksm")
    check(ended.status == 0 and (ended.err == "" if runs else "ksm/run is not 1" in ended.err),
          str(ended))
    bench.refused("--thp=maybe", says="neither on nor off")
    bench.refused("--hugepages", "--ksm", says="--hugepages goes with neither")


@ROWS.row("under a small limit of address space: refused, not killed")
def _(bench):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (64 << 20, 64 << 20))

    bench.refused("--mem", "4G", preexec_fn=limit, says="--mem")


@ROWS.row("under a small limit of descriptors: refused, not killed")
def _(bench):
    for count in range(4, 16):
        ended = bench.run(preexec_fn=lambda count=count: resource.setrlimit(
            resource.RLIMIT_NOFILE, (count, count)))
        check(ended.status == 0 or (ended.status == 125 and ended.err.count("\n") == 1),
              f"with {count} descriptors: {ended}")


@ROWS.row("--ready-fd: one byte when the guest says that it is ready, and no more")
def _(bench):
    for words, wanted in ((["--kernel", bench.built("unikernel/hello")], b"\n"),
                          (["--kernel", bench.built("tests/boot/exit")], b"")):
        read, write = os.pipe()
        with bench.start("--ready-fd", write, *words, pass_fds=[write]) as process:
            os.close(write)
            with open(read, "rb") as file:
                said = file.read()  # to its end: nothing keeps it open
            process.end()
        check(said == wanted, f"{words}: {said!r}")


@ROWS.row("--ready-fd: the guardian does not keep it, and nobody need read it")
def _(bench):
    read, write = os.pipe()
    with bench.start("--ready-fd", write, "--kernel", bench.built("unikernel/vsock_echo"), "--vsock",
                     f"cid=3,path={bench.folder}/v", pass_fds=[write]) as process:
        os.close(write)
        check(os.read(read, 8) == b"\n", "it did not say so")
        pipe = os.readlink(f"/proc/self/fd/{read}")
        held = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")]
        check(pipe not in held, f"the guardian has {held}")
        os.close(read)
    read, write = os.pipe()
    os.close(read)
    ended = bench.run("--ready-fd", write, pass_fds=[write])
    os.close(write)
    check(ended.status == 0, str(ended))


@ROWS.row("--ready-fd: what is no open descriptor is refused")
def _(bench):
    for value, says in (("x", "'x'"), ("2", "'2'"), ("-1", "'-1'"), ("99", "descriptor 99")):
        bench.refused(f"--ready-fd={value}", says=says)
