"""The other repository: found through the guarded door, with every redirect checked before git hears of it.

Behind SSH there is a connection of our own for as long as somebody works with the repository; git speaks through it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from cairn.base.settings import Settings
from cairn.egress.door import GIT_SCHEMES, Door, open_door, parse_url
from cairn.egress.http import ConnectionFailed, HttpClient, tls_context
from cairn.egress.ssh import LfsPlace, SshLogin, SshRepository, open_repository
from cairn.egress.ssh_address import is_ssh, parse_ssh
from cairn.egress.ssh_bridge import listen_for_git
from cairn.git.remote_fetch import Remote, RemoteFailed, RemoteMissing, RemoteUnauthorized, RemoteUnusable

FETCHING, PUSHING = "git-upload-pack", "git-receive-pack"
"""The services of a git server, by its own names."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who connects: the header that carries a user and password, or a key of SSH."""

    authorization: str = field(default="", repr=False)
    ssh: SshLogin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SshRemote(Remote):
    """A repository behind SSH, with the connection to it."""

    repository: SshRepository = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outside:
    """How this installation reaches other servers."""

    door: Door
    http: HttpClient
    settings: Settings


def open_outside(settings: Settings) -> Outside:
    """Return the way out, by the operator's settings."""
    door = open_door(settings)
    return Outside(door, HttpClient(door, verify=tls_context(settings)), settings)


def clean_url(text: str) -> str:
    """Return the address of a repository in its one spelling. Errors: AddressRefused."""
    if is_ssh(text.strip()):
        return str(parse_ssh(text.strip()))
    url = parse_url(text.strip(), schemes=GIT_SCHEMES)
    return str(replace(url, rest=url.rest.partition("?")[0].rstrip("/")))


@asynccontextmanager
async def open_source(outside: Outside, url: str, login: Login, *, service: str = FETCHING) -> AsyncIterator[Remote]:
    """Yield the repository, found and checked; ``service`` is what git is about to ask of it.

    Errors: as ``find_source``; of SSH, also in the block: HostKeyChanged, LoginRefused.
    """
    if not is_ssh(url):
        yield await find_source(outside, url, login.authorization, service=service)
        return
    address = parse_ssh(url)
    assert login.ssh is not None, "who asks has a key"
    async with open_repository(outside.door, address, login.ssh) as there, listen_for_git(there) as command:
        try:
            yield SshRemote(
                url=url, host=address.host, port=address.port, addresses=(), ssh_command=command, repository=there
            )
        except RemoteUnauthorized as error:
            raise there.refusal from error
        except RemoteFailed as error:
            raise there.failure or error from error


async def find_lfs(outside: Outside, remote: Remote, operation: Literal["download", "upload"]) -> LfsPlace | None:
    """Return where the repository's Git LFS is; None if the server does not say. Errors: those of the way there."""
    if not isinstance(remote, SshRemote):
        header = {"Authorization": remote.authorization} if remote.authorization else {}
        return LfsPlace(beside(remote, ".git/info/lfs"), header)
    return await remote.repository.find_lfs(operation)


async def find_source(outside: Outside, url: str, authorization: str, *, service: str = FETCHING) -> Remote:
    """Return where git finds the repository: the address after redirects, resolved and checked.

    ``service`` is what git is about to ask of it.

    Errors: AddressRefused, HostUnknown, ConnectionFailed; RemoteUnauthorized, RemoteMissing, RemoteUnusable.
    """
    try:
        return await _probe(outside, url, authorization, service)
    except RemoteMissing:
        if url.endswith(".git"):
            raise
        # People copy the address of a page; many servers want the suffix.
        return await _probe(outside, f"{url}.git", authorization, service)


async def _probe(outside: Outside, url: str, authorization: str, service: str) -> Remote:
    asks = f"/info/refs?service={service}"
    headers = {"Git-Protocol": "version=2", "Accept": "*/*"}
    if authorization:
        headers["Authorization"] = authorization
    async with outside.http.request("GET", f"{url}{asks}", headers=headers) as answer:
        host = answer.url.host
        if answer.status in {401, 403, 407}:
            raise RemoteUnauthorized(
                f"{host} does not take this user and password or token."
                if authorization
                else f"{host} wants a user and password or token, or there is no such repository."
            )
        if answer.status in {404, 410}:
            raise RemoteMissing(f"{host} has no repository at this address, or hides it from you.")
        if answer.status != 200:
            raise ConnectionFailed(f"{host} answered with status {answer.status}.")
        if answer.headers.get("content-type", "").partition(";")[0].strip() != f"application/x-{service}-advertisement":
            wanted = "fetched" if service == FETCHING else "pushed to"
            raise RemoteUnusable(f"At this address of {host} is no Git repository that can be {wanted}.")
        found = answer.url
    if not found.rest.endswith(asks):
        raise RemoteUnusable(f"{host} redirects to something that is no Git repository.")
    asked = parse_url(url)
    is_same_origin = (found.scheme, found.host, found.port) == (asked.scheme, asked.host, asked.port)
    target = await outside.door.open(found)
    return Remote(
        url=str(replace(found, rest=found.rest.removesuffix(asks))),
        host=found.host,
        port=found.port,
        addresses=tuple(str(address) for address in target.addresses),
        authorization=authorization if is_same_origin else "",
        ca_file=outside.settings.egress_ca_certificate,
    )


def beside(remote: Remote, suffix: str) -> str:
    """Return the address of what lies beside a repository (``.wiki.git``) or below it (``.git/info/lfs``)."""
    return remote.url.removesuffix(".git") + suffix
