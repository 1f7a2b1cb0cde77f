/**
 * The application's own `Auth` object of `@langchain/langgraph-sdk/auth`: it identifies callers and checks their
 * access.
 *
 * Every failure becomes an error, which the runner treats as a refusal: a failing handler lets nobody in.
 */

import { className, messageOf } from "./errors.js";
import { loadObject } from "./loading.js";
import { LoadError } from "./load_error.js";

const STUDIO = "StudioUser";
// An authenticate handler may refuse with these; its other failures are the server's.
const REFUSALS_OF_AUTHENTICATE = [401, 403];
// The resources of the API, which tell events such as `threads` from actions such as `create`.
const RESOURCES = ["assistants", "threads", "crons", "store", "runs"];

/** The handlers of one `Auth` object, looked up once. */
export class AppAuth {
  #authenticate;
  // By resource and action, `*` for any.
  #on = new Map();

  constructor(auth) {
    const { authenticate, callbacks = {} } = auth["~handlerCache"];
    this.#authenticate = authenticate ?? null;
    for (const [event, handler] of Object.entries(callbacks)) this.#on.set(pairOf(event).join(":"), handler);
  }

  /** Imports the object that `auth.path` names. */
  static async load(target, baseDir) {
    const auth = await loadObject("auth.path", target, baseDir);
    if (typeof auth?.["~handlerCache"] !== "object") {
      throw new LoadError(`'${target}' is no Auth object of @langchain/langgraph-sdk/auth, which auth.path has to name`, "TypeError");
    }
    return new AppAuth(auth);
  }

  /** The handlers, and whether they need the request's body, for READY. */
  described() {
    const handlers = [...this.#on.keys()].sort().map((pair) => pair.split(":"));
    return { authenticate: this.#authenticate !== null, needs_body: this.#authenticate !== null, handlers };
  }

  /**
   * `{identity: {identity, permissions, user}}`, `{refusal}`, or `{needs_body: true}`: the same again, with the body.
   */
  async authenticate(params) {
    if (this.#authenticate === null) throw new Error("The Auth object has no authenticate handler");
    const incoming = new Incoming(params);
    try {
      const user = await this.#authenticate(incoming.request);
      return incoming.bodyWanted ? { needs_body: true } : normal(user);
    } catch (error) {
      // The handler did not have the body yet, so its failure means nothing.
      if (incoming.bodyWanted) return { needs_body: true };
      const refusal = refusalOf(error);
      if (refusal !== null && REFUSALS_OF_AUTHENTICATE.includes(refusal.status)) return { refusal };
      console.error("The authenticate handler failed:", error);
      throw error;
    }
  }

  /** `{answer, value}` with the value as the handler left it, or `{refusal}`. */
  async authorize({ resource, action, identity, permissions, user, value }) {
    const handler = this.#handler(resource, action);
    if (handler === undefined) return { answer: null, value };
    const who = user?.kind === STUDIO ? studio(identity) : { identity, permissions, is_authenticated: true, display_name: identity, ...user };
    let answer;
    try {
      answer = await handler({ event: `${resource}:${action}`, resource, action, value, user: who, permissions: [...permissions] });
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal !== null) return { refusal };
      console.error(`The handler of ${resource}:${action} failed:`, error);
      throw error;
    }
    const plain = typeof answer === "boolean" || (typeof answer === "object" && !Array.isArray(answer));
    if (answer !== undefined && !plain) {
      throw new TypeError(`The handler of ${resource}:${action} has to return nothing, a boolean or a filter, not a ${typeof answer}`);
    }
    return { answer: answer ?? null, value };
  }

  #handler(resource, action) {
    const pairs = [[resource, action], [resource, "*"], ["*", action], ["*", "*"]];
    return pairs.map((pair) => this.#on.get(pair.join(":"))).find((handler) => handler !== undefined);
  }
}

/** `threads:create`, `threads`, `create` and `*` as resource and action. */
function pairOf(event) {
  if (event === "*") return ["*", "*"];
  const [first, second] = event.split(":");
  if (second !== undefined) return [first, second];
  return RESOURCES.includes(first) ? [first, "*"] : ["*", first];
}

/**
 * A handler's request, made from the runner's document. It notices when the handler reads a body that is not here yet.
 */
class Incoming {
  bodyWanted = false;

  constructor({ method: given, path, query, headers, body, has_body: hasBody }) {
    const method = given || "GET";
    const named = new Headers();
    // fetch shows one character for each byte.
    for (const [name, value] of headers) named.append(name, Buffer.from(value).toString("latin1"));
    const url = new URL(`http://${named.get("host") || "localhost"}`);
    Object.assign(url, { pathname: path, search: query });
    const missing = hasBody && (body === null || body === undefined);
    const carries = hasBody && !["GET", "HEAD"].includes(method);
    const content = missing
      ? new ReadableStream({ pull: () => this.#missed() }, { highWaterMark: 0 })
      : body;
    // fetch knows no request of these methods with a body.
    this.request = new Request(url, { method, headers: named, ...(carries ? { body: content, duplex: "half" } : {}) });
  }

  #missed() {
    this.bodyWanted = true;
    throw new Error("the body is asked for");
  }
}

/** The user that a handler returned, in the runner's form; a refusal if the user says that it is not authenticated. */
function normal(user) {
  const fields = typeof user === "string" ? { identity: user } : { ...user };
  const { identity } = fields;
  if (identity === undefined || identity === null || identity === "") {
    // The type alone: what a user object holds may be secret.
    throw new TypeError(`The authenticate handler has to return a user with an identity, not ${user === undefined ? "undefined" : "one without"}`);
  }
  if (fields.is_authenticated === false) return { refusal: { status: 401, detail: "Unauthorized", headers: [] } };
  const who = String(identity);
  const permissions = (fields.permissions ?? []).map(String);
  const known = { identity: who, is_authenticated: true, display_name: fields.display_name || who, permissions };
  return { identity: { identity: who, permissions, user: { ...fields, ...known } } };
}

function studio(identity) {
  return { kind: STUDIO, identity, display_name: identity, is_authenticated: true, permissions: [] };
}

/** An `HTTPException`, the SDK's or a web framework's, as an answer. */
function refusalOf(error) {
  const { status } = error ?? {};
  const isHttp = className(error) === "HTTPException" || error?.constructor?.name === "HTTPException";
  if (!isHttp || !Number.isInteger(status) || status < 400 || status > 599) return null;
  const headers = [...new Headers(error.headers ?? {})];
  return { status, detail: messageOf(error), headers };
}
