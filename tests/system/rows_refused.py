"""Bad input: one clear line, status 125, nothing left behind."""

import os
import socket

from harness import Rows, Skipped, check
from images import CODE, EM_AARCH64, elf64, multiboot, needed_size, pvh, segment

ROWS = Rows()
MIB = 1 << 20
TOP = 1 << 64

# name, the image's bytes, what the message must say, more options
IMAGES = [
    ("empty", b"", "is empty"),
    ("text", b"#!/bin/sh\nexit 0\n" * 100, "not an ELF file, a bzImage or a Multiboot image"),
    ("zeroes", bytes(65536), "not an ELF file, a bzImage or a Multiboot image"),
    ("another architecture", elf64([segment(MIB)], MIB, machine=EM_AARCH64), "AArch64"),
    ("an object file", elf64([segment(MIB)], MIB, kind=1), "object"),
    ("a core dump", elf64([segment(MIB)], MIB, kind=4), "core"),
    ("no segments", elf64([], MIB), "nothing to load"),
    ("segment above memory", pvh([segment(1 << 32)], 1 << 31), "memory"),
    ("segment in the device hole", elf64([segment(3 << 30)], 3 << 30), "outside memory",
     "--mem", "5G"),
    ("segment half outside memory", elf64([segment(256 * MIB - 16)], 256 * MIB - 16),
     "outside memory"),
    ("segment's zeroes outside memory", elf64([segment(MIB, memsz=1 << 40)], MIB),
     "outside memory"),
    ("segment over the tables of ACPI", elf64([segment(0xE0000)], 0xE0000), "reserved"),
    ("segments overlap", elf64([segment(MIB), segment(MIB + 32)], MIB), "overlaps"),
    ("segments overlap by zeroes",
     elf64([segment(MIB, memsz=0x10000), segment(MIB + 0xFFFF)], MIB), "overlaps"),
    ("segment wraps in the address space", elf64([segment(TOP - 16)], MIB), "wraps"),
    ("segment's zeroes wrap", elf64([segment(MIB, memsz=TOP - MIB)], MIB), ("segment",)),
    ("segment's offset wraps", elf64([segment(MIB, offset=TOP - 16)], MIB), "truncated"),
    ("segment behind the file's end", elf64([segment(MIB, offset=1 << 40)], MIB), "truncated"),
    ("file size over memory size", elf64([segment(MIB, memsz=8)], MIB), "more bytes in the file"),
    ("entry outside", elf64([segment(MIB)], 2 * MIB), "entry point"),
    ("entry at the first byte behind", elf64([segment(MIB)], MIB + len(CODE)), "entry point"),
    ("PVH entry outside", pvh([segment(MIB)], 2 * MIB), "entry point"),
    ("Multiboot entry outside", multiboot(MIB, MIB + 256, 0, 8 * MIB), "entry point"),
    ("Multiboot end below start", multiboot(MIB, MIB - 1, 0, MIB), "load end"),
    ("Multiboot zeroes below end", multiboot(MIB, MIB + 256, MIB + 1, MIB), "bss end"),
    ("Multiboot load outside memory", multiboot(1 << 30, (1 << 30) + 256, 0, 1 << 30),
     "outside memory"),
    ("Multiboot longer than the file", multiboot(MIB, 16 * MIB, 0, MIB), "truncated"),
    ("memory too small for the image", elf64([segment(16 * MIB)], 16 * MIB), "outside memory",
     "--mem", "8"),
]


def add_images():
    for name, image, says, *options in IMAGES:
        def row(bench, image=image, says=says, options=options):
            bench.refused("--kernel", bench.write("bad", image), *options, says=says)

        ROWS.row(f"kernel: {name}")(row)


add_images()


def cut_points(size):
    """Twenty cuts of `size` bytes, the ends among them, and some where headers begin and end."""
    even = [size * i // 18 for i in range(19)]
    return sorted({*even, 1, 63, 64, 511, 0x1F1, 0x202, size - 1} - {size})


def refuse_truncated(bench, image, size):
    for cut in cut_points(size):
        path = bench.write("cut", image[:cut])
        bench.refused("--kernel", path, says="cannot load kernel")


@ROWS.row("kernel truncated anywhere: PVH ELF")
def _(bench):
    image = bench.built("unikernel/hello").read_bytes()
    refuse_truncated(bench, image, needed_size(image))


def packaged(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise Skipped(f"no {path} here (packages: tools/packages-test)") from None


@ROWS.row("kernel truncated anywhere: bzImage")
def _(bench):
    image = packaged("/boot/memtest86+x64.bin")
    setup = (image[0x1F1] or 4) + 1
    paragraphs = int.from_bytes(image[0x1F4:0x1F8], "little")  # rounded up
    refuse_truncated(bench, image, setup * 512 + paragraphs * 16 - 15)


@ROWS.row("kernel truncated anywhere: Multiboot")
def _(bench):
    image = packaged("/boot/invaders.exec")
    at = image.index(b"\x02\xb0\xad\x1b")
    header, load, end = (int.from_bytes(image[at + i : at + i + 4], "little") for i in (12, 16, 20))
    refuse_truncated(bench, image, end - load + at - (header - load))


@ROWS.row("kernel missing")
def _(bench):
    bench.refused("--kernel", "no-such-file", says=("'no-such-file'", "no such file"))


@ROWS.row("kernel is a directory")
def _(bench):
    bench.refused("--kernel", "/", says="directory")


@ROWS.row("kernel is a pipe")
def _(bench):
    os.mkfifo(bench.folder / "pipe")
    bench.refused("--kernel", "pipe", says="not a regular file")


@ROWS.row("kernel is a device")
def _(bench):
    bench.refused("--kernel", "/dev/zero", says="not a regular file")


@ROWS.row("kernel may not be read")
def _(bench):
    path = bench.write("secret", CODE)
    path.chmod(0)
    bench.refused("--kernel", path, says="Permission denied", before=bench.as_nobody())


@ROWS.row("initrd: missing, directory, empty")
def _(bench):
    bench.refused("--initrd", "none", says=("initrd 'none'", "no such file"))
    bench.refused("--initrd", ".", says="directory")
    bench.refused("--initrd", bench.write("empty", b""), says="is empty")


@ROWS.row("initrd too large for memory")
def _(bench):
    path = bench.write("large", b"")
    os.truncate(path, 65 * MIB)
    bench.refused("--initrd", path, "--mem", "64", says=("initrd", "does not fit"))
    os.truncate(path, 1 << 40)
    bench.refused("--initrd", path, "--mem", "64", says=("initrd", "does not fit"))


@ROWS.row("modules: missing, too many, for Linux")
def _(bench):
    one = bench.write("one", b"1")
    bench.refused("--module", "none,a b", says=("module 'none'", "no such file"))
    bench.refused(*["--module", one] * 65, says="modules")
    bench.refused("--kernel", bench.write("linux", elf64([segment(16 * MIB)], 16 * MIB)),
                  "--module", one, says="module")


@ROWS.row("command line too long")
def _(bench):
    bench.refused("--cmdline", "x" * 100000, says=("command line", "too long", "100000"))
    image = packaged("/boot/memtest86+x64.bin")
    limit = int.from_bytes(image[0x238:0x23C], "little")
    bench.refused("--kernel", bench.write("bz", image), "--cmdline", "x" * (limit + 1),
                  says=("too long", str(limit)))


# The words of the command line, what the message must say.
WORDS = [
    ("memory 0", ["--mem", "0"], "--mem"),
    ("memory too small", ["--mem", "1"], "--mem"),
    ("memory not a number", ["--mem", "lots"], ("--mem", "lots")),
    ("memory empty", ["--mem", ""], "--mem"),
    ("memory negative", ["--mem", "-256"], "--mem"),
    ("memory with a wrong unit", ["--mem", "256X"], "--mem"),
    ("memory with a fraction", ["--mem", "1.5G"], "--mem"),
    ("memory beyond 64 bits", ["--mem", "99999999999999999999"], "--mem"),
    ("memory beyond 64 bits by its unit", ["--mem", "16777216T"], "--mem"),
    ("memory more than the host has", ["--mem", "1024T"], "more than this host"),
    ("memory of half a page", ["--mem", "4097K"], "multiple"),
    ("cpus 0", ["--cpus", "0"], "--cpus"),
    ("cpus not a number", ["--cpus", "two"], ("--cpus", "two")),
    ("cpus negative", ["--cpus", "-1"], "--cpus"),
    ("cpus empty", ["--cpus", ""], "--cpus"),
    ("cpus with a tail", ["--cpus", "2x"], "--cpus"),
    ("cpus over KVM's limit", ["--cpus", "5000"], ("--cpus", "at most")),
    ("cpus beyond 16 bits", ["--cpus", "65536"], "--cpus"),
    ("cpus beyond 64 bits", ["--cpus", "18446744073709551617"], "--cpus"),
    ("unknown option", ["--kernle", "x"], "'--kernle'"),
    ("unknown short option", ["-x"], "'-x'"),
    ("unknown option with a value", ["--frobnicate=1"], "'--frobnicate'"),
    ("abbreviated option", ["--kern", "x"], "'--kern'"),
    ("no option at all", ["bzImage"], ("'bzImage'", "--kernel")),
    ("an argument for a program", ["--", "x"], ("'x'", "Hermit image")),
    ("repeated option", ["--mem", "64", "--mem", "64"], ("'--mem'", "twice")),
    ("repeated flag", ["--check", "--check"], ("'--check'", "twice")),
    ("repeated in two forms", ["--cpus=1", "--cpus", "1"], ("'--cpus'", "twice")),
    ("value is missing", ["--kernel"], ("'--kernel'", "value")),
    ("value for a flag", ["--prefault=yes"], ("'--prefault'", "no value")),
    ("kernel's name is empty", ["--kernel", ""], ("--kernel", "empty")),
    ("console of no kind", ["--console", "tty"], ("--console", "'tty'")),
    ("console file without a name", ["--console", "file="], ("--console", "empty")),
    ("console file in no folder", ["--console", "file=none/there"], ("'none/there'", "No such")),
    ("console file is a folder", ["--console", "file=/"], "'/'"),
    ("console socket in no folder", ["--console", "socket=none/s"], "'none/s'"),
    ("console socket's name too long", ["--console", "socket=" + "x" * 200], "longer than"),
    ("debug exit port taken", ["--debug-exit=0x3f8"], ("0x3f8", "taken")),
    ("debug exit port taken by its end", ["--debug-exit=0x5d"], "taken"),
    ("debug exit port not a port", ["--debug-exit=0x10000"], "0x10000"),
    ("log in no folder", ["--log", "none/log"], ("'none/log'", "No such")),
    ("log level of no kind", ["--log-level", "loud"], ("--log-level", "'loud'")),
    ("exit record in no folder", ["--exit-record", "none/r"], ("'none/r'", "No such")),
    ("exit record is a folder", ["--exit-record", "/"], "'/'"),
]


def add_words():
    for name, words, says in WORDS:
        ROWS.row(f"options: {name}")(
            lambda bench, words=words, says=says: bench.refused(*words, says=says))


add_words()


@ROWS.row("console socket: a live one, and a file that is none")
def _(bench):
    path = bench.folder / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        bench.refused("--console", "socket=s", says=("'s'", "another process"))
        check(path.is_socket(), "the other's socket is gone")
    bench.write("f", "precious")
    bench.refused("--console", "socket=f", says=("'f'", "no socket"))
    check((bench.folder / "f").read_text() == "precious", "the file was changed")


# name, the file, the line that must be named, what the message must say besides
CONFIGS = [
    ("empty", "", 0, ""),
    ("not JSON", '{\n  "mem": 64,\n  cpus: 2\n}', 3, "JSON"),
    ("no comma", '{\n  "mem": 64\n  "cpus": 2\n}', 3, "JSON"),
    ("not closed", '{\n  "mem": 64', 2, "JSON"),
    ("something behind it", '{ "mem": 64 }\n{ "cpus": 2 }', 2, "JSON"),
    ("a list", '[ "mem" ]', 1, "object"),
    ("a number", "64", 1, ""),
    ("unknown key", '{\n  "mem": 64,\n\n  "memry": 64\n}', 4, '"memry"'),
    ("unknown key behind strings", '{\n"cmdline": "a \\"{,\\n b", "kernel":\n"x",\n"oops":1}', 4,
     '"oops"'),
    ("duplicate key", '{\n  "mem": 64,\n  "mem": 64\n}', 3, "mem"),
    ("true for a size", '{\n  "mem": true\n}', 2, "mem"),
    ("null", '{\n  "mem": null\n}', 2, "mem"),
    ("a fraction", '{\n  "mem": 64.5\n}', 2, "mem"),
    ("a list for one value", '{\n  "kernel": ["a"]\n}', 2, "kernel"),
    ("an object for a value", '{\n  "kernel": {"file": "a"}\n}', 2, "kernel"),
    ("a string for a flag", '{\n  "prefault": "yes"\n}', 2, "prefault"),
    ("a list in a list", '{\n  "module": [["a"]]\n}', 2, "module"),
    ("a zero in a string", '{\n  "kernel": "a\\u0000b"\n}', 2, ""),
    ("a negative number", '{\n  "cpus": -1\n}', 2, "cpus"),
    ("a number beyond 64 bits", '{\n  "cpus": 99999999999999999999\n}', 2, ""),
    ("cpus 0", '{\n "mem": 64,\n "cpus": 0 }', 3, "cpus"),
    ("a config in it", '{\n  "config": "other"\n}', 2, "config"),
    ("check in it", '{\n  "check": true\n}', 2, "check"),
    ("not UTF-8", b'{\n  "kernel": "\xff"\n}', 2, ""),
    ("very deep", "[" * 100000, 1, ""),
]


def add_configs():
    for name, text, line, says in CONFIGS:
        def row(bench, text=text, line=line, says=says):
            path = bench.write("vm.json", text)
            bench.refused("--config", path, says=(f"vm.json:{line or ''}", says))

        ROWS.row(f"config: {name}")(row)


add_configs()


@ROWS.row("config: missing, a folder, too large")
def _(bench):
    bench.refused("--config", "none.json", says=("'none.json'", "No such"))
    bench.refused("--config", ".", says="'.'")
    bench.refused("--config", bench.write("big.json", " " * (8 << 20)), says="'")
    bench.refused("--config", bench.write("a.json", "{}"), "--config", "a.json", says="twice")


@ROWS.row("config: what it names is looked at like the options")
def _(bench):
    bench.refused("--config", bench.write("a.json", '{"kernel": "none"}'), says="'none'")
    bench.refused("--config", bench.write("b.json", '{"mem": "1024T"}'), says="this host")


@ROWS.row("no /dev/kvm")
def _(bench):
    bench.refused(before=bench.with_dev("true"), says=("/dev/kvm", "not there", "kvm_intel"))


@ROWS.row("no right to /dev/kvm")
def _(bench):
    make = "mknod -m 600 /dev/kvm c 10 232"
    bench.refused(before=[*bench.with_dev(make), *bench.as_nobody()],
                  says=("no right", "usermod -aG kvm"))


@ROWS.row("/dev/kvm is something else")
def _(bench):
    bench.refused(before=bench.with_dev("mknod -m 666 /dev/kvm c 1 3"), says="KVM")


@ROWS.row("refused with an exit record: it says why")
def _(bench):
    ended = bench.run("--exit-record", "record", "--kernel", "none")
    check(ended.status == 125, str(ended))
    record = bench.record()
    check((record["reason"], record["status"]) == ("refused", 125), str(record))
    check("none" in record["message"] and record["message"] in ended.err, str(record))


@ROWS.row("refused with a log: the line is there and not on standard error")
def _(bench):
    ended = bench.run("--log", "log", "--kernel", "none")
    check(ended.status == 125 and ended.err == "", str(ended))
    check("'none'" in (bench.folder / "log").read_text(), "the log does not say it")


@ROWS.row("refused late leaves no socket and no file")
def _(bench):
    bench.refused("--console", "socket=s", "--kernel",
                  bench.write("bad", elf64([segment(MIB)], 2 * MIB)), says="entry point")
    bench.refused("--console", "file=f", "--kernel", "bad", says="entry point")
