/** Nodes that harm the process that they share with other runs. */

import { Annotation, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({ log: Annotation<string[]>() });
const graph = (node: () => Promise<typeof State.Update>) => new StateGraph(State).addNode("node", node).addEdge(START, "node").compile();
const never = new Promise<never>(() => {});

export const exitsLater = graph(async () => {
  setTimeout(() => process.exit(3), 10);
  return await never;
});

export const throwsLater = graph(async () => {
  setTimeout(() => {
    throw new Error("thrown in a timer");
  }, 10);
  return await never;
});

export const patches = graph(async () => {
  JSON.stringify = () => {
    throw new Error("patched");
  };
  globalThis.setTimeout = (() => 0) as never;
  return { log: ["patched"] };
});

export const waits = graph(async () => {
  await new Promise((resolve) => setTimeout(resolve, 500));
  return { log: ["waited"] };
});
