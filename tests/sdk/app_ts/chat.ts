/** Graphs around a chat model: plain, with a tool, inside a subgraph. */

import { AIMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { END, type LangGraphRunnableConfig, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ToolNode, toolsCondition } from "@langchain/langgraph/prebuilt";
import { z } from "zod";

import { ToolModel, WordsModel } from "./models";

type Messages = typeof MessagesAnnotation.State;
type Node = (state: Messages, config: LangGraphRunnableConfig) => Promise<typeof MessagesAnnotation.Update>;

const answer: Node = async (state, config) => {
  config.writer?.({ stage: "answering" });
  return { messages: [await new WordsModel().invoke(state.messages, config)] };
};

const answerSlowly: Node = async (state, config) => ({
  messages: [await new WordsModel({ delay: 150 }).invoke(state.messages, config)],
});

const answerAtLength: Node = async (state, config) => {
  const text = "One day I will tell you everything that I know about the weather";
  return { messages: [await new WordsModel({ text, delay: 400 }).invoke(state.messages, config)] };
};

const whole: Node = async () => ({ messages: [new AIMessage({ content: "whole answer", id: "whole-1" })] });

const answerQuietly: Node = async (state, config) => {
  const model = new WordsModel().withConfig({ tags: ["nostream"] });
  return { messages: [await model.invoke(state.messages, config)] };
};

const oneNode = (name: string, node: Node | ReturnType<typeof compiled>) =>
  new StateGraph(MessagesAnnotation).addNode(name, node).addEdge(START, name).addEdge(name, END);
const compiled = (name: string, node: Node) =>
  new StateGraph(MessagesAnnotation).addNode(name, node).addEdge(START, name).addEdge(name, END).compile();

export const chat = oneNode("answer", answer).compile();
export const slow_chat = oneNode("answer", answerSlowly).compile();
export const long_chat = oneNode("answer", answerAtLength).compile();
export const whole_chat = oneNode("whole", whole).compile();
export const quiet_chat = oneNode("answer", answerQuietly).compile();
export const nested_chat = oneNode("inner_chat", compiled("answer", answer)).compile();

const multiply = tool(({ a, b }) => a * b, {
  name: "multiply",
  description: "Multiply two whole numbers.",
  schema: z.object({ a: z.number().int(), b: z.number().int() }),
});

const think: Node = async (state, config) => ({ messages: [await new ToolModel().invoke(state.messages, config)] });

export const tool_agent = new StateGraph(MessagesAnnotation)
  .addNode("think", think)
  .addNode("tools", new ToolNode([multiply]))
  .addEdge(START, "think")
  .addConditionalEdges("think", toolsCondition)
  .addEdge("tools", "think")
  .compile();
