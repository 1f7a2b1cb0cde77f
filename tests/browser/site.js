// Bundles the page and serves it on a port of its own, so that every call to the server is a cross-origin one.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const file = (name) => fileURLToPath(new URL(`page/${name}`, import.meta.url));

export async function startSite() {
  const bundle = await build({
    entryPoints: [file("chat.jsx"), file("protocol.jsx")],
    outdir: "/",
    bundle: true,
    write: false,
    format: "esm",
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"development"' },
    logLevel: "error",
  });
  const html = await readFile(file("index.html"));
  const pages = {
    "/": ["text/html; charset=utf-8", html],
  };
  for (const { path, contents } of bundle.outputFiles) {
    pages[`/${basename(path)}`] = ["text/javascript; charset=utf-8", contents];
  }
  const server = createServer((request, response) => {
    const [type, body] = pages[new URL(request.url, "http://site").pathname] ?? [];
    response.writeHead(body ? 200 : 404, { "content-type": type ?? "text/plain" }).end(body ?? "not found");
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
