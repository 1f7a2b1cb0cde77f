/** States whose types exist only in TypeScript. */

import { Annotation, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";

const Inner = Annotation.Root({ mood: Annotation<"good" | "bad"> });
const inner = new StateGraph(Inner).addNode("decide", () => ({ mood: "good" as const })).addEdge(START, "decide").compile();

const State = Annotation.Root({
  ...MessagesAnnotation.spec,
  topic: Annotation<string>(),
  mood: Annotation<"good" | "bad">(),
  count: Annotation<number>({ reducer: (sum, more) => sum + more, default: () => 0 }),
  due: Annotation<Date | null>(),
});

const builder = new StateGraph(State, Annotation.Root({ model: Annotation<"small" | "large">() }))
  .addNode("inner", inner)
  .addEdge(START, "inner");

export const typed = builder.compile();

export const made = async () => builder;
