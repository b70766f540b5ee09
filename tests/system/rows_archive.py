"""Image archives: opened by a helper that believes nothing, for a caller that does not believe it."""

import gzip
import io
import os
import re
import shutil
import subprocess
import tarfile

from harness import Rows, Skipped, check

ROWS = Rows()
CONFIG = """version = "1"
kernel = "kernel"

[input]
kernel_args = []
app_args = ["one", "two"]
"""


def entry(name, data=b"", kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(data), target
    return info, data


def packed(*entries, form=tarfile.USTAR_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=form) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def an_image(bench, *more, config=CONFIG, name="hermit.toml", **how):
    kernel = bench.built("tests/boot/exit").read_bytes()
    return bench.write("image.tar.gz", packed(entry(name, config.encode()), entry("kernel", kernel),
                                              *more, **how))


EXIT = ("--cmdline", "via=port status=37")  # what the guest of tests/boot/guests/exit.c does


def runs(bench, image):
    ended = bench.run("--kernel", image, *EXIT)
    plain = bench.run("--kernel", bench.built("tests/boot/exit"), *EXIT)
    check((ended.status, ended.out, ended.err) == (plain.status, plain.out, plain.err),
          f"not as the kernel alone, {plain}: {ended}")


@ROWS.row("the kernel in an archive runs as it does alone")
def _(bench):
    runs(bench, an_image(bench))


@ROWS.row("archives of each form of tar, with folders and \"./\" before the names")
def _(bench):
    long = "folder/" + "x" * 200
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        more = [entry("./folder/", kind=tarfile.DIRTYPE), entry("./", kind=tarfile.DIRTYPE),
                entry("folder/data", b"data" * 100_000), entry("folder/empty")]
        if form != tarfile.USTAR_FORMAT:
            more += [entry(long, b"long"), entry("folder/żółw", b"not ASCII")]
        runs(bench, an_image(bench, *more, name="./hermit.toml", form=form))


@ROWS.row("what GNU tar packs")
def _(bench):
    folder = bench.folder / "packed"
    folder.mkdir()
    (folder / "kernel").write_bytes(bench.built("tests/boot/exit").read_bytes())
    (folder / "hermit.toml").write_text(CONFIG)
    (folder / "sparse").write_bytes(b"")
    os.truncate(folder / "sparse", 1 << 20)
    subprocess.run(["tar", "-czSf", "image.tar.gz", "-C", "packed", "."], cwd=bench.folder,
                   check=True)
    runs(bench, bench.folder / "image.tar.gz")


HERMIT = """version = "1"
kernel = "kernel"

[input]
kernel_args = ["show=1"]
app_args = ["one", "two words"]
env_vars = ["A=image", "B=2"]
"""


def a_hermit_image(bench, interface, *more, config=HERMIT):
    kernel = bench.built(f"tests/boot/hermit/hermit_program_{interface}").read_bytes()
    return bench.write("hermit.tar.gz", packed(entry("hermit.toml", config.encode()),
                                               entry("bin/kernel", kernel), *more))


@ROWS.row("a Hermit image: its arguments, variables and files, and the user's last word")
def _(bench):
    config = HERMIT.replace('kernel = "kernel"', 'kernel = "bin/kernel"')
    for interface in (1, 2, 3):
        image = a_hermit_image(bench, interface, config=config)
        ended = bench.run("--kernel", image, "--mem", "64", "-e", "A=user", "--", "three")
        out = ended.out.decode().replace("\r", "")
        check(ended.status == 0, str(ended))
        bootargs = re.search(r"^bootargs \[(.*)\]$", out, re.MULTILINE)[1]
        before, behind = bootargs.split(" -- ")
        check(before.startswith("show=1") and "env=B=2" in before and "env=A=user" in before
              and "A=image" not in before, bootargs)
        check(behind.split() == ["one", "two", "words", "three"] or "two words" in behind, bootargs)
        if interface == 1:
            args = re.findall(r"^arg \[(.*)\]$", out, re.MULTILINE)
            check(args[1:] == ["one", "two words", "three"], out)
            env = re.findall(r"^env \[(.*)\]$", out, re.MULTILINE)
            check(env[:2] == ["A=user", "B=2"], out)


@ROWS.row("a Hermit image: a packed file can be read and not changed; the user's mapping goes first")
def _(bench):
    config = HERMIT.replace('kernel = "kernel"', 'kernel = "bin/kernel"').replace("show=1", "packed=1")
    for interface in (1, 3):
        image = a_hermit_image(bench, interface, entry("share/data", b"packed"), config=config)
        ended = bench.run("--kernel", image, "--mem", "64")
        check(ended.status == 0 and b"packed [packed]" in ended.out, str(ended))
        bench.write("own", b"the user's")
        ended = bench.run("--kernel", image, "--mem", "64", "--map", f"{bench.folder}/own:/share/data:ro")
        check(ended.status == 0 and b"packed [the user's]" in ended.out, str(ended))


@ROWS.row("a Hermit image with more files than can be mapped")
def _(bench):
    config = HERMIT.replace('kernel = "kernel"', 'kernel = "bin/kernel"')
    image = a_hermit_image(bench, 3, *(entry(f"f{i}", b"x") for i in range(70)), config=config)
    refused(bench, image, "more files than can be mapped (64)")


def refused(bench, image, *says, options=()):
    bench.refused("--kernel", image, *options, says=("cannot load kernel", *says))


@ROWS.row("entries that an image must not hold")
def _(bench):
    for bad, says in (
            (entry("link", kind=tarfile.SYMTYPE, target="/etc/passwd"), "'link' in it is neither"),
            (entry("link", kind=tarfile.LNKTYPE, target="kernel"), "'link' in it is neither"),
            (entry("null", kind=tarfile.CHRTYPE), "'null' in it is neither"),
            (entry("pipe", kind=tarfile.FIFOTYPE), "'pipe' in it is neither"),
            (entry("../outside", b"x"), "'../outside' is no path"),
            (entry("a/../../outside", b"x"), "is no path"),
            (entry("/etc/passwd", b"x"), "'/etc/passwd' is no path"),
            (entry("a//b", b"x"), "'a//b' is no path"),
            (entry("..", kind=tarfile.DIRTYPE), "'../' is no path"),
            (entry("a/./b", b"x"), "is no path"),
            (entry("new\nline", b"x"), "is no path"),
            (entry("kernel", b"x"), "'kernel' is in it twice")):
        refused(bench, an_image(bench, bad), says)
    refused(bench, an_image(bench, entry("a/" * 150 + "b", b"x"), form=tarfile.GNU_FORMAT),
            "longer than 255 bytes")


@ROWS.row("archives that are none, or damaged")
def _(bench):
    good = an_image(bench).read_bytes()
    for name, data in (("cut", good[:len(good) // 2]), ("cut-early", good[:30]),
                       ("header-only", good[:4]), ("no-tar", gzip.compress(b"hello" * 1000)),
                       ("damaged", good[:2000] + bytes(64) + good[2064:])):
        refused(bench, bench.write(name, data))
    refused(bench, bench.write("empty", packed()), "there is no hermit.toml")
    refused(bench, bench.write("nothing", gzip.compress(b"")), "cannot be unpacked")


@ROWS.row("a bomb: too many bytes, files, seconds")
def _(bench):
    def zeroes(count):
        with gzip.open(bench.folder / "bomb", "wb", compresslevel=1) as out:
            for name, data in (("hermit.toml", CONFIG.encode()), ("bomb", count)):
                info = tarfile.TarInfo(name)
                info.size = data if isinstance(data, int) else len(data)
                out.write(info.tobuf(tarfile.USTAR_FORMAT))
                if isinstance(data, int):
                    for _ in range(data >> 20):
                        out.write(bytes(1 << 20))
                else:
                    out.write(data.ljust(-(-len(data) // 512) * 512, b"\0"))
        return bench.folder / "bomb"
    refused(bench, zeroes(1100 << 20), "more than 1073741824 bytes")
    many = [entry(f"f{i}") for i in range(4200)]
    refused(bench, bench.write("many", packed(*many)), "more than 4096 files")


@ROWS.row("hermit.toml: what is wrong, with its line")
def _(bench):
    refused(bench, an_image(bench, config="version = \"1\"\nkernell = \"kernel\"\n"),
            "hermit.toml: line 2: there is no key 'kernell'")
    refused(bench, an_image(bench, config=CONFIG.replace('"kernel"', '"no kernel"')),
            "its kernel 'no kernel' is not in the archive")
    refused(bench, an_image(bench, config=CONFIG.replace('"kernel"', '"../kernel"')),
            "line 2: '../kernel' is no path")
    refused(bench, an_image(bench, config=CONFIG + "#" * 70_000), "longer than 65536 bytes")


@ROWS.row("hermit.toml: the machine is to have what the image wants")
def _(bench):
    wants = CONFIG + '[requirements]\nmemory = "96 MiB"\ncpus = 2\n'
    image = an_image(bench, config=wants)
    refused(bench, image, "wants 96 MiB of memory", "--mem", options=("--mem", "64", "--cpus", "2"))
    refused(bench, image, "wants 2 CPUs", "--cpus")
    ended = bench.run("--kernel", image, "--mem", "96", "--cpus", "2", "--check")
    check(ended.status == 0, str(ended))


@ROWS.row("without the helper beside it, that is said")
def _(bench):
    alone = bench.folder / "osvm-vmm"
    alone.write_bytes(open(bench.vmm, "rb").read())
    alone.chmod(0o755)
    ended = subprocess.run([alone, "--kernel", an_image(bench)], capture_output=True, text=True,
                           check=False)
    check(ended.returncode == 125 and "osvm-unpack' is to open: No such file" in ended.stderr,
          str(ended))


@ROWS.row("the helper opens nothing and reaches nobody while it reads the archive")
def _(bench):
    if not shutil.which("strace"):
        raise Skipped("strace is not installed")
    ended = bench.run("--kernel", an_image(bench), *EXIT, before=("strace", "-f", "-o", "trace"))
    check(ended.status == 37, str(ended))
    trace = (bench.folder / "trace").read_text(errors="replace")
    helper = re.search(r"^(\d+) +.*SECCOMP_MODE_FILTER", trace, re.MULTILINE)
    check(helper, "nobody was locked in")
    calls = re.findall(rf"^{helper[1]} +(\w+)\(", trace[helper.end():], re.MULTILINE)
    check("sendmsg" in calls and "memfd_create" in calls, f"not the helper: {calls}")
    allowed = {"read", "write", "lseek", "fstat", "newfstatat", "fcntl", "memfd_create", "sendmsg",
               "close", "brk", "mmap", "munmap", "mremap", "madvise", "getrandom", "futex",
               "clock_gettime", "exit_group"}
    check(set(calls) <= allowed, f"it called {set(calls) - allowed}")
