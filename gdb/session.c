#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "hex.h"
#include "query.h"

/* Each byte is two digits in a reply. */
#define MAX_BYTES (GDB_PACKET_MAX / 2)

int gdb_session_begin(struct gdb_session *session, struct gdb_target *target)
{
    *session = (struct gdb_session){
        .target = target,
        .stop = {.signal = GDB_SIGNAL_TRAP},
        .actions = calloc(target->cpu_count, sizeof(enum gdb_action)),
    };
    session->description_len = gdb_registers_describe(session->description);
    return session->actions ? 0 : -ENOMEM;
}

void gdb_session_end(struct gdb_session *session)
{
    free(take_ptr(session->actions));
}

/* "OK", or "E" and the errno. */
static bool result(struct gdb_reply *reply, int r)
{
    if (r < 0)
        gdb_reply_format(reply, "E%02x", (unsigned)-r & 0xff);
    else
        gdb_reply_format(reply, "OK");
    return true;
}

static void add_stop(const struct gdb_session *session, struct gdb_reply *reply)
{
    static const char *const words[] = {
        [GDB_SOFTWARE] = "swbreak", [GDB_HARDWARE] = "hwbreak", [GDB_WRITE] = "watch",
        [GDB_READ] = "rwatch",      [GDB_ACCESS] = "awatch",
    };
    const struct gdb_stop *stop = &session->stop;

    gdb_reply_format(reply, "T%02xthread:%x;", stop->signal, stop->cpu + 1);
    if (!stop->at_point)
        return;
    if (stop->point >= GDB_WRITE)
        gdb_reply_format(reply, "%s:%" PRIx64 ";", words[stop->point], stop->address);
    else if (session->tells_points)
        gdb_reply_format(reply, "%s:;", words[stop->point]);
}

void gdb_session_stopped(struct gdb_session *session, const struct gdb_stop *stop,
                         struct gdb_reply *reply)
{
    session->running = false;
    session->stop = *stop;
    session->cpu_general = session->cpu_resumed = stop->cpu;
    add_stop(session, reply);
}

void gdb_session_interrupt(struct gdb_session *session)
{
    if (session->running)
        session->target->ops->interrupt(session->target);
}

/* --- registers ---------------------------------------------------------------------------------
 */

static bool read_all_registers(struct gdb_session *session, struct gdb_reply *reply)
{
    struct vcpu_registers registers;
    uint8_t value[GDB_REGISTER_MAX_BYTES];
    int r = session->target->ops->read_registers(session->target, session->cpu_general, &registers);

    if (r < 0)
        return result(reply, r);
    for (unsigned i = 0; i < gdb_register_count(); i++)
        gdb_reply_hex(reply, value, gdb_register_get(&registers, i, value));
    return true;
}

/* Change the registers from `first` on by the digits at `text`, which say all of them or as many
 * as they are. What cannot be written is left as it is where many are written, and refused alone.
 */
static int write_registers(struct gdb_session *session, unsigned first, unsigned count,
                           const char *text)
{
    struct gdb_target *target = session->target;
    struct vcpu_registers before, registers;
    size_t digits = strlen(text);
    int r = target->ops->read_registers(target, session->cpu_general, &before);

    if (r < 0)
        return r;
    registers = before;
    for (unsigned i = first; i < first + count && digits > 0; i++) {
        uint8_t value[GDB_REGISTER_MAX_BYTES];
        unsigned size = gdb_register_size(i);

        if (digits < 2 * size || !hex_bytes(text, value, size))
            return -EINVAL;
        r = gdb_register_set(&registers, i, value);
        if (r < 0 && count == 1)
            return r;
        text += 2 * size;
        digits -= 2 * size;
    }
    if (digits > 0)
        return -EINVAL;
    return target->ops->write_registers(target, session->cpu_general, &before, &registers);
}

static bool read_register(struct gdb_session *session, const char *text, struct gdb_reply *reply)
{
    struct vcpu_registers registers;
    uint8_t value[GDB_REGISTER_MAX_BYTES];
    uint64_t n;
    int r;

    if (!hex_number(&text, &n) || *text || n >= gdb_register_count())
        return result(reply, -EINVAL);
    r = session->target->ops->read_registers(session->target, session->cpu_general, &registers);
    if (r < 0)
        return result(reply, r);
    gdb_reply_hex(reply, value, gdb_register_get(&registers, (unsigned)n, value));
    return true;
}

static int write_register(struct gdb_session *session, const char *text)
{
    uint64_t n;

    if (!hex_number(&text, &n) || *text++ != '=' || n >= gdb_register_count() || !*text)
        return -EINVAL;
    return write_registers(session, (unsigned)n, 1, text);
}

/* --- memory ------------------------------------------------------------------------------------
 */

/* ADDRESS,LENGTH; moves *text behind it. */
static bool parse_range(const char **text, uint64_t *ret_address, uint64_t *ret_len)
{
    if (!hex_number(text, ret_address) || **text != ',')
        return false;
    ++*text;
    return hex_number(text, ret_len);
}

static bool read_memory(struct gdb_session *session, const char *text, struct gdb_reply *reply)
{
    uint8_t bytes[MAX_BYTES];
    uint64_t address, len;
    int r;

    if (!parse_range(&text, &address, &len) || *text)
        return result(reply, -EINVAL);
    if (len == 0)
        return true; /* an empty answer is one here: that the memory is not to be had is E.. */
    len = min_u64(len, sizeof(bytes));
    r = session->target->ops->read_memory(session->target, session->cpu_general, address, bytes,
                                          (size_t)len);
    if (r < 0)
        return result(reply, r);
    gdb_reply_hex(reply, bytes, (size_t)r);
    return true;
}

/* ADDRESS,LENGTH:DATA, in digits (`M`) or as it is (`X`). */
static int write_memory(struct gdb_session *session, const char *text, const char *end, bool binary)
{
    uint8_t bytes[GDB_PACKET_MAX];
    uint64_t address, len;
    size_t given;

    if (!parse_range(&text, &address, &len) || *text++ != ':')
        return -EINVAL;
    given = (size_t)(end - text);
    if (len > sizeof(bytes) || given != (binary ? len : 2 * len))
        return -EINVAL;
    if (binary)
        memcpy(bytes, text, (size_t)len);
    else if (!hex_bytes(text, bytes, (size_t)len))
        return -EINVAL;
    if (len == 0)
        return 0; /* gdb asks by that whether `X` is known */
    return session->target->ops->write_memory(session->target, session->cpu_general, address, bytes,
                                              (size_t)len);
}

/* --- breakpoints -------------------------------------------------------------------------------
 */

/* TYPE,ADDRESS,LENGTH; conditions and commands, which were not offered, are not taken. */
static bool change_point(struct gdb_session *session, const char *text, bool insert,
                         struct gdb_reply *reply)
{
    struct gdb_target *target = session->target;
    uint64_t type, address, len;
    enum gdb_point point;

    if (!hex_number(&text, &type) || *text++ != ',' || !parse_range(&text, &address, &len) || *text)
        return result(reply, -EINVAL);
    if (type >= GDB_POINT_COUNT)
        return true; /* a kind from the future: "not supported" is an empty reply */
    point = (enum gdb_point)type;
    return result(reply,
                  insert ? target->ops->insert(target, session->cpu_general, point, address, len)
                         : target->ops->remove(target, point, address, len));
}

/* --- running -----------------------------------------------------------------------------------
 */

static bool resume(struct gdb_session *session, struct gdb_reply *reply)
{
    int r = session->target->ops->resume(session->target, session->actions);

    if (r < 0)
        return result(reply, r);
    session->running = true;
    return false;
}

static void all_act(struct gdb_session *session, enum gdb_action action)
{
    for (unsigned i = 0; i < session->target->cpu_count; i++)
        session->actions[i] = action;
}

/* Have the CPU that is resumed go on at an address, where there is one. */
static int go_on_at(struct gdb_session *session, const char *text)
{
    struct gdb_target *target = session->target;
    struct vcpu_registers before, registers;
    uint64_t address;
    int r;

    if (!*text)
        return 0;
    if (!hex_number(&text, &address) || *text)
        return -EINVAL;
    r = target->ops->read_registers(target, session->cpu_resumed, &before);
    if (r < 0)
        return r;
    registers = before;
    registers.regs.rip = address;
    return target->ops->write_registers(target, session->cpu_resumed, &before, &registers);
}

/* `c`, `s`, `C sig`, `S sig`: a CPU has no signals. Each may say where to go on. */
static bool resume_plainly(struct gdb_session *session, const char *text, struct gdb_reply *reply)
{
    bool step = *text == 's' || *text == 'S';
    bool has_signal = *text == 'C' || *text == 'S';
    uint64_t signal;
    int r;

    text++;
    if (has_signal && !hex_number(&text, &signal))
        return result(reply, -EINVAL);
    if (has_signal && *text == ';')
        text++;
    r = go_on_at(session, text);
    if (r < 0)
        return result(reply, r);
    all_act(session, step ? GDB_STAY : GDB_CONTINUE);
    if (step)
        session->actions[session->cpu_resumed] = GDB_STEP;
    return resume(session, reply);
}

/* A thread id: 0 any, -1 all, else a CPU's number and one. Returns whether it is one. */
static bool parse_thread(const struct gdb_session *session, const char **text, bool *ret_all,
                         unsigned *ret_cpu)
{
    uint64_t thread;

    *ret_all = strncmp(*text, "-1", 2) == 0;
    if (*ret_all) {
        *text += 2;
        *ret_cpu = 0;
        return true;
    }
    if (!hex_number(text, &thread) || thread > session->target->cpu_count)
        return false;
    *ret_cpu = thread ? (unsigned)thread - 1 : session->stop.cpu;
    return true;
}

/* One ";ACTION[:THREAD]" of vCont. The first that names a CPU counts for it. */
static bool take_action(struct gdb_session *session, const char **text)
{
    uint64_t signal;
    enum gdb_action action;
    bool all = true;
    unsigned cpu = 0;
    char letter;

    if (**text != ';')
        return false;
    letter = *++*text;
    if (!letter || !strchr("cCsS", letter))
        return false;
    ++*text;
    action = letter == 'c' || letter == 'C' ? GDB_CONTINUE : GDB_STEP;
    if ((letter == 'C' || letter == 'S') && !hex_number(text, &signal))
        return false;
    if (**text == ':') {
        ++*text;
        if (!parse_thread(session, text, &all, &cpu))
            return false;
    }
    for (unsigned i = 0; i < session->target->cpu_count; i++) {
        if ((all || i == cpu) && session->actions[i] == GDB_STAY)
            session->actions[i] = action;
    }
    return true;
}

/* vCont, or something else with a `v`. */
static bool packet_v(struct gdb_session *session, const char *text, struct gdb_reply *reply)
{
    if (strcmp(text, "vCont?") == 0) {
        gdb_reply_format(reply, "vCont;c;C;s;S");
        return true;
    }
    if (strncmp(text, "vKill", 5) == 0) {
        session->target->ops->kill(session->target);
        return result(reply, 0);
    }
    if (strncmp(text, "vCont;", 6) != 0)
        return true;
    text += 5;
    all_act(session, GDB_STAY);
    do {
        if (!take_action(session, &text))
            return result(reply, -EINVAL);
    } while (*text);
    return resume(session, reply);
}

/* --- threads, and the rest ---------------------------------------------------------------------
 */

static int select_thread(struct gdb_session *session, const char *text)
{
    unsigned *selected = *text == 'g' ? &session->cpu_general : &session->cpu_resumed;
    unsigned cpu;
    bool all;

    if (*text != 'g' && *text != 'c')
        return -EINVAL;
    text++;
    if (!parse_thread(session, &text, &all, &cpu) || *text)
        return -EINVAL;
    *selected = cpu;
    return 0;
}

static int thread_alive(const struct gdb_session *session, const char *text)
{
    uint64_t thread;

    if (!hex_number(&text, &thread) || *text || thread == 0 || thread > session->target->cpu_count)
        return -EINVAL;
    return 0;
}

bool gdb_session_packet(struct gdb_session *session, const char *payload, size_t len,
                        struct gdb_reply *reply)
{
    if (session->running)
        return result(reply, -EBUSY); /* gdb waits for the stop first */
    switch (*payload) {
    case '?':
        add_stop(session, reply);
        return true;
    case 'g':
        return read_all_registers(session, reply);
    case 'G':
        return result(reply, write_registers(session, 0, gdb_register_count(), payload + 1));
    case 'p':
        return read_register(session, payload + 1, reply);
    case 'P':
        return result(reply, write_register(session, payload + 1));
    case 'm':
        return read_memory(session, payload + 1, reply);
    case 'M':
    case 'X':
        return result(reply, write_memory(session, payload + 1, payload + len, *payload == 'X'));
    case 'Z':
    case 'z':
        return change_point(session, payload + 1, *payload == 'Z', reply);
    case 'c':
    case 'C':
    case 's':
    case 'S':
        return resume_plainly(session, payload, reply);
    case 'v':
        return packet_v(session, payload, reply);
    case 'H':
        return result(reply, select_thread(session, payload + 1));
    case 'T':
        return result(reply, thread_alive(session, payload + 1));
    case 'D':
        session->detached = true;
        return result(reply, 0);
    case 'k':
        session->target->ops->kill(session->target);
        return false;
    case 'q':
    case 'Q':
        return gdb_session_query(session, payload, reply);
    default:
        return true; /* not known: an empty reply */
    }
}
