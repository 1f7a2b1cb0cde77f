// What the tests share: the server's address, clients, waiting for a state, reading a stream to its end.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "@langchain/langgraph-sdk";

export const url = process.env.LANGOPEN_TEST_URL?.replace(/\/$/, "");
if (!url) throw new Error("LANGOPEN_TEST_URL is not set: start the suite with tests/with_server.py, see README.md");

export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
export const HI = { messages: [{ role: "user", content: "hi" }] };
export const newId = randomUUID;
export { sleep };

/** A stock client without the environment's API key, and without retries, which would hide failures. */
export function newClient(options = {}) {
  return new Client({ apiUrl: url, apiKey: null, callerOptions: { maxRetries: 0, maxConcurrency: 20 }, ...options });
}

export const client = newClient();

export async function newThread(payload) {
  return (await client.threads.create(payload)).thread_id;
}

/** All parts of a stream. */
export async function all(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

/** The parts of a stream up to the first that `enough` accepts; then the connection is closed. */
export async function upTo(stream, enough) {
  const parts = [];
  for await (const part of stream) {
    parts.push(part);
    if (enough(part)) break;
  }
  return parts;
}

export const events = (parts) => parts.map((part) => part.event);
export const dataOf = (parts, event) => parts.filter((part) => part.event === event).map((part) => part.data);

/** Waits until `check` returns a true value, and returns that. The limit is generous for slow machines. */
export async function until(check, seconds = 60) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const result = await check();
    if (result) return result;
    assert.ok(Date.now() < deadline, `nothing after ${seconds} s: ${check}`);
    await sleep(50);
  }
}

/** The run, once it has one of the wanted statuses. */
export function runStatus(run, ...wanted) {
  return until(async () => {
    const now = await client.runs.get(run.thread_id, run.run_id);
    return wanted.includes(now.status) ? now : undefined;
  });
}

export const finished = (run) => runStatus(run, "success", "error", "timeout", "interrupted");

/** Waits until the thread's state has `word` in its log: the step before is committed. */
export function atStep(threadId, word) {
  return until(async () => (await client.threads.getState(threadId)).values?.log?.includes(word));
}

/** Asserts that the call fails with this status, and returns the error's detail. */
export async function refused(call, status) {
  let thrown;
  try {
    await call;
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown, `no error, although status ${status} was expected`);
  assert.equal(thrown.status, status, thrown.message);
  return JSON.parse(thrown.text).detail;
}

/** As `refused`, for a stream: the error comes with the first part. */
export const streamRefused = (stream, status) => refused(all(stream), status);
