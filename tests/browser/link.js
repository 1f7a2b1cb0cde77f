// A connection between page and server that tests can cut, as networks and proxies do.

import { connect, createServer } from "node:net";
import { url } from "./browser.js";

export async function startLink() {
  const { hostname, port } = new URL(url);
  const open = new Set();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      open.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => open.delete(one) && other.destroy());
    }
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const cut = () => open.forEach((socket) => socket.destroy());
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut,
    stop() {
      server.close();
      cut();
    },
  };
}
