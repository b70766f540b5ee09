#!/usr/bin/env python3
"""Make the two vmlinux images of the rig out of a bzImage with an LZ4 payload.

unpack_kernel.py BZIMAGE VMLINUX VMLINUX_WITHOUT_PVH

The second is the first with the type of its PVH note changed, so that it can only be booted by
the 64-bit protocol. Field offsets: Documentation/arch/x86/boot.rst; PVH's note: xen/include/
public/elfnote.h (XEN_ELFNOTE_PHYS32_ENTRY is 18).
"""

import struct
import subprocess
import sys

PT_NOTE = 4
NOTE_PVH = 18
NOTE_NOBODY_KNOWS = 0x7FFFFFFF


def payload(bzimage):
    if bzimage[0x202:0x206] != b"HdrS":
        sys.exit("not a bzImage")
    setup_sectors = bzimage[0x1F1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    return bzimage[start : start + length]


def unpack(bzimage):
    # The kernel's build appends the unpacked size, which is no part of the LZ4 stream.
    packed = payload(bzimage)[:-4]
    return subprocess.run(["lz4", "-dcq"], input=packed, stdout=subprocess.PIPE, check=True).stdout


def pvh_note_offset(elf):
    table, = struct.unpack_from("<Q", elf, 32)
    entry_size, count = struct.unpack_from("<HH", elf, 54)
    for i in range(count):
        kind, _, at, _, _, size = struct.unpack_from("<IIQQQQ", elf, table + i * entry_size)
        end = at + size
        while kind == PT_NOTE and at + 12 <= end:
            name_size, text_size, note = struct.unpack_from("<III", elf, at)
            if note == NOTE_PVH and elf[at + 12 : at + 16] == b"Xen\0":
                return at + 8
            at += 12 + (name_size + 3 & ~3) + (text_size + 3 & ~3)
    sys.exit("no PVH note in the kernel")


def main():
    bzimage_path, vmlinux_path, without_path = sys.argv[1:]
    with open(bzimage_path, "rb") as file:
        vmlinux = bytearray(unpack(file.read()))
    with open(vmlinux_path, "wb") as file:
        file.write(vmlinux)
    struct.pack_into("<I", vmlinux, pvh_note_offset(vmlinux), NOTE_NOBODY_KNOWS)
    with open(without_path, "wb") as file:
        file.write(vmlinux)


main()
