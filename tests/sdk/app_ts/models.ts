/** Chat models without a network: they stream fixed words, or call a tool once. */

import { setTimeout as sleep } from "node:timers/promises";

import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessage, AIMessageChunk, type BaseMessage } from "@langchain/core/messages";
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs";

/** Answers with `text`, one chunk per word; the last chunk carries the usage. `delay` is in milliseconds. */
export class WordsModel extends BaseChatModel {
  text: string;
  delay: number;

  constructor({ text = "Good day to you", delay = 0 } = {}) {
    super({});
    this.text = text;
    this.delay = delay;
  }

  _llmType() {
    return "words";
  }

  async _generate(): Promise<ChatResult> {
    return { generations: [{ text: this.text, message: new AIMessage(this.text) }] };
  }

  async *_streamResponseChunks(
    _messages: BaseMessage[],
    _options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    const words = this.text.split(" ");
    for (const [index, word] of words.entries()) {
      await sleep(this.delay);
      const last = index === words.length - 1;
      const usage = { input_tokens: 2, output_tokens: words.length, total_tokens: 2 + words.length };
      const content = index === 0 ? word : ` ${word}`;
      const message = new AIMessageChunk({
        content,
        response_metadata: last ? { finish_reason: "stop" } : {},
        usage_metadata: last ? usage : undefined,
      });
      yield await told(new ChatGenerationChunk({ text: content, message }), runManager);
    }
    yield await told(theEnd(), runManager);
  }
}

/** Calls the tool `multiply` first, and then answers with its result. */
export class ToolModel extends WordsModel {
  _llmType() {
    return "tool-words";
  }

  async *_streamResponseChunks(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    const last = messages[messages.length - 1];
    if (last.getType() === "tool") {
      const model = new WordsModel({ text: `The product is ${last.content}` });
      yield* model._streamResponseChunks(messages, options, runManager);
      return;
    }
    // A call's id is unique in the thread: langgraph does not repeat a call that has an answer.
    const id = `call-${1 + messages.filter((message) => message.getType() === "tool").length}`;
    for (const args of ['{"a": 6,', ' "b": 7}']) {
      const first = args.startsWith("{");
      const call = {
        name: first ? "multiply" : undefined,
        args,
        id: first ? id : undefined,
        index: 0,
        type: "tool_call_chunk" as const,
      };
      const message = new AIMessageChunk({ content: "", tool_call_chunks: [call] });
      yield await told(new ChatGenerationChunk({ text: "", message }), runManager);
    }
    yield await told(theEnd(), runManager);
  }
}

/** The event that LangChain for Python sends after a model's last chunk. */
const theEnd = () => new ChatGenerationChunk({ text: "", message: new AIMessageChunk("") });

async function told(chunk: ChatGenerationChunk, runManager?: CallbackManagerForLLMRun) {
  await runManager?.handleLLMNewToken(chunk.text, undefined, undefined, undefined, undefined, { chunk });
  return chunk;
}
