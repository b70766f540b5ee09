/*
 * A guest that makes hypercalls, without KVM: memory, one CPU's registers and page tables, and
 * files mapped from a folder of the test's own.
 *
 *     TMP/in       mapped to /in; fixture.in_fd
 *     TMP/ro       mapped to /ro:ro; it has a file "fixed"
 *     TMP/one      a file, mapped to /etc/one
 *     TMP/outside  what nobody may reach; it has a file "secret"
 *     TMP/tmp      where the private folder is made
 *
 * Memory: 0x1000 the structure of a call, 0x2000 a name, DATA_GPA on data, the page tables at the
 * end. Guest-virtual: all of memory from LINEAR_GVA on, and at SCATTER_GVA the pages of
 * [DATA_GPA, DATA_GPA + SCATTER_PAGES pages) in reverse.
 */
#ifndef OSVM_TESTS_HERMIT_FIXTURE_H
#define OSVM_TESTS_HERMIT_FIXTURE_H

#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "guest/entry_state.h"
#include "hermit/hermit.h"
#include "power_spy.h"

#define MEMORY_SIZE   (8 * MIB)
#define CALL_GPA      UINT64_C(0x1000)
#define NAME_GPA      UINT64_C(0x2000)
#define ATTR_GPA      UINT64_C(0x4000)
#define DATA_GPA      UINT64_C(0x200000)
#define TABLES_GPA    UINT64_C(0x700000)
#define LINEAR_GVA    UINT64_C(0xffff800000000000)
#define SCATTER_GVA   UINT64_C(0x7f8000000000)
#define SCATTER_PAGES 64

#define NO_ANSWER INT64_MIN /* a call that tells no result */
#define SECRET    "secret of the host"

struct fixture {
    unsigned interface;
    char tmp[64];
    int tmp_fd, in_fd, outside_fd;
    struct guest_memory *mem;
    uint64_t rdi;
    struct cpu_paging paging;
    struct hypercall_cpu cpu;
    struct hermit_files *files;
    struct hermit_console console;
    uint8_t printed[64 * 1024];
    size_t printed_len;
    struct power_spy power;
    struct log log;
    struct hermit_calls *calls;
};

/* ---- The host's files. ---- */

static inline void put_file(int folder_fd, const char *name, const char *text)
{
    int fd = openat(folder_fd, name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static inline bool file_is(int folder_fd, const char *name, const char *text)
{
    char buf[256];
    int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, buf, sizeof(buf));
    close(fd);
    return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline unsigned entries_in(int folder_fd, const char *name)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    unsigned count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

static inline int make_folder(struct fixture *f, const char *name)
{
    assert_int_equal(mkdirat(f->tmp_fd, name, 0755), 0);
    return openat(f->tmp_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static inline void make_host(struct fixture *f)
{
    snprintf(f->tmp, sizeof(f->tmp), "/tmp/osvm-unit-XXXXXX");
    assert_non_null(mkdtemp(f->tmp));
    f->tmp_fd = open(f->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->in_fd = make_folder(f, "in");
    f->outside_fd = make_folder(f, "outside");
    close(make_folder(f, "ro"));
    close(make_folder(f, "tmp"));
    put_file(f->outside_fd, "secret", SECRET);
    put_file(f->tmp_fd, "ro/fixed", "fixed");
    put_file(f->tmp_fd, "one", "one file");
}

/* ---- The guest's memory and CPU. ---- */

static inline int cpu_rdi(const struct hypercall_cpu *cpu, uint64_t *ret_rdi)
{
    *ret_rdi = container_of(cpu, struct fixture, cpu)->rdi;
    return 0;
}

static inline int cpu_paging(const struct hypercall_cpu *cpu, struct cpu_paging *ret_paging)
{
    *ret_paging = container_of(cpu, struct fixture, cpu)->paging;
    return 0;
}

static inline void put_u64(struct fixture *f, uint64_t gpa, uint64_t value)
{
    uint8_t bytes[8];

    store_le64(bytes, value);
    assert_int_equal(guest_memory_write(f->mem, gpa, bytes, sizeof(bytes)), 0);
}

static inline uint64_t get_u64(struct fixture *f, uint64_t gpa)
{
    uint8_t bytes[8];

    assert_int_equal(guest_memory_read(f->mem, gpa, bytes, sizeof(bytes)), 0);
    return load_le64(bytes);
}

static inline uint32_t get_u32(struct fixture *f, uint64_t gpa)
{
    return (uint32_t)get_u64(f, gpa);
}

/* TABLES_GPA: PML4, then a PDPT and page directory for each of the two maps, a page table. */
static inline void make_tables(struct fixture *f)
{
    const uint64_t pml4 = TABLES_GPA, flags = 3, large = 0x83;

    put_u64(f, pml4 + 8 * ((LINEAR_GVA >> 39) & 511), (pml4 + 0x1000) | flags);
    put_u64(f, pml4 + 0x1000, (pml4 + 0x2000) | flags);
    for (uint64_t i = 0; i < MEMORY_SIZE / (2 * MIB); i++)
        put_u64(f, pml4 + 0x2000 + 8 * i, i * 2 * MIB | large);
    put_u64(f, pml4 + 8 * ((SCATTER_GVA >> 39) & 511), (pml4 + 0x3000) | flags);
    put_u64(f, pml4 + 0x3000 + 8 * ((SCATTER_GVA >> 30) & 511), (pml4 + 0x4000) | flags);
    put_u64(f, pml4 + 0x4000 + 8 * ((SCATTER_GVA >> 21) & 511), (pml4 + 0x5000) | flags);
    for (uint64_t i = 0; i < SCATTER_PAGES; i++)
        put_u64(f, pml4 + 0x5000 + 8 * i, (DATA_GPA + (SCATTER_PAGES - 1 - i) * 4096) | flags);
    f->paging = (struct cpu_paging){
        .cr0 = 0x80000031,
        .cr3 = pml4,
        .cr4 = X86_CR4_PAE,
        .efer = 0xd00,
    };
}

static inline void on_printed(struct hermit_console *console, const uint8_t *bytes, size_t len)
{
    struct fixture *f = container_of(console, struct fixture, console);

    assert_true(len <= sizeof(f->printed) - f->printed_len);
    memcpy(f->printed + f->printed_len, bytes, len);
    f->printed_len += len;
}

static inline bool printed_is(struct fixture *f, const char *text)
{
    return f->printed_len == strlen(text) && memcmp(f->printed, text, f->printed_len) == 0;
}

/* ---- Making and ending it. ---- */

static inline void make_files(struct fixture *f, uint64_t size_limit)
{
    char in[80], ro[80], one[80], tmp[80];
    const struct hermit_mapping mappings[] = {
        {in, "/in", false},
        {ro, "/ro", true},
        {one, "/etc/one", false},
    };
    struct hermit_files_options options = {
        .mappings = mappings,
        .mapping_count = ARRAY_SIZE(mappings),
        .temporary = tmp,
        .size_limit = size_limit,
    };
    struct error err = {0};

    snprintf(in, sizeof(in), "%s/in", f->tmp);
    snprintf(ro, sizeof(ro), "%s/ro", f->tmp);
    snprintf(one, sizeof(one), "%s/one", f->tmp);
    snprintf(tmp, sizeof(tmp), "%s/tmp", f->tmp);
    if (hermit_files_create(&options, &f->files, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void fixture_create(struct fixture *f, unsigned interface, uint64_t size_limit,
                                  const char *const *arguments, const char *const *environment)
{
    struct guest_memory_options memory = {.size = MEMORY_SIZE};
    struct hermit_options options;
    struct error err = {0};

    *f = (struct fixture){.interface = interface, .power = power_spy_new(), .log.fd = -1};
    static const struct hypercall_cpu_ops ops = {cpu_rdi, cpu_paging};

    f->cpu.ops = &ops;
    f->console.write = on_printed;
    make_host(f);
    assert_int_equal(guest_memory_create(&memory, &f->mem, &err), 0);
    make_tables(f);
    make_files(f, size_limit);
    options = (struct hermit_options){
        .interface = interface,
        .arguments = arguments,
        .environment = environment,
        .mem = f->mem,
        .files = f->files,
        .console = &f->console,
        .power = &f->power.sink,
        .log = &f->log,
    };
    while (arguments && arguments[options.argument_count])
        options.argument_count++;
    while (environment && environment[options.environment_count])
        options.environment_count++;
    if (hermit_calls_create(&options, &f->calls, &err) < 0)
        fail_msg("%s", err.text);
}

/* Nothing is left of the private folder, and what lies outside is as it was. */
static inline void fixture_destroy(struct fixture *f)
{
    hermit_calls_destroy(f->calls);
    hermit_files_destroy(f->files);
    assert_int_equal(entries_in(f->tmp_fd, "tmp"), 0);
    assert_int_equal(entries_in(f->tmp_fd, "outside"), 1);
    assert_true(file_is(f->outside_fd, "secret", SECRET));
    assert_true(file_is(f->tmp_fd, "ro/fixed", "fixed"));
    assert_int_equal(entries_in(f->tmp_fd, "ro"), 1);
    guest_memory_destroy(f->mem);
    close(f->in_fd);
    close(f->outside_fd);
    close(f->tmp_fd);
    assert_int_equal(nftw(f->tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- Calls, laid out here as the contract says. ---- */

/* A port write as the interface makes it. Returns whether it was a call. */
static inline bool make_call(struct fixture *f, uint16_t port, uint64_t argument)
{
    uint32_t eax = f->interface == 1 ? (uint32_t)argument : 0x1234;
    struct hypercall_out out = {.port = port, .size = 4, .count = 1, .data = &eax};
    struct hypercall_sink *sink = hermit_calls_sink(f->calls);

    f->rdi = f->interface == 1 ? UINT64_MAX : argument;
    return sink->out(sink, &f->cpu, &out);
}

/* A structure of 64 bytes, put together field by field. */
struct call_struct {
    uint8_t bytes[64];
};

static inline void field_32(struct call_struct *s, unsigned at, uint32_t value)
{
    store_le32(s->bytes + at, value);
}

static inline void field_64(struct call_struct *s, unsigned at, uint64_t value)
{
    store_le64(s->bytes + at, value);
}

static inline struct call_struct new_struct(void)
{
    struct call_struct s;

    memset(s.bytes, 0xa5, sizeof(s.bytes));
    return s;
}

/* Make the call with the structure at CALL_GPA, where it then is. */
static inline void call_with(struct fixture *f, uint16_t port, const struct call_struct *s)
{
    assert_int_equal(guest_memory_write(f->mem, CALL_GPA, s->bytes, sizeof(s->bytes)), 0);
    assert_true(make_call(f, port, CALL_GPA));
}

static inline int32_t result_32(struct fixture *f, unsigned at)
{
    return (int32_t)get_u32(f, CALL_GPA + at);
}

static inline int64_t result_64(struct fixture *f, unsigned at)
{
    return (int64_t)get_u64(f, CALL_GPA + at);
}

/* What the interface calls an address of data, given as guest-physical. */
static inline uint64_t buffer_address(const struct fixture *f, uint64_t gpa)
{
    return f->interface == 1 ? LINEAR_GVA + gpa : gpa;
}

static inline int64_t call_read_at(struct fixture *f, int32_t fd, uint64_t address, uint64_t len)
{
    struct call_struct s = new_struct();

    if (f->interface == 1) {
        field_32(&s, 0, (uint32_t)fd);
        field_64(&s, 4, address);
        field_64(&s, 12, len);
        call_with(f, 0x500, &s);
        return result_64(f, 20);
    }
    field_64(&s, 0, len);
    field_64(&s, 16, address);
    field_32(&s, 24, (uint32_t)fd);
    call_with(f, 0x1130, &s);
    return result_64(f, 8);
}

static inline int64_t call_write_at(struct fixture *f, int32_t fd, uint64_t address, uint64_t len)
{
    struct call_struct s = new_struct();

    if (f->interface == 1) {
        field_32(&s, 0, (uint32_t)fd);
        field_64(&s, 4, address);
        field_64(&s, 12, len);
        call_with(f, 0x400, &s);
        assert_memory_equal(s.bytes + 20, "\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5", 8);
        return NO_ANSWER;
    }
    field_64(&s, 0, len);
    field_64(&s, 16, address);
    field_32(&s, 24, (uint32_t)fd);
    call_with(f, 0x1100, &s);
    return result_64(f, 8);
}

static inline void put_name(struct fixture *f, const char *name)
{
    assert_int_equal(guest_memory_write(f->mem, NAME_GPA, name, strlen(name) + 1), 0);
}

static inline int32_t call_open_at(struct fixture *f, uint64_t name, uint32_t flags, uint32_t mode)
{
    struct call_struct s = new_struct();

    field_64(&s, 0, name);
    field_32(&s, 8, flags);
    field_32(&s, 12, mode);
    call_with(f, f->interface == 1 ? 0x440 : 0x1110, &s);
    return result_32(f, 16);
}

static inline int32_t guest_open(struct fixture *f, const char *name, uint32_t flags)
{
    put_name(f, name);
    return call_open_at(f, NAME_GPA, flags, 0644);
}

static inline int32_t guest_close(struct fixture *f, int32_t fd)
{
    struct call_struct s = new_struct();

    field_32(&s, 0, (uint32_t)fd);
    call_with(f, f->interface == 1 ? 0x480 : 0x1120, &s);
    return result_32(f, 4);
}

static inline int32_t call_unlink_at(struct fixture *f, uint64_t name)
{
    struct call_struct s = new_struct();

    field_64(&s, 0, name);
    call_with(f, f->interface == 1 ? 0x840 : 0x1150, &s);
    return result_32(f, 8);
}

static inline int32_t guest_unlink(struct fixture *f, const char *name)
{
    put_name(f, name);
    return call_unlink_at(f, NAME_GPA);
}

static inline int64_t guest_lseek(struct fixture *f, int32_t fd, int64_t offset, uint32_t whence)
{
    struct call_struct s = new_struct();
    bool one = f->interface == 1;

    field_64(&s, one ? 4 : 0, (uint64_t)offset);
    field_32(&s, one ? 12 : 8, whence);
    field_32(&s, one ? 0 : 12, (uint32_t)fd);
    call_with(f, one ? 0x580 : 0x1140, &s);
    return result_64(f, one ? 4 : 0);
}

static inline void put_data(struct fixture *f, uint64_t gpa, const char *text)
{
    assert_int_equal(guest_memory_write(f->mem, gpa, text, strlen(text)), 0);
}

static inline bool data_is(struct fixture *f, uint64_t gpa, const char *text)
{
    char buf[256];

    assert_true(strlen(text) < sizeof(buf));
    assert_int_equal(guest_memory_read(f->mem, gpa, buf, strlen(text)), 0);
    return memcmp(buf, text, strlen(text)) == 0;
}

/* Write a text with the guest's write call. */
static inline void guest_print(struct fixture *f, int32_t fd, const char *text)
{
    int64_t r;

    put_data(f, DATA_GPA, text);
    r = call_write_at(f, fd, buffer_address(f, DATA_GPA), strlen(text));
    if (f->interface > 1)
        assert_int_equal(r, strlen(text));
}

/* Interface 2's tagged results and interface 3's numbers, as one: 0 or a negative errno. */
static inline int64_t status_result(struct fixture *f, unsigned at)
{
    if (f->interface == 3)
        return result_32(f, at);
    if (result_32(f, at) == 1)
        return 0;
    assert_int_equal(result_32(f, at), 2);
    assert_true(result_32(f, at + 4) > 0);
    return -result_32(f, at + 4);
}

static inline int64_t call_mkdir_at(struct fixture *f, uint64_t name, uint64_t len)
{
    struct call_struct s = new_struct();

    field_64(&s, 0, name);
    field_64(&s, 8, len);
    call_with(f, 0x1190, &s);
    return status_result(f, 16);
}

static inline int64_t guest_mkdir(struct fixture *f, const char *name)
{
    put_name(f, name);
    return call_mkdir_at(f, NAME_GPA, strlen(name) + 1);
}

static inline int64_t call_stat_at(struct fixture *f, uint64_t name, uint32_t kind, uint64_t attr)
{
    struct call_struct s = new_struct();

    field_64(&s, 0, name);
    field_32(&s, 8, kind);
    field_64(&s, 16, attr);
    call_with(f, 0x1170, &s);
    return status_result(f, 24);
}

static inline int64_t guest_stat(struct fixture *f, const char *name)
{
    put_name(f, name);
    return call_stat_at(f, NAME_GPA, 0, ATTR_GPA);
}

static inline int64_t guest_fstat(struct fixture *f, int32_t fd, uint64_t attr)
{
    struct call_struct s = new_struct();

    field_32(&s, 0, (uint32_t)fd);
    field_64(&s, 8, attr);
    call_with(f, 0x1180, &s);
    return status_result(f, 16);
}

static inline int64_t guest_getdents(struct fixture *f, int32_t fd, uint64_t gpa, uint64_t len)
{
    struct call_struct s = new_struct();

    field_32(&s, 0, (uint32_t)fd);
    field_64(&s, 8, gpa);
    field_64(&s, 16, len);
    call_with(f, 0x1160, &s);
    if (f->interface == 3)
        return result_64(f, 24);
    switch (result_32(f, 24)) {
    case 1:
        assert_true(result_64(f, 32) > 0);
        return result_64(f, 32);
    case 2:
        return 0;
    default:
        assert_int_equal(result_32(f, 24), 3);
        assert_true(result_32(f, 32) > 0);
        return -result_32(f, 32);
    }
}

/* ---- A test for each interface that has the call. ---- */

struct hermit_row {
    const char *name;
    void (*run)(struct fixture *f);
    unsigned interfaces; /* bits 1, 2 and 3 */
};

#define ALL_INTERFACES   (1U << 1 | 1U << 2 | 1U << 3)
#define NEWER_INTERFACES (1U << 2 | 1U << 3)

struct hermit_case {
    char name[96];
    const struct hermit_row *row;
    unsigned interface;
};

static inline void run_hermit_case(void **state)
{
    const struct hermit_case *this = *state;
    static struct fixture f;

    fixture_create(&f, this->interface, 0, NULL, NULL);
    this->row->run(&f);
    fixture_destroy(&f);
}

static inline void unit_add_hermit_rows(struct unit *unit, const struct hermit_row *rows,
                                        size_t count)
{
    static struct hermit_case cases[UNIT_MAX_TESTS];
    static size_t used;

    for (size_t i = 0; i < count; i++) {
        for (unsigned interface = 1; interface <= 3; interface++) {
            struct hermit_case *this = &cases[used];

            if (!(rows[i].interfaces & 1U << interface))
                continue;
            assert_true(used++ < UNIT_MAX_TESTS);
            this->row = &rows[i];
            this->interface = interface;
            snprintf(this->name, sizeof(this->name), "interface %u: %s", interface, rows[i].name);
            unit_add(unit, this->name, run_hermit_case, this);
        }
    }
}

#endif
