/**
 * JavaScript values as JSON text.
 *
 * Clients see this form, and see the same of Python graphs: LangChain messages as flat objects, sets as arrays, bytes
 * as base64. Values without a JSON form are left out or shown as text, so a stream never breaks on them.
 */

import { stringify } from "./intrinsics.js";

const MAX_DEPTH = 200;

/** `value` as compact JSON; `null` for values that JSON does not have. */
export function dumps(value) {
  try {
    return stringify(value, replace) ?? "null";
  } catch {
    // Circular references and failing `toJSON` methods are rare, and the slow way handles them.
    return stringify(plain(value, new Set(), 0)) ?? "null";
  }
}

/** `value` as compact JSON, its messages without empty fields. */
export function dumpsCompact(value) {
  try {
    return stringify(value, replaceCompact) ?? "null";
  } catch {
    return dumps(value);
  }
}

/** Whether `value` is a LangChain message, of whatever copy of the library. */
export function isMessage(value) {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof value.getType === "function" &&
    Array.isArray(value.lc_namespace) &&
    "content" in value
  );
}

/** Whether a message is a piece of one that still streams. */
export function isChunk(message) {
  return typeof message.concat === "function" && message.constructor?.lc_name?.().endsWith("Chunk") === true;
}

const CHUNK_TYPES = {
  ai: "AIMessageChunk",
  human: "HumanMessageChunk",
  system: "SystemMessageChunk",
  tool: "ToolMessageChunk",
  function: "FunctionMessageChunk",
  generic: "ChatMessageChunk",
};

/** A message as the API shows it. */
export function messageDocument(message) {
  const type = message.getType();
  const chunk = isChunk(message);
  const shown = {
    content: message.content,
    additional_kwargs: message.additional_kwargs ?? {},
    response_metadata: message.response_metadata ?? {},
    type: chunk ? (CHUNK_TYPES[type] ?? type) : type === "generic" ? "chat" : type,
    name: message.name ?? null,
    id: message.id ?? null,
  };
  if (type === "ai") {
    shown.tool_calls = (message.tool_calls ?? []).map(toolCall);
    shown.invalid_tool_calls = message.invalid_tool_calls ?? [];
    shown.usage_metadata = usage(message.usage_metadata);
    if (chunk) shown.tool_call_chunks = (message.tool_call_chunks ?? []).map(toolCallChunk);
  } else if (type === "tool") {
    shown.tool_call_id = message.tool_call_id;
    shown.artifact = message.artifact ?? null;
    shown.status = message.status ?? "success";
  } else if (type === "generic") {
    shown.role = message.role;
  }
  return shown;
}

/** The tokens that a model counted, without the details that it left out. */
function usage(counted) {
  if (counted === undefined || counted === null) return null;
  const told = Object.entries(counted).filter(([, value]) => typeof value !== "object" || Object.keys(value ?? {}).length > 0);
  return Object.fromEntries(told);
}

function toolCall(call) {
  return { name: call.name, args: call.args, id: call.id ?? null, type: "tool_call" };
}

function toolCallChunk({ name, args, id, index }) {
  return { name: name ?? null, args: args ?? null, id: id ?? null, index: index ?? null, type: "tool_call_chunk" };
}

// `this` holds the value as it was before its own toJSON.
function replace(key, value) {
  const original = this[key];
  if (typeof original !== "object" || original === null) {
    if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
    return value;
  }
  return standIn(original, value);
}

const KEPT = new Set(["tool_call_id", "status", "artifact"]);

function replaceCompact(key, value) {
  const original = this[key];
  if (!isMessage(original)) return replace.call(this, key, value);
  const { type, content, id, ...others } = messageDocument(original);
  const told = Object.entries(others).filter(([name, item]) => KEPT.has(name) || !isEmpty(item));
  return { type, content, id, ...Object.fromEntries(told) };
}

function isEmpty(value) {
  return !value || (typeof value === "object" && Object.keys(value).length === 0);
}

/** A stand-in for an object without a JSON form; `value` for other objects. */
function standIn(original, value) {
  if (Array.isArray(original)) return original;
  if (isMessage(original)) return messageDocument(original);
  if (original instanceof Map) return Object.fromEntries(original);
  if (original instanceof Set) return [...original];
  if (original instanceof Error) return { error: original.name, message: original.message };
  if (ArrayBuffer.isView(original)) {
    return Buffer.from(original.buffer, original.byteOffset, original.byteLength).toString("base64");
  }
  if (original instanceof ArrayBuffer) return Buffer.from(original).toString("base64");
  if (original.lg_name === "Send") return { node: original.node, arg: original.args };
  if (original instanceof RegExp) return String(original);
  // Graphs, models and other parts of the library, which configs may hold.
  if (original.lg_is_pregel === true) return `<${original.constructor.name}>`;
  return value;
}

function plain(value, path, depth) {
  if (typeof value === "bigint") return replace.call({ value }, "value", value);
  if (typeof value !== "object" || value === null) return value;
  if (path.has(value) || depth > MAX_DEPTH) return label(value);
  path.add(value);
  try {
    return members(standIn(value, typeof value.toJSON === "function" ? value.toJSON() : value), path, depth);
  } catch {
    // A `toJSON`, a getter or a proxy may throw.
    return label(value);
  } finally {
    path.delete(value);
  }
}

function members(shown, path, depth) {
  if (Array.isArray(shown)) return shown.map((item) => plain(item, path, depth + 1));
  if (typeof shown !== "object" || shown === null) return shown;
  return Object.fromEntries(Object.entries(shown).map(([key, item]) => [key, plain(item, path, depth + 1)]));
}

function label(value) {
  try {
    return `<${value.constructor?.name ?? "object"}>`;
  } catch {
    return "<object>";
  }
}
