/**
 * The functions of the language that the host's own work depends on.
 *
 * User code may replace globals: fake timers of a test helper, a patched `JSON.stringify`. This module takes its copies
 * before any user code loads, so a patch can break the application's code but not the host's frames.
 */

import timers from "node:timers";

export const { parse, stringify } = JSON;
export const { clearImmediate, clearTimeout, setImmediate, setInterval, setTimeout } = { ...timers };
export const { queueMicrotask } = globalThis;
export const now = performance.now.bind(performance);

/** The value of JSON text in bytes. */
export function parseBytes(bytes) {
  return parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
}
