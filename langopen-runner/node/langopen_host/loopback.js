/**
 * Requests of the application's own to the API: `new Client()` of the SDK without an address.
 *
 * They travel over the connection to the runner, which serves them itself: they need no port and no key, and streams
 * arrive as the API produces them.
 */

import { currentRun } from "./scope.js";
import { currentExchange } from "./web.js";

// Where the SDK looks for a server in its own process.
const FETCH = Symbol.for("langgraph_api:fetch");
const URL_OF_API = Symbol.for("langgraph_api:url");
const BARE = [101, 204, 205, 304];
const ADDRESS = "http://langopen.internal";

/** Connects SDK clients without an address to this runner. `isReady` tells whether the API is served yet. */
export function install(exchanges, rootPath, isReady) {
  globalThis[URL_OF_API] = `${ADDRESS}${rootPath}`;
  globalThis[FETCH] = async (input, init) => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    if (url.origin !== ADDRESS) return fetch(request);
    if (!isReady()) throw new TypeError("The server is not ready yet: it serves no requests while the application is loaded");
    const body = request.body === null ? null : Buffer.from(await request.arrayBuffer());
    const exchange = exchanges.begin({
      method: request.method,
      path: url.pathname,
      query: url.search.slice(1),
      headers: [...request.headers],
      run: currentRun()?.run ?? null,
      within: currentExchange(),
      body: body !== null,
    });
    request.signal.addEventListener("abort", () => exchange.abort(), { once: true });
    if (body !== null) exchange.pump(new Blob([body]).stream()).catch(() => exchange.abort());
    const answer = await exchange.head;
    return new Response(BARE.includes(answer.status) ? null : exchange.stream(), answer);
  };
}
