/* An MCP server with a few tools that need no network: docs/mcp.md. */
#include "tools.h"

int main(void)
{
    return mcp_serve(&tools_server);
}
