"""Kernel images with one thing wrong each."""

import struct

EM_386, EM_X86_64, EM_AARCH64 = 3, 62, 183
PT_LOAD, PT_NOTE = 1, 4
PAGE = 0x1000

# xor %eax,%eax; hlt: enough for a kernel that is never to run.
CODE = b"\x31\xc0\xf4" + b"\x90" * 61


def pvh_note(entry):
    return struct.pack("<III4sI", 4, 4, 18, b"Xen\0", entry)


def segment(paddr, data=CODE, kind=PT_LOAD, filesz=None, memsz=None, offset=None):
    filesz = len(data) if filesz is None else filesz
    return {"paddr": paddr, "data": data, "kind": kind, "filesz": filesz, "offset": offset,
            "memsz": filesz if memsz is None else memsz}


def elf64(segments, entry, machine=EM_X86_64, kind=2):
    """An ELF64 file; each segment's bytes begin on a page of the file, unless it says where."""
    headers, body = b"", b""
    for part in segments:
        offset = PAGE + len(body) if part["offset"] is None else part["offset"]
        headers += struct.pack("<IIQQQQQQ", part["kind"], 7, offset, part["paddr"], part["paddr"],
                               part["filesz"], part["memsz"], 1)
        body += part["data"] + b"\0" * (-len(part["data"]) % PAGE)
    start = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", kind, machine, 1, entry, 64,
                        0, 0, 64, 56, len(segments), 0, 0, 0)
    return (start + headers).ljust(PAGE, b"\0") + body


def pvh(segments, entry):
    """The same, with a PVH note."""
    return elf64([*segments, segment(0, pvh_note(entry), PT_NOTE)], entry)


def multiboot(load, end, bss_end, entry, header_at=None):
    """A Multiboot 1 image by address fields."""
    magic, flags = 0x1BADB002, 0x10000
    return struct.pack("<IIIIIIII", magic, flags, -(magic + flags) & 0xFFFFFFFF,
                       load if header_at is None else header_at, load, end, bss_end,
                       entry) + CODE.ljust(PAGE, b"\0")


def needed_size(image):
    """The bytes of an ELF64 file that its segments need; what is behind them may be cut off."""
    table, = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    ends = []
    for i in range(count):
        kind, _, offset, _, _, filesz = struct.unpack_from("<IIQQQQ", image, table + i * size)
        if kind == PT_LOAD:
            ends.append(offset + filesz)
    return max(ends)
