/** The parts of the host that need no runner. `node --test langopen-runner/node/tests` */

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";

import { Assembly, whole } from "../langopen_host/blocks.js";
import { stayAbove } from "../langopen_host/checkpoint_ids.js";
import * as errors from "../langopen_host/errors.js";
import { Decoder, donePayload, eventPayload, header } from "../langopen_host/frames.js";
import { describe, patternOf } from "../langopen_host/gate.js";
import { Lifecycle } from "../langopen_host/lifecycle.js";
import { dumps } from "../langopen_host/serialize.js";
import { candidates, isMade } from "../langopen_host/tailwind.js";

test("frames come out whole, whatever the pieces they arrive in", () => {
  const frames = [
    [0x11, 7, eventPayload("values", '{"a":"é"}')],
    [0x12, 2 ** 31, donePayload("{}", "", "")],
    [0x05, 0, Buffer.alloc(0)],
  ];
  const bytes = Buffer.concat(frames.flatMap(([kind, stream, payload]) => [header(kind, stream, payload.length), payload]));
  for (const size of [1, 2, 9, 10, bytes.length]) {
    const decoder = new Decoder();
    const found = [];
    for (let at = 0; at < bytes.length; at += size) found.push(...decoder.feed(bytes.subarray(at, at + size)));
    assert.deepEqual(found.map(([kind, stream, payload]) => [kind, stream, Buffer.from(payload)]), frames, `${size}`);
  }
  assert.throws(() => new Decoder().feed(Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0])), RangeError);
});

test("values have a JSON form", () => {
  const cases = [
    [{ a: undefined, b: null, c: () => 1 }, '{"b":null}'],
    [new Set([1, new Map([["k", "v"]])]), '[1,{"k":"v"}]'],
    [{ error: new TypeError("no") }, '{"error":{"error":"TypeError","message":"no"}}'],
    [Buffer.from("hi"), '"aGk="'],
    [[10n, 10n ** 30n], '[10,"1000000000000000000000000000000"]'],
    [undefined, "null"],
    [NaN, "null"],
  ];
  for (const [value, expected] of cases) assert.equal(dumps(value), expected);
  const round = { name: "round" };
  round.self = round;
  assert.equal(dumps(round), '{"name":"round","self":"<Object>"}');
});

test("errors show what they may", () => {
  class Own extends Error {}
  class OwnType extends TypeError {
    name = "OwnType";
  }
  const system = Object.assign(new Error("open /etc/passwd"), { syscall: "open", errno: -2 });
  const shown = [new Error("plain"), new OwnType("own type"), new Own("secret"), system, "a text"].map(errors.publicError);
  assert.deepEqual(shown, [
    { error: "Error", message: "plain" },
    { error: "OwnType", message: "own type" },
    { error: "Own", message: "An internal error occurred" },
    { error: "Error", message: "An internal error occurred" },
    { error: "String", message: "An internal error occurred" },
  ]);
});

test("paths of Hono's match as Hono does", () => {
  const cases = [
    ["/", ["/"], ["/a"]],
    ["/a/:id", ["/a/1"], ["/a", "/a/1/2"]],
    ["/a/:id{[0-9]+}", ["/a/12"], ["/a/x"]],
    ["/a/:maybe?", ["/a", "/a/1"], ["/b"]],
    ["/files/*", ["/files", "/files/a/b"], ["/file"]],
    ["/a/*/b", ["/a/x/b"], ["/a/b", "/a/x/y/b"]],
    ["/v1.0", ["/v1.0"], ["/v1x0"]],
  ];
  for (const [path, yes, no] of cases) {
    const pattern = new RegExp(patternOf(path));
    for (const each of yes) assert.ok(pattern.test(each), `${path} ${each}`);
    for (const each of no) assert.ok(!pattern.test(each), `${path} ${each}`);
  }
});

test("of a plain fetch handler nothing is known", () => {
  assert.deepEqual(describe({ fetch: () => new Response() }), { first: false, routes: [], later: true, openapi: null });
});

/** A message, or a chunk of one, as langchain's. */
function message(fields) {
  const concat = (other) => message({ ...fields, ...other, content: fields.content + other.content });
  return { getType: () => "ai", id: "m", response_metadata: {}, ...fields, concat };
}

test("messages are told in content blocks", () => {
  const call = { name: "add", args: { a: 1 }, id: "c" };
  const names = (told) => told.map(({ event, index }) => [event, ...(index === undefined ? [] : [index])].join(" "));
  const told = whole(message({ content: "x", tool_calls: [call], usage_metadata: { total_tokens: 3 } }));
  assert.deepEqual(names(told), [
    "message-start",
    "content-block-start 0",
    "content-block-delta 0",
    "content-block-finish 0",
    "content-block-start 1",
    "content-block-finish 1",
    "message-finish",
  ]);
  assert.deepEqual(told[4].content, { type: "tool_call", id: "c", name: "add", args: {} });
  assert.deepEqual(told[6], { event: "message-finish", usage: { total_tokens: 3 } });
  const assembly = new Assembly();
  const chunks = ["He", "", "llo"].flatMap((content) => assembly.add(message({ content })));
  assert.deepEqual(names(chunks), ["message-start", "content-block-start 0", "content-block-delta 0", "content-block-delta 0"]);
  assert.equal(assembly.close()[0].content.text, "Hello");
  assert.deepEqual(assembly.close(), []);
});

test("subgraphs start with their first task and end with the task that they are of", () => {
  const lifecycle = new Lifecycle();
  const ns = ["inner:t1"];
  const input = { lg_tool_call: { id: "call" } };
  assert.deepEqual(lifecycle.before([], { id: "t1", input }), []);
  const [[where, started]] = lifecycle.before(ns, { id: "t2", input: {}, metadata: { lc_agent_name: "helper" } });
  assert.deepEqual(where, ns);
  assert.deepEqual([started.graph_name, started.trigger_call_id, started.cause.tool_call_id], ["helper", "t1", "call"]);
  assert.deepEqual(lifecycle.before(ns, { id: "t3", input: {} }), []);
  assert.deepEqual(lifecycle.after(ns, { id: "t2", result: {} }), []);
  const ended = lifecycle.after([], { id: "t1", result: {}, error: null, interrupts: [] });
  assert.deepEqual(ended, [[ns, { event: "completed", graph_name: "helper" }]]);
  assert.deepEqual(lifecycle.close("interrupted"), [[[], { event: "interrupted" }]]);
});

test("classes are found wherever a source names them", () => {
  const source = [
    `<b className="flex p-2 before:content-['a_b']" />`,
    "clsx('m-1', { underline: on, 'data-[state=\"open\"]:block': open }, [`grid ${on ? 'gap-[3px]' : ''}`])",
  ];
  const found = candidates(source);
  for (const word of ["flex", "p-2", "before:content-['a_b']", "m-1", "underline", 'data-[state="open"]:block', "grid", "gap-[3px]"]) {
    assert.ok(found.includes(word), word);
  }
});

test("styles that Tailwind makes are told from others", () => {
  for (const css of ['@import "tailwindcss";', "@import url('tailwindcss/theme.css') layer(theme);", ".a { @apply p-2; }", "@theme { --x: 1px }"]) {
    assert.ok(isMade(css), css);
  }
  for (const css of ['@import "./tailwindcss.css";', ".a { color: red }", "@media print { .applied { color: red } }"]) assert.ok(!isMade(css), css);
});

test("checkpoint ids rise above those that were read, and only they do", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "ids-"));
  const made = path.join(folder, "langgraph-checkpoint", "dist", "id.mjs");
  await mkdir(path.dirname(made), { recursive: true });
  await writeFile(made, "export const now = () => Date.now();\n");
  const { now } = await import(pathToFileURL(made).href);
  stayAbove("1", undefined, "00000000-0000-4000-8000-000000000000");
  assert.ok(Math.abs(now() - Date.now()) < 1000);
  const hours = 0x1f300000;
  stayAbove(`${hours.toString(16)}-0000-6000-8000-000000000000`, null);
  const [first, second] = [now(), now()];
  assert.ok(first > Date.now() + 1000 && second > first, "the maker of ids is ahead");
  assert.ok(Math.abs(Date.now() - performance.timeOrigin - performance.now()) < 1000, "the application's clock is the machine's");
  await rm(folder, { recursive: true });
});
