"""Embeds the texts of store items with the application's embedding (`store.index` of langgraph.json)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from langgraph.store.base.embed import ensure_embeddings, get_text_at_path, tokenize_path

from langopen_host import loading

# The path of the whole value. The library's tokenizer does not know it.
WHOLE = "$"


class StoreIndex:
    """Turns texts into vectors of one length."""

    def __init__(self, embed: Any, dims: int, fields: list[str] | None) -> None:
        self._embeddings = ensure_embeddings(embed)
        self._dims = dims
        self._fields = fields or [WHOLE]

    @classmethod
    def load(cls, config: dict[str, Any], base_dir: Path) -> StoreIndex:
        embed = config["embed"]
        if _names_an_object(embed):
            embed = loading.load_object("store.index.embed", embed, base_dir)
        return cls(embed, config["dims"], config.get("fields"))

    async def embed_value(self, value: Any, fields: list[str] | None = None) -> list[tuple[str, list[float]]]:
        """The vectors of the texts at the paths `fields`, each with the path of its text."""
        texts = [
            (field if len(found) == 1 else f"{field}.{number}", text)
            for field in (self._fields if fields is None else fields)
            for found in [get_text_at_path(value, field if field == WHOLE else tokenize_path(field))]
            for number, text in enumerate(found)
        ]
        if not texts:
            return []
        vectors = await self._embeddings.aembed_documents([text for _, text in texts])
        if len(vectors) != len(texts):
            raise RuntimeError(f"store.index.embed made {len(vectors)} vectors of {len(texts)} texts")
        return [(path, self._checked(vector)) for (path, _), vector in zip(texts, vectors)]

    async def embed_query(self, query: str) -> list[float]:
        return self._checked(await self._embeddings.aembed_query(query))

    def _checked(self, vector: Any) -> list[float]:
        numbers = [float(number) for number in vector]
        if len(numbers) != self._dims:
            raise RuntimeError(
                f"store.index.embed made a vector of {len(numbers)} numbers; store.index.dims is {self._dims}"
            )
        return numbers


def _names_an_object(embed: str) -> bool:
    """Whether it is `path/to/file.py:function` or `package.module:function`, and not `provider:model`."""
    location, _, _ = embed.partition(":")
    return location.endswith(".py") or "/" in location or "." in location
