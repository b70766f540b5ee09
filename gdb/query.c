#include "query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "hex.h"

/* What follows `prefix` in `text`; NULL where it does not begin so. */
static const char *behind(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

/* Whether `name` is one of the ";"-separated words. */
static bool has_word(const char *words, const char *name)
{
    size_t len = strlen(name);

    while (*words) {
        size_t word = strcspn(words, ";");

        if (word == len && memcmp(words, name, len) == 0)
            return true;
        words += word + (words[word] == ';');
    }
    return false;
}

static bool supported(struct gdb_session *session, const char *offered, struct gdb_reply *reply)
{
    session->tells_points = has_word(offered, "swbreak+") && has_word(offered, "hwbreak+");
    gdb_reply_format(reply,
                     "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;vContSupported+;"
                     "swbreak+;hwbreak+",
                     GDB_PACKET_MAX);
    return true;
}

/* As many threads as fit; gdb asks on until it hears "l". */
static bool list_threads(struct gdb_session *session, struct gdb_reply *reply)
{
    const size_t room = sizeof(",ffffffff");
    unsigned count = session->target->cpu_count;

    if (session->next_listed >= count) {
        gdb_reply_format(reply, "l");
        return true;
    }
    for (char mark = 'm'; session->next_listed < count; mark = ',') {
        if (sizeof(reply->payload) - reply->len < room)
            break;
        gdb_reply_format(reply, "%c%x", mark, ++session->next_listed);
    }
    return true;
}

/* OFFSET,LENGTH of the target description. */
static bool describe(const struct gdb_session *session, const char *text, struct gdb_reply *reply)
{
    uint64_t offset, len, left;

    if (!hex_number(&text, &offset) || *text++ != ',' || !hex_number(&text, &len) || *text ||
        offset > session->description_len) {
        gdb_reply_format(reply, "E%02x", EINVAL);
        return true;
    }
    left = session->description_len - offset;
    len = min_u64(len, GDB_PACKET_MAX / 2);
    gdb_reply_bytes(reply, len < left ? "m" : "l", 1);
    gdb_reply_bytes(reply, session->description + offset, (size_t)min_u64(len, left));
    return true;
}

static bool describe_thread(const struct gdb_session *session, const char *text,
                            struct gdb_reply *reply)
{
    char name[24];
    uint64_t thread;

    if (!hex_number(&text, &thread) || *text || thread == 0 ||
        thread > session->target->cpu_count) {
        gdb_reply_format(reply, "E%02x", EINVAL);
        return true;
    }
    snprintf(name, sizeof(name), "CPU %u", (unsigned)thread - 1);
    gdb_reply_hex(reply, name, strlen(name));
    return true;
}

bool gdb_session_query(struct gdb_session *session, const char *payload, struct gdb_reply *reply)
{
    const char *rest;

    if (strcmp(payload, "QStartNoAckMode") == 0) {
        session->no_ack = true;
        gdb_reply_format(reply, "OK");
        return true;
    }
    if (strcmp(payload, "qfThreadInfo") == 0) {
        session->next_listed = 0;
        return list_threads(session, reply);
    }
    if (strcmp(payload, "qsThreadInfo") == 0)
        return list_threads(session, reply);
    if (strcmp(payload, "qC") == 0) {
        gdb_reply_format(reply, "QC%x", session->stop.cpu + 1);
        return true;
    }
    if (strcmp(payload, "qAttached") == 0) {
        gdb_reply_format(reply, "1"); /* so gdb detaches when it quits, and does not kill */
        return true;
    }
    rest = behind(payload, "qSupported:");
    if (rest || strcmp(payload, "qSupported") == 0)
        return supported(session, rest ? rest : "", reply);
    rest = behind(payload, "qXfer:features:read:target.xml:");
    if (rest)
        return describe(session, rest, reply);
    rest = behind(payload, "qThreadExtraInfo,");
    if (rest)
        return describe_thread(session, rest, reply);
    return true; /* not known: an empty reply */
}
