"""P1: every way to change a protected branch or tag is refused with the reason, and each ref of a push alone.

Each way is tried three times: on a ref that no rule is about, where it must succeed (else it would prove nothing), on a
protected one by somebody who may push, where it must be refused with the name of the ruleset, and on that by somebody
whom the ruleset lets through.
"""

import ast
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import pytest
from tests.factories.forge import MAIN, Forge, Person, forge
from tests.factories.forking import fork, view_of
from tests.factories.pushes import EMPTY_PACK, push

from cairn.access.roles import Role
from cairn.base.errors import CairnError
from cairn.base.settings import Settings
from cairn.git.types import ZERO_OID, Oid
from cairn.repositories.accept_push import push_by
from cairn.repositories.git_access import GitTarget
from cairn.repositories.queries import RepositoryView, load_scope
from cairn.repositories.restore_refs import RefChange, restore_refs
from cairn.repositories.rules.edit import create_ruleset
from cairn.repositories.rules.types import (
    BypassActor,
    BypassKind,
    Conditions,
    Creation,
    Deletion,
    Enforcement,
    RefNames,
    RulesetContent,
    RuleTarget,
    Update,
)
from cairn.repositories.sync import sync_fork

__all__ = ["forge"]

SOURCES = Path(__file__).parents[2] / "src" / "cairn"
GUARDS = {RuleTarget.BRANCH: "Guarded branches", RuleTarget.TAG: "Guarded tags"}


@dataclass(frozen=True)
class Try:
    """One try of a way: by whom, on which short name; ``base`` is where it is, ``work`` a commit on top."""

    forge: Forge
    person: Person
    repository: RepositoryView
    name: str
    base: Oid
    work: Oid

    @property
    def ref(self) -> bytes:
        """The branch."""
        return f"refs/heads/{self.name}".encode()

    @property
    def address(self) -> str:
        """Where the API has the repository."""
        return f"/repos/{self.repository.full_name}"

    async def call(self, method: str, path: str, **body: object) -> str:
        """Call the API; return what it says where it refuses, empty where it does not."""
        answer = await self.forge.api(self.person).call(method, self.address + path, json=body)
        return "" if answer.status_code < 300 else answer.text

    async def submit(self, path: str, page: str = "", **fields: str) -> str:
        """Send a form of the site as a browser does; return what the page says where it refuses."""
        browser = self.forge.browser(self.person)
        here = f"/{self.repository.full_name}"
        shown = (await browser.get(here + (page or path))).text
        form = shown[shown.rindex("<form", 0, shown.index(f'action="{here}{path}"')) :] if page else shown
        hidden = dict(re.findall(r'<input[^>]*? name="(\w+)"[^>]*? value="([^"]*)"', form))
        sent = {name: unescape(value) for name, value in hidden.items()} | fields
        answer = await browser.post(here + path, sent)
        return "" if answer.status_code in {302, 303} else unescape(answer.text)

    async def pushed(self, *commands: tuple[bytes, Oid, Oid]) -> dict[bytes, str]:
        """Push as stock git does, with the very rules of both doors."""
        async with self.forge.database.read() as session:
            scope = await load_scope(session, self.person.actor, self.repository.id)
        assert scope is not None
        state = await self.forge.engine.state(self.repository.store_id)
        target = GitTarget(self.person.actor, scope, self.repository.owner, self.repository.name, state, "sha1")
        by = push_by(target, settings=Settings(external_url="https://cairn.test"))
        report = await push(
            self.forge.engine, self.repository.store_id, commands, EMPTY_PACK, within=by.within, remarks=by.remarks
        )
        assert report.unpacked == "ok"
        for name, refusal in report.refs.items():
            if refusal and "atomic" not in refusal:
                assert f"{name.decode()} is refused by ruleset" in report.remarks
                assert "https://cairn.test/ada/mill/rules#ruleset-" in report.remarks
        return report.refs


async def git_push(this: Try) -> str:
    return (await this.pushed((this.ref, this.base, this.work)))[this.ref]


async def git_delete(this: Try) -> str:
    return (await this.pushed((this.ref, this.base, ZERO_OID)))[this.ref]


async def git_create(this: Try) -> str:
    name = this.ref + b"-new"
    return (await this.pushed((name, ZERO_OID, this.work)))[name]


async def git_tag(this: Try) -> str:
    name = f"refs/tags/{this.name}".encode()
    return (await this.pushed((name, ZERO_OID, this.work)))[name]


async def contents_put(this: Try) -> str:
    content = b64encode(b"new").decode()
    return await this.call("PUT", "/contents/new.txt", message="m", content=content, branch=this.name)


async def contents_delete(this: Try) -> str:
    answer = await this.forge.api(this.person).get(f"{this.address}/contents/a.txt?ref={this.name}")
    return await this.call("DELETE", "/contents/a.txt", message="m", sha=answer.json()["sha"], branch=this.name)


async def ref_patch(this: Try) -> str:
    return await this.call("PATCH", f"/git/refs/heads/{this.name}", sha=this.work)


async def ref_delete(this: Try) -> str:
    return await this.call("DELETE", f"/git/refs/heads/{this.name}")


async def ref_post(this: Try) -> str:
    return await this.call("POST", "/git/refs", ref=f"refs/heads/{this.name}-new", sha=this.work)


async def tag_post(this: Try) -> str:
    return await this.call("POST", "/git/refs", ref=f"refs/tags/{this.name}", sha=this.work)


async def rename_api(this: Try) -> str:
    return await this.call("POST", f"/branches/{this.name}/rename", new_name=f"away-{this.name}")


async def merge_api(this: Try) -> str:
    return await this.call("POST", "/merges", base=this.name, head=this.work)


async def branch_page(this: Try) -> str:
    return await this.submit("/branches/new", name=f"{this.name}-new", start=this.work)


async def rename_page(this: Try) -> str:
    page = f"/branches/edit?name={this.name}"
    return await this.submit("/branches/rename", page, branch=this.name, name=f"away-{this.name}")


async def delete_page(this: Try) -> str:
    page = f"/branches/edit?name={this.name}"
    return await this.submit("/branches/delete", page, name=this.name, oid=this.base)


async def edit_page(this: Try) -> str:
    return await this.submit(f"/edit/{this.name}/a.txt", content="edited", target="same", message="m")


async def delete_file_page(this: Try) -> str:
    return await this.submit(f"/delete/{this.name}/a.txt", target="same", message="m")


async def restore(this: Try) -> str:
    change = RefChange(this.ref, this.base, this.work, is_available=True)
    try:
        await restore_refs(this.forge.engine, this.repository.store_id, this.repository.id, this.person.actor, [change])
    except CairnError as error:
        return error.message
    return ""


WAYS: tuple[Callable[[Try], Awaitable[str]], ...] = (
    git_push,
    git_delete,
    git_create,
    git_tag,
    contents_put,
    contents_delete,
    ref_patch,
    ref_delete,
    ref_post,
    tag_post,
    rename_api,
    merge_api,
    branch_page,
    rename_page,
    delete_page,
    edit_page,
    delete_file_page,
    restore,
)


@pytest.fixture
async def world(forge: Forge) -> tuple[Forge, Person, Person, RepositoryView]:
    ada, bob = await forge.person("ada"), await forge.person("bob")
    made = await forge.repository(ada, "mill", files={"a.txt": b"1"})
    await forge.grant(made, bob, Role.WRITE)
    for target, name in GUARDS.items():
        content = RulesetContent(
            name=name,
            target=target,
            enforcement=Enforcement.ACTIVE,
            conditions=Conditions(ref_name=RefNames(include=("guarded*",))),
            bypass_actors=(BypassActor(BypassKind.ROLE, 5),),
            rules=(Creation(), Update(), Deletion()),
        )
        async with forge.database.write() as session:
            await create_ruleset(session, ada.actor, made.id, content)
    return forge, ada, bob, await view_of(forge, ada, made)


async def tip(forge: Forge, repository: RepositoryView, ref: bytes) -> Oid:
    found = await forge.engine.refs.find(repository.store_id, ref)
    return ZERO_OID if found is None else found.oid


async def test_every_way_to_a_protected_ref_is_refused_with_the_reason(
    world: tuple[Forge, Person, Person, RepositoryView],
) -> None:
    forge, ada, bob, repository = world
    base = await tip(forge, repository, MAIN)
    work = await forge.commit(ada, repository, {"b.txt": b"2"}, branch=b"refs/heads/work")
    names = [f"{kind}{number}" for kind in ("free", "guarded") for number in range(len(WAYS))]
    owner = Try(forge, ada, repository, "", base, work)
    made = await owner.pushed(*((f"refs/heads/{name}".encode(), ZERO_OID, base) for name in names))
    assert set(made.values()) == {""}
    for number, way in enumerate(WAYS):
        for person, name, is_refused in (
            (bob, f"free{number}", False),
            (bob, f"guarded{number}", True),
            (ada, f"guarded{number}", False),
        ):
            before = await heads_of(forge, repository)
            said = await way(Try(forge, person, repository, name, base, work))
            after = await heads_of(forge, repository)
            if is_refused:
                assert any(guard in said for guard in GUARDS.values()), (way.__name__, said[:2000])
                assert after == before, way.__name__
            else:
                assert said == "", (way.__name__, name, said[:2000])
                assert after != before, way.__name__


async def heads_of(forge: Forge, repository: RepositoryView) -> dict[bytes, Oid]:
    snapshot = await forge.engine.snapshot(await forge.engine.state(repository.store_id))
    return {ref.name: ref.oid for ref in snapshot.refs}


async def test_a_sync_of_a_protected_branch_is_refused_and_the_unprotected_one_lands(
    world: tuple[Forge, Person, Person, RepositoryView],
) -> None:
    forge, ada, bob, parent = world
    await forge.commit(ada, parent, {"g": b"1"}, branch=b"refs/heads/guarded")
    forked = await fork(forge, bob, parent)
    content = RulesetContent(
        name="Guarded in the fork",
        enforcement=Enforcement.ACTIVE,
        conditions=Conditions(ref_name=RefNames(include=("guarded",))),
        rules=(Update(),),
    )
    async with forge.database.write() as session:
        await create_ruleset(session, bob.actor, forked.id, content)
    for branch in ("guarded", "main"):
        await forge.commit(ada, parent, {branch: b"2"}, branch=f"refs/heads/{branch}".encode())
    with pytest.raises(CairnError, match="Guarded in the fork"):
        await sync_fork(forge.database, forge.engine, bob.actor, forked, "guarded")
    answer = await forge.api(bob).call("POST", f"/repos/{forked.full_name}/merge-upstream", json={"branch": "guarded"})
    assert answer.status_code in {409, 422}
    assert "Guarded in the fork" in answer.text
    await sync_fork(forge.database, forge.engine, bob.actor, forked, "main")
    assert await tip(forge, forked, MAIN) == await tip(forge, parent, MAIN)


async def test_each_ref_of_a_mixed_push_is_judged_alone(world: tuple[Forge, Person, Person, RepositoryView]) -> None:
    forge, ada, bob, repository = world
    base = await tip(forge, repository, MAIN)
    work = await forge.commit(ada, repository, {"b.txt": b"2"}, branch=b"refs/heads/work")
    this = Try(forge, bob, repository, "guarded", base, work)
    said = await this.pushed(
        (b"refs/heads/guarded", ZERO_OID, work),
        (b"refs/heads/free", ZERO_OID, work),
        (b"refs/tags/guarded", ZERO_OID, work),
    )
    assert [bool(refusal) for refusal in said.values()] == [True, False, True]
    assert set(await heads_of(forge, repository)) >= {b"refs/heads/free"}
    assert await tip(forge, repository, b"refs/heads/guarded") == ZERO_OID


LANDS = {
    "repositories/accept_push.py": "makes the callback itself",
    "git/receive_pack.py": "both doors of git give it ``accept_push.push_by``",
    "git/engine.py": "passes on what it is given",
    "repositories/sync.py": "make_within",
    "repositories/restore_refs.py": "make_within",
    "repositories/create.py": "by landing.land_change",
    "repositories/life/templates.py": "by landing.land_change",
    "repositories/purge.py": "apply_rules: an administrator brings a commit back under a new branch",
    "repositories/editing/landing.py": "make_within",
    "repositories/editing/commit_changes.py": "by landing.land_change",
    "repositories/editing/change_refs.py": "by landing.land_change",
    "repositories/imports/refs.py": "its callers give make_within",
    "repositories/mirrors/pull.py": "make_within",
}
"""Who lands changes of a repository's refs, and by what the rules are asked."""

WITHOUT_RULES = {
    "repositories/fork.py": "copies its parent's refs as they are; its organization's rules hold from the next push on",
    "repositories/editing/new_objects.py": "keeps objects by a ref of its own; what names them later is judged then",
    "ops/backup/finish.py": "after a restore: takes away refs to what was purged, whoever protects them",
}
"""Who lands without rules, each with the reason."""


def test_nobody_lands_without_being_named_here() -> None:
    """A new way to change refs must say here how it meets the rules."""
    found = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            is_ours = name == "land" and any(word.arg == "within" for word in node.keywords)
            if is_ours or name == "land_change":
                found.add(str(path.relative_to(SOURCES)))
    unknown = found - set(LANDS) - set(WITHOUT_RULES)
    assert unknown == set(), f"say how these meet the rules: {unknown}"
    for place, how in LANDS.items():
        if how in {"make_within", "apply_rules"} and (SOURCES / place).is_file():
            assert how in (SOURCES / place).read_text(), place
