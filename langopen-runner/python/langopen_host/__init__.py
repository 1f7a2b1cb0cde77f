"""The graph host: runs LangGraph graphs in the application's environment, driven by the runner over one connection."""

PROTOCOL_VERSION = 2
