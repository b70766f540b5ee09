"""Limits that end the machine, each by its own name, and those of files and processes."""

import os
import resource
import signal
import time

import hosts
from harness import Rows, await_condition, check

ROWS = Rows()


def start(bench, host, what, *words):
    return bench.start("--kernel", bench.built("tests/limits/limits_guest"), "--cmdline",
                       f"do={what}", "--exit-record", "record", *words, before=host())


def ended_by_limit(bench, process, name, value):
    ended = process.end()
    check(ended.status == 124, f"not ended by a limit: {ended}")
    check(f"--{name}" in ended.err and ended.err.count("\n") == 1, f"does not say which: {ended}")
    record = bench.record()
    check((record["reason"], record["status"]) == ("limit", 124), str(record))
    check(record["limit"] == {"name": name, "value": value}, str(record))
    check(record["message"] in ended.err, f"{ended}, {record}")
    return record


# option, what the guest does, further options
ENDINGS = [
    ("time-limit", "idle", []),
    ("time-limit", "spin", ["--cpus", "2"]),
    ("cpu-time-limit", "spin", ["--cpus", "2"]),
    ("boot-timeout", "idle", []),
    ("boot-timeout", "spin", []),
    ("boot-timeout", "idle", ["--vsock", "cid=3,path=vsock"]),
    ("time-limit", "spin", ["--cpu-quota", "20"]),
]


def add_endings():
    for host_name, host in hosts.HOSTS.items():
        for option, what, more in ENDINGS:
            def row(bench, host=host, option=option, what=what, more=more):
                with start(bench, host, what, f"--{option}", "1", *more) as process:
                    record = ended_by_limit(bench, process, option, 1)
                ran_us = record["stages-us"]["ended"] - record["stages-us"]["started"]
                if option != "cpu-time-limit":
                    check(ran_us >= 1e6, f"ended after {ran_us} us already")

            ROWS.row(f"{host_name}: --{option}: {' '.join([what, *more])}")(row)


add_endings()


@ROWS.row("--cpu-time-limit: so much has been used, and a little more")
def _(bench):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with start(bench, hosts.plain, "spin", "--cpu-time-limit", "2", "--cpus", "2") as process:
        ended_by_limit(bench, process, "cpu-time-limit", 2)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    check(1.9 <= used <= 2.4, f"it has used {used:.2f} s")


@ROWS.row("--cpu-time-limit: who sleeps does not reach it")
def _(bench):
    with start(bench, hosts.plain, "sleep", "--cpu-time-limit", "1") as process:
        ended = process.end()
    check(ended.status == 0, str(ended))


@ROWS.row("--boot-timeout: ready by the port")
def _(bench):
    with start(bench, hosts.plain, "ready by=port", "--boot-timeout", "1") as process:
        ended = process.end()
    check(ended.status == 0, str(ended))
    check("ready" in bench.record()["stages-us"], str(bench.record()))


@ROWS.row("--boot-timeout: ready by a connection over vsock")
def _(bench):
    with start(bench, hosts.plain, "ready by=connection", "--boot-timeout", "1", "--vsock",
               "cid=3,path=vsock") as process:
        ended = process.end()
    check(ended.status == 0, str(ended))


@ROWS.row("--time-limit: a machine that cannot say so is killed, and the record says why")
def _(bench):
    with start(bench, hosts.plain, "idle", "--time-limit", "1") as process:
        process.await_output(b"READY")
        os.kill(hosts.vm_process(process.pid), signal.SIGSTOP)
        ended_by_limit(bench, process, "time-limit", 1)


@ROWS.row("cgroups: one for the machine while it runs, none afterwards")
def _(bench):
    if not hosts.has_cgroup("cpu"):
        return
    before = hosts.groups()
    with start(bench, hosts.plain, "idle", "--cpu-quota", "50", "--limit-processes", "5", "--id",
               "limits-row") as process:
        process.await_output(b"READY")
        made = hosts.groups() - before
        check(made and all(path.endswith("/osvm-vmm-limits-row") for path in made), str(made))
        vm = str(hosts.vm_process(process.pid))
        for path in made:
            with open(f"{path}/cgroup.procs", encoding="ascii") as file:
                check(file.read().split() == [vm], f"{path} has not the VM process alone")
        process.signal(signal.SIGTERM)
        process.end()
    check(hosts.groups() == before, f"left behind: {hosts.groups() - before}")


@ROWS.row("cgroups: a second machine of the same id is refused")
def _(bench):
    if not hosts.has_cgroup("cpu"):
        return
    with start(bench, hosts.plain, "idle", "--cpu-quota", "50", "--id", "limits-twice") as process:
        process.await_output(b"READY")
        bench.refused("--cpu-quota", "50", "--id", "limits-twice", says="in use")


def killed_guardian(bench, *words):
    """What a machine leaves whose guardian was killed. Returns the groups."""
    before = hosts.groups()
    with start(bench, hosts.plain, "idle", "--cpu-quota", "50", *words) as process:
        process.await_output(b"READY")
        vm = hosts.vm_process(process.pid)
        process.signal(signal.SIGKILL)
        process.popen.wait()
        await_condition(lambda: not os.path.exists(f"/proc/{vm}"), "the machine's end")
    left = hosts.groups() - before
    check(left or not hosts.has_cgroup("cpu"), "nothing is left; this row tries nothing")
    return before


@ROWS.row("cgroups: what a killed machine left is removed by the next of its id")
def _(bench):
    before = killed_guardian(bench, "--id", "limits-left")
    with start(bench, hosts.plain, "idle", "--cpu-quota", "50", "--id", "limits-left", "--time-limit",
               "1") as process:
        ended_by_limit(bench, process, "time-limit", 1)
    check(hosts.groups() == before, f"left behind: {hosts.groups() - before}")


@ROWS.row("cgroups: what a killed machine left is removed by --clean-up")
def _(bench):
    before = killed_guardian(bench)
    check(bench.run("--clean-up").status == 0, "refused")
    check(hosts.groups() <= before, f"left behind: {hosts.groups() - before}")


@ROWS.row("--limit-processes: more threads than that are refused")
def _(bench):
    for host in (hosts.plain, hosts.ordinary_user):
        with bench.start("--limit-processes", "4", "--cpus", "3", before=host()) as process:
            ended = process.end()
        check(ended.status == 125 and "--limit-processes" in ended.err, str(ended))


@ROWS.row("--limit-processes: no more are there")
def _(bench):
    for host in (hosts.plain, hosts.ordinary_user):
        with start(bench, host, "idle", "--limit-processes", "5", "--cpus", "3") as process:
            process.await_output(b"READY")
            vm = hosts.vm_process(process.pid)
            check(4 <= len(hosts.threads(vm)) <= 5, str(hosts.threads(vm)))
        (bench.folder / "record").unlink()


@ROWS.row("--limit-processes: refused where nobody can hold it")
def _(bench):
    with bench.start("--limit-processes", "5", before=hosts.without_cgroups()) as process:
        ended = process.end()
    check(ended.status == 125 and "cannot be held here" in ended.err, str(ended))


@ROWS.row("--limit-fds: too few for the machine are refused")
def _(bench):
    bench.refused("--limit-fds", "8", says="--limit-fds 8 is too few")
