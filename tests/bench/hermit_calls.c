/*
 * A Hermit image that times its hypercalls by the osvm port: one line each, "NAME COUNT US", where
 * COUNT is of calls or, for files, of bytes. The mapping /data is where its file is.
 */
#include "../boot/hermit/hermit.h"

#define PORT_OSVM_NOW 0x70c
#define CALLS         5000
#define CHUNK         (64 * 1024)
#define FILE_SIZE     (16 * 1024 * 1024)

#define O_RDWR  02
#define O_CREAT 0100

static bool is_first_interface;

struct __attribute__((packed)) transfer_1 {
    int32_t fd;
    uint64_t buf, len;
    int64_t ret;
};

struct transfer {
    uint64_t len;
    int64_t ret;
    uint64_t buf;
    int32_t fd;
};

struct open_call {
    uint64_t name;
    int32_t flags, mode, ret;
};

static void tell(const char *name, uint64_t count, uint32_t us)
{
    put_text(name);
    put_text(" ");
    put_decimal(count);
    put_text(" ");
    put_decimal(us);
    put_text("\n");
}

/* The same three instructions that the floor has. */
static void time_calls(const char *name, uint16_t port, const void *argument)
{
    uint32_t start = in32(PORT_OSVM_NOW), count = CALLS;

    __asm__ volatile("1: outl %%eax, %%dx\n dec %%ecx\n jnz 1b"
                     : "+c"(count)
                     : "a"((uint32_t)(uint64_t)argument), "d"(port), "D"(argument)
                     : "memory", "cc");
    tell(name, CALLS, in32(PORT_OSVM_NOW) - start);
}

static int32_t open_file(const char *name)
{
    volatile struct open_call c = {(uint64_t)name, O_RDWR | O_CREAT, 0644, -1};

    if (is_first_interface)
        hermit_call_1(0x440, &c);
    else
        hermit_call(0x1110, &c);
    return c.ret;
}

static void time_file(const char *name, bool write)
{
    static uint8_t data[CHUNK] __attribute__((aligned(4096)));
    volatile struct transfer_1 first = {open_file("/data/file"), (uint64_t)data, CHUNK, 0};
    volatile struct transfer later = {CHUNK, 0, (uint64_t)data, first.fd};
    uint32_t start = in32(PORT_OSVM_NOW);

    for (unsigned i = 0; i < FILE_SIZE / CHUNK; i++) {
        if (is_first_interface)
            hermit_call_1(write ? 0x400 : 0x500, &first);
        else
            hermit_call(write ? 0x1100 : 0x1130, &later);
    }
    tell(name, FILE_SIZE, in32(PORT_OSVM_NOW) - start);
}

void hermit_main(const struct boot_info *info, uint64_t cpu)
{
    static int32_t no_file[2] = {-1, 0};
    static uint64_t nothing[2];

    if (cpu != 0)
        return;
    is_first_interface = info->serial_port == 0x800;
    time_calls("close", is_first_interface ? 0x480 : 0x1120, no_file);
    time_calls("console", is_first_interface ? 0x880 : 0x1030, nothing);
    time_file("write", true);
    time_file("read", false);
    hermit_end(0);
}
