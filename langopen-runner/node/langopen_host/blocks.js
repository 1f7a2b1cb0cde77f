/** Messages in content blocks: `message-start`, then each block's start, deltas and finish, then `message-finish`. */

const DELTAS = { text: ["text-delta", "text"], reasoning: ["reasoning-delta", "reasoning"] };
const ROLES = { human: "human", system: "system" };

/** The events of a complete message. */
export function whole(message) {
  const told = [start(message)];
  for (const [index, block] of blocksOf(message).entries()) {
    told.push({ event: "content-block-start", index, content: empty(block) });
    const delta = deltaOf(block);
    if (delta !== null) told.push({ event: "content-block-delta", index, delta });
    told.push({ event: "content-block-finish", index, content: block });
  }
  return [...told, finish(message)];
}

/** Messages in chunks of tokens, from a langgraph that does not know content blocks. */
export class Assembly {
  #known = new Map();

  add(chunk) {
    const key = chunk.id ?? "";
    const before = this.#known.get(key);
    const told =
      before === undefined
        ? [start(chunk), { event: "content-block-start", index: 0, content: { type: "text", text: "" } }]
        : [];
    this.#known.set(key, before === undefined ? chunk : before.concat(chunk));
    const text = textOf(chunk);
    if (text) told.push({ event: "content-block-delta", index: 0, delta: { type: "text-delta", text } });
    return told;
  }

  /** The last pieces of every message: a chunk does not say that it is the last one. */
  close() {
    const told = [...this.#known.values()].flatMap(end);
    this.#known.clear();
    return told;
  }
}

function end(message) {
  const told = [{ event: "content-block-finish", index: 0, content: { type: "text", text: textOf(message) } }];
  const others = blocksOf(message).filter(({ type }) => !(type in DELTAS));
  for (const [at, block] of others.entries()) {
    told.push({ event: "content-block-start", index: at + 1, content: empty(block) });
    told.push({ event: "content-block-finish", index: at + 1, content: block });
  }
  return [...told, finish(message)];
}

function start(message) {
  return { event: "message-start", role: ROLES[message.getType()] ?? "ai", id: message.id ?? null };
}

function finish(message) {
  const told = { event: "message-finish" };
  if (message.usage_metadata) told.usage = message.usage_metadata;
  if (Object.keys(message.response_metadata ?? {}).length > 0) told.metadata = message.response_metadata;
  return told;
}

/** The message's content in blocks, from langchain's own conversion where it has one. Empty text is no block. */
function blocksOf(message) {
  const blocks = message.contentBlocks ?? plainBlocks(message);
  return blocks.filter(({ type, text }) => type !== "text" || text);
}

function plainBlocks(message) {
  const calls = (message.tool_calls ?? []).map((call) => ({ type: "tool_call", ...call }));
  return [{ type: "text", text: textOf(message) }, ...calls];
}

function textOf({ content }) {
  if (!Array.isArray(content)) return content ?? "";
  return content.map((part) => (typeof part === "string" ? part : (part.text ?? ""))).join("");
}

/** A block at its start. */
function empty(block) {
  const { type, id, name } = block;
  if (type in DELTAS) return { type, [DELTAS[type][1]]: "" };
  return type === "tool_call" ? { type, id, name, args: {} } : block;
}

function deltaOf(block) {
  if (!(block.type in DELTAS)) return null;
  const [type, key] = DELTAS[block.type];
  return { type, [key]: block[key] ?? "" };
}
