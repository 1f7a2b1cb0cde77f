"""The application's own `langgraph_sdk.Auth` object: who asks, and what they may do."""

from langopen_host.auth.handlers import AppAuth

__all__ = ["AppAuth"]
