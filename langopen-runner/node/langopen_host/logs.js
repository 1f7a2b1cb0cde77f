/** Everything that user code prints goes to the runner, with the run that printed it. */

import { formatWithOptions } from "node:util";

import * as frames from "./frames.js";
import { queueMicrotask } from "./intrinsics.js";
import { currentRun } from "./scope.js";
import { dumps } from "./serialize.js";

// The longest message of one record, in characters: at most 64 KiB as the runner counts it for ASCII text.
const MAX_MESSAGE = 64 * 1024;
// The host drops output while this many bytes of frames wait for the runner, and counts what it dropped.
const MAX_WAITING = 8 * 1024 * 1024;
const LEVELS = { debug: "debug", trace: "debug", log: "info", info: "info", dir: "info", warn: "warning", error: "error" };
// The levels of the SDK's logger are those of winston.
const SDK_LEVELS = {
  error: "error",
  warn: "warning",
  help: "info",
  data: "info",
  info: "info",
  prompt: "info",
  http: "info",
  verbose: "debug",
  input: "debug",
  silly: "debug",
  debug: "debug",
};
// `getLogger()` of `@langchain/langgraph-sdk/logging` looks for its logger here.
const SDK_LOGGER = Symbol.for("langgraph.api.sdk-logger");

/** Replaces the process's outputs for good. */
export class Capture {
  #connection;
  // Text without a newline so far, by output and run: lines of concurrent runs never mix.
  #partial = { stdout: new Map(), stderr: new Map() };
  #dropped = 0;

  constructor(connection) {
    this.#connection = connection;
    for (const source of ["stdout", "stderr"]) {
      process[source].write = (chunk, encoding, done) => {
        this.#write(source, typeof chunk === "string" ? chunk : Buffer.from(chunk).toString());
        const finished = typeof encoding === "function" ? encoding : done;
        if (typeof finished === "function") queueMicrotask(finished);
        return true;
      };
    }
    for (const [method, level] of Object.entries(LEVELS)) {
      console[method] = (...values) => {
        const source = ["warn", "error", "trace"].includes(method) ? "stderr" : "stdout";
        const text = method === "dir" ? formatWithOptions({}, "%O", values[0]) : formatted(values);
        this.#send(source, level, text, currentRun());
      };
    }
    globalThis[SDK_LOGGER] = this.#sdkLogger({});
  }

  /** Logs an error of the code that runs now. */
  report(message, error) {
    this.#send("stderr", "error", formatted([message, error]), currentRun());
  }

  /** Sends the text that a run left without a newline. */
  finish(run) {
    for (const source of ["stdout", "stderr"]) {
      const rest = this.#partial[source].get(run);
      this.#partial[source].delete(run);
      if (rest) this.#send(source, levelOf(source), rest, run);
    }
  }

  /** A logger with the methods of winston's that the SDK's type names. `bound` is metadata of every record. */
  #sdkLogger(bound) {
    const logger = {};
    const write = (level, given, meta) => {
      const { message, level: _level, ...fields } = isFields(given) ? given : { message: given };
      const all = Object.assign({}, bound, fields, ...meta.filter(isFields));
      const values = [...(message === undefined ? [] : [message]), ...(Object.keys(all).length > 0 ? [all] : [])];
      this.#send("logging", SDK_LEVELS[level] ?? "info", formatted(values), currentRun(), "langgraph");
      return logger;
    };
    for (const level of Object.keys(SDK_LEVELS)) logger[level] = (given, ...meta) => write(level, given, meta);
    logger.log = (level, given, ...meta) =>
      typeof level === "object" ? write(level?.level, level, meta) : write(level, given, meta);
    logger.child = (meta) => this.#sdkLogger({ ...bound, ...meta });
    return logger;
  }

  #write(source, text) {
    const run = currentRun();
    const partial = this.#partial[source];
    const whole = (partial.get(run) ?? "") + text;
    partial.delete(run);
    let at = 0;
    for (let end = whole.indexOf("\n"); end >= 0; end = whole.indexOf("\n", at)) {
      this.#line(source, whole.slice(at, end).replace(/\r$/, ""), run);
      at = end + 1;
    }
    // Text that no newline ends leaves in pieces, so the host never holds much of it.
    for (; whole.length - at >= MAX_MESSAGE; at += MAX_MESSAGE) this.#line(source, whole.slice(at, at + MAX_MESSAGE), run);
    if (at < whole.length) partial.set(run, whole.slice(at));
  }

  #line(source, line, run) {
    for (let at = 0; at < line.length; at += MAX_MESSAGE) {
      this.#send(source, levelOf(source), line.slice(at, at + MAX_MESSAGE), run);
    }
  }

  #send(source, level, message, run, logger = null) {
    if (this.#connection.waiting > MAX_WAITING) {
      this.#dropped += message.length;
      return;
    }
    if (this.#dropped > 0) {
      const lost = `${this.#dropped} characters of output were dropped: the graph host printed faster than the runner reads`;
      this.#dropped = 0;
      this.#record({ level: "warning", source: "stderr", message: lost, run_id: null, logger: null }, 0);
    }
    this.#record({ level, source, message: cut(message), run_id: run?.runId ?? null, logger }, run?.run ?? 0);
  }

  #record(record, handle) {
    this.#connection.send(frames.LOG, handle, Buffer.from(dumps(record)), { urgent: false });
  }
}

function isFields(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Error);
}

function formatted(values) {
  return formatWithOptions({ colors: false }, ...values);
}

function cut(message) {
  if (message.length <= MAX_MESSAGE) return message;
  return `${message.slice(0, MAX_MESSAGE)}… (${message.length - MAX_MESSAGE} more characters)`;
}

function levelOf(source) {
  return source === "stderr" ? "warning" : "info";
}
