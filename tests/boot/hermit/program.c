/*
 * What a program does by hypercalls: arguments, environment, files. The boot arguments say which:
 * show=1 prints arguments and environment; packed=1 prints /share/data, which must not be writable;
 * files=1 works with /data, which is mapped, and elsewhere; smp=N has N CPUs work with files at
 * once. It ends with status=, or with 1 where something failed.
 */
#include "hermit.h"

#define O_RDONLY    00
#define O_RDWR      02
#define O_CREAT     0100
#define O_TRUNC     01000
#define O_DIRECTORY 0200000

#define ENOENT 2
#define EROFS  30

#define CPU_MAX     8
#define STRINGS_MAX 128
#define ROUNDS      50

static bool is_first_interface;
static unsigned cpus_done;

/* ---- The calls, by CPU, since several make them at once. ---- */

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

struct close_call {
    int32_t fd, ret;
};

struct __attribute__((packed)) unlink_call {
    uint64_t name;
    int32_t ret;
};

struct __attribute__((packed)) seek_1 {
    int32_t fd;
    int64_t offset;
    int32_t whence;
};

struct seek {
    int64_t offset;
    uint32_t whence;
    int32_t fd;
};

static void call(uint16_t port_1, uint16_t port, volatile void *argument)
{
    if (is_first_interface)
        hermit_call_1(port_1, argument);
    else
        hermit_call(port, argument);
}

static int64_t transfer(uint16_t port_1, uint16_t port, int32_t fd, const void *buf, uint64_t len)
{
    volatile struct transfer_1 first = {fd, (uint64_t)buf, len, (int64_t)len};
    volatile struct transfer later = {len, -1, (uint64_t)buf, fd};

    call(port_1, port, is_first_interface ? (volatile void *)&first : &later);
    return is_first_interface ? first.ret : later.ret;
}

static int64_t do_read(int32_t fd, void *buf, uint64_t len)
{
    return transfer(0x500, 0x1130, fd, buf, len);
}

/* Interface 1 does not say how much was written. */
static int64_t do_write(int32_t fd, const void *buf, uint64_t len)
{
    return transfer(0x400, 0x1100, fd, buf, len);
}

static int32_t do_open(const char *name, int32_t flags)
{
    volatile struct open_call c = {(uint64_t)name, flags, 0644, -1};

    call(0x440, 0x1110, &c);
    return c.ret;
}

static int32_t do_close(int32_t fd)
{
    volatile struct close_call c = {fd, -1};

    call(0x480, 0x1120, &c);
    return c.ret;
}

static int32_t do_unlink(const char *name)
{
    volatile struct unlink_call c = {(uint64_t)name, -1};

    call(0x840, 0x1150, &c);
    return c.ret;
}

static int64_t do_seek(int32_t fd, int64_t offset, uint32_t whence)
{
    volatile struct seek_1 first = {fd, offset, (int32_t)whence};
    volatile struct seek later = {offset, whence, fd};

    call(0x580, 0x1140, is_first_interface ? (volatile void *)&first : &later);
    return is_first_interface ? first.offset : later.offset;
}

/* ---- Files. ---- */

static bool same_bytes(const char *a, const char *b, uint64_t len)
{
    while (len > 0 && *a++ == *b++)
        len--;
    return len == 0;
}

static void try_data(void)
{
    static const char text[] = "written by a program\n";
    static char back[sizeof(text)];
    int32_t fd = do_open("/data/out", O_RDWR | O_CREAT | O_TRUNC);

    report_equal((uint64_t)fd, 3, "a file in the mapping is made");
    report_equal((uint64_t)do_write(fd, text, sizeof(text) - 1), sizeof(text) - 1, "and written");
    report_equal((uint64_t)do_seek(fd, 8, 0), 8, "its position moves");
    report_equal((uint64_t)do_read(fd, back, sizeof(back)), sizeof(text) - 1 - 8, "it is read");
    report(same_bytes(back, text + 8, sizeof(text) - 1 - 8), "what was read is what was written");
    report_equal((uint64_t)do_close(fd), 0, "and closed");
    report_equal((uint64_t)(int64_t)do_open("/data/none", O_RDONLY), (uint64_t)-ENOENT,
                 "a file that is not there");
    report_equal((uint64_t)(int64_t)do_open("/data/../etc/passwd", O_RDONLY), (uint64_t)-ENOENT,
                 "nothing of the host is there");
}

static void try_elsewhere(void)
{
    int32_t fd = do_open("/tmp", O_RDONLY | O_DIRECTORY);

    report_equal((uint64_t)(int64_t)fd, (uint64_t)-ENOENT, "a folder that nobody made");
    fd = do_open("scratch", O_RDWR | O_CREAT);
    report(fd >= 3, "a file elsewhere is made");
    do_write(fd, "x", 1);
    do_close(fd);
    fd = do_open("/scratch", O_RDONLY);
    report(fd >= 3, "and found again");
    do_close(fd);
    report_equal((uint64_t)do_unlink("/scratch"), 0, "and removed");
    do_open("/kept", O_RDWR | O_CREAT);
}

/* ---- Several CPUs. ---- */

static bool work(uint64_t cpu)
{
    char name[] = "/cpu0", buf[16];
    bool good = true;

    name[4] = (char)('0' + cpu);
    for (unsigned i = 0; i < ROUNDS; i++) {
        int32_t fd = do_open(name, O_RDWR | O_CREAT | O_TRUNC);

        good = good && fd >= 3;
        do_write(fd, name, sizeof(name));
        good = good && do_seek(fd, 0, 0) == 0;
        good = good && do_read(fd, buf, sizeof(buf)) == sizeof(name);
        good = good && same_bytes(buf, name, sizeof(name));
        good = good && do_close(fd) == 0;
    }
    return good && do_unlink(name) == 0;
}

/* ---- Arguments and environment. ---- */

static void show(const char *what, const char *text)
{
    put_text(what);
    put_text(" [");
    put_text(text);
    put_text("]\n");
}

static void show_strings_1(void)
{
    static struct {
        int32_t argc, argsz[STRINGS_MAX], envc, envsz[STRINGS_MAX];
    } sizes;
    static char text[16384];
    static uint64_t argv[STRINGS_MAX], envp[STRINGS_MAX];
    static struct {
        uint64_t argv, envp;
    } values;
    uint64_t at = (uint64_t)text;

    hermit_call_1(0x740, &sizes);
    for (int32_t i = 0; i < sizes.argc; at += (uint64_t)sizes.argsz[i++])
        argv[i] = at;
    for (int32_t i = 0; i < sizes.envc; at += (uint64_t)sizes.envsz[i++])
        envp[i] = at;
    values.argv = (uint64_t)argv;
    values.envp = (uint64_t)envp;
    hermit_call_1(0x780, &values);
    for (int32_t i = 0; i < sizes.argc; i++)
        show("arg", (const char *)argv[i]);
    for (int32_t i = 0; i < sizes.envc; i++)
        show("env", (const char *)envp[i]);
}

/* ---- All of it. ---- */

static void show_packed(void)
{
    static char text[64];
    int32_t fd = do_open("/share/data", O_RDONLY);
    int64_t len = fd >= 3 ? do_read(fd, text, sizeof(text) - 1) : fd;

    report(len > 0, "what was packed is read");
    show("packed", text);
    report_equal((uint64_t)(int64_t)do_open("/share/data", O_RDWR), (uint64_t)-EROFS,
                 "and cannot be changed");
}

void hermit_main(const struct boot_info *info, uint64_t cpu)
{
    static bool good[CPU_MAX];
    uint64_t smp = bootargs_number(info, "smp");

    is_first_interface = info->serial_port == 0x800;
    if (cpu < smp && cpu < CPU_MAX) {
        good[cpu] = work(cpu);
        __atomic_fetch_add(&cpus_done, 1, __ATOMIC_SEQ_CST);
    }
    if (cpu != 0)
        return;
    if (bootargs_number(info, "show")) {
        show("bootargs", fdt_find(info, "chosen", 0, "bootargs", NULL));
        if (is_first_interface)
            show_strings_1();
    }
    if (bootargs_number(info, "packed"))
        show_packed();
    if (bootargs_number(info, "files")) {
        try_data();
        try_elsewhere();
    }
    for (uint64_t i = 0; i < smp; i++) {
        while (__atomic_load_n(&cpus_done, __ATOMIC_SEQ_CST) < smp)
            __asm__ volatile("pause");
        report(good[i], "a CPU's files are its own");
    }
    if (bootargs_number(info, "status")) {
        static int32_t status;

        status = (int32_t)bootargs_number(info, "status");
        if (is_first_interface)
            hermit_call_1(0x540, &status);
        else
            hermit_call(0x1010, (const void *)(uint64_t)(uint32_t)status);
    }
    report_end();
}
