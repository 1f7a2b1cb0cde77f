// The Model Context Protocol: the client of its TypeScript SDK, and the server scenarios of its conformance package.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { client, until, url } from "./suite.js";

// The package names no entry point but its program.
const PROGRAM = fileURLToPath(new URL("node_modules/@modelcontextprotocol/conformance/dist/index.js", import.meta.url));
const run = promisify(execFile);

/** A test with a connected client. */
function connected(name, scenario) {
  test(name, { timeout: 60_000 }, async () => {
    const mcp = new Client({ name: "suite", version: "1" });
    await mcp.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)));
    try {
      await scenario(mcp);
    } finally {
      await mcp.close();
    }
  });
}

const textOf = ({ content: [first] }) => first.text;

connected("a client greets the server, and finds a tool for each assistant", async (mcp) => {
  assert.equal(mcp.getServerVersion().name, "LangGraph");
  assert.deepEqual(mcp.getServerCapabilities(), { tools: { listChanged: false } });
  await mcp.ping();
  const tools = [];
  let cursor;
  do {
    const page = await mcp.listTools({ cursor });
    tools.push(...page.tools);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  const question = tools.find(({ name }) => name === "question");
  assert.equal(question.description, "Asks before it goes on");
  assert.equal(question.inputSchema.type, "object");
});

connected("a tool answers the state", async (mcp) => {
  const result = await mcp.callTool({ name: "chat", arguments: { messages: "hi" } });
  const { messages } = JSON.parse(textOf(result));
  assert.deepEqual(messages.map(({ type, content }) => [type, content]), [["human", "hi"], ["ai", "Good day to you"]]);
});

connected("a question of a graph is in the answer", async (mcp) => {
  const state = JSON.parse(textOf(await mcp.callTool({ name: "question", arguments: { log: [] } })));
  assert.deepEqual(state.__interrupt__.map(({ value }) => value), [{ question: "go on?" }]);
});

connected("a graph's failure is a result, and an unknown tool an error", async (mcp) => {
  const result = await mcp.callTool({ name: "failing", arguments: { kind: "value" } });
  assert.ok(result.isError && textOf(result).startsWith("ValueError"), textOf(result));
  await assert.rejects(mcp.callTool({ name: "nobody", arguments: {} }), { code: -32602, message: /Unknown tool: nobody/ });
  await assert.rejects(mcp.listResources(), /resources/);
});

connected("a client that goes away stops the run of its call", async (mcp) => {
  const secs = 77.7;
  const running = async () => {
    const busy = await client.threads.search({ metadata: { graph_id: "slow" }, status: "busy", limit: 100 });
    const runs = await Promise.all(busy.map(({ thread_id }) => client.runs.list(thread_id).catch(() => [])));
    return runs.flat().some(({ status, kwargs }) => status === "running" && kwargs.input.secs === secs);
  };
  const call = mcp.callTool({ name: "slow", arguments: { log: [], secs } });
  const failed = assert.rejects(call, /closed/i);
  await until(running);
  await mcp.close();
  await failed;
  await until(async () => !(await running()), 20);
});

for (const scenario of ["server-initialize", "ping", "tools-list", "dns-rebinding-protection"]) {
  test(`conformance: ${scenario}`, { timeout: 60_000 }, async () => {
    // The program fails if a check fails.
    const { stdout } = await run(process.execPath, [PROGRAM, "server", "--url", `${url}/mcp`, "--scenario", scenario]);
    assert.match(stdout, /Passed: ([1-9]\d*)\/\1, 0 failed, 0 warnings/);
  });
}
