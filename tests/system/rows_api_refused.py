"""The API: what is refused, with words that name it, before the start and after it."""

import json

from api_client import Api
from harness import Rows, check

ROWS = Rows()
MIB = 1 << 20

# method, path, body, what the message must say; before the start
WRONG_BEFORE = [
    ("GET", "/none", None, "GET /none is not served here"),
    ("GET", "/drives", None, "not served"),
    ("GET", "/vm", None, "not served"),
    ("GET", "//", None, "not served"),
    ("GET", "/?x=1", None, "not served"),
    ("DELETE", "/", None, "not served"),
    ("POST", "/actions", {"action_type": "InstanceStart"}, "not served"),
    ("PUT", "/drives/", {}, "not served"),
    ("PUT", "/drives/a/b", {}, "not served"),
    ("PUT", "/drives/a%20b", {}, "not served"),
    ("PUT", "/drives/" + "a" * 65, {}, "not served"),
    ("PUT", "/" + "a" * 4000, {}, "not served"),
    ("GET", "/", "{}", "a GET has no body"),
    ("PUT", "/machine-config", None, "not JSON"),
    ("PUT", "/machine-config", "", "not JSON"),
    ("PUT", "/machine-config", "{", "not JSON"),
    ("PUT", "/machine-config", "[]", "not a JSON object"),
    ("PUT", "/machine-config", '{"vcpu_count":1,"vcpu_count":1}', "not JSON"),
    ("PUT", "/machine-config", "{\"vcpu_count\": 1} {}", "not JSON"),
    ("PUT", "/machine-config", b'{"vcpu_count": "\xff"}', "not JSON"),
    ("PUT", "/machine-config", "[" * 5000, "not JSON"),
    ("PUT", "/machine-config", {}, "'vcpu_count' is missing"),
    ("PUT", "/machine-config", {"vcpu_count": 1}, "'mem_size_mib' is missing"),
    ("PUT", "/machine-config", {"vcpu_count": None, "mem_size_mib": 64}, "'vcpu_count' is missing"),
    ("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 64, "speed": 1},
     "unknown field 'speed'"),
    ("PUT", "/machine-config", {"vcpu_count": 0, "mem_size_mib": 64}, "vcpu_count"),
    ("PUT", "/machine-config", {"vcpu_count": 33, "mem_size_mib": 64}, "vcpu_count"),
    ("PUT", "/machine-config", {"vcpu_count": -1, "mem_size_mib": 64}, "'vcpu_count' is to be"),
    ("PUT", "/machine-config", {"vcpu_count": 1.5, "mem_size_mib": 64}, "'vcpu_count' is to be"),
    ("PUT", "/machine-config", {"vcpu_count": "1", "mem_size_mib": 64}, "'vcpu_count' is to be"),
    ("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 0}, "mem_size_mib"),
    ("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 1 << 62}, "mem_size_mib"),
    ("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 64, "huge_pages": "1G"},
     "none of None, 2M, Transparent"),
    ("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 64, "smt": 1}, "true or false"),
    ("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 64, "track_dirty_pages": True},
     "track_dirty_pages"),
    ("PATCH", "/machine-config", {}, "nothing to change"),
    ("PATCH", "/machine-config", {"mem": 1}, "unknown field 'mem'"),
    ("PUT", "/boot-source", {}, "'kernel_image_path' is missing"),
    ("PUT", "/boot-source", {"kernel_image_path": "none"}, "kernel_image_path 'none'", "no such file"),
    ("PUT", "/boot-source", {"kernel_image_path": ""}, "file name is wanted"),
    ("PUT", "/boot-source", {"kernel_image_path": "/"}, "kernel_image_path '/'"),
    ("PUT", "/boot-source", {"kernel_image_path": 5}, "'kernel_image_path' is to be a string"),
    ("PUT", "/boot-source", {"kernel_image_path": "/proc/self/exe", "initrd_path": "none"},
     "initrd_path 'none'"),
    ("PUT", "/drives/a", {"drive_id": "a"}, "'is_root_device' is missing"),
    ("PUT", "/drives/a", {"drive_id": "a", "is_root_device": False}, "'path_on_host' is missing"),
    ("PUT", "/drives/a", {"drive_id": "b", "is_root_device": False, "path_on_host": "disk"},
     "drive_id 'b' is not the path's"),
    ("PUT", "/drives/a", {"drive_id": "a", "is_root_device": False, "path_on_host": "none"},
     "path_on_host 'none'", "no such file"),
    ("PUT", "/drives/a", {"drive_id": "a", "is_root_device": False, "path_on_host": "/"},
     "directory"),
    ("PUT", "/drives/a", {"drive_id": "a", "is_root_device": False, "path_on_host": "disk",
                          "cache_type": "Fast"}, "none of Unsafe, Writeback"),
    ("PUT", "/drives/a", {"drive_id": "a", "is_root_device": False, "path_on_host": "disk",
                          "io_engine": "Fast"}, "none of Sync, Async"),
    ("PUT", "/drives/a", {"drive_id": "a", "is_root_device": False, "path_on_host": "disk",
                          "rate_limiter": {"iops": 1}}, "unknown field 'iops'"),
    ("PUT", "/drives/a", {"drive_id": "a", "is_root_device": False, "path_on_host": "disk",
                          "rate_limiter": {"ops": {"size": 1}}}, "'refill_time' is missing"),
    ("PUT", "/drives/a", {"drive_id": "a", "is_root_device": False, "path_on_host": "disk",
                          "rate_limiter": {"ops": 5}}, "an object is wanted"),
    ("PUT", "/drives/a", {"drive_id": "a", "is_root_device": False, "socket": "s"}, "vhost-user"),
    ("PATCH", "/drives/a", {"drive_id": "a"}, "cannot be done before boot"),
    ("PUT", "/network-interfaces/n", {"iface_id": "n"}, "'host_dev_name' is missing"),
    ("PUT", "/network-interfaces/n", {"iface_id": "n", "host_dev_name": "osvm-none0"},
     "no tap 'osvm-none0'"),
    ("PUT", "/network-interfaces/n", {"iface_id": "n", "host_dev_name": "t", "guest_mac": "x"},
     "not a MAC address"),
    ("PUT", "/network-interfaces/n", {"iface_id": "n", "host_dev_name": "t", "mtu": 5}, "MTU"),
    ("PUT", "/network-interfaces/n", {"iface_id": "n", "host_dev_name": "t,mac=02:00:00:00:00:01"},
     "name of an interface"),
    ("PATCH", "/network-interfaces/n", {"iface_id": "n"}, "cannot be done before boot"),
    ("PUT", "/vsock", {"guest_cid": 2, "uds_path": "v"}, "'2'"),
    ("PUT", "/vsock", {"guest_cid": 3}, "'uds_path' is missing"),
    ("PUT", "/vsock", {"guest_cid": 3, "uds_path": ""}, "path"),
    ("PUT", "/entropy", {"rate": 1}, "unknown field 'rate'"),
    ("PUT", "/balloon", {"amount_mib": 1}, "'deflate_on_oom' is missing"),
    ("PUT", "/balloon", {"amount_mib": 1, "deflate_on_oom": True,
                         "stats_polling_interval_s": 100000}, "100000"),
    ("PATCH", "/balloon", {"amount_mib": 1}, "cannot be done before boot"),
    ("GET", "/balloon", None, "there is no balloon"),
    ("GET", "/balloon/statistics", None, "cannot be done before boot"),
    ("GET", "/metrics", None, "cannot be done before boot"),
    ("PUT", "/serial", {"path": "x"}, "unknown field 'path'"),
    ("PUT", "/logger", {"level": "Loud"}, "none of Off, Error"),
    ("PUT", "/logger", {"log_path": "none/log"}, "cannot write log_path"),
    ("PUT", "/metrics", {"metrics_path": "none/m"}, "cannot write metrics_path"),
    ("PATCH", "/vm", {"state": "Paused"}, "cannot be done before boot"),
    ("PUT", "/actions", {"action_type": "Dance"}, "none of InstanceStart"),
    ("PUT", "/actions", {"action_type": "FlushMetrics"}, "cannot be done before boot"),
    ("PUT", "/actions", {"action_type": "SendCtrlAltDel"}, "cannot be done before boot"),
    ("PUT", "/actions", {"action_type": "InstanceStart"}, "no /boot-source was given"),
    ("PUT", "/snapshot/create", {}, "not served"),
]

WRONG_AFTER = [
    ("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 64}, "cannot be done after boot"),
    ("PATCH", "/machine-config", {"vcpu_count": 1}, "cannot be done after boot"),
    ("PUT", "/boot-source", {"kernel_image_path": "x"}, "cannot be done after boot"),
    ("PUT", "/drives/root", {"drive_id": "root"}, "cannot be done after boot"),
    ("PUT", "/network-interfaces/n", {}, "cannot be done after boot"),
    ("PUT", "/vsock", {}, "cannot be done after boot"),
    ("PUT", "/entropy", {}, "cannot be done after boot"),
    ("PUT", "/balloon", {}, "cannot be done after boot"),
    ("PUT", "/serial", {}, "cannot be done after boot"),
    ("PUT", "/logger", {}, "cannot be done after boot"),
    ("PUT", "/metrics", {}, "cannot be done after boot"),
    ("PUT", "/actions", {"action_type": "InstanceStart"}, "cannot be done after boot"),
    ("PUT", "/actions", {"action_type": "FlushMetrics"}, "no /metrics was given"),
    ("PUT", "/actions", {"action_type": "SendCtrlAltDel"}, "does not listen"),
    ("PATCH", "/vm", {"state": "Stopped"}, "none of Paused, Resumed"),
    ("PATCH", "/vm", {}, "'state' is missing"),
    ("PATCH", "/drives/none", {"drive_id": "none"}, "no drive 'none'"),
    ("PATCH", "/drives/root", {"drive_id": "other"}, "not the path's"),
    ("PATCH", "/drives/root", {"drive_id": "root", "path_on_host": "none"}, "'none'"),
    ("PATCH", "/drives/root", {"drive_id": "root", "path_on_host": "/dev/null"}, "neither a file"),
    ("PATCH", "/drives/root", {"drive_id": "root", "is_read_only": True}, "unknown field"),
    ("PATCH", "/network-interfaces/n", {"iface_id": "n"}, "no network interface 'n'"),
    ("PATCH", "/balloon", {"amount_mib": 1}, "there is no balloon"),
    ("GET", "/balloon/statistics", None, "there is no balloon"),
]


def add_wrong():
    for method, path, body, *says in WRONG_BEFORE:
        what = f"{method} {path} {body if isinstance(body, (str, bytes)) else json.dumps(body)}"

        def row(bench, method=method, path=path, body=body, says=says):
            bench.write("disk", bytes(MIB))
            with Api(bench) as api:
                api.refused(method, path, body, *says)
                check(api.state() == "Not started", "it is not what it was")
        ROWS.row(f"before: refused: {what if len(what) < 75 else what[:72] + '...'}")(row)


add_wrong()


@ROWS.row("after: what is refused, all on one machine that goes on")
def _(bench):
    bench.write("disk", bytes(MIB))
    with Api(bench) as api:
        api.put("/drives/root", {"drive_id": "root", "is_root_device": False,
                                 "path_on_host": "disk"})
        api.start_guest()
        for method, path, body, *says in WRONG_AFTER:
            api.refused(method, path, body, *says)
        check(api.state() == "Running", "it is not what it was")
        api.ask("alive")
        api.end()
