/** Everything that user code prints goes to the runner, with the run that it belongs to. */

import { formatWithOptions } from "node:util";

import * as frames from "./frames.js";
import { currentRun } from "./scope.js";
import { dumps } from "./serialize.js";

const MAX_LINE = 64 * 1024;
const LEVELS = { debug: "debug", trace: "debug", log: "info", info: "info", dir: "info", warn: "warning", error: "error" };

/** Replaces the process's outputs for good. */
export class Capture {
  #connection;
  // What was written without a newline so far, by output and run: lines of concurrent runs never mix.
  #partial = { stdout: new Map(), stderr: new Map() };

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
        const text = method === "dir" ? formatWithOptions({}, "%O", values[0]) : formatWithOptions({ colors: false }, ...values);
        this.#send(source, level, text, currentRun());
      };
    }
  }

  /** Sends what a run left without a newline. */
  finish(run) {
    for (const source of ["stdout", "stderr"]) {
      const rest = this.#partial[source].get(run);
      this.#partial[source].delete(run);
      if (rest) this.#send(source, levelOf(source), rest, run);
    }
  }

  #write(source, text) {
    const run = currentRun();
    const partial = this.#partial[source];
    const lines = ((partial.get(run) ?? "") + text).split("\n");
    const rest = lines.pop();
    partial.delete(run);
    if (rest.length > MAX_LINE) lines.push(rest);
    else if (rest !== "") partial.set(run, rest);
    for (const line of lines) {
      const shown = line.replace(/\r$/, "");
      if (shown !== "") this.#send(source, levelOf(source), shown, run);
    }
  }

  #send(source, level, message, run) {
    const record = { level, source, message, run_id: run?.runId ?? null, logger: null };
    this.#connection.send(frames.LOG, run?.run ?? 0, Buffer.from(dumps(record)), { urgent: false });
  }
}

function levelOf(source) {
  return source === "stderr" ? "warning" : "info";
}
