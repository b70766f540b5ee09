"""Devices whose other end is wrong from the beginning: one clear line, status 125, nothing left.
And those whose other end is hurt while the guest runs: rows_faults.py."""

import os
import socket
import subprocess

from harness import Rows, Skipped, check, in_netns

ROWS = Rows()
MIB = 1 << 20

# option and value, what the message must say
VALUES = [
    (["--net", ""], "--net"),
    (["--net", "tap="], "wants a value"),
    (["--net", "tap=a/b"], "name of an interface"),
    (["--net", "tap=a-name-too-long0"], "name of an interface"),
    (["--net", "tap=osvm-none0"], ("no tap 'osvm-none0'", "ip tuntap add")),
    (["--net", "tap=lo"], ("'lo'", "not a tap")),
    (["--net", "fd=99"], "descriptor 99 is not open"),
    (["--net", "fd=0"], "descriptor 0"),
    (["--net", "fd=x"], "'x'"),
    (["--net", "passt=none/s"], ("no socket 'none/s'", "passt --socket")),
    (["--net", "passt=" + "x" * 200], "longer than"),
    (["--net", "none,mac=02:00:00:00:00:01"], "one of tap="),
    (["--net", "passt,mac=01:00:00:00:00:01"], "01:00:00:00:00:01"),
    (["--net", "passt,mac=02:00"], "'02:00'"),
    (["--net", "passt,mtu=10"], "'10'"),
    (["--net", "passt,rx-rate=0"], "rx-rate"),
    (["--net", "passt,speed=1"], "speed"),
    (["--vsock", "cid=2,path=s"], ("'2'", "3 to")),
    (["--vsock", "cid=0,path=s"], "3 to"),
    (["--vsock", "cid=4294967295,path=s"], "3 to"),
    (["--vsock", "cid=-1,path=s"], "3 to"),
    (["--vsock", "cid=3"], "both are wanted"),
    (["--vsock", "path=s"], "both are wanted"),
    (["--vsock", "cid=3,path=none/s"], "'none/s'"),
    (["--vsock", "cid=3,path=" + "x" * 98], "too long"),
    (["--disk", "path=none"], ("--disk none", "o such file")),
    (["--disk", "path=/"], "--disk /"),
    (["--disk", "path="], "--disk"),
    (["--disk", "size=1M"], "one of path=FILE and scratch=SIZE"),
    (["--disk", "scratch=0"], "'0'"),
    (["--disk", "path=a,scratch=1M"], "--disk"),
    (["--disk", "scratch=1M,cache=fast"], "'fast'"),
    (["--disk", "scratch=1M,iops=0"], "iops"),
    (["--disk", "scratch=1M,serial=" + "x" * 21], "serial"),
    (["--share", "src"], "TAG=DIR"),
    (["--share", "=/"], "TAG=DIR"),
    (["--share", "src=none"], ("--share src=none", "no such folder")),
    (["--share", "src=/,rw"], "',rw'"),
    (["--share", "x" * 37 + "=/"], "--share"),
    (["--balloon=size=lots"], "'lots'"),
    (["--balloon=size=1T"], "--balloon"),
    (["--balloon=stats=0"], "stats"),
    (["--transport", "isa"], "'isa'"),
]


def add_values():
    for words, says in VALUES:
        name = " ".join(words)
        ROWS.row(f"refused: {name if len(name) < 60 else name[:57] + '...'}")(
            lambda bench, words=words, says=says: bench.refused(*words, says=says))


add_values()


# What a user without rights finds who may use KVM and taps.
DEV = ("mkdir /dev/net && mknod -m 666 /dev/kvm c 10 232 && mknod -m 666 /dev/net/tun c 10 200 && "
       "mknod -m 666 /dev/null c 1 3")


def as_user(bench):
    return [*bench.with_dev(DEV), *bench.as_nobody()]


@ROWS.row("disk: what is no disk, and what may not be written")
def _(bench):
    bench.refused("--disk", f"path={bench.write('odd', b'x' * 1000)}", says="multiple of 512")
    bench.refused("--disk", f"path={bench.write('empty', b'')}", says="empty")
    os.mkfifo(bench.folder / "pipe")
    bench.refused("--disk", "path=pipe", says="pipe")
    disk = bench.write("disk", bytes(MIB))
    disk.chmod(0o444)
    bench.refused("--disk", "path=disk", says=("--disk disk", "ermi"), before=as_user(bench))
    ended = bench.run("--disk", "path=disk,ro", before=as_user(bench))
    check(ended.status == 0, str(ended))


@ROWS.row("disk: one that another machine has; readers share it")
def _(bench):
    bench.write("disk", bytes(MIB))
    with bench.start("--kernel", bench.guest("sleep"), "--disk", "path=disk") as vmm:
        vmm.await_output(b"READY\n")
        for value in ("path=disk", "path=disk,ro"):
            bench.refused("--disk", value, says=("--disk disk", "another"))
    bench.refused("--disk", "path=disk", "--disk", "path=disk", says="another")
    with bench.start("--kernel", bench.guest("sleep"), "--disk", "path=disk,ro") as vmm:
        vmm.await_output(b"READY\n")
        check(bench.run("--disk", "path=disk,ro").status == 0, "two readers")
        bench.refused("--disk", "path=disk", says="another")


@ROWS.row("vsock: a socket in use stays, one left behind is replaced, a file stays")
def _(bench):
    path = bench.folder / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        bench.refused("--vsock", "cid=3,path=s", says=("'s'", "in use"))
    check(bench.run("--vsock", "cid=3,path=s").status == 0, "the stale one was not replaced")
    check(not path.exists(), "the socket is left behind")
    bench.write("f", "precious")
    bench.refused("--vsock", "cid=3,path=f", says="not a socket")
    check((bench.folder / "f").read_text() == "precious", "the file was changed")


@ROWS.row("share: a file, and what may not be read")
def _(bench):
    bench.refused("--share", f"src={bench.write('file', 'x')}", says="--share")
    secret = bench.folder / "secret"
    secret.mkdir(mode=0o700)
    bench.refused("--share", f"src={secret}/in", says="--share")
    bench.refused("--share", f"src={secret}/in", says="no right", before=as_user(bench))


@ROWS.row("tap: another user's, and one in use")
def _(bench):
    with in_netns("ip tuntap add tap0 mode tap user 0 vnet_hdr && ip link set tap0 up") as inside:
        bench.refused("--net", "tap=tap0", says=("not permitted", "another user's", "ip tuntap add"),
                      before=[*inside, *as_user(bench)])
        bench.refused("--net", "tap=none", says=("no tap 'none'", "ip tuntap add"),
                      before=[*inside, *as_user(bench)])
        with bench.start("--kernel", bench.guest("sleep"), "--net", "tap=tap0",
                         before=inside) as vmm:
            vmm.await_output(b"READY\n")
            bench.refused("--net", "tap=tap0", says="in use", before=inside)


@ROWS.row("passt: not installed, and one that is gone")
def _(bench):
    bench.refused("--net", "passt", says=("no program 'passt'", "apt-get install passt"),
                  env={**os.environ, "PATH": str(bench.folder)})
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(bench.folder / "s"))
    bench.refused("--net", "passt=s", says=("nobody listens", "'s'"))


@ROWS.row("no /dev/net/tun")
def _(bench):
    try:
        subprocess.run(["ip", "netns", "list"], check=True, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        raise Skipped("no iproute2 here") from None
    with in_netns("ip tuntap add tap0 mode tap") as inside:
        bench.refused("--net", "tap=tap0", says=("/dev/net/tun", "modprobe tun"),
                      before=[*inside, *bench.with_dev("mknod -m 666 /dev/kvm c 10 232")])
