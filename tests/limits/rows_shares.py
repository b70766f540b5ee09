"""Shares of CPU time, measured from outside; pinned CPUs."""

import os
import re
import time

import hosts
from harness import Rows, Skipped, check

ROWS = Rows()


def measure(bench, host, percent, cpus):
    if percent > 100 * len(os.sched_getaffinity(0)) * 0.8:
        raise Skipped("so many CPUs are not here")
    with bench.start("--kernel", bench.built("tests/limits/limits_guest"), "--cmdline", "do=spin",
                     "--cpus", cpus, "--cpu-quota", percent, before=host()) as process:
        process.await_output(b"READY")
        vm = hosts.vm_process(process.pid)
        time.sleep(1)  # past what it had saved up
        hosts.measure(vm, lambda: hosts.cpu_seconds(vm)[0], percent / 100, percent / 100)


def add_shares():
    for host_name, host in hosts.HOSTS.items():
        for percent, cpus in ((10, 1), (50, 1), (50, 2), (120, 2)):
            def row(bench, host=host, percent=percent, cpus=cpus):
                measure(bench, host, percent, cpus)

            ROWS.row(f"{host_name}: {cpus} CPUs flat out have {percent} %")(row)


add_shares()


def pinned(bench, host, words, wanted):
    with bench.start("--kernel", bench.built("tests/limits/limits_guest"), "--cmdline", "do=spin",
                     *words, before=host()) as process:
        process.await_output(b"READY")
        vm = hosts.vm_process(process.pid)
        found = {name: hosts.allowed_cpus(task) for task, name in hosts.threads(vm).items()
                 if re.fullmatch(r"vcpu\d+", name)}
        check(found == wanted, f"{found}, not {wanted}")


@ROWS.row("--cpu-affinity: each CPU on its own, in the order of the list")
def _(bench):
    if not {0, 1} <= os.sched_getaffinity(0):
        raise Skipped("wants CPUs 0 and 1")
    for host in hosts.HOSTS.values():
        pinned(bench, host, ["--cpus", "2", "--cpu-affinity", "1,0"], {"vcpu0": "1", "vcpu1": "0"})
        pinned(bench, host, ["--cpus", "3", "--cpu-affinity", "0-1"],
               {"vcpu0": "0", "vcpu1": "1", "vcpu2": "0"})


@ROWS.row("--cpu-affinity: a CPU that is not there is refused")
def _(bench):
    bench.refused("--cpu-affinity", "0,1023", says="CPU 1023 is not there")


@ROWS.row("--check says who holds each limit")
def _(bench):
    by = {"as it is": "a cgroup, version" if hosts.has_cgroup("cpu") else "the guardian",
          "without cgroups": "the guardian", "an ordinary user": "the guardian"}
    for name, host in hosts.HOSTS.items():
        with bench.start("--check", "--cpu-quota", "50", before=host()) as process:
            ended = process.end()
        check(re.search(rf"50 % of a CPU \(by {by[name]}", ended.out.decode()), f"{name}: {ended}")
