/**
 * The events of a run that a client started through the event streaming protocol.
 *
 * Values, updates, custom events, tasks and tool calls keep their usual names: they mean the same to every reader.
 * Events that only the protocol has get names that begin with `protocol/`, and data of the form `{"data": …, "node"?:
 * …}`.
 */

import { Assembly, whole } from "./blocks.js";
import { parse } from "./intrinsics.js";
import { Lifecycle } from "./lifecycle.js";
import { dumpsCompact, isChunk, isMessage } from "./serialize.js";
import { named, Plan } from "./stream.js";
import { Transformers } from "./transformers.js";

const MODES = ["checkpoints", "custom", "messages", "tasks", "tools", "updates", "values"];
// Messages of other types do not become message events: tool results have events of their own.
const TOLD = new Set(["ai", "human", "system"]);

// The events of a model that the protocol has. langchain's other events repeat what the last one holds.
const PIECES = new Set([
  "message-start",
  "content-block-start",
  "content-block-delta",
  "content-block-finish",
  "message-finish",
  "error",
]);

/** The plan of a run that was started through the protocol. */
export class ProtocolPlan extends Plan {
  #pieces;
  #lifecycle = new Lifecycle();
  #assembly = new Assembly();
  #library;
  // The graph's stream transformers at work on this run; null without any.
  #transformers = null;
  // The messages that are still incomplete, by namespace and model call.
  #open = new Map();

  constructor(library, { temporary }) {
    super(["values"], { temporary });
    this.modes = MODES;
    this.#library = library;
    // A langgraph with this list streams messages in content blocks when its version 3 is asked for.
    this.#pieces = "STREAM_EVENTS_V3_MODES" in library.langgraph;
    if (this.#pieces) this.options = { version: "v3" };
  }

  attach(graph) {
    this.#transformers = Transformers.of(graph.streamTransformers, this.#library);
  }

  convert(namespace, mode, payload) {
    switch (mode) {
      case "messages":
        return this.#shown(namespace, mode, payload, this.#messages(namespace, ...payload));
      case "updates":
        return Object.entries(payload ?? {}).flatMap(([node, update]) => {
          const one = { [node]: update };
          return this.#shown(namespace, mode, one, [event("updates", namespace, one)]);
        });
      case "checkpoints": {
        const data = envelope(payload);
        return this.#shown(namespace, mode, data, [event("protocol/checkpoints", namespace, { data })]);
      }
      case "tools": {
        const graph = this.#pieces ? namespace.slice(0, -1) : namespace;
        return this.#shown(namespace, mode, payload, [event("tools", graph, toolCall(payload))]);
      }
      case "tasks":
        return [
          ...this.#tell(this.#lifecycle.before(namespace, payload)),
          ...this.#shown(namespace, mode, payload, [event("tasks", namespace, payload)]),
          ...this.#tell(this.#lifecycle.after(namespace, payload)),
        ];
      case "values":
        // The run's end needs them. The reader knows the values that an interrupt belongs to.
        this.values(namespace.join("|"), payload);
        return this.#shown(namespace, mode, payload, [event("values", namespace, payload)]);
      default:
        return this.#shown(namespace, mode, payload, [event(mode, namespace, payload)]);
    }
  }

  async drain() {
    if (this.#transformers === null) return [];
    await this.#transformers.close();
    return this.#extensions();
  }

  fail(error) {
    this.#transformers?.fail(error);
  }

  closing(status) {
    const messages = this.#assembly.close().map((data) => event("protocol/messages", [], { data }));
    return [...messages, ...this.#tell(this.#lifecycle.close(status))];
  }

  /**
   * The events of one chunk after the transformers saw it: one of them may hide the chunk, or add events of its own.
   */
  #shown(namespace, mode, payload, events) {
    const keeps = this.#transformers?.keeps(namespace, mode, payload) ?? true;
    return [...this.#extensions(), ...(keeps ? events : [])];
  }

  #tell(told) {
    return told.flatMap(([namespace, data]) => {
      const keeps = this.#transformers?.keepsLifecycle(namespace, data) ?? true;
      return [...this.#extensions(), ...(keeps ? [event("protocol/lifecycle", namespace, { data })] : [])];
    });
  }

  #extensions() {
    return this.#transformers?.take().map(([namespace, data]) => event("custom", namespace, data)) ?? [];
  }

  #messages(given, message, metadata) {
    const node = metadata?.langgraph_node;
    const namespace = this.#pieces ? graphOf(given, metadata?.langgraph_path) : given;
    const told = isMessage(message) ? this.#message(message) : this.#piece(namespace, message, metadata?.run_id);
    return told.map((data) => event("protocol/messages", namespace, node ? { data, node } : { data }));
  }

  #message(message) {
    if (isChunk(message)) return this.#assembly.add(message);
    return TOLD.has(message.getType()) ? whole(message) : [];
  }

  /** A piece of a message. While a graph streams several messages at once, each piece names its message. */
  #piece(namespace, given, call) {
    if (!PIECES.has(given.event)) return [];
    const key = namespace.join("|");
    const calls = this.#open.get(key) ?? new Map();
    this.#open.set(key, calls);
    if (given.event === "message-start") {
      calls.set(call, given.id);
      return [{ ...given, role: given.role ?? "ai" }];
    }
    const { responseMetadata: metadata, ...piece } = given;
    if (metadata !== undefined) piece.metadata = metadata;
    if (calls.size > 1 && calls.has(call)) piece.id = calls.get(call);
    if (piece.event === "message-finish" || piece.event === "error") calls.delete(call);
    return [piece];
  }
}

function event(name, namespace, data) {
  return [named(name, namespace), dumpsCompact(data)];
}

/** The namespace of the graph that runs a task. A task that was called through `task()` is no graph of its own. */
function graphOf(namespace, path) {
  let own = 1;
  for (let at = path; Array.isArray(at) && at[0] === "__pregel_push" && at.at(-1) === true; at = at[1]) own += 1;
  return namespace.slice(0, Math.max(namespace.length - own, 0));
}

/** A checkpoint without its values. */
function envelope({ config, parentConfig, metadata }) {
  const shown = { id: config.configurable.checkpoint_id };
  const parent = parentConfig?.configurable?.checkpoint_id;
  if (parent) shown.parent_id = parent;
  return { ...shown, step: metadata?.step ?? null, source: metadata?.source ?? null };
}

/** An event of a tool call in the protocol's words. */
function toolCall({ event: name, toolCallId, name: tool, input, data, output, error }) {
  const id = toolCallId ?? "";
  switch (name) {
    case "on_tool_start":
      return { event: "tool-started", tool_call_id: id, tool_name: tool ?? "", input: parsed(input) };
    case "on_tool_event":
      return { event: "tool-output-delta", tool_call_id: id, delta: data };
    case "on_tool_end":
      return { event: "tool-finished", tool_call_id: id, output };
    default:
      return { event: "tool-error", tool_call_id: id, message: String(error?.message ?? error) };
  }
}

/** A tool's input, which langchain passes on as JSON text. */
function parsed(input) {
  if (typeof input !== "string") return input;
  try {
    return parse(input);
  } catch {
    return input;
  }
}
