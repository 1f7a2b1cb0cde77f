/** Graphs that stop for a person: one question, two at once, one inside a subgraph. */

import { Annotation, END, START, StateGraph, interrupt } from "@langchain/langgraph";

const Talk = Annotation.Root({
  log: Annotation<string[]>({ reducer: (before, more) => before.concat(more), default: () => [] }),
  reply: Annotation<unknown>,
});

const say = (word: string) => () => ({ log: [word] });

function ask() {
  const reply = interrupt({ question: "go on?" });
  return { log: ["asked"], reply };
}

const askSide = (side: string) => () => ({ log: [`${side}:${interrupt({ side })}`] });

export const question = new StateGraph(Talk)
  .addNode("before", say("before"))
  .addNode("ask", ask)
  .addNode("after", say("after"))
  .addEdge(START, "before")
  .addEdge("before", "ask")
  .addEdge("ask", "after")
  .addEdge("after", END)
  .compile();

export const two_questions = new StateGraph(Talk)
  .addNode("left", askSide("left"))
  .addNode("right", askSide("right"))
  .addNode("other", say("other"))
  .addNode("join", say("join"))
  .addEdge(START, "left")
  .addEdge(START, "right")
  .addEdge(START, "other")
  .addEdge(["left", "right", "other"], "join")
  .addEdge("join", END)
  .compile();

const innerQuestion = new StateGraph(Talk)
  .addNode("inner_ask", ask)
  .addEdge(START, "inner_ask")
  .addEdge("inner_ask", END)
  .compile();

export const nested_question = new StateGraph(Talk)
  .addNode("outer", say("outer"))
  .addNode("inner", innerQuestion)
  .addEdge(START, "outer")
  .addEdge("outer", "inner")
  .addEdge("inner", END)
  .compile();
