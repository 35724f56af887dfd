"""A change under somebody's feet: both sides kept where git can, shown between markers where it cannot."""

import pytest
from tests.factories.forge import Forge, Person
from tests.factories.forking import heads, view_of
from tests.repositories.editing.test_commit_changes import commit, files_at

from cairn.base.errors import NotFound
from cairn.git.types import Oid
from cairn.repositories.editing.changes import Change, DeleteFile, PutFile, RenameFile
from cairn.repositories.editing.commit_changes import BranchMissing, HeadMoved
from cairn.repositories.editing.merge_changes import MergedChanges, merge_changes
from cairn.repositories.queries import RepositoryView

MAIN = b"refs/heads/main"
LINES = b"".join(b"line %d\n" % n for n in range(20))


async def make(forge: Forge) -> tuple[Person, RepositoryView, Oid]:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine", files={"a": LINES, "b": b"b\n", "d/e": b"e\n"})
    return ada, await view_of(forge, ada, made), Oid((await heads(forge, made))[MAIN.decode()])


async def merge(forge: Forge, repository: RepositoryView, base: Oid | None, *changes: Change) -> MergedChanges:
    return await merge_changes(forge.engine, repository, branch=MAIN, base=base, changes=changes)


async def test_both_sides_stand_where_they_do_not_touch(forge: Forge) -> None:
    ada, repository, seen = await make(forge)
    head = await forge.commit(ada, repository, {"a": LINES + b"theirs\n", "d/new": b"n\n"})
    mine = (PutFile(b"a", b"mine\n" + LINES), RenameFile(b"b", b"d/b"), DeleteFile(b"d/e"))
    with pytest.raises(HeadMoved) as moved:
        await commit(forge, ada, repository, *mine, expected_head=seen)
    assert (moved.value.base, moved.value.head) == (seen, head)
    merged = await merge(forge, repository, moved.value.base, *mine)
    assert (merged.head, merged.conflicts) == (head, ())
    done = await commit(forge, ada, repository, *merged.changes, expected_head=merged.head)
    assert {path: data for path, (_, data) in (await files_at(forge, repository, done.oid)).items()} == {
        "a": b"mine\n" + LINES + b"theirs\n",
        "d/b": b"b\n",
        "d/new": b"n\n",
    }


async def test_an_edit_follows_a_file_that_was_renamed_meanwhile(forge: Forge) -> None:
    ada, repository, seen = await make(forge)
    await forge.commit(ada, repository, {"a": None, "moved/a": LINES})
    merged = await merge(forge, repository, seen, PutFile(b"a", b"mine\n" + LINES))
    assert [(change.path, change.content) for change in merged.changes if isinstance(change, PutFile)] == [
        (b"moved/a", b"mine\n" + LINES)
    ]


async def test_the_same_lines_are_shown_with_both_sides_and_the_rest_is_merged(forge: Forge) -> None:
    ada, repository, seen = await make(forge)
    await forge.commit(ada, repository, {"b": b"theirs\n"})
    merged = await merge(forge, repository, seen, PutFile(b"b", b"mine\n"), PutFile(b"c", b"new\n"))
    [conflict] = merged.conflicts
    assert (conflict.path, conflict.base, conflict.ours, conflict.theirs) == (b"b", b"b\n", b"mine\n", b"theirs\n")
    assert conflict.merged == b"<<<<<<< your change\nmine\n=======\ntheirs\n>>>>>>> main\n"
    assert [change.path for change in merged.changes] == [b"c"]
    settled = PutFile(b"b", b"ours and theirs\n")
    done = await commit(forge, ada, repository, *merged.changes, settled, expected_head=merged.head)
    found = await files_at(forge, repository, done.oid)
    assert (found["b"][1], found["c"][1]) == (b"ours and theirs\n", b"new\n")


async def test_what_cannot_be_marked_is_shown_by_its_sides(forge: Forge) -> None:
    ada, repository, seen = await make(forge)
    await forge.commit(ada, repository, {"b": None, "d/e": b"\0theirs"})
    merged = await merge(forge, repository, seen, PutFile(b"b", b"mine\n"), PutFile(b"d/e", b"\0mine"))
    found = {conflict.path: conflict for conflict in merged.conflicts}
    assert (found[b"b"].ours, found[b"b"].theirs, found[b"b"].merged) == (b"mine\n", None, None)
    assert (found[b"d/e"].ours, found[b"d/e"].theirs, found[b"d/e"].merged) == (b"\0mine", b"\0theirs", None)


async def test_no_base_of_another_repository_is_read(forge: Forge) -> None:
    """Attack: a form names a commit of somebody else's repository as what it was made from."""
    _, repository, seen = await make(forge)
    ben = await forge.person("ben")
    other = await forge.repository(ben, "secret", files={"s": b"secret\n"})
    foreign = Oid((await heads(forge, other))[MAIN.decode()])
    with pytest.raises(NotFound):
        await merge(forge, repository, foreign, PutFile(b"b", b"mine\n"))
    with pytest.raises(BranchMissing):
        await merge_changes(forge.engine, repository, branch=b"refs/heads/no", base=seen, changes=[PutFile(b"b", b"")])
