"""How it ends: statuses, the exit record, signals at any moment."""

import os
import random
import signal
import time

from harness import Rows, await_condition, check

ROWS = Rows()


def ended_with_record(bench, *words, **options):
    ended = bench.run("--exit-record", "record", *words, **options)
    record = bench.record()
    check(record["status"] == ended.status, f"status {ended.status}, record {record}")
    check(record["message"], f"no message: {record}")
    return ended, record


def check_record(record):
    """What is in every record of a machine that ran."""
    stages = record["stages-us"]
    order = ["main", "options", "images", "forked", "machine", "loaded", "started", "ended"]
    check(all(stage in stages for stage in order), f"a stage is missing: {stages}")
    times = [stages[stage] for stage in order]
    check(times == sorted(times), f"the stages are not in order: {stages}")
    exits = dict(record["exits"])
    total = exits.pop("total")
    exits.pop("unclaimed-ports")
    exits.pop("unclaimed-memory")
    check(sum(exits.values()) == total > 0, f"the exits do not add up: {record['exits']}")
    memory = record["memory"]
    check(memory["guest-bytes"] >= memory["guest-resident-bytes"] > 0, str(memory))
    check(0 < memory["vmm-resident-bytes"] < 8 << 20, str(memory))


# guest, its defines, options, status, reason, a part of the message
ENDINGS = [
    ("power_off", [], [], 0, "power-off", ""),
    ("reset", [], [], 0, "reset", ""),
    ("exit", ["GUEST_EXIT=0"], [], 0, "guest-exit", "status 0"),
    ("exit", ["GUEST_EXIT=77"], [], 77, "guest-exit", "status 77"),
    ("exit", ["GUEST_EXIT=255"], [], 255, "guest-exit", "status 255"),
    ("debug_exit", ["GUEST_DEBUG_EXIT=16"], ["--debug-exit"], 33, "guest-exit", "status 33"),
    ("debug_exit", ["GUEST_DEBUG_EXIT=16"], [], 0, "power-off", ""),
    ("triple_fault", [], [], 126, "guest-died", "triple fault"),
]


def add_endings():
    for guest, defines, options, status, reason, message in ENDINGS:
        def row(bench, guest=guest, defines=defines, options=options, status=status, reason=reason,
                message=message):
            ended, record = ended_with_record(bench, "--kernel", bench.guest(guest, *defines),
                                              "--mem", "64", *options)
            check(ended.status == status, str(ended))
            check(ended.out == b"READY\n", str(ended))
            check((record["reason"], message in record["message"]) == (reason, True), str(record))
            check_record(record)
            check(record["memory"]["guest-bytes"] == 64 << 20, str(record))
            died = reason == "guest-died"
            check(("rip" in record and "cpu" in record) == died, str(record))
            check((ended.err.count("\n") == 1 and record["message"] in ended.err)
                  if died else ended.err == "", str(ended))

        ROWS.row(" ".join(["exit record:", guest, *defines, *options]))(row)


add_endings()


@ROWS.row("exit record: where the guest died, to the byte")
def _(bench):
    path = bench.guest("triple_fault")
    _, record = ended_with_record(bench, "--kernel", path)
    code = path.read_bytes()
    ud2 = 0x100000 + code.index(b"\x0f\x0b") - code.index(b"\xfc\xbe")
    check(record["rip"] == hex(ud2) and record["cpu"] == 0, f"{record}; the ud2 is at {ud2:#x}")


@ROWS.row("exit record: signals")
def _(bench):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        with bench.start("--kernel", bench.guest("sleep"), "--exit-record", "record") as vmm:
            vmm.await_output(b"READY\n")
            vmm.signal(number)
            ended = vmm.end(5)
        record = bench.record()
        check(ended.status == record["status"] == 128 + number, f"{ended}, {record}")
        check(record["reason"] == "signal" and signal.Signals(number).name in record["message"],
              str(record))
        check_record(record)
        check(ended.err == "", str(ended))


@ROWS.row("exit record: replaced whole, with no other file beside it")
def _(bench):
    bench.write("record", "x" * 100000)
    ended_with_record(bench)
    check(os.listdir(bench.folder) == ["record"], str(os.listdir(bench.folder)))


@ROWS.row("exit record: times agree with the clock outside")
def _(bench):
    start = time.monotonic()
    with bench.start("--kernel", bench.guest("sleep"), "--exit-record", "record") as vmm:
        vmm.await_output(b"READY\n")
        ready = time.monotonic()
        vmm.signal(signal.SIGTERM)
        vmm.end()
    stages = bench.record()["stages-us"]
    outside = (time.monotonic() - start) * 1e6
    check(stages["first-exit"] <= (ready - start) * 1e6 + 20000, f"{stages}; {ready - start} s")
    check(stages["ended"] <= outside + 20000, f"{stages}; {outside} us outside")


@ROWS.row("a spinning guest ends at once on SIGTERM")
def _(bench):
    with bench.start("--kernel", bench.guest("spin"), "--cpus", "2") as vmm:
        vmm.await_output(b"READY\n")
        vmm.signal(signal.SIGTERM)
        check(vmm.end(5).status == 143, str(vmm.popen.returncode))


@ROWS.row("many CPUs start and stop promptly")
def _(bench):
    for cpus in (64, 200):
        with bench.start("--kernel", bench.guest("sleep"), "--cpus", cpus) as vmm:
            vmm.await_output(b"READY\n", 10)
            await_condition(lambda pid=vmm.vm_pid(), cpus=cpus: len(os.listdir(f"/proc/{pid}/task")) > cpus,
                            f"a thread for each of {cpus} CPUs", 10)
            vmm.signal(signal.SIGTERM)
            check(vmm.end(10).status == 143, str(vmm.popen.returncode))


@ROWS.row("idle CPUs cost nothing")
def _(bench):
    def used(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))

    with bench.start("--kernel", bench.guest("sleep"), "--cpus", "8") as vmm:
        vmm.await_output(b"READY\n")
        pid = vmm.vm_pid()
        before = used(pid)
        time.sleep(1)
        ticks = used(pid) - before
        check(ticks <= 5, f"{ticks} ticks of CPU time in a second of idling")
        vmm.signal(signal.SIGTERM)
        vmm.end()


@ROWS.row("SIGTERM at any moment of the start")
def _(bench):
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    seen = set()
    for i in range(150):
        delay = moments.uniform(0, 0.025)
        with bench.start("--console", "socket=s", "--kernel", bench.guest("sleep")) as vmm:
            time.sleep(delay)
            vmm.signal(signal.SIGTERM)
            status = vmm.end(10).status
        # -15: before it asked for signals, so that the kernel ended it (a shell says 143 too).
        check(status in (143, -signal.SIGTERM), f"status {status} in round {i} after {delay} s, "
                                                f"seed {seed}")
        check(not (bench.folder / "s").exists(), f"a socket is left in round {i}, seed {seed}")
        seen.add(status)
    check(143 in seen, "no signal came while it ran; the delays are too short")


@ROWS.row("SIGTERM at any moment of the built-in image's life")
def _(bench):
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    for i in range(100):
        delay = moments.uniform(0, 0.03)
        with bench.start("--cpus", "2") as vmm:
            time.sleep(delay)
            vmm.signal(signal.SIGTERM)
            status = vmm.end(10).status
        check(status in (143, -signal.SIGTERM, 0), f"status {status} in round {i} after {delay} s, "
                                                   f"seed {seed}")


@ROWS.row("two signals at once end it once")
def _(bench):
    with bench.start("--kernel", bench.guest("sleep"), "--exit-record", "record") as vmm:
        vmm.await_output(b"READY\n")
        vmm.signal(signal.SIGINT)
        vmm.signal(signal.SIGTERM)
        ended = vmm.end(5)
    check(ended.status in (130, 143) and bench.record()["status"] == ended.status, str(ended))


@ROWS.row("many at a time do not disturb one another")
def _(bench):
    machines = [bench.start("--kernel", bench.guest("exit", f"GUEST_EXIT={i}"))
                for i in range(1, 25)]
    try:
        for i, vmm in enumerate(machines, 1):
            ended = vmm.end(60)
            check((ended.status, ended.out) == (i, b"READY\n"), f"number {i}: {ended}")
    finally:
        for vmm in machines:
            vmm.kill()


@ROWS.row("a kill leaves no process, and the next start works")
def _(bench):
    with bench.start("--kernel", bench.guest("sleep"), "--console", "socket=s") as vmm:
        await_condition((bench.folder / "s").exists, "the socket")
        vmm.signal(signal.SIGKILL)
        check(vmm.end(5, killed=True).status == -signal.SIGKILL, str(vmm.popen.returncode))
    ended = bench.run("--kernel", bench.guest("power_off"), "--console", "socket=s")
    check(ended.status == 0 and not (bench.folder / "s").exists(), str(ended))
