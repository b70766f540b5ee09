/* The gdb stub's protocol: any bytes from a client, on a target that has no KVM. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "packet.h"
#include "session.h"

#define CPUS        3
#define MEMORY_SIZE 0x3000

struct fake {
    struct gdb_target target;
    struct vcpu_registers registers[CPUS];
    uint8_t memory[MEMORY_SIZE];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake *fake_of(struct gdb_target *target)
{
    return container_of(target, struct fake, target);
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
    return 0;
}

static int read_memory(struct gdb_target *target, unsigned cpu, uint64_t address, void *buf,
                       size_t len)
{
    if (cpu >= CPUS)
        abort();
    if (address >= MEMORY_SIZE)
        return -EFAULT;
    len = min_u64(len, MEMORY_SIZE - address);
    memcpy(buf, fake_of(target)->memory + address, len);
    return (int)len;
}

static int write_memory(struct gdb_target *target, unsigned cpu, uint64_t address, const void *buf,
                        size_t len)
{
    if (cpu >= CPUS)
        abort();
    if (!range_inside(address, len, MEMORY_SIZE))
        return -EFAULT;
    memcpy(fake_of(target)->memory + address, buf, len);
    return 0;
}

static int insert(struct gdb_target *target, unsigned cpu, enum gdb_point point, uint64_t address,
                  uint64_t len)
{
    (void)target;
    (void)address;
    if (cpu >= CPUS || point >= GDB_POINT_COUNT)
        abort();
    return len > 8 ? -ENOSPC : 0;
}

static int remove_point(struct gdb_target *target, enum gdb_point point, uint64_t address,
                        uint64_t len)
{
    (void)target;
    (void)address;
    (void)len;
    if (point >= GDB_POINT_COUNT)
        abort();
    return 0;
}

static int resume(struct gdb_target *target, const enum gdb_action *actions)
{
    (void)target;
    for (unsigned i = 0; i < CPUS; i++) {
        if (actions[i] > GDB_STEP)
            abort();
    }
    return 0;
}

static void nothing(struct gdb_target *target)
{
    (void)target;
}

static void stop(struct gdb_session *session, struct gdb_reply *reply, uint8_t how)
{
    struct gdb_stop stop = {
        .cpu = how % CPUS,
        .signal = GDB_SIGNAL_TRAP,
        .at_point = how & 0x80,
        .point = how % GDB_POINT_COUNT,
    };

    gdb_session_stopped(session, &stop, reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gdb_target_ops ops = {
        .read_registers = read_registers,
        .write_registers = write_registers,
        .read_memory = read_memory,
        .write_memory = write_memory,
        .insert = insert,
        .remove = remove_point,
        .resume = resume,
        .interrupt = nothing,
        .kill = nothing,
    };
    static struct fake fake;
    static struct gdb_session session;
    static struct gdb_reader reader;
    static struct gdb_reply reply;
    static uint8_t frame[GDB_FRAME_MAX];

    fake.target = (struct gdb_target){.ops = &ops, .cpu_count = CPUS};
    memset(&reader, 0, sizeof(reader));
    if (gdb_session_begin(&session, &fake.target) < 0)
        abort();
    for (size_t i = 0; i < size; i++) {
        enum gdb_event event = gdb_reader_feed(&reader, data[i]);

        reply.len = 0;
        if (event == GDB_INTERRUPT)
            gdb_session_interrupt(&session);
        if (event == GDB_PACKET &&
            !gdb_session_packet(&session, reader.payload, reader.len, &reply) && session.running)
            stop(&session, &reply, data[i]);
        if (gdb_reply_frame(&reply, frame) > sizeof(frame))
            abort();
    }
    gdb_session_end(&session);
    return 0;
}
