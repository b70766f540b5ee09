/* What the tables of the three interfaces are made of, and what their calls share. */
#ifndef OSVM_HERMIT_CALLS_H
#define OSVM_HERMIT_CALLS_H

#include <sys/stat.h>

#include "base/bytes.h"
#include "buffer.h"
#include "files_internal.h"
#include "hermit/hermit.h"

#define CALL_MAX_SIZE    48 /* bytes of the largest structure that is copied whole */
#define CALL_KINDS       32 /* rows of a table */
#define FILE_ATTR_SIZE   120
#define CONSOLE_FIRST_FD 1 /* and 2; 0 is input, which is always at its end */

/* How a call's result is told. Interface 2 has a tagged union of Rust's (#[repr(C)]) for some:
 * 1 is success, then the kinds of failure, with a positive errno. */
enum call_result {
    RESULT_NONE,          /* not at all */
    RESULT_I32,           /* as Linux's system calls do */
    RESULT_I64,           /* the same in 64 bits */
    RESULT_TAGGED,        /* u32 tag: 1 success, 2 error; i32 errno 4 behind it */
    RESULT_TAGGED_LENGTH, /* u32 tag: 1 success, 2 end, 3 error; u64 length or i32 errno 8 behind */
};

/* One call under way. */
struct call {
    struct hermit_calls *calls;
    const struct hypercall_cpu *cpu;
    uint64_t argument; /* what the guest passed: mostly where the structure is */
    uint8_t args[CALL_MAX_SIZE];
};

/* Returns the result: a negative errno, or what Linux's system call of that name returns. */
typedef int64_t call_fn(struct call *call);

struct call_kind {
    const char *name; /* NULL: there is no such port */
    call_fn *serve;
    uint8_t size; /* of the structure; 0: the argument is no structure that is copied whole */
    uint8_t result_at;
    enum call_result result;
};

struct call_interface {
    uint16_t first_port, port_step; /* kinds[i] is at first_port + i * port_step */
    bool argument_in_rdi;           /* else it is the data */
    uint8_t byte_kind;              /* the call whose data is a console byte */
    const struct call_kind *kinds;
    size_t count;
};

extern const struct call_interface call_interface_1, call_interface_2, call_interface_3;

struct call_strings {
    char **strings; /* owned */
    size_t count;
};

struct hermit_calls {
    struct hypercall_sink sink;
    const struct call_interface *interface;
    const struct guest_memory *mem;
    struct hermit_files *files;
    struct hermit_console *console;
    struct power_sink *power;
    const struct log *log;
    struct log_limit log_limit;
    struct call_strings arguments, environment;
    uint64_t counts[CALL_KINDS]; /* atomic */
};

/* ---- Fields of the copied structure. ---- */

static inline uint32_t call_u32(const struct call *call, unsigned at)
{
    return load_le32(call->args + at);
}

static inline int32_t call_i32(const struct call *call, unsigned at)
{
    return (int32_t)load_le32(call->args + at);
}

static inline uint64_t call_u64(const struct call *call, unsigned at)
{
    return load_le64(call->args + at);
}

/**
 * Read a zero-terminated string of guest-physical memory.
 *
 * @max  that it may take, with its terminator
 * Returns 0, -EFAULT where memory ends before it does, -ENAMETOOLONG.
 */
int call_string(const struct call *call, uint64_t gpa, uint64_t max, char ret_string[PATH_MAX]);

/* A buffer as interface 1 names it (guest-virtual). Returns 0 or a negative errno. */
int call_virtual_buffer(const struct call *call, uint64_t gva, uint64_t len, bool write,
                        struct buffer *ret_buffer);

/* As interfaces 2 and 3 do. */
struct buffer call_physical_buffer(const struct call *call, uint64_t gpa, uint64_t len, bool write);

/* ---- What the interfaces have in common. ---- */

int64_t call_exit(struct call *call, int32_t status);
int64_t call_read(struct call *call, int32_t fd, const struct buffer *buffer);
int64_t call_write(struct call *call, int32_t fd, const struct buffer *buffer);
int64_t call_console(struct call *call, const struct buffer *buffer);
int64_t call_open(struct call *call, uint64_t name, uint32_t flags, uint32_t mode);
int64_t call_close(struct call *call, int32_t fd);
int64_t call_unlink(struct call *call, uint64_t name);
int64_t call_lseek(struct call *call, int32_t fd, int64_t offset, uint32_t whence);
int64_t call_mkdir(struct call *call, uint64_t name, uint64_t len);
int64_t call_stat(struct call *call, uint64_t name, uint32_t kind, uint64_t attr);
int64_t call_fstat(struct call *call, int32_t fd, uint64_t attr);
int64_t call_getdents(struct call *call, int32_t fd, uint64_t gpa, uint64_t len);

/* call_strings.c: the command line of interface 1. */
int call_strings_init(struct call_strings *strings, const char *const *from, size_t count);
void call_strings_deinit(struct call_strings *strings);
int64_t call_string_sizes(struct call *call);
int64_t call_string_values(struct call *call);

#endif
