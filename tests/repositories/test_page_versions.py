"""No page is stale: whatever happens to a repository and whoever reads it, "unchanged" is said of equal pages only."""

import re
from random import Random

import httpx2
import pytest
from sqlalchemy import delete, update
from tests.factories.accounts import make_account
from tests.factories.forge import Forge, Person
from tests.factories.repositories import make_repository
from tests.factories.seeds import chosen_seed
from tests.web.support import Browser

from cairn.access.models import Grant
from cairn.access.roles import Role, Visibility
from cairn.db.database import Database
from cairn.git.models import Store
from cairn.git.node_cache import NodeCache
from cairn.git.runner import GitRunner
from cairn.identity.models import Account
from cairn.repositories.models import Repository
from cairn.repositories.page_versions import read_versions
from cairn.repositories.queries import RepositoryView

PAGES = ("", "/branches", "/commits", "/tree/main", "/blob/main/README.md")
EACH_COMMIT, NIGHTLY = 6, 60


def plain(answer: httpx2.Response) -> tuple[int, str]:
    """Return an answer without what differs each time: nonces, form tokens, request ids."""
    text = re.sub(r'nonce="[^"]*"|name="csrf_token" value="[^"]*"|Request id <code>\w+', "", answer.text)
    return answer.status_code, text


async def change_something(
    forge: Forge, chance: Random, repository: RepositoryView, people: dict[str, Person], step: int
) -> str:
    """Do something to the repository that readers may notice; return what."""
    ada, bob = people["ada"], people["bob"]
    api = forge.api(ada)
    what = chance.choice(
        ["push", "branch", "describe", "hide", "show", "grant", "revoke", "fork", "archive", "nothing"]
    )
    path = f"/repos/{repository.full_name}"
    if what != "nothing":
        assert (await api.call("PATCH", path, json={"archived": False})).status_code == 200
    patches = {
        "describe": {"description": f"The {step}th"},
        "hide": {"private": True},
        "show": {"private": False},
        "archive": {"archived": True},
    }
    match what:
        case "push" | "branch":
            branch = b"refs/heads/main" if what == "push" else b"refs/heads/b%d" % step
            await forge.commit(ada, repository, {"README.md": b"# Step %d" % step}, f"Step {step}", branch=branch)
        case "grant" | "revoke":
            async with forge.database.write() as session:
                await session.execute(delete(Grant).where(Grant.account_id == bob.account.id))
            if what == "grant":
                await forge.grant(repository, bob, chance.choice([Role.READ, Role.WRITE, Role.ADMIN]))
        case "fork":
            await forge.api(people["eve"]).call("POST", f"{path}/forks", json={"name": f"fork{step}"})
        case "nothing":
            pass
        case _:
            assert (await api.call("PATCH", path, json=patches[what])).status_code == 200
    return what


@pytest.mark.parametrize("steps", [EACH_COMMIT, pytest.param(NIGHTLY, marks=pytest.mark.nightly)])
async def test_unchanged_is_said_of_equal_pages_only(forge: Forge, steps: int) -> None:
    """Attack: a page that was cut off somebody, or is older than the last push, shown once more out of a cache."""
    seed = chosen_seed()
    chance = Random(seed)
    people = {login: await forge.person(login) for login in ("ada", "bob", "eve")}
    repository = await forge.repository(people["ada"], "engine", files={"README.md": b"# Engine"})
    readers: dict[str, Browser] = {name: forge.browser(person) for name, person in people.items()}
    readers["nobody"] = forge.browser()
    known: dict[tuple[str, str], httpx2.Response] = {}
    kept_pages = forge.running.app.site.kept_pages
    for step in range(steps):
        what = await change_something(forge, chance, repository, people, step)
        for name, reader in readers.items():
            for page in chance.sample(PAGES, 2):
                about = (seed, step, what, name, page)
                address = f"/ada/engine{page}"
                before = known.get((name, page))
                headers = {"if-none-match": before.headers["etag"]} if before and "etag" in before.headers else {}
                asked = await reader.get(address, headers=headers)
                kept = await reader.get(address)
                held = dict(kept_pages._pages)
                kept_pages._pages.clear()
                made = await reader.get(address)
                kept_pages._pages.update(held)
                assert plain(kept) == plain(made), about
                if asked.status_code == 304:
                    assert before is not None
                    assert plain(before) == plain(made), about
                else:
                    assert plain(asked) == plain(made), about
                known[name, page] = made
                if "etag" in made.headers:
                    again = await reader.get(address, headers={"if-none-match": made.headers["etag"]})
                    assert again.status_code == 304, about


async def test_a_repeat_starts_no_git_and_opens_no_view(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={"README.md": b"# Engine"})
    addresses = [f"/ada/engine{page}" for page in PAGES]
    for reader in (forge.browser(), forge.browser(ada)):
        first = [await reader.get(address) for address in addresses]
        with monkeypatch.context() as without_git:
            without_git.setattr(GitRunner, "spawn", None)
            without_git.setattr(NodeCache, "open", None, raising=False)
            for address, answer in zip(addresses, first, strict=True):
                again = await reader.get(address, headers={"if-none-match": answer.headers["etag"]})
                assert again.status_code == 304, address


async def test_a_page_with_a_part_to_come_is_not_taken_for_whole(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={"README.md": b"# Engine"})
    with monkeypatch.context() as impatient:
        impatient.setattr("cairn.repositories.code.ref_lists.PATIENCE_SECONDS", 0)
        unfinished = await forge.browser().get("/ada/engine/branches")
    assert "aria-busy" in unfinished.text
    assert "etag" not in unfinished.headers
    assert "aria-busy" not in (await forge.browser().get("/ada/engine/branches")).text


async def test_pages_say_whether_search_engines_are_welcome(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"README.md": b"# Engine"})
    await forge.repository(ada, "secret", files={"a": b""}, visibility=Visibility.PRIVATE)
    oid = (await forge.engine.snapshot(await forge.engine.state(repository.store_id))).refs[0].oid
    for _ in range(2):  # made, then kept
        for page in ("", "/tree/main", "/blob/main/README.md", "/tags"):
            assert "x-robots-tag" not in (await forge.browser().get(f"/ada/engine{page}")).headers, page
        for page in ("/commits", f"/tree/{oid}", f"/blob/{oid[:8]}/README.md", "/blame/main/README.md", "/tags?q=x"):
            answer = await forge.browser().get(f"/ada/engine{page}")
            assert answer.headers["x-robots-tag"] == "noindex, nofollow", page
    assert (await forge.browser(ada).get("/ada/secret")).headers["x-robots-tag"] == "noindex, nofollow"


async def test_versions_are_those_of_a_name_that_is_there(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    found = await read_versions(forge.database, "ADA", "Engine")
    assert found is not None
    assert not found.has_refs
    for owner, name in (("ada", "nothing"), ("nobody", "engine"), ("..", "x"), ("ada", "\0")):
        assert await read_versions(forge.database, owner, name) is None


async def test_versions_change_with_everything_that_a_page_shows(any_database: Database) -> None:
    """On each database: the repository's row, its store, its public forks, its parent and the parent's store."""
    async with any_database.write() as session:
        ada, bob = await make_account(session, "ada"), await make_account(session, "bob")
        parent = await make_repository(session, ada, "engine")
        fork = await make_repository(session, bob, "engine")
        fork.parent_id = parent.id
    changes = [
        update(Repository).where(Repository.id == fork.id).values(description="Mine"),
        update(Repository).where(Repository.id == fork.id).values(is_archived=True),
        update(Store).where(Store.id == fork.store_id).values(ref_version=1),
        update(Store).where(Store.id == fork.store_id).values(cache_epoch=1),
        update(Store).where(Store.id == parent.store_id).values(ref_version=1),
        update(Repository).where(Repository.id == parent.id).values(visibility=Visibility.PRIVATE),
        update(Repository).where(Repository.id == fork.id).values(is_withheld=True),
        update(Account).where(Account.id == bob.id).values(login="Bob"),
    ]
    seen = [await read_versions(any_database, "bob", "engine")]
    for change in changes:
        async with any_database.write() as session:
            await session.execute(change)
        seen.append(await read_versions(any_database, "bob", "engine"))
    texts = [versions.text for versions in seen if versions is not None]
    assert len(set(texts)) == len(texts) == len(changes) + 1
    assert seen[-1] is not None
    assert (seen[-1].scope.is_archived, seen[-1].scope.is_withheld, seen[-1].has_refs) == (True, True, True)
    before = await read_versions(any_database, "ada", "engine")
    async with any_database.write() as session:
        await session.execute(update(Repository).where(Repository.id == fork.id).values(is_withheld=False))
    after = await read_versions(any_database, "ada", "engine")
    assert before is not None
    assert after is not None
    assert before.text != after.text, "the parent counts its forks"
