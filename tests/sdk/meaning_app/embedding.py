"""An embedding that knows four things: a text means a thing as often as it names it."""

THINGS = ("cat", "dog", "boat", "tree")


async def embed(texts: list[str]) -> list[list[float]]:
    if any("cannot be embedded" in text for text in texts):
        raise RuntimeError("the model is out of order")
    # Never all zero: a text about nothing is a little about everything.
    return [[text.lower().count(thing) + 0.01 for thing in THINGS] for text in texts]
