/** The application's own web app (`http.app`): a fetch handler, such as one of Hono. */

import { AsyncLocalStorage } from "node:async_hooks";

import * as frames from "./frames.js";
import { describe, installGate } from "./gate.js";
import { loadObject } from "./loading.js";
import { LoadError } from "./load_error.js";

// Statuses whose answers have no body.
const BARE = [101, 204, 205, 304];

const requests = new AsyncLocalStorage();

/** The exchange that this code works for; null outside of the web app. */
export function currentExchange() {
  return requests.getStore()?.exchange.number ?? null;
}

/** One fetch handler: a function, or an object with `fetch`. */
export class WebApp {
  #fetch;
  #exchanges;
  #open = new Set();

  constructor(app, exchanges) {
    this.#fetch = typeof app === "function" ? app : (request, env) => app.fetch(request, env);
    this.#exchanges = exchanges;
    this.description = describe(app);
    installGate(app, (request) => requests.getStore().askApi(request));
  }

  static async load(target, baseDir, exchanges) {
    const app = await loadObject("http.app", target, baseDir);
    if (typeof app !== "function" && typeof app?.fetch !== "function") {
      throw new LoadError(`'${target}' is no fetch handler: http.app needs one, e.g. a Hono application`, "TypeError");
    }
    return new WebApp(app, exchanges);
  }

  /** Answers a request. */
  async serve(number, head) {
    const exchange = this.#exchanges.accept(number, { body: head.body });
    const passage = new Passage(exchange, this.#exchanges, head);
    this.#open.add(passage);
    try {
      await requests.run(passage, () => passage.answer(this.#fetch));
    } finally {
      this.#open.delete(passage);
      this.#exchanges.forget(exchange);
    }
  }

  /** Ends its requests. */
  stop() {
    for (const passage of this.#open) passage.exchange.abort();
  }
}

/** One request on its way through the application, and its access to the API. */
class Passage {
  #exchanges;
  #head;
  #client = new AbortController();

  constructor(exchange, exchanges, head) {
    this.exchange = exchange;
    this.#exchanges = exchanges;
    this.#head = head;
    exchange.onAbort = () => this.#client.abort();
  }

  async answer(handle) {
    const { exchange } = this;
    let response;
    try {
      const request = this.#request();
      const refused = await this.#letIn();
      response = refused ?? (await handle(request, this.#environment()));
      if (!(response instanceof Response)) throw new TypeError("http.app did not answer with a Response");
    } catch (error) {
      if (exchange.aborted) return;
      console.error(`http.app failed to answer ${this.#head.method} ${this.#head.path}:`, error);
      response = new Response("Internal Server Error", { status: 500 });
    }
    const headers = [...response.headers];
    exchange.sendHead(frames.HTTP_RESPONSE, { status: response.status, headers });
    try {
      await exchange.pump(BARE.includes(response.status) ? null : response.body);
    } catch (error) {
      // The client must be able to tell a broken answer from a complete one.
      if (!exchange.aborted) console.error(`The answer of http.app to ${this.#head.method} ${this.#head.path} broke off:`, error);
      exchange.abort();
    }
  }

  /** The API's answer; null if the runner has asked the API before and it has no such path. */
  async askApi(request) {
    if (this.#head.unknown) return null;
    const url = new URL(request.url);
    const exchange = this.#exchanges.begin({
      method: request.method,
      path: `${this.#head.root_path}${url.pathname}`,
      query: url.search.slice(1),
      headers: [...request.headers],
      parent: this.exchange.number,
      body: request.body !== null,
    });
    if (request.body !== null) exchange.pump(request.body, { lazy: true }).catch(() => exchange.abort());
    const answer = await exchange.head;
    return new Response(BARE.includes(answer.status) ? null : exchange.stream(), answer);
  }

  /** Checks the caller of the application's own routes; returns the answer to a caller that is turned away. */
  async #letIn() {
    const { authenticate, user, method, path, query, headers } = this.#head;
    if (!authenticate || user !== null) return null;
    const exchange = this.#exchanges.begin({ method, path, query, headers, parent: this.exchange.number, authenticate: true });
    const answer = await exchange.head;
    if (answer.user) {
      this.#head.user = answer.user;
      exchange.abort();
      return null;
    }
    return new Response(exchange.stream(), answer);
  }

  #request() {
    const { method, path, query, headers, body, root_path: root } = this.#head;
    const named = new Headers();
    for (const [name, value] of headers) named.append(name, value);
    const url = new URL(`http://${named.get("host") || "localhost"}`);
    // The application does not know the prefix that it is mounted at.
    const own = root !== "" && path.startsWith(`${root}/`) ? path.slice(root.length) : path;
    Object.assign(url, { pathname: own, search: query });
    const carries = body && !["GET", "HEAD"].includes(method);
    const content = carries ? { body: this.exchange.stream(), duplex: "half" } : {};
    return new Request(url, { method, headers: named, signal: this.#client.signal, ...content });
  }

  /** The environment, which Hono shows as `c.env`. */
  #environment() {
    return { langgraph_auth_user: this.#head.user, client: this.#head.client };
  }
}
