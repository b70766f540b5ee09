/*
 * The part of JSON Schema that tools' arguments are described in: sdk/mcp.h, struct mcp_tool, says
 * which. One text is what is published and what is checked.
 */
#ifndef MCP_SCHEMA_H
#define MCP_SCHEMA_H

#include "sdk/json.h"

/* Returns NULL where each word of the schema is known and has the right kind of value, else what
 * is wrong. */
const char *schema_check(struct json schema);

/**
 * Look whether a value is what a checked schema allows. A member that stands twice is not.
 *
 * @ret_why  "argument …", terminated, where it is not
 * Returns whether it is.
 */
bool schema_allows(struct json schema, struct json value, char *ret_why, size_t size);

#endif
