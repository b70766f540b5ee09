/*
 * Interfaces 2 and 3: `out dx, eax` with the argument in RDI, mostly the address of a structure in
 * C's layout. All addresses are guest-physical. They differ in how the newer calls tell their
 * results: 2 by tagged unions, 3 by plain numbers.
 */
#include "base/util.h"
#include "calls.h"

#define PORT_FIRST 0x1010
#define PORT_STEP  0x10
#define AT(port)   (((port)-PORT_FIRST) / PORT_STEP)

/*
 * The status is the argument itself in the images that exist. As the argument of every other call,
 * it may also be the address of an i32: memory of these images begins at 4 GiB, so that no status
 * is taken for an address.
 */
static int64_t serve_exit(struct call *call)
{
    uint8_t status[4];

    store_le32(status, (uint32_t)call->argument);
    if (call->argument > UINT32_MAX)
        guest_memory_read(call->calls->mem, call->argument, status, sizeof(status));
    return call_exit(call, (int32_t)load_le32(status));
}

/* u64 len 0, buf 8 */
static int64_t serve_serial_buffer(struct call *call)
{
    struct buffer buffer = call_physical_buffer(call, call_u64(call, 8), call_u64(call, 0), false);

    return call_console(call, &buffer);
}

/* u64 len 0, i64 ret 8, buf 16, i32 fd 24 */
static int64_t serve_write(struct call *call)
{
    struct buffer buffer = call_physical_buffer(call, call_u64(call, 16), call_u64(call, 0), false);

    return call_write(call, call_i32(call, 24), &buffer);
}

static int64_t serve_read(struct call *call)
{
    struct buffer buffer = call_physical_buffer(call, call_u64(call, 16), call_u64(call, 0), true);

    return call_read(call, call_i32(call, 24), &buffer);
}

/* name 0, i32 flags 8, i32 mode 12, i32 ret 16 */
static int64_t serve_open(struct call *call)
{
    return call_open(call, call_u64(call, 0), call_u32(call, 8), call_u32(call, 12));
}

/* i32 fd 0, i32 ret 4 */
static int64_t serve_close(struct call *call)
{
    return call_close(call, call_i32(call, 0));
}

/* i64 offset 0 (in and out), u32 whence 8, i32 fd 12 */
static int64_t serve_lseek(struct call *call)
{
    return call_lseek(call, call_i32(call, 12), (int64_t)call_u64(call, 0), call_u32(call, 8));
}

/* name 0, i32 ret 8 */
static int64_t serve_unlink(struct call *call)
{
    return call_unlink(call, call_u64(call, 0));
}

/* i32 fd 0, buf 8, u64 len 16, result 24 */
static int64_t serve_getdents(struct call *call)
{
    return call_getdents(call, call_i32(call, 0), call_u64(call, 8), call_u64(call, 16));
}

/* name 0, u32 kind 8, attr 16, result 24 */
static int64_t serve_stat(struct call *call)
{
    return call_stat(call, call_u64(call, 0), call_u32(call, 8), call_u64(call, 16));
}

/* i32 fd 0, attr 8, result 16 */
static int64_t serve_fstat(struct call *call)
{
    return call_fstat(call, call_i32(call, 0), call_u64(call, 8));
}

/* path 0, u64 len 8, result 16 */
static int64_t serve_mkdir(struct call *call)
{
    return call_mkdir(call, call_u64(call, 0), call_u64(call, 8));
}

#define SHARED_KINDS                                                           \
    [AT(0x1010)] = {"exit", serve_exit, 0, 0, RESULT_NONE},                    \
    [AT(0x1020)] = {"serial-byte", NULL, 0, 0, RESULT_NONE},                   \
    [AT(0x1030)] = {"serial-buffer", serve_serial_buffer, 16, 0, RESULT_NONE}, \
    [AT(0x1100)] = {"write", serve_write, 28, 8, RESULT_I64},                  \
    [AT(0x1110)] = {"open", serve_open, 20, 16, RESULT_I32},                   \
    [AT(0x1120)] = {"close", serve_close, 8, 4, RESULT_I32},                   \
    [AT(0x1130)] = {"read", serve_read, 28, 8, RESULT_I64},                    \
    [AT(0x1140)] = {"lseek", serve_lseek, 16, 0, RESULT_I64},                  \
    [AT(0x1150)] = {"unlink", serve_unlink, 12, 8, RESULT_I32}

static const struct call_kind kinds_2[] = {
    SHARED_KINDS,
    [AT(0x1160)] = {"getdents", serve_getdents, 40, 24, RESULT_TAGGED_LENGTH},
    [AT(0x1170)] = {"stat", serve_stat, 32, 24, RESULT_TAGGED},
    [AT(0x1180)] = {"fstat", serve_fstat, 24, 16, RESULT_TAGGED},
    [AT(0x1190)] = {"mkdir", serve_mkdir, 24, 16, RESULT_TAGGED},
};

static const struct call_kind kinds_3[] = {
    SHARED_KINDS,
    [AT(0x1160)] = {"getdents", serve_getdents, 32, 24, RESULT_I64},
    [AT(0x1170)] = {"stat", serve_stat, 28, 24, RESULT_I32},
    [AT(0x1180)] = {"fstat", serve_fstat, 20, 16, RESULT_I32},
    [AT(0x1190)] = {"mkdir", serve_mkdir, 20, 16, RESULT_I32},
};

_Static_assert(ARRAY_SIZE(kinds_2) <= CALL_KINDS && ARRAY_SIZE(kinds_3) <= CALL_KINDS,
               "CALL_KINDS is too small");

const struct call_interface call_interface_2 = {
    .first_port = PORT_FIRST,
    .port_step = PORT_STEP,
    .argument_in_rdi = true,
    .byte_kind = AT(0x1020),
    .kinds = kinds_2,
    .count = ARRAY_SIZE(kinds_2),
};

const struct call_interface call_interface_3 = {
    .first_port = PORT_FIRST,
    .port_step = PORT_STEP,
    .argument_in_rdi = true,
    .byte_kind = AT(0x1020),
    .kinds = kinds_3,
    .count = ARRAY_SIZE(kinds_3),
};
