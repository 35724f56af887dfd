"""Git's HTTP door with the database taken out: names resolve to what was read once. What is left is the server itself.

``python -m bench.ceiling PORT OWNER TOKEN NAME ...`` serves until SIGTERM, on the data that CAIRN_DATA_DIR holds.
"""

import asyncio
import os
import signal
import sys
from typing import cast

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from cairn.access.actions import Action
from cairn.base.settings import load_settings
from cairn.git_server.smart_http import SmartHttp
from cairn.identity.credentials import TokenCredential
from cairn.programs.services import open_services
from cairn.repositories.git_access import GitDoor, GitTarget
from cairn.web.asgi import Receive, Scope, Send


class FrozenDoor:
    """Answers from memory, whoever asks: only for finding out what the database costs."""

    def __init__(self, targets: dict[str, GitTarget]) -> None:
        self._targets = targets

    async def resolve(self, owner: str, name: str, credential: object, *, action: Action) -> GitTarget:
        """Return the target that was read at the start."""
        return self._targets[name.removesuffix(".git")]


def _unobserved(**_: object) -> None:
    """Count nothing."""


async def serve(port: int, owner: str, token: str, names: list[str]) -> None:
    """Serve the named repositories until SIGTERM."""
    async with open_services(load_settings(os.environ)) as services:
        targets = {
            name: await services.git_door.resolve(owner, name, TokenCredential(token), action=Action.REPOSITORY_READ)
            for name in names
        }
        git = SmartHttp(
            settings=services.settings,
            engine=services.engine,
            door=cast("GitDoor", FrozenDoor(targets)),
            observe=_unobserved,
        )

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                taken = git.front(scope)
                assert taken is not None, "only git's addresses are served here"
                await taken(scope, receive, send)

        server = Server(app, "127.0.0.1", port, interface=Interfaces.ASGI, http=HTTPModes.http1, log_enabled=False)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
        await server.serve()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
