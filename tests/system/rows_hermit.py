"""Hermit images: what is refused, in one clear line, and where their memory begins."""

import re
import struct

from harness import Rows, check
from images import EM_X86_64, PT_NOTE, elf64, segment
from rows_refused import refuse_truncated

ROWS = Rows()
MIB, GIB = 1 << 20, 1 << 30
PT_DYNAMIC = 2
DT_NEEDED, DT_RELA, DT_RELASZ = 1, 7, 8
ET_EXEC, ET_DYN = 2, 3


def note(name, kind, desc):
    raw = name.encode() + b"\0"
    return (struct.pack("<III", len(raw), len(desc), kind) + raw + b"\0" * (-len(raw) % 4)
            + desc + b"\0" * (-len(desc) % 4))


def hermit(entry=4, interface=None, dynamic=(), relocations=b"", kind=ET_DYN):
    """An image of one page of code, one of data and what is asked for."""
    notes = note("HERMIT", 0x5A00, bytes([entry]))
    if interface is not None:
        notes += note("UHYVEIF", 0x5B00, struct.pack(">I", interface))
    base = 8 * MIB if kind == ET_EXEC else 0
    data = relocations.ljust(4096, b"\0")
    parts = [segment(base), segment(base + 4096, data), segment(0, notes, PT_NOTE)]
    if dynamic:
        raw = b"".join(struct.pack("<qQ", *entry) for entry in [*dynamic, (0, 0)])
        parts.append(segment(base + 4096, raw, PT_DYNAMIC))
    return elf64(parts, base, EM_X86_64, kind)


def relocated(number):
    """One relocation of this type."""
    return hermit(dynamic=[(DT_RELA, 4096), (DT_RELASZ, 24)],
                  relocations=struct.pack("<QQq", 4096 + 64, number, 0))


# name, the image, what the message must say, more options
IMAGES = [
    ("an older entry version", hermit(entry=3), ("entry version 3", "build it with a newer")),
    ("a newer entry version", hermit(entry=5), ("entry version 5", "build it with an older")),
    ("an unknown interface", hermit(interface=4), ("interface 4", "1 to 3 are known")),
    ("a shared library is wanted", hermit(dynamic=[(DT_NEEDED, 1)]),
     ("DT_NEEDED", "link it statically")),
    ("a relocation of an unknown type", relocated(7), "R_X86_64_JUMP_SLOT"),
    ("a symbol that is not there", relocated(1 << 32 | 6), "symbol 1"),
    ("memory too small", hermit(kind=ET_EXEC), "needs 9 MiB of it, the machine has 4 MiB",
     "--mem", "4"),
    ("memory at no multiple of 2 MiB", hermit(), "not a multiple of 2 MiB", "--aslr", "0x100000"),
    ("memory too high for interface 1", hermit(), "at 0xbfe00000 at most", "--aslr", 1 << 32),
    ("memory too high for interface 3", hermit(interface=3), "at 0x1000000000 at most",
     "--aslr", "0x1000200000"),
    ("memory in the hole", hermit(interface=3), "is the devices'", "--aslr", "0xe0000000"),
    ("memory elsewhere for a fixed image", hermit(kind=ET_EXEC), "linked to fixed addresses",
     "--aslr", "0x200000"),
    ("--aslr with another word", hermit(), "'yes' is none of on, off and an address",
     "--aslr", "yes"),
    ("a command line that is too long", hermit(), "does not fit into the 16 KiB",
     "--cmdline", "x" * 16384),
]


def add_images():
    for name, image, says, *options in IMAGES:
        def row(bench, image=image, says=says, options=options):
            bench.refused("--kernel", bench.write("bad", image), *options, says=says)

        ROWS.row(name)(row)


add_images()


@ROWS.row("truncated anywhere")
def _(bench):
    image = hermit(interface=2)
    # What lies behind the notes of the last page is not read.
    refuse_truncated(bench, image, len(image) - 4096 + 48)


@ROWS.row("a module")
def _(bench):
    image = bench.write("image", hermit())
    bench.refused("--kernel", image, "--module", image, says="a module needs a PVH or Multiboot")


@ROWS.row("more devices than there is room for")
def _(bench):
    image = bench.write("image", hermit())
    disks = [word for _ in range(7) for word in ("--disk", "scratch=1M")]
    bench.refused("--kernel", image, *disks, says=("disk6", "6 devices at most"))


@ROWS.row("--aslr for another kernel")
def _(bench):
    bench.refused("--aslr", "0x200000", says="only the memory of a Hermit image")


def base_of(bench, image, *options):
    """Where --check says that memory begins, bytes."""
    ended = bench.run("--kernel", image, "--check", *options)
    found = re.search(rb"^hermit: .*interface (\d), memory begins at 0x([0-9a-f]+)", ended.out, re.M)
    check(ended.status == 0 and found, str(ended))
    return int(found.group(2), 16)


@ROWS.row("memory begins elsewhere each time")
def _(bench):
    for interface, low, high in ((1, 0, 3 * GIB - 2 * MIB), (2, 4 * GIB, 64 * GIB),
                                 (3, 4 * GIB, 64 * GIB)):
        image = bench.write(f"image{interface}", hermit(interface=interface))
        bases = {base_of(bench, image) for _ in range(12)}
        check(len(bases) > 6, f"interface {interface}: {bases}")
        check(all(low <= base <= high and base % (2 * MIB) == 0 for base in bases),
              f"interface {interface}: {bases}")


@ROWS.row("memory begins where it is said, or always does")
def _(bench):
    image = bench.write("image", hermit(interface=3))
    check(base_of(bench, image, "--aslr", "off") == 4 * GIB, "--aslr off")
    check(base_of(bench, image, "--aslr", "0xfc0000000") == 63 * GIB, "--aslr ADDRESS")
    fixed = bench.write("fixed", hermit(kind=ET_EXEC))
    check(base_of(bench, fixed) == 0, "fixed addresses")
