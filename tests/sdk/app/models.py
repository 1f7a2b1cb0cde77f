"""Chat models without a network: they stream fixed words, or call a tool once."""

import asyncio

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult


class WordsModel(BaseChatModel):
    """Answers with `text`, one chunk per word; the last chunk carries the usage."""

    text: str = "Good day to you"
    delay: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "words"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        message = AIMessage(content=self.text)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        words = self.text.split(" ")
        for index, word in enumerate(words):
            await asyncio.sleep(self.delay)
            last = index == len(words) - 1
            usage = {"input_tokens": 2, "output_tokens": len(words), "total_tokens": 2 + len(words)}
            message = AIMessageChunk(
                content=word if index == 0 else f" {word}",
                response_metadata={"finish_reason": "stop"} if last else {},
                usage_metadata=usage if last else None,
            )
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                await run_manager.on_llm_new_token(message.content, chunk=chunk)
            yield chunk


class ToolModel(WordsModel):
    """Asks for the tool `multiply` first, and tells its result once it is there."""

    @property
    def _llm_type(self) -> str:
        return "tool-words"

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        if messages[-1].type == "tool":
            model = WordsModel(text=f"The product is {messages[-1].content}")
            async for chunk in model._astream(messages, stop, run_manager, **kwargs):
                yield chunk
            return
        for piece in ('{"a": 6,', ' "b": 7}'):
            first = piece.startswith("{")
            call = {
                "name": "multiply" if first else None,
                "args": piece,
                "id": "call-1" if first else None,
                "index": 0,
                "type": "tool_call_chunk",
            }
            chunk = ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[call]))
            if run_manager:
                await run_manager.on_llm_new_token("", chunk=chunk)
            yield chunk
