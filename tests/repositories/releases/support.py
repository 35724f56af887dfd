"""Writing releases and sending their files as clients do."""

from typing import Any

import httpx2
from tests.factories.forge import Forge, Person

from cairn.repositories.queries import RepositoryView

RELEASES = "/repos/ada/engine/releases"
OCTETS = {"accept": "application/octet-stream"}
CONTENT = b"<script>alert(1)</script>" * 50_000


async def create(forge: Forge, person: Person | None = None, status: int = 201, **body: Any) -> Any:
    """Return what the API answers to a new release of ada's ``engine``."""
    api = forge.api(person or forge.people["ada"])
    answer = await api.call("POST", RELEASES, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def upload(forge: Forge, release: Any, name: str, content: bytes = CONTENT, **options: Any) -> httpx2.Response:
    """Send a file to a release as the API answered it; ada does unless a ``person`` is named."""
    address = release["upload_url"].partition("{")[0]
    api = forge.api(options.pop("person", forge.people["ada"]))
    headers = {"content-type": options.pop("content_type", "text/html")}
    return await api.client.post(address, params={"name": name, **options}, content=content, headers=headers)


async def tags(forge: Forge, repository: RepositoryView) -> dict[str, str]:
    """Return the tags that are there, and what they name."""
    snapshot = await forge.engine.snapshot(await forge.engine.state(repository.store_id))
    return {ref.name.decode(): ref.oid for ref in snapshot.refs if ref.name.startswith(b"refs/tags/")}


async def stored_keys(forge: Forge) -> list[str]:
    """Return the keys of all files of releases in the object store."""
    return sorted([entry.key async for entry in forge.engine.storage.list("releases")])


async def publish(forge: Forge, tag: str = "v1.0", **typed: str) -> None:
    """Publish a release of ada's ``engine`` with the form."""
    fields = {"tag": tag, "make_latest": "true", "do": "publish", **typed}
    answer = await forge.browser(forge.people["ada"]).submit("/ada/engine/releases/new", fields)
    assert answer.status_code == 303, answer.text
