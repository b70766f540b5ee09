// The TypeScript SDK's client, unchanged, over its stdio transport.
//
// node sdk_client.mjs tools|everything|death COMMAND [ARG]…
//
// tools: our server; everything: npm's reference server; death: ours, whose process SERVER_PID is
// killed in mid-call. Ends with 0, or with 1 and the reason.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const [what, command, ...args] = process.argv.slice(2);
const transport = new StdioClientTransport({ command, args, stderr: "inherit" });
const client = new Client({ name: "osvm-tests", version: "1" });
await client.connect(transport);

const call = async (name, given) => {
    const result = await client.callTool({ name, arguments: given });
    return [result.isError === true, result.content[0].text];
};

async function tools() {
    assert.equal(client.getServerVersion().name, "osvm-tools");
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    assert.deepEqual(names.sort(), ["base64", "calculate", "echo", "hash", "json_query",
        "text_diff", "text_search", "text_stats", "time"]);
    await client.ping();
    assert.deepEqual(await call("echo", { message: "héllo \u0000 😀\n" }),
        [false, "héllo \u0000 😀\n"]);
    assert.deepEqual(await call("calculate", { expression: "(1 + 2) * 3" }), [false, "9"]);
    assert.deepEqual(await call("calculate", { expression: "1/0" }),
        [true, "a division by zero, at byte 4 of the expression"]);
    assert.equal((await call("nope", {}))[0], true);
    assert.deepEqual(await call("echo", {}), [true, 'the arguments lack the member "message"']);
    await assert.rejects(client.listResources(), /capabilit|-32601/);
    // Many at once, and answers to the right ones.
    const sums = await Promise.all([...Array(100).keys()].map((n) =>
        call("calculate", { expression: `${n}*${n}` })));
    sums.forEach((sum, n) => assert.equal(sum[1], String(n * n)));
    // As large as a message may be, both ways.
    const large = "x".repeat(10 * 1024 * 1024 - 300);
    assert.equal((await call("echo", { message: large }))[1], large);
    const now = Number((await call("time", {}))[1].match(/, (\d+) seconds/)[1]);
    assert.ok(Math.abs(now - Date.now() / 1000) < 3600);
}

async function everything() {
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    assert.ok(names.includes("echo"), names.join());
    assert.deepEqual(await call("echo", { message: "hi" }), [false, "Echo: hi"]);
    assert.ok((await client.listResources()).resources.length > 0);
    assert.ok((await client.listPrompts()).prompts.length > 0);
}

async function death() {
    const server = Number(process.env.SERVER_PID);
    assert.deepEqual(await call("echo", { message: "hi" }), [false, "hi"]);
    process.kill(server, "SIGSTOP");
    const open = call("echo", { message: "never" });
    setImmediate(() => process.kill(server, "SIGKILL"));
    await assert.rejects(open, /the server ended before it answered/);
}

await { tools, everything, death }[what]();
await client.close();
