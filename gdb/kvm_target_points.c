/* Breakpoints: INT3s in guest memory, and the CPU's own four. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "kvm_target.h"

#define INT3 0xcc

static struct kvm_target *of_target(struct gdb_target *target)
{
    return container_of(target, struct kvm_target, target);
}

bool kvm_target_is_planted(const struct kvm_target *target, uint64_t address)
{
    for (unsigned i = 0; i < target->planted_count; i++) {
        if (target->planted[i].address == address)
            return true;
    }
    return false;
}

/* One at a guest-physical address, which several linear ones may lead to; NULL: none. */
static struct planted *planted_at(struct kvm_target *target, uint64_t gpa)
{
    for (unsigned i = 0; i < target->planted_count; i++) {
        if (target->planted[i].gpa == gpa)
            return &target->planted[i];
    }
    return NULL;
}

int kvm_target_read_gpa(const struct kvm_target *target, uint64_t gpa, uint8_t *bytes, size_t len)
{
    int r = guest_memory_read(target->mem, gpa, bytes, len);

    for (unsigned i = 0; r == 0 && i < target->planted_count; i++) {
        const struct planted *planted = &target->planted[i];

        /* The guest may have put something else there since. */
        if (planted->gpa - gpa < len && bytes[planted->gpa - gpa] == INT3)
            bytes[planted->gpa - gpa] = planted->saved;
    }
    return r;
}

int kvm_target_write_gpa(struct kvm_target *target, uint64_t gpa, const uint8_t *bytes, size_t len)
{
    const uint8_t int3 = INT3;
    int r = guest_memory_write(target->mem, gpa, bytes, len);

    for (unsigned i = 0; r == 0 && i < target->planted_count; i++) {
        struct planted *planted = &target->planted[i];

        if (planted->gpa - gpa < len) {
            planted->saved = bytes[planted->gpa - gpa];
            r = guest_memory_write(target->mem, planted->gpa, &int3, sizeof(int3));
        }
    }
    return r;
}

static int plant(struct kvm_target *target, unsigned cpu, uint64_t address)
{
    struct planted planted = {.address = address};
    const uint8_t int3 = INT3;
    int r;

    if (kvm_target_is_planted(target, address))
        return 0;
    if (target->planted_count == KVM_TARGET_MAX_PLANTED)
        return -ENOSPC;
    r = vcpu_translate(&target->vcpus[cpu], address, &planted.gpa);
    if (r == 0)
        r = kvm_target_read_gpa(target, planted.gpa, &planted.saved, sizeof(planted.saved));
    if (r == 0)
        r = guest_memory_write(target->mem, planted.gpa, &int3, sizeof(int3));
    if (r == 0)
        target->planted[target->planted_count++] = planted;
    return r;
}

/* Take out the one at this place of the table. */
static void uproot(struct kvm_target *target, unsigned i)
{
    struct planted planted = target->planted[i];
    uint8_t now = 0;

    target->planted[i] = target->planted[--target->planted_count];
    if (planted_at(target, planted.gpa))
        return; /* another linear address leads to it too */
    /* Where the guest has overwritten it meanwhile, its own byte is there already. */
    guest_memory_read(target->mem, planted.gpa, &now, sizeof(now));
    if (now == INT3)
        guest_memory_write(target->mem, planted.gpa, &planted.saved, sizeof(planted.saved));
}

/* The longest aligned piece that a single hardware point can watch, from `address` on. */
static unsigned piece_len(uint64_t address, uint64_t len)
{
    unsigned piece = 8;

    while (piece > len || address % piece)
        piece /= 2;
    return piece;
}

static bool owned(const struct kvm_target *target, unsigned i, const struct point_owner *owner)
{
    return target->points[i].used && target->owners[i].point == owner->point &&
           target->owners[i].address == owner->address && target->owners[i].len == owner->len;
}

static void free_points(struct kvm_target *target, const struct point_owner *owner)
{
    for (unsigned i = 0; i < VCPU_POINT_COUNT; i++) {
        if (owned(target, i, owner))
            target->points[i].used = false;
    }
}

static int take_point(struct kvm_target *target, const struct point_owner *owner, uint64_t address,
                      unsigned len)
{
    static const enum vcpu_point_kind kinds[] = {
        [GDB_HARDWARE] = VCPU_POINT_EXECUTE,
        [GDB_WRITE] = VCPU_POINT_WRITE,
        [GDB_READ] = VCPU_POINT_ACCESS, /* gdb drops what turns out to be a write */
        [GDB_ACCESS] = VCPU_POINT_ACCESS,
    };

    for (unsigned i = 0; i < VCPU_POINT_COUNT; i++) {
        if (target->points[i].used)
            continue;
        target->points[i] = (struct vcpu_point){
            .used = true, .kind = kinds[owner->point], .address = address, .len = len};
        target->owners[i] = *owner;
        return 0;
    }
    return -ENOSPC;
}

static int take_points(struct kvm_target *target, const struct point_owner *owner)
{
    uint64_t address = owner->address, len = owner->point == GDB_HARDWARE ? 1 : owner->len;

    if (len == 0 || len > VCPU_POINT_COUNT * 8)
        return -ENOSPC;
    for (unsigned i = 0; i < VCPU_POINT_COUNT; i++) {
        if (owned(target, i, owner))
            return 0;
    }
    while (len > 0) {
        unsigned piece = piece_len(address, len);
        int r = take_point(target, owner, address, piece);

        if (r < 0) {
            free_points(target, owner);
            return r;
        }
        address += piece;
        len -= piece;
    }
    return 0;
}

int kvm_target_insert(struct gdb_target *base, unsigned cpu, enum gdb_point point, uint64_t address,
                      uint64_t len)
{
    struct point_owner owner = {point, address, len};

    if (point == GDB_SOFTWARE)
        return plant(of_target(base), cpu, address);
    return take_points(of_target(base), &owner);
}

int kvm_target_remove(struct gdb_target *base, enum gdb_point point, uint64_t address, uint64_t len)
{
    struct kvm_target *target = of_target(base);
    struct point_owner owner = {point, address, len};

    if (point != GDB_SOFTWARE) {
        free_points(target, &owner);
        return 0;
    }
    for (unsigned i = 0; i < target->planted_count; i++) {
        if (target->planted[i].address == address) {
            uproot(target, i);
            break;
        }
    }
    return 0;
}

void kvm_target_remove_all(struct kvm_target *target)
{
    while (target->planted_count > 0)
        uproot(target, target->planted_count - 1);
    memset(target->points, 0, sizeof(target->points));
}
