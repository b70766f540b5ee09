// The TypeScript SDK's client of the stateless protocol (2026-07-28), unchanged, over stdio.
//
// node stateless_client.mjs auto|pin COMMAND [ARG]…
//
// auto: it asks server/discover first; pin: nothing but 2026-07-28 will do.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [mode, command, ...args] = process.argv.slice(2);
const transport = new StdioClientTransport({ command, args, stderr: "inherit" });
const client = new Client({ name: "osvm-tests", version: "1" },
    { versionNegotiation: { mode: mode === "pin" ? { pin: "2026-07-28" } : mode } });
await client.connect(transport);
assert.equal(client.getNegotiatedProtocolVersion(), "2026-07-28");
const names = (await client.listTools()).tools.map((tool) => tool.name);
assert.ok(names.includes("calculate"), names.join());
const result = await client.callTool({ name: "calculate", arguments: { expression: "6*7" } });
assert.equal(result.content[0].text, "42");
const wrong = await client.callTool({ name: "calculate", arguments: { expression: 5 } });
assert.equal(wrong.isError, true);
await client.close();
