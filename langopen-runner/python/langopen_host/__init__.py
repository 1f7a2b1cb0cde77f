"""The program that runs LangGraph graphs inside the user's environment and answers the runner over one connection."""

PROTOCOL_VERSION = 1
