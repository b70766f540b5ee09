"""The API: what each request does, before the start and after it."""

import json
import os
import shutil
import signal
import stat
import subprocess
import time

from api_client import GUEST, Api, Raw
from harness import LIMIT_S, Rows, Skipped, await_condition, check, in_netns

ROWS = Rows()
MIB = 1 << 20
RATE = {"bandwidth": {"size": 1000, "refill_time": 100}}

@ROWS.row("the socket: its owner's alone, replaced where dead, kept where alive, gone at the end")
def _(bench):
    with Api(bench) as api:
        check(stat.S_IMODE(os.stat(api.socket).st_mode) == 0o600, "its mode is not 0600")
        bench.refused("--api-sock", api.socket, says=("--api-sock", "another process listens"))
        api.vmm.popen.kill()
        api.vmm.popen.wait()
    check(os.path.exists(bench.folder / "api.sock"), "nothing is left to be replaced")
    with Api(bench) as api:
        api.vmm.signal(signal.SIGTERM)
        ended = api.vmm.end()
        check(ended.status == 128 + signal.SIGTERM, str(ended))
        check(not os.path.exists(api.socket), "the socket is left behind")
    bench.write("file", "precious")
    bench.refused("--api-sock", "file", says="no socket")
    bench.refused("--api-sock", "none/s", says="--api-sock none/s")
    bench.refused("--api-sock", "x" * 200, says="longer than")
    check(bench.run("--api-sock", "c", "--check").status == 0, "--check")
    check(not os.path.exists(bench.folder / "c"), "--check has made a socket")


@ROWS.row("before: each thing is told, asked for again, overwritten, patched")
def _(bench):
    bench.write("a", bytes(MIB))
    bench.write("b,c", bytes(MIB))
    kernel = str(bench.built(GUEST))
    with Api(bench, "--id", "vm1") as api:
        check(api.get("/") == {"id": "vm1", "state": "Not started", "vmm_version": "0.1.0",
                               "app_name": "osvm-vmm"}, "GET /")
        check(api.get("/version") == {"firecracker_version": "0.1.0"}, "GET /version")
        for cpus in (2, 1):
            api.put("/machine-config", {"vcpu_count": cpus, "mem_size_mib": 64 * cpus, "smt": False,
                                        "track_dirty_pages": False, "huge_pages": "Transparent"})
        api.patch("/machine-config", {"mem_size_mib": 96})
        check(api.get("/machine-config") == {
            "vcpu_count": 1, "mem_size_mib": 96, "smt": False, "track_dirty_pages": False,
            "huge_pages": "Transparent"}, "GET /machine-config")
        api.put("/boot-source", {"kernel_image_path": kernel, "initrd_path": "a",
                                 "boot_args": "x"})
        api.put("/boot-source", {"kernel_image_path": kernel, "boot_args": "quiet"})
        api.put("/drives/one", {"drive_id": "one", "is_root_device": False, "path_on_host": "a"})
        api.put("/drives/root", {"drive_id": "root", "is_root_device": True, "path_on_host": "b,c",
                                 "is_read_only": True, "cache_type": "Unsafe", "io_engine": "Sync",
                                 "rate_limiter": {"bandwidth": {"size": 5, "refill_time": 7,
                                                                "one_time_burst": 9}, "ops": None}})
        api.refused("PUT", "/drives/one", {"drive_id": "one", "is_root_device": True,
                                           "path_on_host": "a"}, "'root' has the root")
        api.put("/drives/one", {"drive_id": "one", "is_root_device": False, "path_on_host": "a",
                                "is_read_only": True})
        api.put("/vsock", {"guest_cid": 5, "uds_path": "v,1", "vsock_id": "old"})
        api.put("/entropy", {"rate_limiter": RATE})
        api.put("/balloon", {"amount_mib": 4, "deflate_on_oom": True,
                             "stats_polling_interval_s": 1})
        check(api.get("/balloon")["amount_mib"] == 4, "GET /balloon")
        config = api.get("/vm/config")
        check(config["boot-source"] == {"kernel_image_path": kernel, "initrd_path": None,
                                        "boot_args": "quiet"}, config["boot-source"])
        check([(d["drive_id"], d["path_on_host"], d["is_root_device"], d["is_read_only"],
                d["cache_type"]) for d in config["drives"]] ==
              [("one", "a", False, True, "Writeback"), ("root", "b,c", True, True, "Unsafe")],
              config["drives"])
        check(config["drives"][1]["rate_limiter"]["bandwidth"] ==
              {"size": 5, "refill_time": 7, "one_time_burst": 9}, config["drives"])
        check(config["vsock"] == {"guest_cid": 5, "uds_path": "v,1"}, config["vsock"])
        check(config["entropy"]["rate_limiter"]["bandwidth"]["size"] == 1000, config["entropy"])


@ROWS.row("the root disk comes first, and the kernel is told of it")
def _(bench):
    for read_only, partuuid, says in ((False, None, "root=/dev/vda rw"),
                                      (True, "abc-01", "root=PARTUUID=abc-01 ro")):
        bench.write("data", bytes(MIB))
        bench.write("root", bytes(2 * MIB))
        with Api(bench) as api:
            api.boot(cmdline="quiet")
            api.put("/drives/d", {"drive_id": "d", "is_root_device": False,
                                  "path_on_host": "data"})
            api.put("/drives/r", {"drive_id": "r", "is_root_device": True, "path_on_host": "root",
                                  "is_read_only": read_only, "partuuid": partuuid})
            api.start()
            api.vmm.await_output(b"READY\n")
            check(api.ask("disk-look 0")[0] == 2 * MIB // 512, "the first disk is not the root")
            config = api.get("/vm/config")
            check(config["boot-source"]["boot_args"] == f"quiet {says}", config["boot-source"])
            check([d["drive_id"] for d in config["drives"]] == ["r", "d"], config["drives"])
            api.end()


@ROWS.row("a kernel of which no command line is said has the clients' default")
def _(bench):
    with Api(bench) as api:
        api.boot(guest=bench.guest("sleep"))
        api.start()
        api.vmm.await_output(b"READY\n")
        check(api.get("/vm/config")["boot-source"]["boot_args"].startswith("reboot=k panic=1 "),
              "no default")


@ROWS.row("InstanceStart that fails is told why, by the client and by the status")
def _(bench):
    bench.write("nonsense", b"\x7fELF and no more")
    with Api(bench, "--exit-record", "record") as api:
        api.boot(guest=bench.folder / "nonsense")
        api.refused("PUT", "/actions", {"action_type": "InstanceStart"}, "cannot load kernel")
        ended = api.vmm.end()
        check(ended.status == 125 and not os.path.exists(api.socket), str(ended))
        check(bench.record()["reason"] == "refused", str(bench.record()))
    with Api(bench) as api:  # found by the VM process
        api.boot()
        api.put("/balloon", {"amount_mib": 4096, "deflate_on_oom": False})
        api.refused("PUT", "/actions", {"action_type": "InstanceStart"}, "--balloon")
        check(api.vmm.end().status == 125, "not refused")


@ROWS.row("with --kernel it starts at once, and serves the half after the start")
def _(bench):
    bench.write("disk", bytes(MIB))
    with Api(bench, "--kernel", bench.built(GUEST), "--disk", "path=disk",
             "--disk", "scratch=1M,id=temp") as api:
        api.vmm.await_output(b"READY\n")
        check(api.state() == "Running", "not running")
        api.refused("PUT", "/actions", {"action_type": "InstanceStart"}, "after boot")
        api.patch("/drives/disk0", {"drive_id": "disk0", "rate_limiter": RATE})
        api.patch("/drives/temp", {"drive_id": "temp", "rate_limiter": RATE})
        api.refused("PATCH", "/drives/disk1", {"drive_id": "disk1"}, "no drive")
        metrics = api.get("/metrics")
        check({"block_disk0", "block_temp", "block"} <= set(metrics), metrics)
        api.end()


@ROWS.row("one that cannot start by --kernel: as without an API")
def _(bench):
    bench.write("nonsense", b"\x7fELF and no more")
    bench.refused("--api-sock", "s", "--kernel", "nonsense", says="cannot load kernel")
    bench.refused("--api-sock", "s", "--balloon=size=4G", "--kernel", bench.built(GUEST),
                  says="--balloon")


@ROWS.row("pause stops the guest, resume lets it go on; both as often as one likes")
def _(bench):
    with Api(bench, "--cpus", "2") as api:
        api.put("/machine-config", {"vcpu_count": 2, "mem_size_mib": 64})
        api.start_guest()
        for _ in range(3):
            for _ in range(2):
                api.patch("/vm", {"state": "Paused"})
                check(api.state() == "Paused", "not paused")
            exits = api.get("/metrics")["vcpu"]["total"]
            start = len(api.vmm.out)
            api.send("alive")
            time.sleep(0.1)
            metrics = api.get("/metrics")
            check(metrics["vcpu"]["total"] == exits and metrics["vmm"]["paused"],
                  "the guest went on while it was paused")
            for _ in range(2):
                api.patch("/vm", {"state": "Resumed"})
                check(api.state() == "Running", "not running")
            api.vmm.read_until(lambda: b"alive\n" in api.vmm.out[start:], LIMIT_S)
        api.end()


@ROWS.row("a paused guest ends by SIGTERM; one that spins can be paused")
def _(bench):
    with Api(bench) as api:
        api.boot(guest=bench.guest("spin"))
        api.start()
        api.vmm.await_output(b"READY\n")
        api.patch("/vm", {"state": "Paused"})

        def vcpu_ticks():
            pid, ticks = api.vmm.vm_pid(), 0
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii") as file:
                    name, fields = file.read().split("(", 1)[1].rsplit(")", 1)
                if "vcpu" in name:
                    ticks += sum(map(int, fields.split()[11:13]))
            return ticks
        before = vcpu_ticks()
        time.sleep(0.3)
        check(vcpu_ticks() == before, "the CPU runs on")
        api.vmm.signal(signal.SIGTERM)
        check(api.vmm.end().status == 128 + signal.SIGTERM, "not ended by it")


@ROWS.row("a disk gets another file, a larger one, and the same one grown")
def _(bench):
    for number, size in ((1, MIB), (2, 4 * MIB), (3, 512)):
        bench.write(f"disk{number}", bytes([number]) * size)
    for words in ((), ("--transport", "pci")):
        with Api(bench, *words) as api:
            api.put("/drives/d", {"drive_id": "d", "is_root_device": False,
                                  "path_on_host": "disk1", "is_read_only": True})
            api.start_guest()
            check(api.ask("disk-look 0") == [MIB // 512, 0, 1], "not the first")
            for number, sectors in ((2, 8192), (3, 1), (1, 2048)):
                api.patch("/drives/d", {"drive_id": "d", "path_on_host": f"disk{number}"})
                check(api.ask("disk-look 0") == [sectors, 0, number], f"not disk{number}")
            api.refused("PATCH", "/drives/d", {"drive_id": "d", "path_on_host": "none"}, "none")
            check(api.ask("disk-look 0") == [2048, 0, 1], "the old one is gone")
            check(api.get("/vm/config")["drives"][0]["path_on_host"] == "disk1", "the path")
            os.truncate(bench.folder / "disk1", 3 * MIB)
            api.patch("/drives/d", {"drive_id": "d", "path_on_host": "disk1"})
            check(api.ask("disk-look 5000") == [6144, 0, 0], "it has not grown")
            api.end()
            os.truncate(bench.folder / "disk1", MIB)


@ROWS.row("a disk's file is locked as long as it is in use, and no longer")
def _(bench):
    for name in ("one", "two"):
        bench.write(name, bytes(MIB))
    with Api(bench) as api:
        api.put("/drives/d", {"drive_id": "d", "is_root_device": False, "path_on_host": "one"})
        api.start_guest()
        bench.refused("--disk", "path=one", says="already locked")
        api.patch("/drives/d", {"drive_id": "d", "path_on_host": "two"})
        bench.refused("--disk", "path=two", says="already locked")
        check(bench.run("--disk", "path=one").status == 0, "the old one is still locked")
        with bench.start("--kernel", bench.guest("sleep"), "--disk", "path=one") as other:
            other.await_output(b"READY\n")
            api.refused("PATCH", "/drives/d", {"drive_id": "d", "path_on_host": "one"}, "locked")
        check(api.ask("disk-write 0") == [0], "it cannot be written")
        api.end()


@ROWS.row("--disk-limit holds for a disk's next file, too")
def _(bench):
    bench.write("one", bytes(MIB))
    bench.write("two", bytes(2 * MIB))
    with Api(bench, "--disk-limit", "1M") as api:
        api.put("/drives/d", {"drive_id": "d", "is_root_device": False, "path_on_host": "one"})
        api.start_guest()
        api.refused("PATCH", "/drives/d", {"drive_id": "d", "path_on_host": "two"}, "--disk-limit")
        check(api.ask("disk-look 0")[0] == 2048, "it was done")
        api.end()


def most(bucket, before, after, burst=0):
    """The most that a bucket lets through between two looks at the clock of the metrics."""
    elapsed_ms = after["utc_timestamp_ms"] - before["utc_timestamp_ms"] + 2
    return bucket["size"] * (1 + elapsed_ms / bucket["refill_time"]) + burst


@ROWS.row("a disk's rate: at the start, changed, taken away; by counting what has passed")
def _(bench):
    chunk = 65536
    bucket = {"size": 4 * chunk, "refill_time": 200, "one_time_burst": 8 * chunk}
    bench.write("disk", bytes(4 * MIB))
    with Api(bench) as api:
        api.put("/drives/d", {"drive_id": "d", "is_root_device": False, "path_on_host": "disk",
                              "rate_limiter": {"bandwidth": bucket}})
        api.boot(cmdline="")
        api.start()
        before = api.get("/metrics")
        api.vmm.await_output(b"READY\n")
        check(api.ask("disk-write-many 32") == [32], "not written")
        after = api.get("/metrics")
        passed = after["block_d"]["write_bytes"]
        check(passed == 32 * chunk, f"{passed} bytes")
        check(passed <= most(bucket, before, after, 8 * chunk), f"{passed} bytes are too fast")
        check(after["block_d"]["rate_limiter_throttled_events"] > 0, "it was never held back")
        slow = {"size": 1, "refill_time": 100}
        api.patch("/drives/d", {"drive_id": "d", "rate_limiter": {"bandwidth": None, "ops": slow}})
        before = api.get("/metrics")
        check(api.ask("disk-write-many 10") == [10], "not written")
        after = api.get("/metrics")
        check(10 <= most(slow, before, after), "the rate of operations does not hold")
        slow["refill_time"] = 3600000
        api.patch("/drives/d", {"drive_id": "d", "rate_limiter": {"ops": slow}})
        start = len(api.vmm.out)
        api.send("disk-write-many 3")  # the second waits for an hour
        await_condition(lambda: api.get("/metrics")["block_d"]["write_count"] == 43, "one passes")
        none = {"size": 0, "refill_time": 0}
        api.patch("/drives/d", {"drive_id": "d", "rate_limiter": {"ops": none, "bandwidth": none}})
        api.vmm.read_until(lambda: b"many 3\n" in api.vmm.out[start:], LIMIT_S)
        api.end()


@ROWS.row("a network device: address, MTU, rates each way")
def _(bench):
    with in_netns("ip tuntap add tap0 mode tap vnet_hdr && ip tuntap add tap1 mode tap vnet_hdr && "
                  "ip link set tap0 up") as inside:
        bucket = {"size": 20000, "refill_time": 100}
        with Api(bench, before=inside) as api:
            net = {"iface_id": "n", "host_dev_name": "tap0", "guest_mac": "02:00:00:00:00:09",
                   "mtu": 1400, "tx_rate_limiter": {"bandwidth": bucket}}
            api.put("/network-interfaces/n", net)
            api.put("/network-interfaces/n", net)
            api.refused("PUT", "/network-interfaces/m", {
                "iface_id": "m", "host_dev_name": "tap1", "guest_mac": "02:00:00:00:00:09"},
                "another device has this address")
            api.start_guest()
            before = api.get("/metrics")
            check(api.ask("net-send 100") == [100], "not sent")
            await_condition(lambda: api.get("/metrics")["net_n"]["tx_packets_count"] == 100, "sent")
            after = api.get("/metrics")
            passed = after["net_n"]["tx_bytes_count"] - before["net_n"]["tx_bytes_count"]
            check(passed == 100000 and passed <= most(bucket, before, after) + 1000,
                  f"{passed} bytes in {after['utc_timestamp_ms'] - before['utc_timestamp_ms']} ms")
            check(after["net_n"]["tx_rate_limiter_throttled"] > 0, "it was never held back")
            api.patch("/network-interfaces/n", {"iface_id": "n", "tx_rate_limiter": {
                "bandwidth": {"size": 0, "refill_time": 0}}, "rx_rate_limiter": RATE})
            shown = api.get("/vm/config")["network-interfaces"]
            check(shown == [{"iface_id": "n", "host_dev_name": "tap0", "mtu": 1400,
                             "guest_mac": "02:00:00:00:00:09", "tx_rate_limiter": None,
                             "rx_rate_limiter": {"bandwidth": {**RATE["bandwidth"],
                                                               "one_time_burst": 0}, "ops": None}}],
                  shown)
            check(api.ask("net-send 100") == [100], "not sent")
            api.end()


@ROWS.row("entropy with a rate, vsock, and the balloon's target and statistics")
def _(bench):
    bucket = {"size": 65536, "refill_time": 100, "one_time_burst": 10}
    with Api(bench) as api:
        api.put("/machine-config", {"vcpu_count": 1, "mem_size_mib": 64})
        api.put("/entropy", {"rate_limiter": {"bandwidth": bucket}})
        api.put("/vsock", {"guest_cid": 7, "uds_path": "v.sock"})
        api.put("/balloon", {"amount_mib": 1, "deflate_on_oom": True,
                             "stats_polling_interval_s": 1})
        api.start_guest()
        check(os.path.exists(bench.folder / "v.sock"), "no vsock")
        before = api.get("/metrics")
        check(api.ask("entropy 262144") == [262144], "no random numbers")
        after = api.get("/metrics")
        check(after["entropy"]["entropy_bytes"] == 262144 <= most(bucket, before, after, 10),
              str(after["entropy"]))
        check(api.ask("balloon") == [256], "not the first target")
        api.patch("/balloon", {"amount_mib": 5})
        check(api.ask("balloon") == [1280], "not the new target")
        check(api.get("/balloon")["amount_mib"] == 5, "GET /balloon")
        api.refused("PATCH", "/balloon", {"amount_mib": 65}, "not so much memory")
        api.patch("/balloon/statistics", {"stats_polling_interval_s": 2})
        api.refused("PATCH", "/balloon/statistics", {"stats_polling_interval_s": 0}, "switched")
        statistics = api.get("/balloon/statistics")
        check(statistics["target_mib"] == 5 and statistics["target_pages"] == 1280, statistics)
        api.end()


@ROWS.row("SendCtrlAltDel: the keys come as a keyboard sends them")
def _(bench):
    with Api(bench) as api:
        api.start_guest()
        api.refused("PUT", "/actions", {"action_type": "SendCtrlAltDel"}, "does not listen")
        api.ask("keys-on")
        api.put("/actions", {"action_type": "SendCtrlAltDel"})
        check(bytes(api.ask("keys")).hex() == "1411e071e0f071f011f014", "not the keys")
        api.end()


@ROWS.row("metrics: what is counted, in the answer and in the file")
def _(bench):
    with Api(bench) as api:
        api.put("/metrics", {"metrics_path": "m"})
        api.start_guest()
        metrics = api.get("/metrics")
        check(metrics["vmm"]["guest_bytes"] == 256 * MIB and metrics["vmm"]["cpu_time_us"] > 0 and
              0 < metrics["vmm"]["guest_resident_bytes"] < 256 * MIB, str(metrics["vmm"]))
        check(metrics["vcpu"]["io"] > 0 and metrics["vcpu"]["total"] >= metrics["vcpu"]["io"],
              str(metrics["vcpu"]))
        for _ in range(2):
            api.put("/actions", {"action_type": "FlushMetrics"})
        lines = (bench.folder / "m").read_text().splitlines()
        check(len(lines) == 2 and all(json.loads(line)["vcpu"]["io"] > 0 for line in lines),
              str(lines))
        api.end()


@ROWS.row("serial_out_path, and the log with its level and origin")
def _(bench):
    with Api(bench, stdin=subprocess.DEVNULL) as api:
        api.put("/serial", {"serial_out_path": "serial"})
        api.put("/logger", {"log_path": "log", "level": "info", "show_level": True,
                            "show_log_origin": True})
        api.boot(guest=bench.guest("exit", "GUEST_EXIT=3"))
        api.start()
        ended = api.vmm.end()
        check(ended.status == 3 and not ended.out and not ended.err, str(ended))
    check((bench.folder / "serial").read_bytes() == b"READY\n", "not in the file")
    log = (bench.folder / "log").read_text()
    check("osvm-vmm: info: main.c:" in log and "ended with status 3" in log, log)


@ROWS.row("curl, from nothing to a guest's end")
def _(bench):
    if not shutil.which("curl"):
        raise Skipped("curl is not installed")
    with Api(bench, stdin=subprocess.DEVNULL) as api:
        def curl(method, path, body=None):
            words = ["curl", "-sS", "--unix-socket", str(api.socket), "-X", method, "-w",
                     "%{http_code}", f"http://localhost{path}"]
            words += ["-H", "Content-Type: application/json", "-d", body] if body else []
            return subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=LIMIT_S,
                                  check=True).stdout
        guest = bench.guest("exit", "GUEST_EXIT=3")
        check(curl("PUT", "/machine-config", '{"vcpu_count": 1, "mem_size_mib": 64}') == "204", "")
        check(curl("PUT", "/boot-source", json.dumps({"kernel_image_path": str(guest)})) == "204",
              "boot-source")
        check(curl("GET", "/").endswith("200"), "GET /")
        check(curl("PUT", "/vsock", "{}").endswith("400"), "a wrong one")
        check(curl("PUT", "/serial", '{"x": "' + "y" * 60000 + '"}').endswith("413"), "a long one")
        check(curl("PUT", "/actions", '{"action_type": "InstanceStart"}') == "204", "start")
        check(api.vmm.end().status == 3, "not the guest's status")
