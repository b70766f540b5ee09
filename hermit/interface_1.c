/* Interface 1: `out dx, eax` with the address of a packed structure. Buffers are guest-virtual. */
#include "base/util.h"
#include "calls.h"

#define PORT_FIRST 0x400
#define PORT_STEP  0x40
#define AT(port)   (((port)-PORT_FIRST) / PORT_STEP)

/* i32 fd 0, buf 4, u64 len 12 */
static int64_t serve_write(struct call *call)
{
    struct buffer buffer;
    int r = call_virtual_buffer(call, call_u64(call, 4), call_u64(call, 12), false, &buffer);

    return r < 0 ? r : call_write(call, call_i32(call, 0), &buffer);
}

/* i32 fd 0, buf 4, u64 len 12, i64 ret 20 */
static int64_t serve_read(struct call *call)
{
    struct buffer buffer;
    int r = call_virtual_buffer(call, call_u64(call, 4), call_u64(call, 12), true, &buffer);

    return r < 0 ? r : call_read(call, call_i32(call, 0), &buffer);
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

/* i32 status */
static int64_t serve_exit(struct call *call)
{
    return call_exit(call, call_i32(call, 0));
}

/* i32 fd 0, i64 offset 4 (in and out), i32 whence 12 */
static int64_t serve_lseek(struct call *call)
{
    return call_lseek(call, call_i32(call, 0), (int64_t)call_u64(call, 4), call_u32(call, 12));
}

/* name 0, i32 ret 8 */
static int64_t serve_unlink(struct call *call)
{
    return call_unlink(call, call_u64(call, 0));
}

/* buf 0 (guest-physical), u64 len 8 */
static int64_t serve_serial_buffer(struct call *call)
{
    struct buffer buffer = call_physical_buffer(call, call_u64(call, 0), call_u64(call, 8), false);

    return call_console(call, &buffer);
}

static const struct call_kind kinds[] = {
    [AT(0x400)] = {"write", serve_write, 20, 0, RESULT_NONE},
    [AT(0x440)] = {"open", serve_open, 20, 16, RESULT_I32},
    [AT(0x480)] = {"close", serve_close, 8, 4, RESULT_I32},
    [AT(0x500)] = {"read", serve_read, 28, 20, RESULT_I64},
    [AT(0x540)] = {"exit", serve_exit, 4, 0, RESULT_NONE},
    [AT(0x580)] = {"lseek", serve_lseek, 16, 4, RESULT_I64},
    [AT(0x740)] = {"command-line-sizes", call_string_sizes, 0, 0, RESULT_NONE},
    [AT(0x780)] = {"command-line-values", call_string_values, 16, 0, RESULT_NONE},
    [AT(0x800)] = {"serial-byte", NULL, 0, 0, RESULT_NONE},
    [AT(0x840)] = {"unlink", serve_unlink, 12, 8, RESULT_I32},
    [AT(0x880)] = {"serial-buffer", serve_serial_buffer, 16, 0, RESULT_NONE},
};

_Static_assert(ARRAY_SIZE(kinds) <= CALL_KINDS, "CALL_KINDS is too small");

const struct call_interface call_interface_1 = {
    .first_port = PORT_FIRST,
    .port_step = PORT_STEP,
    .byte_kind = AT(0x800),
    .kinds = kinds,
    .count = ARRAY_SIZE(kinds),
};
