/** How an error looks to clients and in the log. */

import path from "node:path";
import { fileURLToPath } from "node:url";

import { CallFailed, ConnectionLost } from "./failures.js";
import { stringify } from "./intrinsics.js";

const MASK = "An internal error occurred";
const HOST = path.dirname(fileURLToPath(import.meta.url));
// The language's own classes. `Error` is not among them: applications derive their own classes from it.
const OPEN = [TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError];
const OPEN_NAMES = new Set(["HTTPException", "UserInterrupt", "TimeoutError", "AbortError", "ZodError", "$ZodError"]);
// Errors that the client caused.
const CLIENTS = new Set(["InvalidUpdateError", "EmptyInputError"]);
const CLIENTS_VALUES = [TypeError, RangeError];

/** `{error, message}` as clients may see it: the text of a class of the application's or the system's own is masked. */
export function publicError(error) {
  return { error: className(error), message: isOpen(error) ? messageOf(error) : MASK };
}

/** The stack for the log. */
export function detail(error) {
  if (!(error instanceof Error)) return `Thrown: ${messageOf(error)}`;
  const lines = [error.stack ?? String(error)];
  for (let cause = error.cause; cause instanceof Error && lines.length < 5; cause = cause.cause) {
    lines.push(`caused by ${cause.stack ?? cause}`);
  }
  return lines.join("\n");
}

/** Whether another attempt can help: only when the platform failed, never for errors of user code. */
export function isRetryable(error) {
  return error instanceof ConnectionLost || error instanceof CallFailed;
}

/** The class that an ERROR reply names: `ValueError`, or the library's own class, for the client's mistakes. */
export function clientClass(error) {
  const name = className(error);
  if (CLIENTS.has(name)) return name;
  const values = name === "ZodError" || name === "$ZodError" || CLIENTS_VALUES.some((kind) => error instanceof kind);
  return values ? "ValueError" : name;
}

/** The part of the stack that is user code: without this program, its callers, and the machinery of imports. */
export function userTraceback(error) {
  const stack = error instanceof Error && typeof error.stack === "string" ? error.stack.split("\n") : [];
  const own = stack.findIndex((line) => line.includes(HOST));
  const ours = (line) => /^\s+at .*(node:internal|node:async_hooks|[\\/]tsx[\\/]dist[\\/])/.test(line);
  const kept = stack.slice(0, own < 0 ? stack.length : own).filter((line) => !ours(line));
  return kept.some((line) => /^\s+at /.test(line)) ? kept.join("\n") : "";
}

export function className(error) {
  if (!(error instanceof Error)) return error?.constructor?.name ?? "Error";
  // A subclass that does not name itself inherits the name of its parent.
  return Object.hasOwn(error, "name") || error.name !== "Error" ? String(error.name) : error.constructor.name;
}

export function messageOf(error) {
  return error instanceof Error ? error.message : typeof error === "string" ? error : (stringify(error) ?? String(error));
}

function isOpen(error) {
  // Errors of the system name files and addresses.
  if (!(error instanceof Error) || "syscall" in error || "errno" in error) return false;
  if (error.constructor === Error || "lc_error_code" in error) return true;
  return OPEN.some((kind) => error instanceof kind) || OPEN_NAMES.has(className(error));
}
