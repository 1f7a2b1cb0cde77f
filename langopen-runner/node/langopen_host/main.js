/** `node main.js`: connects to the runner named by the environment and serves it until told to stop. */

import { connect } from "node:net";

import { Host } from "./host.js";

const { LANGOPEN_HOST_SOCKET: address, LANGOPEN_HOST_TOKEN: token } = process.env;
delete process.env.LANGOPEN_HOST_TOKEN;
if (!address || token === undefined) {
  console.error("LANGOPEN_HOST_SOCKET and LANGOPEN_HOST_TOKEN have to be set: the runner starts this program");
  process.exit(1);
}
const exit = process.exit;
const socket = connect(place(address));
socket.once("error", unreachable);
socket.once("connect", async () => {
  socket.off("error", unreachable);
  // Timers and sockets of the application may still be active, and would keep the process alive.
  exit(await new Host(socket, token).ended);
});

function unreachable(error) {
  console.error(`The runner cannot be reached at ${address}: ${error.message}`);
  exit(1);
}

/** A unix socket's path, or `tcp://host:port`, as node takes it. */
function place(text) {
  if (!text.startsWith("tcp://")) return { path: text };
  const { hostname, port } = new URL(text);
  return { host: hostname, port: Number(port) };
}
