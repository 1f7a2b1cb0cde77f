/** What a run streams: which of langgraph's modes it needs, and the events that come of their chunks. */

import { Accumulator } from "./messages.js";
import { dumps } from "./serialize.js";
import { checkpointOf, taskDocument } from "./state.js";

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
  lastValues = null;
  interrupts = [];
  hasValues = false;

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

  /** The events `[name, JSON]` for one chunk of langgraph's stream. */
  convert(namespace, mode, payload) {
    if (mode === "messages") {
      if (this.#tuples) return [[named("messages", namespace), dumps(payload)]];
      return this.#accumulator?.events(payload) ?? [];
    }
    let shown = payload;
    if (mode === "values" && namespace.length === 0) shown = this.#values(payload);
    if (!this.#shown.has(mode)) return [];
    if (mode === "debug") shown = debugRecord(payload);
    if (mode === "checkpoints") shown = checkpointRecord(payload);
    return [[named(mode, namespace), dumps(shown)]];
  }

  // An interrupt comes alone; clients get it with the values that it interrupts.
  #values(payload) {
    if (payload === null || typeof payload !== "object" || !(INTERRUPT in payload)) {
      this.lastValues = payload;
      this.hasValues = true;
      return payload;
    }
    if (this.#temporary) this.interrupts.push(...payload[INTERRUPT]);
    const { [INTERRUPT]: _interrupts, ...values } = payload;
    if (Object.keys(values).length > 0 || !this.hasValues) {
      this.lastValues = values;
      this.hasValues = true;
    }
    return { ...this.lastValues, [INTERRUPT]: payload[INTERRUPT] };
  }
}

function named(name, namespace) {
  return namespace.length > 0 ? `${name}|${namespace.join("|")}` : name;
}

/** A debug record; one of a checkpoint names checkpoints as the API does, beside langgraph's configs. */
function debugRecord(record) {
  if (record.type !== "checkpoint") return record;
  const inner = checkpointRecord(record.payload);
  return {
    ...record,
    payload: {
      ...inner,
      tasks: record.payload.tasks.map((task) => {
        const { state, ...shown } = taskDocument(task);
        return shown.checkpoint === null ? { ...shown, state } : shown;
      }),
      checkpoint: checkpointOf(inner.config),
      parent_checkpoint: checkpointOf(inner.parent_config),
    },
  };
}

/** A checkpoint of langgraph's stream with names as Python writes them. */
function checkpointRecord({ parentConfig, ...record }) {
  return { ...record, config: bare(record.config), parent_config: bare(parentConfig) };
}

// What langgraph and this host keep in configs for themselves is nobody else's business.
function bare(config) {
  if (!config?.configurable) return config ?? null;
  const own = Object.entries(config.configurable).filter(([name]) => !name.startsWith("__pregel"));
  return { ...config, configurable: Object.fromEntries(own) };
}
