/**
 * Where the web app's own routes end and the API begins, inside a Hono application.
 *
 * A last route passes requests that no route of the application matches on to the API. So the application's middleware
 * also sees the API's requests, and may answer them, change them, or change the API's answers.
 *
 * The routes of other fetch handlers are unknown: they get the requests that the API has no path for.
 */

const EVERYTHING = new Set(["*", "/*"]);

/** `{first, routes, later, openapi}`: which requests pass through the application. The runner's README describes it. */
export function describe(app) {
  if (!isHono(app)) return { first: false, routes: [], later: true, openapi: null };
  const routes = [];
  let [first, later] = [false, false];
  for (const route of app.routes) {
    if (EVERYTHING.has(route.path)) {
      if (isMiddleware(route)) first = true;
      else later = true;
    } else {
      const methods = route.method === "ALL" ? null : [route.method];
      routes.push({ pattern: patternOf(route.path), methods, websocket: false });
    }
  }
  return { first, routes, later, openapi: null };
}

/** Puts the API behind the application's routes. */
export function installGate(app, askApi) {
  if (!isHono(app)) return;
  const last = app.routes.some((route) => EVERYTHING.has(route.path) && !isMiddleware(route));
  // A route for every path would hide the API. So the runner asks the API first, and needs no gate.
  if (last) return;
  // The API also answers for unknown paths: the application's `notFound` must not turn the API's 404 into something
  // else.
  app.all("*", async (context) => (await askApi(await asLeft(context.req))) ?? context.notFound());
}

/** The request after the middleware, which may have read its body. */
async function asLeft(request) {
  const { raw } = request;
  return raw.bodyUsed ? new Request(raw.url, { method: raw.method, headers: raw.headers, body: await request.arrayBuffer() }) : raw;
}

function isHono(app) {
  return typeof app?.fetch === "function" && Array.isArray(app.routes) && typeof app.notFound === "function" && typeof app.all === "function";
}

// A middleware has a second parameter, `next`. Hono lists middleware and routes alike.
function isMiddleware({ method, handler }) {
  return method === "ALL" && handler.length >= 2;
}

/** A path of Hono's as a regular expression: `/a/:id`, `/:name{[a-z]+}`, `/:maybe?`, `/files/*`. */
export function patternOf(path) {
  const parts = path.split("/").filter((part) => part !== "");
  const pattern = parts.map((part, at) => {
    if (part === "*") return at === parts.length - 1 ? "(?:/.*)?" : "/[^/]+";
    const named = /^:([^{}?]+)(?:\{(.+)\})?(\?)?$/.exec(part);
    if (named === null) return `/${part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`;
    const [, , own, optional] = named;
    const value = `/(?:${own ?? "[^/]+"})`;
    return optional ? `(?:${value})?` : value;
  });
  return `^${pattern.join("") || "/"}$`;
}
