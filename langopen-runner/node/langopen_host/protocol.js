/**
 * What a run of the event streaming protocol streams, in the protocol's own shapes.
 *
 * Values, updates, custom events, tasks and tool calls go out under their usual names: they mean the same to every reader.
 * What only the protocol has goes out under names with `protocol/` before them, as `{"data": …, "node"?: …}`.
 */

import { Assembly, whole } from "./blocks.js";
import { Lifecycle } from "./lifecycle.js";
import { dumpsCompact, isChunk, isMessage } from "./serialize.js";
import { named, Plan } from "./stream.js";

const MODES = ["checkpoints", "custom", "messages", "tasks", "tools", "updates", "values"];
// Results of tools are told as such.
const TOLD = new Set(["ai", "human", "system"]);

// Of a model's events, those that the protocol has: what else langchain tells stands in the last one, too.
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
  // The messages that are being told, by namespace and model call.
  #open = new Map();

  constructor(library, { temporary }) {
    super(["values"], { temporary });
    this.modes = MODES;
    // A langgraph that has this list tells messages in content blocks to those who ask for its version 3.
    this.#pieces = "STREAM_EVENTS_V3_MODES" in library.langgraph;
    if (this.#pieces) this.options = { version: "v3" };
  }

  convert(namespace, mode, payload) {
    switch (mode) {
      case "messages":
        return this.#messages(namespace, ...payload);
      case "updates":
        return Object.entries(payload ?? {}).map(([node, update]) => event("updates", namespace, { [node]: update }));
      case "checkpoints":
        return [event("protocol/checkpoints", namespace, { data: envelope(payload) })];
      case "tools":
        return [event("tools", this.#pieces ? namespace.slice(0, -1) : namespace, toolCall(payload))];
      case "tasks":
        return [
          ...tell(this.#lifecycle.before(namespace, payload)),
          event("tasks", namespace, payload),
          ...tell(this.#lifecycle.after(namespace, payload)),
        ];
      case "values":
        // Kept for the run's end; what interrupts go with is known to the reader.
        this.values(namespace.join("|"), payload);
        return [event("values", namespace, payload)];
      default:
        return [event(mode, namespace, payload)];
    }
  }

  closing(status) {
    const messages = this.#assembly.close().map((data) => event("protocol/messages", [], { data }));
    return [...messages, ...tell(this.#lifecycle.close(status))];
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

  /** A piece of a message. Where several are told at once, it says of which it is. */
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

function tell(told) {
  return told.map(([namespace, data]) => event("protocol/lifecycle", namespace, { data }));
}

/** The graph that a task is of: tasks that were called from it through `task()` are not graphs. */
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

/** What a tool is given, which langchain tells as the text of its JSON. */
function parsed(input) {
  if (typeof input !== "string") return input;
  try {
    return JSON.parse(input);
  } catch {
    return input;
  }
}
