/* gdb/session.h on a target of its own: two CPUs and a page of memory. */
#include "session.h"

#include <errno.h>
#include <stdio.h>

#include "base/util.h"
#include "unit.h"

#define CPUS        2
#define MEMORY_BASE UINT64_C(0x1000)
#define MEMORY_SIZE 0x100

struct fake {
    struct gdb_target target;
    struct vcpu_registers registers[CPUS];
    uint8_t memory[MEMORY_SIZE]; /* at MEMORY_BASE, for every CPU */
    char log[256];               /* what was asked for */
};

static struct fake *fake_of(struct gdb_target *target)
{
    return container_of(target, struct fake, target);
}

static void __attribute__((format(printf, 2, 3))) note(struct fake *fake, const char *format, ...)
{
    size_t len = strlen(fake->log);
    va_list args;

    va_start(args, format);
    vsnprintf(fake->log + len, sizeof(fake->log) - len, format, args);
    va_end(args);
}

static int read_registers(struct gdb_target *target, unsigned cpu, struct vcpu_registers *ret)
{
    *ret = fake_of(target)->registers[cpu];
    return 0;
}

static int write_registers(struct gdb_target *target, unsigned cpu,
                           const struct vcpu_registers *before,
                           const struct vcpu_registers *registers)
{
    (void)before;
    fake_of(target)->registers[cpu] = *registers;
    note(fake_of(target), "registers %u;", cpu);
    return 0;
}

static int read_memory(struct gdb_target *target, unsigned cpu, uint64_t address, void *buf,
                       size_t len)
{
    uint64_t offset = address - MEMORY_BASE;

    note(fake_of(target), "read %u;", cpu);
    if (offset >= MEMORY_SIZE)
        return -EFAULT;
    len = min_u64(len, MEMORY_SIZE - offset);
    memcpy(buf, fake_of(target)->memory + offset, len);
    return (int)len;
}

static int write_memory(struct gdb_target *target, unsigned cpu, uint64_t address, const void *buf,
                        size_t len)
{
    uint64_t offset = address - MEMORY_BASE;

    (void)cpu;
    if (!range_inside(offset, len, MEMORY_SIZE))
        return -EFAULT;
    memcpy(fake_of(target)->memory + offset, buf, len);
    return 0;
}

static int insert(struct gdb_target *target, unsigned cpu, enum gdb_point point, uint64_t address,
                  uint64_t len)
{
    (void)cpu;
    note(fake_of(target), "insert %d %llx %llx;", point, (unsigned long long)address,
         (unsigned long long)len);
    return address == 0xbad ? -ENOSPC : 0;
}

static int remove_point(struct gdb_target *target, enum gdb_point point, uint64_t address,
                        uint64_t len)
{
    note(fake_of(target), "remove %d %llx %llx;", point, (unsigned long long)address,
         (unsigned long long)len);
    return 0;
}

static int resume(struct gdb_target *target, const enum gdb_action *actions)
{
    static const char letters[] = {[GDB_STAY] = '-', [GDB_CONTINUE] = 'c', [GDB_STEP] = 's'};

    note(fake_of(target), "resume %c%c;", letters[actions[0]], letters[actions[1]]);
    return 0;
}

static void interrupt(struct gdb_target *target)
{
    note(fake_of(target), "interrupt;");
}

static void kill_machine(struct gdb_target *target)
{
    note(fake_of(target), "kill;");
}

static const struct gdb_target_ops ops = {
    .read_registers = read_registers,
    .write_registers = write_registers,
    .read_memory = read_memory,
    .write_memory = write_memory,
    .insert = insert,
    .remove = remove_point,
    .resume = resume,
    .interrupt = interrupt,
    .kill = kill_machine,
};

struct fixture {
    struct fake fake;
    struct gdb_session session;
    struct gdb_reply reply;
};

static struct fixture *create(void)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->fake.target = (struct gdb_target){.ops = &ops, .cpu_count = CPUS};
    for (unsigned i = 0; i < CPUS; i++) {
        f->fake.registers[i].regs.rax = UINT64_C(0x1122334455667788);
        f->fake.registers[i].regs.rip = 0x100000 + i;
        f->fake.registers[i].sregs.cs.selector = 0x10;
    }
    for (unsigned i = 0; i < MEMORY_SIZE; i++)
        f->fake.memory[i] = (uint8_t)i;
    assert_int_equal(gdb_session_begin(&f->session, &f->fake.target), 0);
    return f;
}

static void destroy(struct fixture *f)
{
    gdb_session_end(&f->session);
    free(f);
}

/* The reply to a packet; NULL where there is none. */
static const char *ask(struct fixture *f, const char *payload)
{
    f->reply.len = 0;
    if (!gdb_session_packet(&f->session, payload, strlen(payload), &f->reply))
        return NULL;
    f->reply.payload[f->reply.len] = '\0'; /* none here is as long as that */
    return f->reply.payload;
}

/* A packet, what is answered, and what was asked of the target for it. */
struct row {
    const char *name;
    const char *packet;
    const char *reply; /* NULL: none */
    const char *log;
};

#define EINVAL_REPLY "E16"

static const struct row rows[] = {
    {"why it stands still", "?", "T05thread:1;", ""},
    {"one register", "p0", "8877665544332211", ""},
    {"RIP", "p10", "0000100000000000", ""},
    {"a register that there is not", "pff", EINVAL_REPLY, ""},
    {"no register's number", "p", EINVAL_REPLY, ""},
    {"set a register", "P0=0100000000000000", "OK", "registers 0;"},
    {"set one with too few digits", "P0=01", EINVAL_REPLY, ""},
    {"set one with too many", "P0=010000000000000000", EINVAL_REPLY, ""},
    {"set one with no digits", "P0=zz00000000000000", EINVAL_REPLY, ""},
    {"set one to nothing", "P0=", EINVAL_REPLY, ""},
    {"set one that there is not", "Pff=00", EINVAL_REPLY, ""},
    {"a selector alone cannot be set", "P12=33000000", "E01", ""},
    {"but to what it is", "P12=10000000", "OK", "registers 0;"},
    {"set the first of all", "G0100000000000000", "OK", "registers 0;"},
    {"memory", "m1000,4", "00010203", "read 0;"},
    {"memory, as far as there is some", "m10fe,8", "feff", "read 0;"},
    {"no memory", "m2000,4", "E0e", "read 0;"},
    {"an address that wraps", "mffffffffffffffff,4", "E0e", "read 0;"},
    {"a number of 17 digits", "m00000000000001000,4", EINVAL_REPLY, ""},
    {"a range without a length", "m1000", EINVAL_REPLY, ""},
    {"a range with something behind", "m1000,4;", EINVAL_REPLY, ""},
    {"write memory", "M1000,2:abcd", "OK", ""},
    {"write less than is said", "M1000,3:abcd", EINVAL_REPLY, ""},
    {"write more than is said", "M1000,1:abcd", EINVAL_REPLY, ""},
    {"write where there is none", "M2000,1:ab", "E0e", ""},
    {"write bytes", "X1000,3:abc", "OK", ""},
    {"write no bytes: the question whether it is known", "X0,0:", "OK", ""},
    {"write fewer bytes than is said", "X1000,4:abc", EINVAL_REPLY, ""},
    {"write a length that is no packet's", "M1000,ffffffffffffffff:00", EINVAL_REPLY, ""},
    {"insert a software breakpoint", "Z0,1234,1", "OK", "insert 0 1234 1;"},
    {"insert a watchpoint", "Z2,1234,8", "OK", "insert 2 1234 8;"},
    {"the last one does not fit", "Z1,bad,1", "E1c", "insert 1 bad 1;"},
    {"remove one", "z4,1234,8", "OK", "remove 4 1234 8;"},
    {"a kind that is not known", "Z5,1234,1", "", ""},
    {"conditions were not offered", "Z0,1234,1;X1,00", EINVAL_REPLY, ""},
    {"go on", "c", NULL, "resume cc;"},
    {"go on elsewhere", "c2000", NULL, "registers 0;resume cc;"},
    {"go on at no number", "cx", EINVAL_REPLY, ""},
    {"go on with a signal", "C05", NULL, "resume cc;"},
    {"go on with a signal elsewhere", "C05;2000", NULL, "registers 0;resume cc;"},
    {"go on with no signal", "C", EINVAL_REPLY, ""},
    {"step", "s", NULL, "resume s-;"},
    {"step by vCont, the others on", "vCont;s:1;c", NULL, "resume sc;"},
    {"step the other alone", "vCont;s:2", NULL, "resume -s;"},
    {"the first action that names a CPU counts", "vCont;c:2;s:-1", NULL, "resume sc;"},
    {"any thread is the one that stopped", "vCont;s:0", NULL, "resume s-;"},
    {"actions with signals", "vCont;S05:1;C05", NULL, "resume sc;"},
    {"an action for no CPU", "vCont;s:3", EINVAL_REPLY, ""},
    {"an action that was not offered", "vCont;t:1", EINVAL_REPLY, ""},
    {"no action", "vCont;", EINVAL_REPLY, ""},
    {"what vCont can do", "vCont?", "vCont;c;C;s;S", ""},
    {"kill", "k", NULL, "kill;"},
    {"kill, with an answer", "vKill;1", "OK", "kill;"},
    {"select a CPU", "Hg2", "OK", ""},
    {"select all", "Hc-1", "OK", ""},
    {"select none that there is", "Hg3", EINVAL_REPLY, ""},
    {"select for nothing", "Hx1", EINVAL_REPLY, ""},
    {"a thread is alive", "T2", "OK", ""},
    {"a thread is not", "T3", EINVAL_REPLY, ""},
    {"no thread", "T0", EINVAL_REPLY, ""},
    {"the threads", "qfThreadInfo", "m1,2", ""},
    {"a thread's words", "qThreadExtraInfo,2", "4350552031", ""},
    {"the words of none", "qThreadExtraInfo,9", EINVAL_REPLY, ""},
    {"the current thread", "qC", "QC1", ""},
    {"gdb has attached, not started it", "qAttached", "1", ""},
    {"a part of the description", "qXfer:features:read:target.xml:0,5", "m<?xml", ""},
    {"behind its end", "qXfer:features:read:target.xml:fffff,5", EINVAL_REPLY, ""},
    {"another file", "qXfer:features:read:other.xml:0,5", "", ""},
    {"detach", "D", "OK", ""},
    {"no acknowledgments", "QStartNoAckMode", "OK", ""},
    {"what nobody knows", "vMustReplyEmpty", "", ""},
    {"an empty packet", "", "", ""},
};

static void test_packet(void **state)
{
    const struct row *row = *state;
    struct fixture *f = create();
    const char *reply = ask(f, row->packet);

    if (row->reply) {
        assert_non_null(reply);
        assert_string_equal(reply, row->reply);
    } else {
        assert_null(reply);
    }
    assert_string_equal(f->fake.log, row->log);
    destroy(f);
}

static void test_all_registers(void **state)
{
    struct fixture *f = create();
    struct vcpu_registers changed;
    char packet[GDB_PACKET_MAX + 2];
    const char *reply;

    (void)state;
    memset(&f->fake.registers[0].fpu, 0x5a, sizeof(f->fake.registers[0].fpu));
    f->fake.registers[0].fpu.ftwx = 0x81;
    reply = ask(f, "g");
    assert_non_null(reply);
    snprintf(packet, sizeof(packet), "G%s", reply);
    changed = f->fake.registers[0];
    assert_string_equal(ask(f, packet), "OK");
    assert_memory_equal(&f->fake.registers[0], &changed, sizeof(changed)); /* back as they were */
    assert_string_equal(ask(f, "p22"), "fc3f0000"); /* st1 to st6 are empty */
    destroy(f);
}

static void test_selected_cpu(void **state)
{
    struct fixture *f = create();

    (void)state;
    assert_string_equal(ask(f, "Hg2"), "OK");
    assert_string_equal(ask(f, "p10"), "0100100000000000");
    assert_string_equal(ask(f, "m1000,1"), "00");
    assert_string_equal(f->fake.log, "read 1;");
    assert_string_equal(ask(f, "Hc2"), "OK");
    assert_null(ask(f, "s"));
    assert_string_equal(f->fake.log, "read 1;resume -s;");
    destroy(f);
}

static void test_running(void **state)
{
    static const char *const refused[] = {"g", "m1000,1", "c", "Z0,0,1", "D", "k", "?"};
    struct gdb_stop stop = {.cpu = 1, .signal = GDB_SIGNAL_INT};
    struct fixture *f = create();

    (void)state;
    gdb_session_interrupt(&f->session); /* it stands still: nothing to interrupt */
    assert_null(ask(f, "c"));
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        assert_string_equal(ask(f, refused[i]), "E10");
    gdb_session_interrupt(&f->session);
    assert_string_equal(f->fake.log, "resume cc;interrupt;");
    f->reply.len = 0;
    gdb_session_stopped(&f->session, &stop, &f->reply);
    assert_int_equal(f->reply.len, strlen("T02thread:2;"));
    assert_memory_equal(f->reply.payload, "T02thread:2;", f->reply.len);
    assert_string_equal(ask(f, "p10"), "0100100000000000"); /* of the CPU that stopped */
    destroy(f);
}

struct stop_row {
    const char *name;
    struct gdb_stop stop;
    bool knows_points;
    const char *reply;
};

static const struct stop_row stops[] = {
    {"a step", {.signal = 5}, true, "T05thread:1;"},
    {"a breakpoint", {.signal = 5, .at_point = true}, true, "T05thread:1;swbreak:;"},
    {"a breakpoint, for an old gdb", {.signal = 5, .at_point = true}, false, "T05thread:1;"},
    {"a hardware one",
     {.signal = 5, .at_point = true, .point = GDB_HARDWARE},
     true,
     "T05thread:1;hwbreak:;"},
    {"a watchpoint",
     {.cpu = 1, .signal = 5, .at_point = true, .point = GDB_WRITE, .address = 0xabc0},
     false,
     "T05thread:2;watch:abc0;"},
    {"a read one",
     {.signal = 5, .at_point = true, .point = GDB_READ, .address = 1},
     true,
     "T05thread:1;rwatch:1;"},
    {"one for both",
     {.signal = 5, .at_point = true, .point = GDB_ACCESS, .address = UINT64_MAX},
     true,
     "T05thread:1;awatch:ffffffffffffffff;"},
};

static void test_stop(void **state)
{
    const struct stop_row *row = *state;
    struct fixture *f = create();

    ask(f, row->knows_points ? "qSupported:multiprocess+;swbreak+;hwbreak+;x+"
                             : "qSupported:swbreak-");
    assert_null(ask(f, "c"));
    f->reply.len = 0;
    gdb_session_stopped(&f->session, &row->stop, &f->reply);
    f->reply.payload[f->reply.len] = '\0';
    assert_string_equal(f->reply.payload, row->reply);
    assert_string_equal(ask(f, "?"), row->reply);
    destroy(f);
}

/* In pieces as gdb asks for it; every register of the table is in it, and it is whole. */
static void test_description(void **state)
{
    struct fixture *f = create();
    char text[GDB_DESCRIPTION_MAX + 1] = "";
    size_t len = 0;

    (void)state;
    for (char mark = 'm'; mark == 'm';) {
        char packet[64];

        snprintf(packet, sizeof(packet), "qXfer:features:read:target.xml:%zx,3e8", len);
        assert_non_null(ask(f, packet));
        mark = f->reply.payload[0];
        memcpy(text + len, f->reply.payload + 1, f->reply.len - 1);
        len += f->reply.len - 1;
    }
    assert_int_equal(len, f->session.description_len);
    assert_true(len < GDB_DESCRIPTION_MAX - 1); /* not cut off */
    assert_non_null(strstr(text, "regnum=\"0\""));
    assert_non_null(strstr(text, "name=\"efer\""));
    assert_string_equal(text + len - strlen("</target>\n"), "</target>\n");
    destroy(f);
}

static void test_many_threads(void **state)
{
    struct fake fake = {.target = {.ops = &ops, .cpu_count = 5000}};
    struct gdb_session *session = calloc(1, sizeof(*session));
    struct gdb_reply *reply = calloc(1, sizeof(*reply));
    unsigned listed = 0;

    (void)state;
    assert_int_equal(gdb_session_begin(session, &fake.target), 0);
    for (const char *packet = "qfThreadInfo";; packet = "qsThreadInfo") {
        reply->len = 0;
        assert_true(gdb_session_packet(session, packet, strlen(packet), reply));
        if (reply->payload[0] == 'l')
            break;
        for (size_t i = 0; i < reply->len; i++)
            listed += reply->payload[i] == ',' || reply->payload[i] == 'm';
    }
    assert_int_equal(listed, 5000);
    gdb_session_end(session);
    free(session);
    free(reply);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, test_packet);
    unit_add(&unit, "all registers, written back", test_all_registers, NULL);
    unit_add(&unit, "what is asked of the CPU that is selected", test_selected_cpu, NULL);
    unit_add(&unit, "while it runs", test_running, NULL);
    unit_add_rows(&unit, stops, test_stop);
    unit_add(&unit, "the description in pieces", test_description, NULL);
    unit_add(&unit, "5000 threads", test_many_threads, NULL);
    return unit_run(&unit, "gdb_session");
}
