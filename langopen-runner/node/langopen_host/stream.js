/** The stream of a run: which of langgraph's modes it needs, and which events their chunks become. */

import { Accumulator } from "./messages.js";
import { dumps } from "./serialize.js";
import { checkpointOf } from "./state.js";

const NAMES = new Set(["values", "updates", "custom", "tasks", "checkpoints", "debug", "tools"]);
export const INTERRUPT = "__interrupt__";

/**
 * The requested modes (`kwargs.stream_mode`) and what they mean for langgraph.
 *
 * `modes` is langgraph's list; `events` tells that streamEvents has to drive the graph. A run without checkpoints
 * always follows `values`, since nothing else tells its result.
 */
export class Plan {
  #shown;
  #temporary;
  #tuples;
  #accumulator;
  // The last values by namespace.
  #seen = new Map();
  lastValues = null;
  interrupts = [];
  hasValues = false;
  // Further options of the graph's stream.
  options = {};

  constructor(requested, { temporary }) {
    const wanted = new Set(requested);
    this.events = wanted.has("events");
    this.#shown = new Set([...wanted].filter((mode) => NAMES.has(mode)));
    this.#temporary = temporary;
    this.#tuples = wanted.has("messages-tuple");
    this.#accumulator = wanted.has("messages") && !this.#tuples ? new Accumulator() : null;
    this.modes = [...this.#shown].sort();
    if (this.#tuples || this.#accumulator !== null) this.modes.push("messages");
    if (!wanted.has("values") && (temporary || this.modes.length === 0)) this.modes.push("values");
  }

  /** Prepares the plan for the graph that the run executes. */
  attach(_graph) {}

  /** The events `[name, JSON]` for one chunk of langgraph's stream. */
  convert(namespace, mode, payload) {
    if (mode === "messages") {
      if (this.#tuples) return [[named("messages", namespace), dumps(payload)]];
      return this.#accumulator?.events(payload) ?? [];
    }
    const shown = mode === "values" ? this.values(namespace.join("|"), payload) : (RECORDS[mode]?.(payload) ?? payload);
    return shown === undefined || !this.#shown.has(mode) ? [] : [[named(mode, namespace), dumps(shown)]];
  }

  /** The events of a graph that ended without an error, before those of `closing`. */
  async drain() {
    return [];
  }

  /** Hears of the error that ended the graph. */
  fail(_error) {}

  /** The last events of the run. `status` is how the graph ended: `completed`, `interrupted` or `failed`. */
  closing(_status) {
    return [];
  }

  // langgraph streams an interrupt alone; clients get it with the values that it interrupts. Without a question, it is
  // left out.
  values(namespace, payload) {
    const known = this.#seen.get(namespace);
    if (!raised(payload)) {
      this.#seen.set(namespace, payload);
      if (namespace === "") this.#remember(payload);
      return payload;
    }
    const { [INTERRUPT]: interrupts, ...values } = payload;
    if (interrupts.length === 0) return undefined;
    if (namespace === "") {
      if (this.#temporary) this.interrupts.push(...interrupts);
      if (known === undefined) this.#remember(values);
    }
    return { ...known, ...values, [INTERRUPT]: interrupts.map(asked) };
  }

  #remember(values) {
    this.lastValues = values;
    this.hasValues = true;
  }
}

const RECORDS = {
  updates: (payload) => (raised(payload) ? { ...payload, [INTERRUPT]: payload[INTERRUPT].map(asked) } : payload),
  tasks: taskRecord,
  checkpoints: checkpointRecord,
  debug: debugRecord,
};

function raised(payload) {
  return payload !== null && typeof payload === "object" && Array.isArray(payload[INTERRUPT]);
}

/** An interrupt in the stream. */
function asked({ value, id, response_schema: schema }) {
  return { value, id, response_schema: schema ?? null };
}

/** The start or the end of a task. At its start, a task has no interrupts to show. */
function taskRecord(record) {
  if (!("triggers" in record)) return record;
  const { interrupts: _none, ...shown } = record;
  return shown;
}

export function named(name, namespace) {
  return namespace.length > 0 ? `${name}|${namespace.join("|")}` : name;
}

/** A debug record. A checkpoint's record names checkpoints as the API does, beside langgraph's configs. */
function debugRecord(record) {
  if (record.type === "task") return { ...record, payload: taskRecord(record.payload) };
  if (record.type !== "checkpoint") return record;
  const inner = checkpointRecord(record.payload);
  const tasks = inner.tasks.map((task) => {
    const { state, ...shown } = task;
    return state?.configurable ? { ...shown, checkpoint: state.configurable } : task;
  });
  const at = { checkpoint: checkpointOf(inner.config), parent_checkpoint: checkpointOf(inner.parent_config) };
  return { ...record, payload: { ...inner, tasks, ...at } };
}

/** A checkpoint of langgraph's stream with names as Python writes them. */
function checkpointRecord({ parentConfig, ...record }) {
  const tasks = record.tasks.map(({ path: _path, result: _result, state, ...task }) => ({ ...task, state: state ?? null }));
  return { ...record, tasks, config: bare(record.config), parent_config: bare(parentConfig) };
}

// Clients do not get the keys that langgraph and this host use internally.
function bare(config) {
  if (!config?.configurable) return config ?? null;
  const own = Object.entries(config.configurable).filter(([name]) => !name.startsWith("__pregel"));
  return { ...config, configurable: Object.fromEntries(own) };
}
