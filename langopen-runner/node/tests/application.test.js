/**
 * How the host takes an application's graphs, output and stream transformers. `node --test langopen-runner/node/tests`
 */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { promisify } from "node:util";

import { installGate } from "../langopen_host/gate.js";
import { Graphs } from "../langopen_host/graphs.js";
import { dumps } from "../langopen_host/serialize.js";
import { Transformers } from "../langopen_host/transformers.js";

const run = promisify(execFile);
const HOST = new URL("../langopen_host/", import.meta.url);

test("a target may be a graph, a builder, an agent around a graph, a promise of one, or a function of one", async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), "langopen-"));
  context.after(() => rm(folder, { recursive: true }));
  await writeFile(
    path.join(folder, "graphs.mjs"),
    `export const graph = { lg_is_pregel: true, name: "inner" };
     export const builder = { nodes: {}, compile: () => graph };
     export const agent = { options: {}, graph };
     export const promised = Promise.resolve(agent);
     export const made = async () => agent;
     export default builder;
     export const number = 3;`,
  );
  const graphs = new Graphs();
  graphs.use(class {}, class {});
  for (const name of ["graph", "builder", "agent", "promised", "made", "default"]) {
    await graphs.load(name, `./graphs.mjs:${name}`, null, folder);
    const graph = await graphs.open(name, { configurable: {} }, "threads.read", null);
    assert.deepEqual([graph.lg_is_pregel, graph.name], [true, "inner"], name);
  }
  await assert.rejects(graphs.load("number", "./graphs.mjs:number", null, folder), /a graph needs a compiled graph/);
});

test("paths that the API does not know stay the API's, whatever the application's notFound says", async () => {
  let gate;
  const app = {
    fetch: () => {},
    routes: [],
    notFound: () => {},
    all: (_path, handler) => (gate = handler),
  };
  installGate(app, async () => new Response("{}", { status: 404 }));
  const raw = new Request("http://localhost/nowhere");
  const answer = await gate({ req: { raw }, notFound: () => new Response("all is well") });
  assert.equal(answer.status, 404);
});

test("stream transformers add named values, hide events and end with the graph", async () => {
  const pushed = [];
  const channel = { [Symbol.for("langgraph.stream_channel")]: true, channelName: "seen", _wire: (tell) => (channel.tell = tell), _close: () => pushed.push("closed") };
  let resolve;
  const counting = () => {
    let count = 0;
    return {
      init: () => ({ seen: channel, count: new Promise((done) => (resolve = done)), local: 3 }),
      process: ({ method }) => {
        count += 1;
        channel.tell(method);
        return method !== "custom";
      },
      finalize: () => resolve(count),
    };
  };
  const convert = ({ namespace, mode, payload }) => [{ method: mode, params: { namespace, data: payload } }];
  const library = { langgraph: { convertToProtocolEvent: convert, isNativeTransformer: () => false } };
  assert.equal(Transformers.of([], library), null);
  assert.equal(Transformers.of([counting], { langgraph: {} }), null, "an older langgraph has none");
  const transformers = Transformers.of([counting], library);
  assert.deepEqual([transformers.keeps([], "values", {}), transformers.keeps(["a:1"], "custom", 1)], [true, false]);
  assert.deepEqual(transformers.take(), [
    [[], { name: "seen", payload: "values" }],
    [["a:1"], { name: "seen", payload: "custom" }],
  ]);
  await transformers.close();
  assert.deepEqual(transformers.take(), [[[], { name: "count", payload: 2 }]]);
  assert.deepEqual(pushed, ["closed"]);
});

test("output is cut, the SDK's logger is there, and a flood is dropped and counted", async () => {
  // The host replaces the outputs of its process for good, so this needs a process of its own.
  const script = `
    import { writeFileSync } from "node:fs";
    import { Capture } from "${new URL("logs.js", HOST).href}";
    const records = [];
    const connection = { waiting: 0, send: (_kind, _run, payload) => records.push(JSON.parse(payload)) };
    const capture = new Capture(connection);
    console.log("x".repeat(200_000));
    process.stdout.write("y".repeat(200_000));
    capture.finish(null);
    const logger = globalThis[Symbol.for("langgraph.api.sdk-logger")];
    logger.warn("Hello", { random: 123 }).child({ of: "it" }).error("No");
    logger.info({ message: "Yes", more: 1 });
    connection.waiting = 1e9;
    console.log("lost");
    connection.waiting = 0;
    console.log("found");
    const shown = records.map(({ level, source, message }) => [level, source, message.length > 99 ? message.length : message]);
    writeFileSync(1, JSON.stringify(shown));`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script]);
  const piece = ["info", "stdout", 65536];
  const [cut, ...records] = JSON.parse(stdout);
  assert.ok(cut[2] > 65536 && cut[2] < 65600, "one record, with a note of what is missing");
  assert.deepEqual(records, [
    piece,
    piece,
    piece,
    ["info", "stdout", 200_000 - 3 * 65536],
    ["warning", "logging", "Hello { random: 123 }"],
    ["error", "logging", "No { of: 'it' }"],
    ["info", "logging", "Yes { more: 1 }"],
    ["warning", "stderr", "4 characters of output were dropped: the graph host printed faster than the runner reads"],
    ["info", "stdout", "found"],
  ]);
});

test("the host keeps its own JSON and timers when user code replaces them", async () => {
  const script = `
    import { dumps } from "${new URL("serialize.js", HOST).href}";
    import * as own from "${new URL("intrinsics.js", HOST).href}";
    const { writeFileSync } = await import("node:fs");
    JSON.stringify = () => { throw new Error("patched"); };
    JSON.parse = JSON.stringify;
    globalThis.setTimeout = globalThis.setImmediate = () => {};
    own.setTimeout(() => writeFileSync(1, dumps({ a: own.parseBytes(Buffer.from("[1]")) })), 1);`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script]);
  assert.equal(stdout, '{"a":[1]}');
});

test("what throws on the way to JSON becomes a label", () => {
  const thrower = Object.defineProperty({}, "secret", { enumerable: true, get: () => assert.fail("read") });
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  assert.equal(dumps({ thrower, good: 1 }), '{"thrower":"<Object>","good":1}');
  assert.equal(dumps([revoked.proxy, 1]), '["<object>",1]');
  let deep = 1;
  for (let at = 0; at < 100_000; at += 1) deep = [deep];
  assert.match(dumps({ deep }), /"<Array>"/);
});
