/**
 * Spans of a run: the graph, its nodes, and the models, tools and retrievers that they call.
 *
 * The runner exports them, so the host needs nothing of OpenTelemetry. A span never holds a graph's input or output.
 */

import { randomBytes } from "node:crypto";

import { className, messageOf } from "./errors.js";
import * as frames from "./frames.js";
import { now } from "./intrinsics.js";
import { dumps } from "./serialize.js";

// A graph that loops for hours must not fill the collector.
const MAX_SPANS = 10_000;
const HIDDEN = "langsmith:hidden";
const STEP = "graph:step:";

/** Follows a graph as a callback handler of langchain's, and sends SPAN frames. `given` is `trace` of the RUN frame. */
export class Reporter {
  name = "langopen_spans";
  // In the order in which things happen.
  awaitHandlers = true;
  #connection;
  #handle;
  #root;
  // The span of a shown step; for other steps, the id of the span around them.
  #open = new Map();
  #begun = 0;
  #finished = false;

  constructor(connection, handle, given, graphId) {
    this.#connection = connection;
    this.#handle = handle;
    const [, , parent] = given.traceparent.split("-");
    this.#root = newSpan(`graph ${graphId}`, parent, {});
  }

  copy() {
    return this;
  }

  /** Ends the run's span, and the spans that are still open. */
  finish(error, cancelled) {
    if (this.#finished) return;
    for (const left of this.#open.values()) {
      if (typeof left === "string") continue;
      left.attributes["langopen.cut_off"] = true;
      this.#end(left);
    }
    this.#open.clear();
    if (cancelled) this.#root.attributes["langopen.cancelled"] = true;
    if (this.#begun > MAX_SPANS) this.#root.attributes["langopen.spans_left_out"] = this.#begun - MAX_SPANS;
    this.#end(this.#root, error);
    this.#finished = true;
  }

  handleChainStart(_chain, _inputs, id, parent, tags = [], metadata = {}, _type, name) {
    if (tags.includes(HIDDEN) || !tags.some((tag) => tag.startsWith(STEP))) {
      // The graph itself, or a step within a node: its models and tools belong to the span around it.
      this.#open.set(id, this.#around(parent));
      return;
    }
    const node = metadata.langgraph_node ?? name ?? "?";
    this.#begin(id, parent, `node ${node}`, {
      "langgraph.node": node,
      "langgraph.step": metadata.langgraph_step,
      "langgraph.checkpoint_ns": metadata.langgraph_checkpoint_ns,
    });
  }

  handleChatModelStart(model, _messages, id, parent, _extra, _tags, metadata, name) {
    this.#model("chat", model, id, parent, metadata, name);
  }

  handleLLMStart(model, _prompts, id, parent, _extra, _tags, metadata, name) {
    this.#model("text_completion", model, id, parent, metadata, name);
  }

  handleToolStart(tool, _input, id, parent, _tags, _metadata, name) {
    const called = name ?? nameOf(tool);
    this.#begin(id, parent, `execute_tool ${called}`, { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": called });
  }

  handleRetrieverStart(retriever, _query, id, parent, _tags, _metadata, name) {
    this.#begin(id, parent, `retrieval ${name ?? nameOf(retriever)}`, { "gen_ai.operation.name": "retrieval" });
  }

  handleLLMEnd(response, id) {
    const span = this.#open.get(id);
    const counted = response?.generations?.[0]?.[0]?.message?.usage_metadata;
    if (counted && typeof span === "object") {
      span.attributes["gen_ai.usage.input_tokens"] = counted.input_tokens;
      span.attributes["gen_ai.usage.output_tokens"] = counted.output_tokens;
    }
    this.#ended(id);
  }

  handleChainEnd = (_outputs, id) => this.#ended(id);
  handleToolEnd = (_output, id) => this.#ended(id);
  handleRetrieverEnd = (_documents, id) => this.#ended(id);
  handleChainError = (error, id) => this.#ended(id, error);
  handleLLMError = (error, id) => this.#ended(id, error);
  handleToolError = (error, id) => this.#ended(id, error);
  handleRetrieverError = (error, id) => this.#ended(id, error);

  #model(operation, model, id, parent, metadata = {}, name = undefined) {
    const called = metadata.ls_model_name ?? name ?? nameOf(model);
    this.#begin(id, parent, `${operation} ${called}`, {
      "gen_ai.operation.name": operation,
      "gen_ai.request.model": metadata.ls_model_name,
      "gen_ai.provider.name": metadata.ls_provider,
    });
  }

  #around(parent) {
    const around = parent === undefined ? undefined : this.#open.get(parent);
    return typeof around === "object" ? around.id : (around ?? this.#root.id);
  }

  #begin(id, parent, name, attributes) {
    this.#begun += 1;
    const around = this.#around(parent);
    this.#open.set(id, this.#begun > MAX_SPANS ? around : newSpan(name, around, attributes));
  }

  #ended(id, error) {
    const span = this.#open.get(id);
    this.#open.delete(id);
    if (typeof span === "object") this.#end(span, error);
  }

  #end(span, error) {
    if (this.#finished) return;
    // A copy, which loses attributes that are undefined when it becomes JSON.
    const attributes = { ...span.attributes };
    let failure = null;
    if (error) {
      const name = className(error);
      if (name === "GraphInterrupt" || name === "NodeInterrupt") attributes["langgraph.interrupted"] = true;
      else if (name === "AbortError") attributes["langopen.cancelled"] = true;
      else if (error.is_bubble_up !== true) {
        attributes["error.type"] = name;
        failure = `${name}: ${messageOf(error)}`;
      }
    }
    const { id, parent, name, start } = span;
    // Nanoseconds exceed the numbers that this language writes as JSON, so they are inserted as digits.
    const report = dumps({ span_id: id, parent_span_id: parent, name, start: "$start", end: "$end", attributes, error: failure });
    const text = report.replace('"$start"', String(start)).replace('"$end"', String(epoch()));
    this.#connection.send(frames.SPAN, this.#handle, Buffer.from(text), { urgent: false });
  }
}

const STARTED = BigInt(Math.round(performance.timeOrigin * 1e6));

/** Nanoseconds since the Unix epoch. */
function epoch() {
  return STARTED + BigInt(Math.round(now() * 1e6));
}

function newSpan(name, parent, attributes) {
  return { id: randomBytes(8).toString("hex"), name, parent, attributes, start: epoch() };
}

function nameOf(serialized) {
  return serialized?.name ?? serialized?.id?.at(-1) ?? "?";
}
