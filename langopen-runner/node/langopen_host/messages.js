/** Message events: `messages` (a chunk and its metadata) and the older `messages/metadata|partial|complete`. */

import { dumps, isChunk, messageDocument } from "./serialize.js";

/** The older events: each carries the whole message so far, and a message's metadata comes once, before it. */
export class Accumulator {
  #known = new Map();

  /** The events `[name, JSON]` for one chunk of langgraph's stream. */
  events([message, metadata]) {
    const key = message.id ?? "";
    const before = this.#known.get(key);
    const events = before === undefined ? [["messages/metadata", dumps({ [key]: { metadata } })]] : [];
    if (!isChunk(message)) {
      this.#known.set(key, message);
      events.push(["messages/complete", dumps([message])]);
      return events;
    }
    const whole = before !== undefined && isChunk(before) ? before.concat(message) : message;
    this.#known.set(key, whole);
    events.push(["messages/partial", dumps([finished(whole)])]);
    return events;
  }
}

/** The document of the message that these chunks make up. */
function finished(chunk) {
  const { tool_call_chunks: _pieces, ...shown } = messageDocument(chunk);
  return { ...shown, type: chunk.getType() };
}
