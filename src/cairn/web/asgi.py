"""ASGI as plain types. Litestar's own name the scope's keys one by one, which our own key defeats."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def header(scope: Scope, name: bytes) -> bytes:
    """Return the first value of a request header (name in lower case), empty if absent."""
    return next((value for key, value in scope["headers"] if key == name), b"")
