"""A forge with something to archive."""

import io
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from tests.factories.forge import Forge, Person
from tests.factories.git_repositories import StockRepository, init
from tests.web.support import ORIGIN

from cairn.access.roles import Visibility
from cairn.repositories.queries import RepositoryView

FILES = {
    "README.md": "# Engine\n",
    "src/mill.py": "x = 1\n",
    "secret.txt": "not for archives\n",
    "version.txt": "$Format:%H$\n",
    ".gitattributes": "secret.txt export-ignore\nversion.txt export-subst\n",
}


async def make_repository(
    forge: Forge, folder: Path, *, visibility: Visibility = Visibility.PUBLIC, owner: Person | None = None
) -> tuple[RepositoryView, StockRepository]:
    """Return ada's repository ``engine`` with a branch, one with a slash, a tag and attributes for archives."""
    owner = owner or await forge.person("ada")
    repository = await forge.repository(owner, "engine", visibility=visibility)
    stock = init(folder)
    stock.commit(FILES)
    stock.git("branch", "feature/x")
    stock.git("tag", "-a", "-m", "One", "v1.0")
    await forge.push_refs(repository, stock, "refs/heads/main", "refs/heads/feature/x", "refs/tags/v1.0")
    return repository, stock


def members(data: bytes, name: str) -> dict[str, bytes]:
    """Return the files of an archive by their paths."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            return {each: opened.read(each) for each in opened.namelist() if not each.endswith("/")}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar if each.isfile()}  # type: ignore[union-attr]


async def follow(forge: Forge, location: str) -> httpx2.Response:
    """Open an address as a program that shows nothing but the address."""
    assert location.startswith(ORIGIN)
    parts = urlsplit(location)
    return await forge.running.client().get(f"{parts.path}?{parts.query}")
