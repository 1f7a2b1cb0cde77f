/** Agents of `createAgent` and `createDeepAgent` around a model that follows a script. */

import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessage, type BaseMessage } from "@langchain/core/messages";
import { createDeepAgent } from "deepagents";
import { createAgent, tool } from "langchain";
import { z } from "zod";

/** A model that calls a tool once, and then repeats its result. */
class OneCall extends BaseChatModel {
  constructor(private readonly call: { name: string; args: Record<string, unknown> }) {
    super({});
  }

  _llmType() {
    return "one-call";
  }

  bindTools() {
    return this as never;
  }

  async _generate(messages: BaseMessage[]) {
    const last = messages[messages.length - 1];
    const message =
      last.getType() === "tool"
        ? new AIMessage(`It said: ${last.text}`)
        : new AIMessage({ content: "", tool_calls: [{ ...this.call, id: `call-${messages.length}`, type: "tool_call" }] });
    return { generations: [{ text: message.text, message }] };
  }
}

const greet = tool((_, runtime) => `Hello, ${runtime.context?.name ?? "you"}`, {
  name: "greet",
  description: "Greet the user.",
  schema: z.object({}),
});

export const agent = createAgent({
  model: new OneCall({ name: "greet", args: {} }),
  tools: [greet],
  contextSchema: z.object({ name: z.string().optional() }),
});

export const promised = Promise.resolve(agent);

export const deep = createDeepAgent({
  model: new OneCall({ name: "task", args: { description: "Greet", subagent_type: "helper" } }),
  subagents: [
    {
      name: "helper",
      description: "Greets",
      systemPrompt: "Greet.",
      tools: [greet],
      model: new OneCall({ name: "greet", args: {} }),
    },
  ],
});
