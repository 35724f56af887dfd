"""The stores the contract holds for, and a store that answers as a test says."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.storage.http_stub import HttpStub

from cairn.base.settings import Settings
from cairn.storage.storage import Storage, open_storage

MIB = 1 << 20
BACKENDS = [
    "folder",
    "memory",
    pytest.param("versitygw", marks=pytest.mark.s3_server),
    "moto",
    pytest.param("azurite", marks=pytest.mark.azure_server),
]


def storage_url(request: pytest.FixtureRequest, tmp_path: Path, backend: str) -> str:
    """Return the address of an empty store of this kind."""
    if backend == "folder":
        return f"file://{tmp_path / 'store'}"
    if backend == "memory":
        return "memory://"
    return str(request.getfixturevalue({"versitygw": "s3_url", "moto": "moto_url", "azurite": "azure_url"}[backend]))


@pytest.fixture(params=BACKENDS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty store of every kind."""
    return open_storage(Settings(storage_url=storage_url(request, tmp_path, request.param)))


@pytest.fixture(params=[backend for backend in BACKENDS if backend != "memory"])
def large_storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty store of every kind that does not keep its objects in this process."""
    return open_storage(Settings(storage_url=storage_url(request, tmp_path, request.param)))


@pytest.fixture
def folder_storage(tmp_path: Path) -> Storage:
    """An empty store in a folder."""
    return open_storage(Settings(storage_url=f"file://{tmp_path / 'store'}"))


@pytest.fixture
def memory_storage() -> Storage:
    """An empty store in memory."""
    return open_storage(Settings(storage_url="memory://"))


@pytest.fixture
async def stub() -> AsyncIterator[HttpStub]:
    """A server that answers every request as the test says."""
    async with HttpStub() as running:
        yield running


async def keys(storage: Storage, prefix: str = "", start_after: str | None = None) -> list[str]:
    """Return the keys of a list."""
    return [found.key async for found in storage.list(prefix, start_after=start_after)]


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    """Yield what an upload is made of."""
    for piece in data:
        yield piece
