/** Graphs of plain steps: quick, slow, blocking, counting in a file, printing, nested. */

import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";

const list = () => Annotation<any[]>({ reducer: (before, more) => before.concat(more), default: () => [] });
const Work = Annotation.Root({
  log: list(),
  secs: Annotation<number>,
  path: Annotation<string>,
  total: Annotation<number>,
  done: list(),
});
type State = typeof Work.State;
type Node = (state: State, config: LangGraphRunnableConfig) => Promise<Partial<State>> | Partial<State>;

const say =
  (word: string): Node =>
  async (_state, config) => {
    config.writer?.({ at: word });
    return { log: [word] };
  };

const pause: Node = async ({ secs = 0 }, { signal }) => {
  await sleep(secs * 1000, undefined, { signal });
  return { log: ["slept"] };
};

/** Blocks the event loop. With a path, the node appends a line there on each execution. */
const block: Node = ({ secs = 0, path }) => {
  if (path) appendFileSync(path, "blocked\n");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, secs * 1000);
  return { log: ["blocked"] };
};

function chain(...nodes: [string, any][]) {
  const builder = new StateGraph(Work) as any;
  let previous: string = START;
  for (const [name, node] of nodes) {
    builder.addNode(name, node);
    builder.addEdge(previous, name);
    previous = name;
  }
  return builder.addEdge(previous, END).compile();
}

export const three = chain(["one", say("one")], ["two", say("two")], ["three", say("three")]);
export const slow = chain(["one", say("one")], ["sleep", pause], ["three", say("three")]);
export const blocking = chain(["one", say("one")], ["block", block], ["three", say("three")]);
export const blocking_loop = chain(["one", say("one")], ["block", block], ["three", say("three")]);
export const nested = chain(["outer", say("outer")], ["inner", chain(["deep", say("deep")], ["deeper", say("deeper")])]);

/** One step of `total`. A file outside the graph records each start and end. */
const tick: Node = async ({ done, path, secs = 0 }, { signal, writer }) => {
  const number = done.length;
  appendFileSync(path, `begin ${number}\n`);
  await sleep(secs * 1000, undefined, { signal });
  appendFileSync(path, `end ${number}\n`);
  writer?.({ tick: number });
  return { done: [number] };
};

export const counter = new StateGraph(Work)
  .addNode("tick", tick)
  .addEdge(START, "tick")
  .addConditionalEdges("tick", ({ done, total }) => (done.length < total ? "tick" : END))
  .compile();

const Burst = Annotation.Root({
  total: Annotation<number>,
  secs: Annotation<number>,
  size: Annotation<number>,
  told: Annotation<number>,
});

/** Sends a number of events of a size, with an optional pause after each. */
async function tellMany({ total, secs, size = 0 }: typeof Burst.State, { writer, signal }: LangGraphRunnableConfig) {
  const filling = "x".repeat(size);
  for (let number = 0; number < total; number += 1) {
    writer?.({ number, filling });
    if (secs) await sleep(secs * 1000, undefined, { signal });
  }
  return { told: total };
}

export const burst = new StateGraph(Burst).addNode("tell", tellMany).addEdge(START, "tell").addEdge("tell", END).compile();

/** Prints in every way that user code prints; none of it may disturb the server. */
const shout: Node = () => {
  console.log("plain line");
  process.stdout.write("no newline");
  console.error("to stderr");
  process.stdout.write("\u0000\u0001{not json}\r\n");
  process.stdout.write(Buffer.from([0xff, 0xfe, 0x20, 0x72, 0x61, 0x77, 0x0a]));
  return { log: ["printed"] };
};

export const printing = chain(["shout", shout]);
