"""Commits that the server makes: what lands, what is refused and why, and who wins when several write."""

import asyncio
from pathlib import Path

import pytest
from tests.factories.forge import Forge, Person
from tests.factories.forked_stores import sound
from tests.factories.forking import heads, view_of

from cairn.access.roles import Role, Visibility
from cairn.base.actor import ANONYMOUS, Actor, ActorKind, DeployKey, TokenLimits
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated
from cairn.git.reading import ObjectReader
from cairn.git.ref_names import RefNameInvalid
from cairn.git.types import ZERO_OID, Oid
from cairn.git.writing import EXECUTABLE_MODE, LINK_MODE, PathInvalid
from cairn.identity.commit_authors import EmailNotYours
from cairn.repositories.editing.changes import (
    Change,
    DeleteFile,
    FileExists,
    FileMissing,
    FileMode,
    FileTooLarge,
    PathIsFolder,
    PutFile,
    RenameFile,
    StaleFile,
)
from cairn.repositories.editing.commit_changes import (
    BranchExists,
    BranchMissing,
    Committed,
    HeadMoved,
    MessageMissing,
    NothingChanges,
    commit_changes,
)
from cairn.repositories.editing.landing import RefRefused, RefReserved
from cairn.repositories.queries import RepositoryView
from cairn.repositories.update import RepositoryChange, update_repository

MAIN = b"refs/heads/main"
FILES = {"README.md": b"# Engine\n", "src/mill.py": b"def mill(): ...\n", "src/store.py": b"def store(): ...\n"}


async def make(forge: Forge) -> tuple[Person, RepositoryView]:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine", files=FILES)
    return ada, await view_of(forge, ada, made)


async def commit(
    forge: Forge, person: Person, repository: RepositoryView, *changes: Change, **options: object
) -> Committed:
    values: dict[str, object] = {"branch": MAIN, "message": "Change"} | options
    return await commit_changes(forge.engine, person.actor, repository, changes=changes, **values)  # type: ignore[arg-type]


async def files_at(forge: Forge, repository: RepositoryView, oid: Oid) -> dict[str, tuple[int, bytes]]:
    """Return every file of a commit: mode and content."""
    found: dict[str, tuple[int, bytes]] = {}
    async with forge.engine.view(await forge.engine.state(repository.store_id)) as view:
        reader = ObjectReader(view.path)
        waiting = [(b"", (await reader.read_commit(oid)).tree_oid)]
        while waiting:
            prefix, tree = waiting.pop()
            for entry in await reader.read_tree(tree):
                if entry.mode == 0o040000:
                    waiting.append((prefix + entry.name + b"/", entry.oid))
                else:
                    data = await reader.read_blob(entry.oid, max_bytes=1 << 30)
                    found[(prefix + entry.name).decode()] = (entry.mode, data)
        reader.close()
    return found


async def blob_at(forge: Forge, repository: RepositoryView, path: bytes) -> Oid:
    head = Oid((await heads(forge, repository))[MAIN.decode()])
    async with forge.engine.view(await forge.engine.state(repository.store_id)) as view:
        reader = ObjectReader(view.path)
        try:
            return (await reader.resolve_path(head, path)).oid
        finally:
            reader.close()


async def test_one_commit_puts_deletes_renames_and_keeps_what_it_does_not_name(forge: Forge, tmp_path: Path) -> None:
    ada, repository = await make(forge)
    before = Oid((await heads(forge, repository))[MAIN.decode()])
    large = tmp_path / "large"
    large.write_bytes(b"0123456789abcdef" * 100_000)
    done = await commit(
        forge,
        ada,
        repository,
        PutFile(b"README.md", b"# Engine 2\n"),
        PutFile(b"bin/run", b"#!/bin/sh\n", FileMode.EXECUTABLE),
        PutFile(b"latest", b"bin/run", FileMode.LINK),
        PutFile(b"data/large", large),
        RenameFile(b"src/mill.py", b"lib/mill.py"),
        RenameFile(b"src/store.py", b"lib/shop.py", b"def shop(): ...\n"),
        message="Everything\n\nat once",
    )
    assert done.parent == before
    assert (await heads(forge, repository))[MAIN.decode()] == done.oid
    assert await files_at(forge, repository, done.oid) == {
        "README.md": (0o100644, b"# Engine 2\n"),
        "bin/run": (EXECUTABLE_MODE, b"#!/bin/sh\n"),
        "latest": (LINK_MODE, b"bin/run"),
        "data/large": (0o100644, large.read_bytes()),
        "lib/mill.py": (0o100644, FILES["src/mill.py"]),
        "lib/shop.py": (0o100644, b"def shop(): ...\n"),
    }
    await commit(forge, ada, repository, PutFile(b"bin/run", b"#!/bin/bash\n"), DeleteFile(b"data", is_folder=True))
    last = await commit(forge, ada, repository, RenameFile(b"lib", b"src"))
    assert {path: mode for path, (mode, _) in (await files_at(forge, repository, last.oid)).items()} == {
        "README.md": 0o100644,
        "bin/run": EXECUTABLE_MODE,
        "latest": LINK_MODE,
        "src/mill.py": 0o100644,
        "src/shop.py": 0o100644,
    }
    await sound(forge.engine, repository.store_id, tmp_path / "sound")


async def test_who_commits_stands_in_the_commit_with_a_noreply_or_a_verified_address(forge: Forge) -> None:
    ada, repository = await make(forge)
    done = await commit(forge, ada, repository, PutFile(b"a", b"1"))
    async with forge.engine.view(await forge.engine.state(repository.store_id)) as view:
        made = await ObjectReader(view.path).read_commit(done.oid)
    assert made.author == made.committer
    assert made.author.email.startswith(f"{ada.account.id}+ada@")
    assert made.author.at.utcoffset() is not None
    assert (made.message, made.author.at.strftime("%z")) == ("Change\n", "+0000")
    with pytest.raises(EmailNotYours, match="ben@example"):
        await commit(forge, ada, repository, PutFile(b"a", b"2"), email="ben@example.test")


async def test_the_first_commit_of_an_empty_repository_makes_its_branch(forge: Forge, tmp_path: Path) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "empty")
    done = await commit(forge, ada, repository, PutFile(b"docs/README.md", b"hello\n"))
    assert done.parent is None
    assert await heads(forge, repository) == {"refs/heads/main": done.oid}
    await sound(forge.engine, repository.store_id, tmp_path / "sound")
    with pytest.raises(BranchMissing):
        await commit(forge, ada, repository, PutFile(b"a", b"1"), branch=b"refs/heads/other")


async def test_a_new_branch_begins_where_the_writer_was_even_if_the_old_one_went_on(forge: Forge) -> None:
    ada, repository = await make(forge)
    seen = Oid((await heads(forge, repository))[MAIN.decode()])
    await commit(forge, ada, repository, PutFile(b"README.md", b"theirs\n"))
    patch = b"refs/heads/ada-patch-1"
    done = await commit(forge, ada, repository, PutFile(b"README.md", b"mine\n"), expected_head=seen, new_branch=patch)
    assert (done.parent, done.branch) == (seen, patch)
    with pytest.raises(BranchExists, match="ada-patch-1"):
        await commit(forge, ada, repository, PutFile(b"README.md", b"mine 2\n"), new_branch=patch)
    with pytest.raises(NotFound):
        # A commit that no ref of this repository reaches is no place to begin.
        await commit(
            forge, ada, repository, PutFile(b"x", b"1"), expected_head=Oid("1" * 40), new_branch=b"refs/heads/x"
        )


async def test_each_refusal_says_what_and_changes_nothing(forge: Forge) -> None:
    ada, repository = await make(forge)
    before = await heads(forge, repository)
    stale = Oid("1" * 40)
    put = PutFile(b"a", b"1")
    cases: list[tuple[type[CairnError], str, tuple[Change, ...], dict[str, object]]] = [
        (PathInvalid, r"'\.\.' is not a name", (PutFile(b"a/../b", b""),), {}),
        (PathInvalid, r"'' is not a name", (PutFile(b"a//b", b""),), {}),
        (PathInvalid, r"'' is not a name", (PutFile(b"/a", b""),), {}),
        (PathInvalid, r"read it as \.git", (PutFile(b"a/.GIT/config", b""),), {}),
        (PathInvalid, r"read it as \.git", (PutFile(b"git~1/config", b""),), {}),
        (PathInvalid, r"read it as \.git", (PutFile(b"a\\.git\\config", b""),), {}),
        (PathInvalid, r"read it as \.git", (PutFile(".g\u200cit/config".encode(), b""),), {}),
        (PathInvalid, r"limit is 4,096", (PutFile(b"a" * 4097, b""),), {}),
        (PathInvalid, r"limit is 200", (PutFile(b"a/" * 200 + b"b", b""),), {}),
        (PathIsFolder, r"'src' is a folder", (PutFile(b"src", b""),), {}),
        (PathIsFolder, r"'src' is a folder", (DeleteFile(b"src"),), {}),
        (PathInvalid, r"'README.md' is a file", (PutFile(b"README.md/x", b""),), {}),
        (FileExists, r"'README.md' exists", (PutFile(b"README.md", b"", expected=ZERO_OID),), {}),
        (FileExists, r"'README.md' exists", (RenameFile(b"src/mill.py", b"README.md"),), {}),
        (FileMissing, r"no file 'gone'", (DeleteFile(b"gone"),), {}),
        (FileMissing, r"no file 'gone'", (RenameFile(b"gone", b"here"),), {}),
        (StaleFile, rf"README.md does not match {stale}", (PutFile(b"README.md", b"", expected=stale),), {}),
        (StaleFile, r"the file is gone", (PutFile(b"gone", b"", expected=stale),), {}),
        (StaleFile, r"does not match", (DeleteFile(b"README.md", expected=stale),), {}),
        (NothingChanges, r"changes nothing", (PutFile(b"README.md", FILES["README.md"]),), {}),
        (NothingChanges, r"changes nothing", (), {}),
        (FileTooLarge, r"CAIRN_MAX_FILE_BYTES", (PutFile(b"big", b"x" * (104857600 + 1)),), {}),
        (MessageMissing, r"Say what", (put,), {"message": "  \n"}),
        (BranchMissing, r"nope not found", (put,), {"branch": b"refs/heads/nope"}),
        (RefReserved, r"reserved", (put,), {"branch": b"refs/pull/1/head"}),
        (RefReserved, r"reserved", (put,), {"new_branch": b"refs/heads/gh-readonly-queue/main"}),
        (RefNameInvalid, r"holds '\.\.'", (put,), {"new_branch": b"refs/heads/a..b"}),
        (RefRefused, r"name conflict", (put,), {"new_branch": b"refs/heads/main/sub"}),
        (HeadMoved, rf"main is at .* but expected {stale}", (put,), {"expected_head": stale}),
    ]
    for kind, words, changes, options in cases:
        with pytest.raises(kind, match=words):
            await commit(forge, ada, repository, *changes, **options)
    assert await heads(forge, repository) == before


async def test_who_may_not_push_commits_nothing(forge: Forge) -> None:
    ada, repository = await make(forge)
    reader, stranger, writer = await forge.person("ben"), await forge.person("cleo"), await forge.person("dan")
    await forge.grant(repository, reader, Role.READ)
    await forge.grant(repository, writer, Role.WRITE)
    narrow = TokenLimits(frozenset(), None, 1, ada.account.id, frozenset({"contents:read", "metadata:read"}))
    actors = {
        "reader": (reader.actor, Forbidden),
        "stranger": (stranger.actor, Forbidden),
        "anonymous": (ANONYMOUS, Unauthenticated),
        "token": (Actor(ActorKind.USER, ada.account.id, "ada", limits=narrow), Forbidden),
    }
    before = await heads(forge, repository)
    for name, (actor, error) in actors.items():
        seen = await view_of(forge, reader if name == "reader" else ada, repository)
        if name in {"stranger", "anonymous"}:
            seen = await view_of(forge, stranger, repository)
        with pytest.raises(error):
            await commit_changes(forge.engine, actor, seen, branch=MAIN, changes=[PutFile(b"x", b"1")], message="m")
    assert await heads(forge, repository) == before
    allowed = await view_of(forge, writer, repository)
    assert (await commit(forge, writer, allowed, PutFile(b"x", b"1"))).parent == before[MAIN.decode()]
    key = Actor(ActorKind.DEPLOY_KEY, deploy_key=DeployKey(1, repository.id, can_write=True))
    with pytest.raises(CairnError):
        await commit_changes(forge.engine, key, allowed, branch=MAIN, changes=[PutFile(b"y", b"1")], message="m")
    async with forge.database.write() as session:
        await update_repository(session, forge.engine, ada.actor, repository.id, RepositoryChange(is_archived=True))
    with pytest.raises(Forbidden, match="archived"):
        # Seen before it was archived: what counts is asked again under the lock.
        await commit(forge, ada, repository, PutFile(b"z", b"1"))


async def test_a_rule_that_refuses_is_told_in_its_own_words(forge: Forge) -> None:
    ada, repository = await make(forge)
    with pytest.raises(RefRefused, match="name conflict: refs/heads/main exists") as caught:
        await commit(forge, ada, repository, PutFile(b"a", b"1"), new_branch=b"refs/heads/main/sub")
    assert caught.value.reason.startswith("name conflict")


async def test_twenty_writers_without_a_head_all_land_one_on_another(forge: Forge, tmp_path: Path) -> None:
    ada, repository = await make(forge)
    done = await asyncio.gather(
        *(commit(forge, ada, repository, PutFile(b"f/%d" % n, b"%d" % n), message=f"m{n}") for n in range(20))
    )
    tip = (await heads(forge, repository))[MAIN.decode()]
    assert len({one.oid for one in done}) == 20
    by_parent = {one.parent: one.oid for one in done}
    assert len(by_parent) == 20, "each stands on another"
    assert tip not in by_parent
    found = await files_at(forge, repository, Oid(tip))
    assert {path: data for path, (_, data) in found.items() if path.startswith("f/")} == {
        f"f/{n}": str(n).encode() for n in range(20)
    }
    await sound(forge.engine, repository.store_id, tmp_path / "sound")


async def test_of_two_writers_who_saw_the_same_blob_one_wins(forge: Forge) -> None:
    ada, repository = await make(forge)
    seen = await blob_at(forge, repository, b"README.md")
    results = await asyncio.gather(
        *(commit(forge, ada, repository, PutFile(b"README.md", b"%d" % n, expected=seen)) for n in range(2)),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Committed", "StaleFile"]


async def test_a_lost_race_is_tried_on_the_new_head_unless_the_same_path_changed(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers of another program take no turns here: they come between staging and landing."""
    ada, repository = await make(forge)
    stage = type(forge.engine).stage
    between: list[dict[str, bytes | None]] = []

    async def staged_too_late(self: object, *arguments: object) -> object:
        found = await stage(forge.engine, *arguments)  # type: ignore[arg-type]
        if between:
            monkeypatch.setattr(type(forge.engine), "stage", stage)
            await forge.commit(ada, repository, between.pop())
            monkeypatch.setattr(type(forge.engine), "stage", staged_too_late)
        return found

    monkeypatch.setattr(type(forge.engine), "stage", staged_too_late)
    between[:] = [{"other": b"1"}]
    done = await commit(forge, ada, repository, PutFile(b"README.md", b"mine\n"))
    found = await files_at(forge, repository, done.oid)
    assert (found["README.md"][1], found["other"][1]) == (b"mine\n", b"1")
    between[:] = [{"README.md": b"theirs\n"}]
    with pytest.raises(HeadMoved) as moved:
        await commit(forge, ada, repository, PutFile(b"README.md", b"mine again\n"))
    assert moved.value.base == done.oid
    assert moved.value.head == (await heads(forge, repository))[MAIN.decode()]
    between[:] = [{"other": b"2"}]
    head = moved.value.head
    with pytest.raises(HeadMoved):
        await commit(forge, ada, repository, PutFile(b"README.md", b"mine again\n"), expected_head=head)
    assert (await files_at(forge, repository, Oid((await heads(forge, repository))[MAIN.decode()])))["README.md"][
        1
    ] == b"theirs\n"


async def test_a_push_id_that_landed_gives_what_it_made(forge: Forge) -> None:
    ada, repository = await make(forge)
    push_id = "ab" * 16
    one = await commit(forge, ada, repository, PutFile(b"a", b"1", expected=ZERO_OID), push_id=push_id)
    again = await commit(forge, ada, repository, PutFile(b"a", b"1", expected=ZERO_OID), push_id=push_id)
    assert again == one
    assert (await heads(forge, repository))[MAIN.decode()] == one.oid


async def test_a_private_repository_is_absent_to_who_may_not_see_it(forge: Forge) -> None:
    ada, stranger = await forge.person("ada"), await forge.person("ben")
    repository = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, files=FILES)
    seen = await view_of(forge, ada, repository)
    with pytest.raises(NotFound):
        # Whoever lost their role between finding the repository and committing.
        await commit_changes(
            forge.engine, stranger.actor, seen, branch=MAIN, changes=[PutFile(b"x", b"1")], message="m"
        )
