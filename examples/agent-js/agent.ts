/**
 * An agent in TypeScript with two tools. One reports the weather; the other sends a postcard after a person has agreed.
 *
 * It needs no account and no network: a small built-in model picks the tool from the words of the question. The README
 * shows the line that replaces it with a real model.
 */

import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessage, type BaseMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { interrupt, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ToolNode, toolsCondition } from "@langchain/langgraph/prebuilt";
import { z } from "zod";

const SKIES = ["sunny", "cloudy", "windy", "rainy"];

const weather = tool(
  ({ city }) => {
    const number = [...city.toLowerCase()].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
    return `${SKIES[number % SKIES.length]}, ${number % 30} °C in ${city}`;
  },
  { name: "weather", description: "Tell the weather in a city.", schema: z.object({ city: z.string() }) },
);

const postcard = tool(
  ({ city }) => {
    const agreed = interrupt({ question: `Send a postcard from ${city}?` });
    return agreed === true ? `A postcard from ${city} is on its way` : "No postcard was sent";
  },
  { name: "postcard", description: "Send a postcard from a city.", schema: z.object({ city: z.string() }) },
);

/** Calls `postcard` or `weather` with the last capitalised word of the question, then repeats the tool's answer. */
class SmallModel extends BaseChatModel {
  _llmType() {
    return "small";
  }

  async _generate(messages: BaseMessage[]) {
    const message = this.#answer(messages);
    return { generations: [{ text: message.text, message }] };
  }

  #answer(messages: BaseMessage[]) {
    const last = messages[messages.length - 1];
    if (last.getType() === "tool") return new AIMessage(`${last.text}.`);
    const city = /.*\b(\p{Lu}\p{L}+)/su.exec(last.text)?.[1];
    const name = ["postcard", "weather"].find((word) => last.text.includes(word));
    if (city === undefined || name === undefined) return new AIMessage("Ask me about the weather somewhere.");
    const id = `call-${messages.length}`;
    return new AIMessage({ content: "", tool_calls: [{ name, args: { city }, id, type: "tool_call" }] });
  }
}

const model = new SmallModel({});

export const agent = new StateGraph(MessagesAnnotation)
  .addNode("think", async ({ messages }, config) => ({ messages: [await model.invoke(messages, config)] }))
  .addNode("tools", new ToolNode([weather, postcard]))
  .addEdge(START, "think")
  .addConditionalEdges("think", toolsCondition)
  .addEdge("tools", "think")
  .compile();
