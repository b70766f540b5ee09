#include "guest/gate.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/vcpu.h"

static bool ending(const struct vcpu_gate *gate)
{
    return __atomic_load_n(gate->ending, __ATOMIC_SEQ_CST);
}

static bool must_wait(const struct vcpu_gate *gate, const struct vcpu *vcpu)
{
    return (gate->closed || vcpu->frozen) && !ending(gate);
}

/* Have the loop look whether there is anybody to tell. The lock is held. */
static void call_loop(struct vcpu_gate *gate)
{
    const uint64_t one = 1;

    if (gate->inside > 0 || !gate->closed)
        return;
    if (write(gate->source.fd, &one, sizeof(one)) < 0)
        return; /* EAGAIN: it is called already */
}

/* The next hold whose owner does not know yet that all stand still; NULL: none. */
static struct gate_hold *next_to_tell(struct vcpu_gate *gate)
{
    struct gate_hold *found = NULL;

    pthread_mutex_lock(&gate->lock);
    if (gate->inside == 0 && !ending(gate)) {
        for (found = gate->holds; found && found->told; found = found->next)
            ;
        if (found)
            found->told = true;
    }
    pthread_mutex_unlock(&gate->lock);
    return found;
}

static void on_all_out(struct loop_source *source, uint32_t events)
{
    struct vcpu_gate *gate = container_of(source, struct vcpu_gate, source);
    struct gate_hold *hold;
    uint64_t count;

    (void)events;
    if (read(source->fd, &count, sizeof(count)) < 0)
        return;
    /* A callback may release its hold, and by that open the gate: looked up anew each time. */
    while ((hold = next_to_tell(gate)))
        hold->stopped(hold);
}

int vcpu_gate_init(struct vcpu_gate *gate, struct loop *loop, const bool *ending_flag)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), r;

    if (fd < 0)
        return -errno;
    *gate = (struct vcpu_gate){
        .loop = loop,
        .ending = ending_flag,
        .source = {.fd = fd, .events = EPOLLIN, .callback = on_all_out},
    };
    r = loop_add(loop, &gate->source);
    if (r < 0) {
        close_fd(fd);
        *gate = (struct vcpu_gate){0};
        return r;
    }
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->opened, NULL);
    return 0;
}

void vcpu_gate_destroy(struct vcpu_gate *gate)
{
    if (!gate->loop)
        return;
    loop_remove(gate->loop, &gate->source);
    close_fd(gate->source.fd);
    pthread_cond_destroy(&gate->opened);
    pthread_mutex_destroy(&gate->lock);
    gate->loop = NULL;
}

void vcpu_gate_hold(struct vcpu_gate *gate, struct gate_hold *hold)
{
    pthread_mutex_lock(&gate->lock);
    if (!hold->held) {
        hold->held = true;
        hold->told = false;
        hold->next = gate->holds;
        gate->holds = hold;
        __atomic_store_n(&gate->closed, true, __ATOMIC_SEQ_CST);
        for (struct vcpu *vcpu = gate->members; vcpu; vcpu = vcpu->gate_next)
            vcpu_interrupt(vcpu);
        call_loop(gate);
    }
    pthread_mutex_unlock(&gate->lock);
}

void vcpu_gate_release(struct vcpu_gate *gate, struct gate_hold *hold)
{
    pthread_mutex_lock(&gate->lock);
    if (hold->held) {
        struct gate_hold **link = &gate->holds;

        while (*link != hold)
            link = &(*link)->next;
        *link = hold->next;
        hold->held = false;
        if (!gate->holds) {
            __atomic_store_n(&gate->closed, false, __ATOMIC_SEQ_CST);
            pthread_cond_broadcast(&gate->opened);
        }
    }
    pthread_mutex_unlock(&gate->lock);
}

void vcpu_gate_end(struct vcpu_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->lock);
}

/* Wait until the vCPU may go on, not counted as inside. The lock is held. Returns whether it did.
 */
static bool wait_open(struct vcpu_gate *gate, const struct vcpu *vcpu)
{
    bool waited = false;

    while (must_wait(gate, vcpu)) {
        waited = true;
        pthread_cond_wait(&gate->opened, &gate->lock);
    }
    return waited;
}

/*
 * Clear what a vCPU was interrupted by. Whoever interrupts sets its reason (`closed`, `ending`)
 * first and immediate_exit then: where the reason is not seen here, that second write is still to
 * come, so none is lost.
 */
static void rearm(struct vcpu_gate *gate, struct vcpu *vcpu)
{
    __atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&gate->closed, __ATOMIC_SEQ_CST) || ending(gate))
        __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
}

void vcpu_gate_enter(struct vcpu_gate *gate, struct vcpu *vcpu)
{
    pthread_mutex_lock(&gate->lock);
    vcpu->gate_next = gate->members;
    gate->members = vcpu;
    wait_open(gate, vcpu);
    gate->inside++;
    pthread_mutex_unlock(&gate->lock);
    rearm(gate, vcpu);
}

void vcpu_gate_pass(struct vcpu_gate *gate, struct vcpu *vcpu)
{
    bool waited;

    pthread_mutex_lock(&gate->lock);
    gate->inside--;
    call_loop(gate);
    waited = wait_open(gate, vcpu);
    gate->inside++;
    pthread_mutex_unlock(&gate->lock);
    /*
     * A Linux guest's watchdog is told that its clock jumped because it stood still. A guest that
     * does not use KVM's clock has EINVAL here, and nothing to be told.
     * Linux, Documentation/virt/kvm/api.rst, 4.75.
     */
    if (waited)
        ioctl(vcpu->fd, KVM_KVMCLOCK_CTRL, 0);
    rearm(gate, vcpu);
}

void vcpu_gate_leave(struct vcpu_gate *gate, struct vcpu *vcpu)
{
    struct vcpu **link = &gate->members;

    pthread_mutex_lock(&gate->lock);
    while (*link != vcpu)
        link = &(*link)->gate_next;
    *link = vcpu->gate_next;
    gate->inside--;
    call_loop(gate);
    pthread_mutex_unlock(&gate->lock);
}
