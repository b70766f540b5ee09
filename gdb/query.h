/* The packets that ask about the stub and the target's shape: those with a `q` or a `Q`. */
#ifndef OSVM_GDB_QUERY_H
#define OSVM_GDB_QUERY_H

#include "session.h"

/* As gdb_session_packet(). */
bool gdb_session_query(struct gdb_session *session, const char *payload, struct gdb_reply *reply);

#endif
