"""Which refs a mirror is about."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.factories.forge import Forge, Person, open_forge

from cairn.base.errors import Invalid
from cairn.repositories.mirrors.models import Mirror, MirrorRefs
from cairn.repositories.mirrors.scope import check_scope, scope_of

MAIN = b"refs/heads/main"


@pytest.fixture
async def forge(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Forge]:
    async with open_forge(tmp_path / "forge", sqlite_template) as opened:
        yield opened


async def covered(
    forge: Forge, repository_id: int, refs: MirrorRefs, names: list[bytes], pattern: str = ""
) -> list[bytes]:
    mirror = Mirror(repository_id=repository_id, refs=refs, pattern=pattern)
    async with forge.database.read() as session:
        covers = await scope_of(session, mirror, head_target=MAIN)
    return [name for name in names if covers(name)]


async def test_hidden_refs_are_never_mirrored(forge: Forge, ada: Person) -> None:
    names = [MAIN, b"refs/tags/v1", b"refs/cairn/keep", b"refs/pull/1/head", b"refs/notes/commits", b"HEAD"]
    assert await covered(forge, 1, MirrorRefs.ALL, names) == names[:2]
    assert await covered(forge, 1, MirrorRefs.PATTERN, names, "**") == names[:2]


async def test_a_pattern_is_about_branches_and_tags_unless_it_says_which(forge: Forge, ada: Person) -> None:
    names = [b"refs/heads/release/1", b"refs/tags/release/1", b"refs/heads/release/1/2", b"refs/heads/x/release/1"]
    assert await covered(forge, 1, MirrorRefs.PATTERN, names, "release/*") == names[:2]
    assert await covered(forge, 1, MirrorRefs.PATTERN, names, "refs/heads/release/**") == [names[0], names[2]]


async def test_protected_refs_are_those_of_active_rulesets(forge: Forge, ada: Person) -> None:
    made = await forge.repository(ada, "engine", files={"a": b"1"})
    names = [MAIN, b"refs/heads/kept", b"refs/heads/trial", b"refs/tags/kept"]
    assert await covered(forge, made.id, MirrorRefs.PROTECTED, names) == []
    for name, pattern, enforcement in (
        ("a", "~DEFAULT_BRANCH", "active"),
        ("b", "refs/heads/kept", "active"),
        ("c", "refs/heads/trial", "evaluate"),
    ):
        body = {
            "name": name,
            "target": "branch",
            "enforcement": enforcement,
            "conditions": {"ref_name": {"include": [pattern], "exclude": []}},
            "rules": [{"type": "deletion"}],
        }
        answer = await forge.api(ada).call("POST", "/repos/ada/engine/rulesets", json=body)
        assert answer.status_code == 201, answer.text
    assert await covered(forge, made.id, MirrorRefs.PROTECTED, names) == names[:2]


@pytest.mark.parametrize(
    "pattern", ["", "/", "[z-a]", "a\nb", "refs/cairn/*", "refs/pull/*", "x" * 256, "[é]", "\U0001f600" * 254]
)
def test_a_pattern_that_never_matches_is_refused(pattern: str) -> None:
    with pytest.raises(Invalid):
        check_scope(MirrorRefs.PATTERN, pattern)


def test_a_pattern_is_kept_only_where_it_counts() -> None:
    assert check_scope(MirrorRefs.PATTERN, " release/* ") == "release/*"
    assert check_scope(MirrorRefs.ALL, "release/*") == ""


@pytest.fixture
async def ada(forge: Forge) -> Person:
    return await forge.person("ada")
