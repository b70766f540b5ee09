"""Packaged kernels that nobody here wrote, on a KVM that emulates ring 0 (tests/linux has more)."""

import os
import signal

from harness import Failed, Rows, Skipped, await_condition, check

ROWS = Rows()
TEXT_MEMORY = 0xB8000
TEXT_SIZE = 80 * 25 * 2


def guest_memory(pid):
    """The descriptor of the memory file of a running machine."""
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        try:
            if os.readlink(f"{folder}/{name}").startswith("/memfd:"):
                return os.open(f"{folder}/{name}", os.O_RDONLY)
        except FileNotFoundError:
            continue
    return None


@ROWS.row("grub-invaders (Multiboot) draws its screen")
def _(bench):
    image = "/boot/invaders.exec"
    if not os.path.exists(image):
        raise Skipped(f"no {image} here (package grub-invaders)")
    with bench.start("--kernel", image, "--exit-record", "record") as vmm:
        memory = None

        def opened():
            nonlocal memory
            memory = memory or guest_memory(vmm.vm_pid())
            return memory is not None

        await_condition(opened, "guest memory")

        def screen():
            return os.pread(memory, TEXT_SIZE, TEXT_MEMORY)

        def drawn():
            if vmm.popen.poll() is not None:
                raise Failed(f"it ended: {vmm.end()}")
            return sum(1 for byte in screen()[::2] if byte not in (0, 0x20)) > 20

        try:
            await_condition(drawn, "something drawn at 0xb8000")
            first = screen()
            await_condition(lambda: vmm.popen.poll() is not None or screen() != first,
                            "something that moves")
        finally:
            os.close(memory)
        check(vmm.popen.poll() is None, "it ended by itself")
        vmm.signal(signal.SIGTERM)
        ended = vmm.end(5)
        check(ended.status == 143 and ended.err == "", str(ended))
        check(bench.record()["reason"] == "signal", str(bench.record()))
