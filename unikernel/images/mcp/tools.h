/* The tools of the built-in MCP image, and the one thing that they want from outside. */
#ifndef IMAGES_MCP_TOOLS_H
#define IMAGES_MCP_TOOLS_H

#include "sdk/mcp.h"

/* The server with all its tools. */
extern const struct mcp_server tools_server;

void tool_base64(struct mcp_call *call);
void tool_calculate(struct mcp_call *call);
void tool_echo(struct mcp_call *call);
void tool_hash(struct mcp_call *call);
void tool_json_query(struct mcp_call *call);
void tool_text_diff(struct mcp_call *call);
void tool_text_search(struct mcp_call *call);
void tool_text_stats(struct mcp_call *call);
void tool_time(struct mcp_call *call);

/* Seconds since 1970-01-01, UTC; 0 where nobody knows. By clock_cmos.c in the guest. */
int64_t clock_now(void);

#endif
