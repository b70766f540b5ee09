/*
 * The standard input and output of a server that speaks on them: a socket pair, one end of which
 * the program has, and the other the first client that asks for it at RUN_STDIO. The client has it
 * itself then, so that each of them sees the other end.
 */
#ifndef OSVM_SUPERVISOR_MONITOR_STREAMS_H
#define OSVM_SUPERVISOR_MONITOR_STREAMS_H

#include "base/error.h"
#include "base/loop.h"

struct streams {
    struct loop_source listener; /* fd -1: there is none */
    int server, client;          /* the two ends; -1 once they are given away */
};

/**
 * Make the pair, and listen in the folder.
 * @ret_streams  closed by streams_close(), whatever comes of it
 * Returns 0 or a negative errno with the reason in err.
 */
int streams_open(const char *folder, struct streams *ret_streams, struct error *err);

/* Begin to take clients. Returns 0 or a negative errno. The loop's thread. */
int streams_watch(struct streams *streams, struct loop *loop);

/* The loop may be NULL where it was not watched. */
void streams_close(struct streams *streams, struct loop *loop);

#endif
