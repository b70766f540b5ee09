/* hermit/hermit.h: each call of each interface, its errors, and pointers that lead nowhere. */
#include <dirent.h>

#include "hermit_fixture.h"

/* ---- Console and exit. ---- */

static void console_byte(struct fixture *f)
{
    uint16_t port = f->interface == 1 ? 0x800 : 0x1020;

    assert_true(make_call(f, port, 'h'));
    assert_true(make_call(f, port, 0xffffff00 | 'i')); /* AL alone counts */
    assert_true(printed_is(f, "hi"));
}

static void console_bytes(struct fixture *f)
{
    struct hypercall_out out = {.port = 0x800, .size = 1, .count = 5, .data = "hello"};
    struct hypercall_sink *sink = hermit_calls_sink(f->calls);

    assert_true(sink->out(sink, &f->cpu, &out));
    assert_true(printed_is(f, "hello"));
}

static void console_buffer_at(struct fixture *f, uint64_t gpa, uint64_t len)
{
    struct call_struct s = new_struct();
    bool one = f->interface == 1;

    field_64(&s, one ? 0 : 8, gpa);
    field_64(&s, one ? 8 : 0, len);
    call_with(f, one ? 0x880 : 0x1030, &s);
}

static void console_buffer(struct fixture *f)
{
    put_data(f, DATA_GPA, "a line\n");
    console_buffer_at(f, DATA_GPA, 7);
    console_buffer_at(f, DATA_GPA, 0);
    assert_true(printed_is(f, "a line\n"));
}

static void console_buffer_outside(struct fixture *f)
{
    static const uint64_t bad[][2] = {
        {MEMORY_SIZE, 1},    {MEMORY_SIZE - 1, 2}, {0, MEMORY_SIZE + 1},  {UINT64_MAX, 1},
        {UINT64_MAX - 3, 8}, {1, UINT64_MAX},      {DATA_GPA, INT64_MAX}, {UINT64_C(1) << 63, 16},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        console_buffer_at(f, bad[i][0], bad[i][1]);
    assert_int_equal(f->printed_len, 0);
    console_buffer_at(f, MEMORY_SIZE - 1, 1); /* the last byte there is */
    assert_int_equal(f->printed_len, 1);
}

static void write_to_console(struct fixture *f)
{
    guest_print(f, 1, "out ");
    guest_print(f, 2, "err");
    assert_true(printed_is(f, "out err"));
    assert_int_equal(guest_close(f, 1), 0);
    guest_print(f, 1, "!");
    assert_true(printed_is(f, "out err!"));
    assert_int_equal(guest_lseek(f, 1, 0, SEEK_SET), -ESPIPE);
}

static void read_from_console(struct fixture *f)
{
    put_data(f, DATA_GPA, "as it was");
    assert_int_equal(call_read_at(f, 0, buffer_address(f, DATA_GPA), 9), 0);
    assert_true(data_is(f, DATA_GPA, "as it was"));
    assert_int_equal(call_read_at(f, 0, buffer_address(f, MEMORY_SIZE), 9), -EFAULT);
    assert_int_equal(call_read_at(f, 1, buffer_address(f, DATA_GPA), 9), -EBADF);
}

static void exit_status(struct fixture *f)
{
    static const struct {
        int32_t given;
        uint8_t status;
    } rows[] = {{0, 0}, {1, 1}, {42, 42}, {255, 255}, {256, 0}, {-1, 255}, {INT32_MIN, 0}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct call_struct s = new_struct();

        field_32(&s, 0, (uint32_t)rows[i].given);
        if (f->interface == 1)
            call_with(f, 0x540, &s);
        else
            assert_true(make_call(f, 0x1010, (uint32_t)rows[i].given));
        assert_int_equal(f->power.calls, i + 1);
        assert_int_equal(f->power.event, POWER_EXIT);
        assert_int_equal(f->power.status, rows[i].status);
    }
}

/* ---- Files. ---- */

static void file_life(struct fixture *f)
{
    uint64_t data = buffer_address(f, DATA_GPA);
    int32_t fd;

    put_file(f->in_fd, "a", "0123456789");
    fd = guest_open(f, "/in/a", O_RDWR);
    assert_int_equal(fd, 3);
    assert_int_equal(call_read_at(f, fd, data, 4), 4);
    assert_true(data_is(f, DATA_GPA, "0123"));
    assert_int_equal(call_read_at(f, fd, data, 100), 6); /* what is left of it */
    assert_int_equal(call_read_at(f, fd, data, 100), 0);
    assert_int_equal(guest_lseek(f, fd, 2, SEEK_SET), 2);
    guest_print(f, fd, "ab");
    assert_int_equal(guest_lseek(f, fd, 0, SEEK_CUR), 4);
    assert_int_equal(guest_close(f, fd), 0);
    assert_true(file_is(f->in_fd, "a", "01ab456789"));
    assert_int_equal(guest_unlink(f, "/in/a"), 0);
    assert_int_equal(faccessat(f->in_fd, "a", F_OK, 0), -1);
}

static void descriptors(struct fixture *f)
{
    uint64_t data = buffer_address(f, DATA_GPA);
    static const int32_t bad[] = {-1, 3, 4, 1023, 1024, 100000, INT32_MAX, INT32_MIN};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(call_read_at(f, bad[i], data, 1), -EBADF);
        assert_int_equal(guest_close(f, bad[i]), -EBADF);
        assert_int_equal(guest_lseek(f, bad[i], 0, SEEK_SET), -EBADF);
        if (f->interface > 1)
            assert_int_equal(call_write_at(f, bad[i], data, 1), -EBADF);
        else
            call_write_at(f, bad[i], data, 1);
    }
    assert_int_equal(guest_open(f, "/ro/fixed", O_RDONLY), 3);
    assert_int_equal(guest_open(f, "/ro/fixed", O_RDONLY), 4);
    assert_int_equal(guest_open(f, "/ro/fixed", O_RDONLY), 5);
    assert_int_equal(guest_close(f, 4), 0);
    assert_int_equal(guest_close(f, 4), -EBADF);
    assert_int_equal(guest_open(f, "/ro/fixed", O_RDONLY), 4); /* the lowest */
}

static void too_many_descriptors(struct fixture *f)
{
    int32_t fd = 3;

    while (fd < 3 + 1024 && guest_open(f, "/ro/fixed", O_RDONLY) == fd)
        fd++;
    assert_true(fd > 10);
    assert_int_equal(guest_open(f, "/ro/fixed", O_RDONLY), -EMFILE);
    assert_int_equal(guest_close(f, 7), 0);
    assert_int_equal(guest_open(f, "/ro/fixed", O_RDONLY), 7);
}

static void name_pointers(struct fixture *f)
{
    static const uint64_t bad[] = {
        MEMORY_SIZE, UINT64_MAX, UINT64_MAX - 4095, UINT64_C(1) << 63, UINT64_C(0xfee00000),
    };
    char long_name[PATH_MAX + 1];

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(call_open_at(f, bad[i], O_RDONLY, 0), -EFAULT);
        assert_int_equal(call_unlink_at(f, bad[i]), -EFAULT);
    }
    /* Without its zero: up to the end of memory, and longer than any name. */
    put_data(f, MEMORY_SIZE - 4, "/in/");
    assert_int_equal(call_open_at(f, MEMORY_SIZE - 4, O_RDONLY, 0), -EFAULT);
    memset(long_name, 'x', sizeof(long_name));
    long_name[0] = '/';
    assert_int_equal(guest_memory_write(f->mem, NAME_GPA, long_name, sizeof(long_name)), 0);
    assert_int_equal(call_open_at(f, NAME_GPA, O_RDONLY, 0), -ENAMETOOLONG);
    /* Ended by the last byte of memory. */
    put_data(f, MEMORY_SIZE - 10, "/ro/fixed");
    assert_int_equal(guest_memory_zero(f->mem, MEMORY_SIZE - 1, 1), 0);
    assert_int_equal(call_open_at(f, MEMORY_SIZE - 10, O_RDONLY, 0), 3);
}

static void buffer_pointers(struct fixture *f)
{
    static const uint64_t bad[][2] = {
        {MEMORY_SIZE, 1},     {MEMORY_SIZE - 1, 2},   {0, MEMORY_SIZE + 1},   {UINT64_MAX, 1},
        {UINT64_MAX - 1, 16}, {DATA_GPA, UINT64_MAX}, {UINT64_C(1) << 47, 1},
    };
    int32_t fd = guest_open(f, "/in/new", O_RDWR | O_CREAT);

    assert_int_equal(fd, 3);
    guest_print(f, fd, "0123456789");
    assert_int_equal(guest_lseek(f, fd, 0, SEEK_SET), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        uint64_t address = buffer_address(f, bad[i][0]);
        int64_t wrote = call_write_at(f, fd, address, bad[i][1]);

        assert_int_equal(wrote, f->interface == 1 ? NO_ANSWER : -EFAULT);
        /* The whole range is looked at, though the file is shorter. */
        assert_int_equal(call_read_at(f, fd, address, bad[i][1]), -EFAULT);
    }
    assert_true(file_is(f->in_fd, "new", "0123456789"));
    assert_int_equal(guest_lseek(f, fd, 0, SEEK_CUR), 0);
    assert_int_equal(call_read_at(f, fd, buffer_address(f, MEMORY_SIZE - 10), 10), 10);
    assert_true(data_is(f, MEMORY_SIZE - 10, "0123456789"));
}

/* A call whose structure is not memory, for each port: nothing happens, and nothing dies. */
static void structure_pointers(struct fixture *f)
{
    static const uint64_t bad[] = {MEMORY_SIZE, MEMORY_SIZE - 1, UINT64_MAX, UINT64_C(0xfee00000)};
    uint16_t first = f->interface == 1 ? 0x400 : 0x1000;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        for (uint32_t port = first; port < first + 0x500U; port++) {
            if (port != 0x800 && port != 0x1020 && port != 0x1010)
                make_call(f, (uint16_t)port, bad[i]);
        }
    }
    assert_int_equal(f->power.calls, 0);
    assert_int_equal(f->printed_len, 0);
}

static void other_ports(struct fixture *f)
{
    static const uint16_t not_calls[] = {
        0,     0x3f8,  0x3ff,  0x401,  0x43f,  0x441,  0x4c0,  0x600, 0x604, 0x700,
        0x8c0, 0x100f, 0x1011, 0x1040, 0x11a0, 0x1400, 0xffff, 0xf4,  0xcf8,
    };
    uint16_t others = f->interface == 1 ? 0x1100 : 0x400;

    for (size_t i = 0; i < ARRAY_SIZE(not_calls); i++)
        assert_false(make_call(f, not_calls[i], CALL_GPA));
    assert_false(make_call(f, others, CALL_GPA)); /* of another interface */
}

/* Anything but `out dx, eax` is no call of interface 1. */
static void call_width(struct fixture *f)
{
    uint8_t data[8] = {0};
    const struct hypercall_out outs[] = {
        {0x540, 1, 1, data}, {0x540, 2, 1, data}, {0x540, 4, 2, data}, {0x440, 1, 4, data}};
    struct hypercall_sink *sink = hermit_calls_sink(f->calls);

    for (size_t i = 0; i < ARRAY_SIZE(outs); i++)
        assert_true(sink->out(sink, &f->cpu, &outs[i]));
    assert_int_equal(f->power.calls, 0);
}

static void counts(struct fixture *f)
{
    uint64_t opens = 0, reads = 0, others = 0, n;
    const char *name;
    size_t at = 0;

    guest_open(f, "/ro/fixed", O_RDONLY);
    guest_open(f, "/nothing", O_RDONLY);
    call_read_at(f, 3, buffer_address(f, DATA_GPA), 5);
    while ((name = hermit_calls_count(f->calls, &at, &n))) {
        *(strcmp(name, "open") == 0 ? &opens : strcmp(name, "read") == 0 ? &reads : &others) += n;
    }
    assert_int_equal(opens, 2);
    assert_int_equal(reads, 1);
    assert_int_equal(others, 0);
}

/* ---- Interface 1: buffers by the guest's page tables. ---- */

static void buffer_over_pages(struct fixture *f)
{
    char text[3 * 4096], back[sizeof(text)];
    uint64_t gva = SCATTER_GVA + 4096 - 100;
    int32_t fd = guest_open(f, "/in/pages", O_RDWR | O_CREAT);

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7 + i / 256);
    /* What lies at the address, page by page backwards. */
    for (size_t i = 0; i < sizeof(text); i++) {
        uint64_t offset = gva + i - SCATTER_GVA;
        uint64_t gpa = DATA_GPA + (SCATTER_PAGES - 1 - offset / 4096) * 4096 + offset % 4096;

        assert_int_equal(guest_memory_write(f->mem, gpa, &text[i], 1), 0);
    }
    call_write_at(f, fd, gva, sizeof(text));
    assert_int_equal(guest_lseek(f, fd, 0, SEEK_CUR), sizeof(text));
    assert_int_equal(guest_lseek(f, fd, 0, SEEK_SET), 0);
    assert_int_equal(guest_memory_zero(f->mem, DATA_GPA, SCATTER_PAGES * 4096), 0);
    assert_int_equal(call_read_at(f, fd, SCATTER_GVA + 4096 - 100, sizeof(text)), sizeof(text));
    assert_int_equal(guest_lseek(f, fd, 0, SEEK_SET), 0);
    assert_int_equal(call_read_at(f, fd, LINEAR_GVA + DATA_GPA + 0x200000, sizeof(text)),
                     sizeof(text));
    assert_int_equal(guest_memory_read(f->mem, DATA_GPA + 0x200000, back, sizeof(back)), 0);
    assert_memory_equal(back, text, sizeof(text));
    for (size_t i = 0; i < sizeof(text); i++) {
        uint64_t offset = gva + i - SCATTER_GVA;
        uint64_t gpa = DATA_GPA + (SCATTER_PAGES - 1 - offset / 4096) * 4096 + offset % 4096;

        assert_int_equal(guest_memory_read(f->mem, gpa, back, 1), 0);
        assert_int_equal(back[0], text[i]);
    }
}

/* The end of what is mapped, within memory that there is. */
static void buffer_over_unmapped(struct fixture *f)
{
    uint64_t end = SCATTER_GVA + SCATTER_PAGES * 4096;
    int32_t fd = guest_open(f, "/ro/fixed", O_RDONLY);

    assert_int_equal(call_read_at(f, fd, end - 2, 3), -EFAULT);
    assert_int_equal(call_read_at(f, fd, end, 1), -EFAULT);
    assert_int_equal(call_read_at(f, fd, end - 2, 2), 2);
    assert_int_equal(call_read_at(f, fd, UINT64_C(0x800000000000), 1), -EFAULT); /* not canonical */
}

/* ---- Interfaces 2 and 3: the newer calls. ---- */

static void attributes(struct fixture *f)
{
    struct stat st;
    int32_t fd;

    put_file(f->in_fd, "a", "0123456789");
    assert_int_equal(fstatat(f->in_fd, "a", &st, 0), 0);
    fd = guest_open(f, "/in/a", O_RDONLY);
    for (unsigned by_fd = 0; by_fd < 2; by_fd++) {
        assert_int_equal(guest_memory_zero(f->mem, ATTR_GPA, 256), 0);
        assert_int_equal(by_fd ? guest_fstat(f, fd, ATTR_GPA) : guest_stat(f, "/in/a"), 0);
        assert_int_equal(get_u64(f, ATTR_GPA), st.st_dev);
        assert_int_equal(get_u64(f, ATTR_GPA + 8), st.st_ino);
        assert_int_equal(get_u64(f, ATTR_GPA + 16), 1);
        assert_int_equal(get_u32(f, ATTR_GPA + 24), S_IFREG | 0644);
        assert_int_equal(get_u32(f, ATTR_GPA + 28), st.st_uid);
        assert_int_equal(get_u32(f, ATTR_GPA + 32), st.st_gid);
        assert_int_equal(get_u64(f, ATTR_GPA + 40), 0);
        assert_int_equal(get_u64(f, ATTR_GPA + 48), 10);
        assert_int_equal(get_u64(f, ATTR_GPA + 56), st.st_blksize);
        assert_int_equal(get_u64(f, ATTR_GPA + 64), st.st_blocks);
        assert_int_equal(get_u64(f, ATTR_GPA + 88), st.st_mtim.tv_sec);
        assert_int_equal(get_u32(f, ATTR_GPA + 96), st.st_mtim.tv_nsec);
        assert_int_equal(get_u64(f, ATTR_GPA + 120), 0); /* no more than 120 bytes */
    }
}

static void attribute_errors(struct fixture *f)
{
    int32_t fd = guest_open(f, "/ro/fixed", O_RDONLY);

    assert_int_equal(guest_stat(f, "/in/nothing"), -ENOENT);
    assert_int_equal(guest_stat(f, "/ro/fixed/under"), -ENOTDIR);
    assert_int_equal(guest_fstat(f, 99, ATTR_GPA), -EBADF);
    assert_int_equal(guest_fstat(f, fd, MEMORY_SIZE - 119), -EFAULT);
    assert_int_equal(guest_fstat(f, fd, MEMORY_SIZE - 120), 0);
    assert_int_equal(guest_fstat(f, fd, UINT64_MAX - 8), -EFAULT);
    put_name(f, "/ro/fixed");
    assert_int_equal(call_stat_at(f, NAME_GPA, 2, ATTR_GPA), -EINVAL);
    assert_int_equal(call_stat_at(f, NAME_GPA, 0, MEMORY_SIZE), -EFAULT);
    assert_int_equal(call_stat_at(f, UINT64_MAX, 0, ATTR_GPA), -EFAULT);
}

static void attributes_of_links(struct fixture *f)
{
    assert_int_equal(symlinkat("a", f->in_fd, "link"), 0);
    put_file(f->in_fd, "a", "x");
    put_name(f, "/in/link");
    assert_int_equal(call_stat_at(f, NAME_GPA, 0, ATTR_GPA), 0);
    assert_int_equal(get_u32(f, ATTR_GPA + 24) & S_IFMT, S_IFREG);
    assert_int_equal(call_stat_at(f, NAME_GPA, 1, ATTR_GPA), 0);
    assert_int_equal(get_u32(f, ATTR_GPA + 24) & S_IFMT, S_IFLNK);
}

static void attributes_of_console(struct fixture *f)
{
    for (int32_t fd = 0; fd < 3; fd++) {
        assert_int_equal(guest_fstat(f, fd, ATTR_GPA), 0);
        assert_int_equal(get_u32(f, ATTR_GPA + 24) & S_IFMT, S_IFCHR);
    }
}

static void make_folders(struct fixture *f)
{
    assert_int_equal(guest_mkdir(f, "/in/d"), 0);
    assert_int_equal(guest_mkdir(f, "/in/d"), -EEXIST);
    assert_int_equal(guest_mkdir(f, "/in/d/e"), 0);
    assert_int_equal(guest_mkdir(f, "/in/nothing/e"), -ENOENT);
    assert_int_equal(guest_mkdir(f, "/ro/d"), -EROFS);
    assert_int_equal(guest_mkdir(f, "/in"), -EEXIST);
    assert_int_equal(guest_mkdir(f, "/"), -EEXIST);
    assert_int_equal(guest_mkdir(f, "/work"), 0);
    assert_int_equal(guest_mkdir(f, ""), -ENOENT);
    /* The length alone ends the name, too. */
    put_name(f, "/in/long");
    assert_int_equal(call_mkdir_at(f, NAME_GPA, 6), 0);
    assert_int_equal(faccessat(f->in_fd, "lo", F_OK, 0), 0);
    put_data(f, MEMORY_SIZE - 4, "/in/");
    assert_int_equal(call_mkdir_at(f, MEMORY_SIZE - 4, 5), -EFAULT);
    assert_int_equal(call_mkdir_at(f, UINT64_MAX, UINT64_MAX), -EFAULT);
    assert_int_equal(guest_unlink(f, "/in/d"), -EISDIR);
}

/* Collect the names of a listing, each followed by a blank. */
static void list(struct fixture *f, int32_t fd, uint64_t room, char *ret_names)
{
    int64_t n;

    *ret_names = '\0';
    while ((n = guest_getdents(f, fd, DATA_GPA, room)) > 0) {
        static uint8_t entries[64 * 1024];

        assert_int_equal(guest_memory_read(f->mem, DATA_GPA, entries, (size_t)n), 0);
        for (int64_t at = 0; at < n; at += load_le16(entries + at + 16)) {
            strcat(ret_names, (const char *)entries + at + 19);
            strcat(ret_names, " ");
        }
    }
    assert_int_equal(n, 0);
}

static void listing(struct fixture *f)
{
    char names[4096];
    int32_t fd;

    put_file(f->in_fd, "some-file", "x");
    assert_int_equal(mkdirat(f->in_fd, "folder", 0755), 0);
    fd = guest_open(f, "/in", O_RDONLY | O_DIRECTORY);
    assert_int_equal(fd, 3);
    for (unsigned i = 0; i < 2; i++) {
        list(f, fd, i ? 64 : 4096, names); /* whole, and an entry at a time */
        assert_non_null(strstr(names, "some-file "));
        assert_non_null(strstr(names, "folder "));
        assert_int_equal(guest_lseek(f, fd, 0, SEEK_SET), 0);
    }
    fd = guest_open(f, "/", O_RDONLY | O_DIRECTORY);
    list(f, fd, 4096, names);
    assert_non_null(strstr(names, "in "));
    assert_non_null(strstr(names, "ro "));
    assert_non_null(strstr(names, "etc "));
    assert_null(strstr(names, "outside"));
}

static void listing_errors(struct fixture *f)
{
    int32_t fd = guest_open(f, "/in", O_RDONLY), file = guest_open(f, "/ro/fixed", O_RDONLY);

    assert_int_equal(guest_getdents(f, fd, MEMORY_SIZE - 10, 100), -EFAULT);
    assert_int_equal(guest_getdents(f, fd, DATA_GPA, UINT64_MAX), -EFAULT);
    assert_int_equal(guest_getdents(f, fd, DATA_GPA, 10), -EINVAL);
    assert_int_equal(guest_getdents(f, file, DATA_GPA, 100), -ENOTDIR);
    assert_int_equal(guest_getdents(f, 1, DATA_GPA, 100), -ENOTDIR);
    assert_int_equal(guest_getdents(f, 99, DATA_GPA, 100), -EBADF);
    assert_true(guest_getdents(f, fd, DATA_GPA, 100) > 0); /* from the beginning all the same */
}

/* ---- The command line of interface 1. ---- */

#define SIZES_SIZE 1032

static void run_strings(void **state)
{
    static const char *const arguments[] = {"program", "-v", "", "a b", NULL};
    static const char *const environment[] = {"A=B", "LONG=0123456789", NULL};
    static struct fixture f;
    struct call_struct s = new_struct();
    uint64_t at = DATA_GPA;

    (void)state;
    fixture_create(&f, 1, 0, arguments, environment);
    assert_true(make_call(&f, 0x740, ATTR_GPA));
    assert_int_equal(get_u32(&f, ATTR_GPA), 4);
    assert_int_equal(get_u32(&f, ATTR_GPA + 4), 8);
    assert_int_equal(get_u32(&f, ATTR_GPA + 8), 3);
    assert_int_equal(get_u32(&f, ATTR_GPA + 12), 1);
    assert_int_equal(get_u32(&f, ATTR_GPA + 16), 4);
    assert_int_equal(get_u32(&f, ATTR_GPA + 516), 8); /* eight at least */
    assert_int_equal(get_u32(&f, ATTR_GPA + 520), 4);
    assert_int_equal(get_u32(&f, ATTR_GPA + 524), 16);
    for (unsigned i = 2; i < 8; i++)
        assert_int_equal(get_u32(&f, ATTR_GPA + 520 + 4 * i), 1);
    assert_int_equal(get_u32(&f, ATTR_GPA + 520 + 4 * 8), 0);
    for (unsigned i = 0; i < 16; i++, at += 32)
        put_u64(&f, 0x5000 + 8 * i, at);
    memset(s.bytes, 0, sizeof(s.bytes));
    field_64(&s, 0, 0x5000);
    field_64(&s, 8, 0x5000 + 8 * 4);
    assert_int_equal(guest_memory_write(f.mem, CALL_GPA, s.bytes, 16), 0);
    assert_true(make_call(&f, 0x780, CALL_GPA));
    for (unsigned i = 0; i < 12; i++) {
        const char *text = i < 4 ? arguments[i] : i < 6 ? environment[i - 4] : "";
        char buf[32];

        assert_int_equal(guest_memory_read(f.mem, DATA_GPA + 32 * i, buf, sizeof(buf)), 0);
        assert_string_equal(buf, text);
    }
    fixture_destroy(&f);
}

/* Addresses that lead nowhere are left out; the others are written. */
static void run_string_pointers(void **state)
{
    static const char *const arguments[] = {"program", "one", "two", NULL};
    static const uint64_t bad[] = {MEMORY_SIZE - 3, UINT64_MAX, UINT64_MAX - 1, MEMORY_SIZE};
    static struct fixture f;
    struct call_struct s = new_struct();

    (void)state;
    fixture_create(&f, 1, 0, arguments, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        put_u64(&f, 0x5000, DATA_GPA);
        put_u64(&f, 0x5008, bad[i]);
        put_u64(&f, 0x5010, DATA_GPA + 32);
        assert_int_equal(guest_memory_zero(f.mem, DATA_GPA, 64), 0);
        field_64(&s, 0, 0x5000);
        field_64(&s, 8, bad[i]);
        call_with(&f, 0x780, &s);
        assert_true(data_is(&f, DATA_GPA, "program"));
        assert_true(data_is(&f, DATA_GPA + 32, "two"));
        assert_true(make_call(&f, 0x740, bad[i]));
    }
    fixture_destroy(&f);
}

static void run_many_strings(void **state)
{
    const char *many[202] = {"program"};
    struct error err = {0};
    struct hermit_calls *calls = NULL;
    struct hermit_options options = {.interface = 1, .arguments = many, .environment = many};

    (void)state;
    for (size_t i = 1; i < 201; i++)
        many[i] = "NAME=VALUE";
    options.argument_count = HERMIT_MAX_STRINGS;
    options.environment_count = HERMIT_MAX_STRINGS;
    assert_int_equal(hermit_calls_create(&options, &calls, &err), 0);
    hermit_calls_destroy(calls);
    options.environment_count = HERMIT_MAX_STRINGS + 1;
    assert_int_equal(hermit_calls_create(&options, &calls, &err), -E2BIG);
    assert_non_null(strstr(err.text, "129 environment variables"));
    options.argument_count = HERMIT_MAX_STRINGS + 1;
    assert_int_equal(hermit_calls_create(&options, &calls, &err), -E2BIG);
    options.interface = 2; /* the others do not come this way */
    assert_int_equal(hermit_calls_create(&options, &calls, &err), 0);
    hermit_calls_destroy(calls);
}

static void run_unknown_interface(void **state)
{
    static const unsigned unknown[] = {0, 4, 1000, UINT32_MAX};
    struct hermit_calls *calls = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        struct hermit_options options = {.interface = unknown[i]};
        struct error err = {0};

        assert_int_equal(hermit_calls_create(&options, &calls, &err), -EINVAL);
        assert_non_null(strstr(err.text, "1 to 3"));
    }
}

/* ---- A status given by address, in the memory of interfaces 2 and 3. ---- */

static void run_exit_by_address(void **state)
{
    struct guest_memory_options memory = {.size = 3 * GIB + 4 * MIB};
    static struct fixture f;
    struct hermit_options options = {.interface = 2};
    const uint32_t status = 77;

    (void)state;
    f = (struct fixture){.interface = 2, .power = power_spy_new(), .log.fd = -1};
    static const struct hypercall_cpu_ops ops = {cpu_rdi, cpu_paging};
    f.cpu.ops = &ops;
    if (guest_memory_create(&memory, &f.mem, NULL) < 0)
        skip();
    options.mem = f.mem;
    options.power = &f.power.sink;
    options.log = &f.log;
    assert_int_equal(hermit_calls_create(&options, &f.calls, NULL), 0);
    assert_int_equal(guest_memory_write(f.mem, 4 * GIB + 64, &status, 4), 0);
    assert_true(make_call(&f, 0x1010, 4 * GIB + 64));
    assert_int_equal(f.power.status, 77);
    assert_true(make_call(&f, 0x1010, UINT64_MAX - 2)); /* -3, sign-extended */
    assert_int_equal(f.power.status, 253);
    hermit_calls_destroy(f.calls);
    guest_memory_destroy(f.mem);
}

static const struct hermit_row rows[] = {
    {"a console byte", console_byte, ALL_INTERFACES},
    {"console bytes by rep outsb", console_bytes, 1U << 1},
    {"a console buffer", console_buffer, ALL_INTERFACES},
    {"a console buffer outside memory", console_buffer_outside, ALL_INTERFACES},
    {"write to the console", write_to_console, ALL_INTERFACES},
    {"read from the console", read_from_console, ALL_INTERFACES},
    {"exit statuses", exit_status, ALL_INTERFACES},
    {"open, read, seek, write, close, unlink", file_life, ALL_INTERFACES},
    {"descriptors that are none", descriptors, ALL_INTERFACES},
    {"too many descriptors", too_many_descriptors, ALL_INTERFACES},
    {"names that are not memory", name_pointers, ALL_INTERFACES},
    {"buffers that are not memory", buffer_pointers, ALL_INTERFACES},
    {"structures that are not memory", structure_pointers, ALL_INTERFACES},
    {"other ports", other_ports, ALL_INTERFACES},
    {"calls of another width", call_width, 1U << 1},
    {"counts", counts, ALL_INTERFACES},
    {"a buffer over scattered pages", buffer_over_pages, 1U << 1},
    {"a buffer over the end of what is mapped", buffer_over_unmapped, 1U << 1},
    {"stat and fstat", attributes, NEWER_INTERFACES},
    {"errors of stat and fstat", attribute_errors, NEWER_INTERFACES},
    {"stat of a link", attributes_of_links, NEWER_INTERFACES},
    {"fstat of the console", attributes_of_console, NEWER_INTERFACES},
    {"mkdir", make_folders, NEWER_INTERFACES},
    {"getdents", listing, NEWER_INTERFACES},
    {"errors of getdents", listing_errors, NEWER_INTERFACES},
};

int main(void)
{
    static struct unit unit;

    unit_add_hermit_rows(&unit, rows, ARRAY_SIZE(rows));
    unit_add(&unit, "the command line of interface 1", run_strings, NULL);
    unit_add(&unit, "command-line addresses that are not memory", run_string_pointers, NULL);
    unit_add(&unit, "more strings than interface 1 takes", run_many_strings, NULL);
    unit_add(&unit, "an interface that nobody knows", run_unknown_interface, NULL);
    unit_add(&unit, "an exit status by address", run_exit_by_address, NULL);
    return unit_run(&unit, "hermit_calls");
}
