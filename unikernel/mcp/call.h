/* A tool's call, as the server sees it. */
#ifndef MCP_CALL_H
#define MCP_CALL_H

#include "sdk/mcp.h"

struct mcp_allocation;

struct mcp_call {
    struct json arguments; /* an object */
    struct json_out *out;  /* inside the string of the answer's text */
    size_t text_at;        /* where that begins */
    bool failed;
    struct mcp_allocation *allocations;
};

/* Free what the call has allocated. */
void mcp_call_end(struct mcp_call *call);

#endif
