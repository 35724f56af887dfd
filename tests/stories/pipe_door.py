"""A door of its own process for crash tests: stock git speaks to the engine over pipes, one process a conversation.

``git push --receive-pack="python -m tests.stories.pipe_door receive" file:///STORE``; the settings come from the
environment as everywhere, ``CAIRN_FAIL_POINTS`` included.
"""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

from tests.factories.pushes import allow

from cairn.base.settings import load_settings
from cairn.db.database import open_database
from cairn.git.engine import Engine, open_engine
from cairn.git.pktline import PktReader
from cairn.git.receive_pack import PushBy, read_push_request
from cairn.git.ref_transaction import RefOutcome
from cairn.git.upload_pack import read_v2_request, v2_advertisement
from cairn.repositories.rules.examine import make_examine
from cairn.storage.storage import open_storage

ROOT = Path(__file__).resolve().parents[2]
_wire = 1


def door(service: str) -> str:
    """Return the command git is told to run for a service (``receive`` or ``upload``)."""
    return f"{sys.executable} -m tests.stories.pipe_door {service}"


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return what the door's process needs besides git's own environment."""
    return {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1", **settings}


async def _stdin() -> AsyncIterator[bytes]:
    while data := await asyncio.to_thread(os.read, 0, 1 << 16):
        yield data


def _say(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(_wire, view) :]


async def _receive(engine: Engine, store_id: int) -> None:
    state = await engine.state(store_id)
    _say(await engine.receive.advertisement(state))
    reader = PktReader(_stdin(), max_bytes=1 << 25)
    request = await read_push_request(reader, engine.settings)
    if request is None:
        return

    async def remarks(moved: Sequence[RefOutcome]) -> Sequence[str]:
        return [f"{len(moved)} refs moved"]

    by = PushBy(actor="pipe", within=allow, remarks=remarks)
    async with aclosing(engine.receive.receive(state, request, reader.rest(), by)) as chunks:
        async for chunk in chunks:
            _say(chunk)


async def _upload(engine: Engine, store_id: int) -> None:
    assert "version=2" in os.environ.get("GIT_PROTOCOL", ""), "this door speaks protocol v2 only"
    _say(v2_advertisement())
    reader = PktReader(_stdin(), max_bytes=1 << 25)
    while (request := await read_v2_request(reader)) is not None:
        async with engine.upload.serve_v2(await engine.state(store_id), request) as answer:
            if isinstance(answer, bytes):
                _say(answer)
            elif isinstance(answer, Path):
                _say(answer.read_bytes())
            else:
                async for chunk in answer.chunks():
                    _say(chunk)


async def _main(service: str, path: str) -> None:
    found = re.search(r"\d+", path)
    assert found is not None
    settings = load_settings(os.environ)
    database = open_database(settings.effective_database_url, pool_size=2)
    try:
        async with open_engine(settings, database, open_storage(settings), make_examine=make_examine) as engine:
            await (_receive if service == "receive" else _upload)(engine, int(found[0]))
    finally:
        await database.close()


if __name__ == "__main__":
    _wire = os.dup(1)
    os.dup2(2, 1)  # what is logged must not reach the conversation
    asyncio.run(_main(sys.argv[1], sys.argv[2]))
