/** Graphs for the tests, equivalent to those in Python: each stresses its host in one way. */

import { setTimeout as pause } from "node:timers/promises";

import { AIMessage } from "@langchain/core/messages";
import { Annotation, END, type LangGraphRunnableConfig, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (before, more) => before.concat(more), default: () => [] }),
  seconds: Annotation<number>,
});
type Node = (state: typeof State.State, config: LangGraphRunnableConfig) => Promise<Partial<typeof State.State>>;

const oneStep = (name: string, node: Node) =>
  new StateGraph(State).addNode(name, node).addEdge(START, name).addEdge(name, END).compile();

// Node's own type stripping does not support enums.
enum Word {
  Counted = "counted",
}

export const counter = oneStep("count", async () => ({ log: [Word.Counted] }));

export const slow = oneStep("sleep", async ({ seconds = 30 }, { signal }) => {
  await pause(seconds * 1000, undefined, { signal });
  return { log: ["slept"] };
});

export const deadly = oneStep("die", async () => {
  process.kill(process.pid, "SIGKILL");
  return {};
});

export const recall = oneStep("get_item", async (_state, { store }) => {
  const item = await store!.get(["notes"], "one");
  return { log: [item?.value.text ?? "forgotten"] };
});

export const surroundings = oneStep("look", async () => ({ log: Object.keys(process.env) }));

export const talk = new StateGraph(MessagesAnnotation)
  .addNode("say", ({ messages }) => ({ messages: [new AIMessage(`${messages.length} so far`)] }))
  .addEdge(START, "say")
  .addEdge("say", END);
