#include "registers.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

/* What stands in the CPU's form is not always what gdb wants. */
enum form {
    PLAIN,     /* the low bytes of it, zero-extended */
    READ_ONLY, /* the same; writing it alone would make no sense */
    TAGS,      /* the x87 tag word: KVM has one bit a register (as FXSAVE), gdb wants two */
};

/* The features that gdb knows by name: GDB manual, appendix G.5.6; the last is our own. */
enum feature { CORE, SSE, SEGMENTS, CONTROL, FEATURE_COUNT };

static const char *const feature_names[] = {
    [CORE] = "org.gnu.gdb.i386.core",
    [SSE] = "org.gnu.gdb.i386.sse",
    [SEGMENTS] = "org.gnu.gdb.i386.segments",
    [CONTROL] = "org.osvm.x86.control",
};

struct row {
    const char *name;
    const char *type;
    uint16_t bits;
    uint16_t offset; /* in struct vcpu_registers */
    uint8_t size;    /* bytes there */
    uint8_t form, feature;
};

#define AT(field)   .offset = offsetof(struct vcpu_registers, field)
#define SIZE(field) .size = sizeof(((struct vcpu_registers *)0)->field)
#define FROM(field) AT(field), SIZE(field)

#define GENERAL(name, field, type)                    \
    {                                                 \
        name, type, 64, FROM(regs.field), PLAIN, CORE \
    }
#define SELECTOR(name)                                                 \
    {                                                                  \
#name, "int32", 32, FROM(sregs.name.selector), READ_ONLY, CORE \
    }
#define ST(n)                                                  \
    {                                                          \
        "st" #n, "i387_ext", 80, FROM(fpu.fpr[n]), PLAIN, CORE \
    }
#define X87(name, field)                              \
    {                                                 \
        name, "int", 32, FROM(fpu.field), PLAIN, CORE \
    }
#define NOT_KEPT(name)                                       \
    {                                                        \
        name, "int", 32, AT(fpu), .size = 0, READ_ONLY, CORE \
    }
#define XMM(n)                                                \
    {                                                         \
        "xmm" #n, "vec128", 128, FROM(fpu.xmm[n]), PLAIN, SSE \
    }
#define CONTROL_REGISTER(name)                               \
    {                                                        \
#name, "int64", 64, FROM(sregs.name), PLAIN, CONTROL \
    }

static const struct row table[] = {
    GENERAL("rax", rax, "int64"),
    GENERAL("rbx", rbx, "int64"),
    GENERAL("rcx", rcx, "int64"),
    GENERAL("rdx", rdx, "int64"),
    GENERAL("rsi", rsi, "int64"),
    GENERAL("rdi", rdi, "int64"),
    GENERAL("rbp", rbp, "data_ptr"),
    GENERAL("rsp", rsp, "data_ptr"),
    GENERAL("r8", r8, "int64"),
    GENERAL("r9", r9, "int64"),
    GENERAL("r10", r10, "int64"),
    GENERAL("r11", r11, "int64"),
    GENERAL("r12", r12, "int64"),
    GENERAL("r13", r13, "int64"),
    GENERAL("r14", r14, "int64"),
    GENERAL("r15", r15, "int64"),
    GENERAL("rip", rip, "code_ptr"),
    {"eflags", "i386_eflags", 32, FROM(regs.rflags), PLAIN, CORE},
    SELECTOR(cs),
    SELECTOR(ss),
    SELECTOR(ds),
    SELECTOR(es),
    SELECTOR(fs),
    SELECTOR(gs),
    ST(0),
    ST(1),
    ST(2),
    ST(3),
    ST(4),
    ST(5),
    ST(6),
    ST(7),
    X87("fctrl", fcw),
    X87("fstat", fsw),
    {"ftag", "int", 32, FROM(fpu.ftwx), TAGS, CORE},
    NOT_KEPT("fiseg"),
    X87("fioff", last_ip),
    NOT_KEPT("foseg"),
    X87("fooff", last_dp),
    X87("fop", last_opcode),
    XMM(0),
    XMM(1),
    XMM(2),
    XMM(3),
    XMM(4),
    XMM(5),
    XMM(6),
    XMM(7),
    XMM(8),
    XMM(9),
    XMM(10),
    XMM(11),
    XMM(12),
    XMM(13),
    XMM(14),
    XMM(15),
    {"mxcsr", "i386_mxcsr", 32, FROM(fpu.mxcsr), PLAIN, SSE},
    {"fs_base", "int64", 64, FROM(sregs.fs.base), PLAIN, SEGMENTS},
    {"gs_base", "int64", 64, FROM(sregs.gs.base), PLAIN, SEGMENTS},
    CONTROL_REGISTER(cr0),
    CONTROL_REGISTER(cr2),
    CONTROL_REGISTER(cr3),
    CONTROL_REGISTER(cr4),
    CONTROL_REGISTER(cr8),
    CONTROL_REGISTER(efer),
};

/* The types that the registers above are of, beside gdb's own. */
static const char *const feature_types[FEATURE_COUNT] = {
    [CORE] = "<flags id=\"i386_eflags\" size=\"4\">"
             "<field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"\" start=\"1\" end=\"1\"/>"
             "<field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/>"
             "<field name=\"ZF\" start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/>"
             "<field name=\"TF\" start=\"8\" end=\"8\"/><field name=\"IF\" start=\"9\" end=\"9\"/>"
             "<field name=\"DF\" start=\"10\" end=\"10\"/>"
             "<field name=\"OF\" start=\"11\" end=\"11\"/>"
             "<field name=\"NT\" start=\"14\" end=\"14\"/>"
             "<field name=\"RF\" start=\"16\" end=\"16\"/>"
             "<field name=\"VM\" start=\"17\" end=\"17\"/>"
             "<field name=\"AC\" start=\"18\" end=\"18\"/>"
             "<field name=\"VIF\" start=\"19\" end=\"19\"/>"
             "<field name=\"VIP\" start=\"20\" end=\"20\"/>"
             "<field name=\"ID\" start=\"21\" end=\"21\"/></flags>\n",
    [SSE] = "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
            "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
            "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
            "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
            "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
            "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>\n"
            "<union id=\"vec128\">"
            "<field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
            "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
            "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
            "<field name=\"uint128\" type=\"uint128\"/></union>\n"
            "<flags id=\"i386_mxcsr\" size=\"4\">"
            "<field name=\"IE\" start=\"0\" end=\"0\"/><field name=\"DE\" start=\"1\" end=\"1\"/>"
            "<field name=\"ZE\" start=\"2\" end=\"2\"/><field name=\"OE\" start=\"3\" end=\"3\"/>"
            "<field name=\"UE\" start=\"4\" end=\"4\"/><field name=\"PE\" start=\"5\" end=\"5\"/>"
            "<field name=\"DAZ\" start=\"6\" end=\"6\"/><field name=\"IM\" start=\"7\" end=\"7\"/>"
            "<field name=\"DM\" start=\"8\" end=\"8\"/><field name=\"ZM\" start=\"9\" end=\"9\"/>"
            "<field name=\"OM\" start=\"10\" end=\"10\"/>"
            "<field name=\"UM\" start=\"11\" end=\"11\"/>"
            "<field name=\"PM\" start=\"12\" end=\"12\"/>"
            "<field name=\"FZ\" start=\"15\" end=\"15\"/></flags>\n",
};

unsigned gdb_register_count(void)
{
    return ARRAY_SIZE(table);
}

unsigned gdb_register_size(unsigned n)
{
    return table[n].bits / 8u;
}

/* Two bits a register, by its place in the file: 00 valid, 11 empty. Intel SDM vol. 1, 8.1.7. */
static uint16_t wide_tags(uint8_t narrow)
{
    uint16_t wide = 0;

    for (unsigned i = 0; i < 8; i++)
        wide = (uint16_t)(wide | (narrow >> i & 1 ? 0 : 3) << (2 * i));
    return wide;
}

static uint8_t narrow_tags(uint16_t wide)
{
    uint8_t narrow = 0;

    for (unsigned i = 0; i < 8; i++)
        narrow = (uint8_t)(narrow | ((wide >> (2 * i) & 3) != 3) << i);
    return narrow;
}

unsigned gdb_register_get(const struct vcpu_registers *registers, unsigned n,
                          uint8_t ret_value[GDB_REGISTER_MAX_BYTES])
{
    const struct row *row = &table[n];
    const uint8_t *source = (const uint8_t *)registers + row->offset;
    unsigned size = gdb_register_size(n);

    memset(ret_value, 0, size);
    if (row->form == TAGS) {
        uint16_t wide = wide_tags(*source);

        memcpy(ret_value, &wide, sizeof(wide));
    } else {
        memcpy(ret_value, source, min_u64(size, row->size));
    }
    return size;
}

int gdb_register_set(struct vcpu_registers *registers, unsigned n, const uint8_t *value)
{
    const struct row *row = &table[n];
    uint8_t *target = (uint8_t *)registers + row->offset;
    uint8_t now[GDB_REGISTER_MAX_BYTES];

    if (memcmp(value, now, gdb_register_get(registers, n, now)) == 0)
        return 0;
    switch (row->form) {
    case READ_ONLY:
        return -EPERM;
    case TAGS: {
        uint16_t wide;

        memcpy(&wide, value, sizeof(wide));
        *target = narrow_tags(wide);
        return 0;
    }
    default:
        memcpy(target, value, min_u64(gdb_register_size(n), row->size));
        return 0;
    }
}

static void __attribute__((format(printf, 3, 4)))
add(char *text, size_t *len, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text + *len, GDB_DESCRIPTION_MAX - *len, format, args);
    va_end(args);
    *len = min_u64(*len + (size_t)n, GDB_DESCRIPTION_MAX - 1);
}

size_t gdb_registers_describe(char ret_text[GDB_DESCRIPTION_MAX])
{
    size_t len = 0;
    unsigned feature = FEATURE_COUNT;

    add(ret_text, &len,
        "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
        "<target>\n<architecture>i386:x86-64</architecture>\n");
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        if (table[i].feature != feature) {
            add(ret_text, &len, "%s<feature name=\"%s\">\n%s", i ? "</feature>\n" : "",
                feature_names[table[i].feature],
                feature_types[table[i].feature] ? feature_types[table[i].feature] : "");
            feature = table[i].feature;
        }
        add(ret_text, &len, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"/>\n",
            table[i].name, table[i].bits, table[i].type, i);
    }
    add(ret_text, &len, "</feature>\n</target>\n");
    return len;
}
