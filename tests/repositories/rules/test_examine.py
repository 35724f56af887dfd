"""Rules that look at objects: what they refuse, where they look, and that what they cannot look through is refused."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tests.factories.children import children
from tests.factories.ruled import MAIN, Ruled, make_ruled

from cairn.db.database import Database
from cairn.git.commands import GitCommand
from cairn.git.engine import Engine
from cairn.git.runner import GitRunner
from cairn.git.types import ZERO_OID, ObjectKind, Oid
from cairn.git.writing import File
from cairn.identity.token_format import make_token
from cairn.repositories.rules import examine, new_commits

TOPIC, OTHER, TAG = b"refs/heads/topic", b"refs/heads/other", b"refs/tags/v1"


def texts(kind: str, operator: str, pattern: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "parameters": {"operator": operator, "pattern": pattern, **more}}


@pytest.fixture
async def ruled(database: Database, engine: Engine) -> Ruled:
    return await make_ruled(database, engine)


async def test_each_rule_refuses_the_commit_that_breaks_it_and_says_where(ruled: Ruled) -> None:
    base = await ruled.tip()
    side = await ruled.commit({b"side": b"1"})
    good = await ruled.commit({b"src/ok.txt": b"fine"}, message="CAIRN-1 good", email="bob@corp.test")
    bad: list[tuple[dict[str, Any] | str, Oid, str]] = [
        ("required_linear_history", await ruled.commit({b"m": b"1"}, parents=[good, side]), "is a merge"),
        (texts("commit_message_pattern", "regex", "^CAIRN-[0-9]+ "), side, "the message of commit"),
        (texts("commit_message_pattern", "contains", "wip", negate=True), await ruled.commit({}, message="wip"), "not"),
        (texts("commit_author_email_pattern", "ends_with", "@corp.test"), side, "the author's address"),
        (texts("committer_email_pattern", "ends_with", "@corp.test"), side, "the committer's address"),
        (
            {"type": "file_path_restriction", "parameters": {"restricted_file_paths": [".github/**", "*.env"]}},
            await ruled.commit({b"deep/er/.env": b"1"}),
            "deep/er/.env in commit",
        ),
        (
            {"type": "max_file_path_length", "parameters": {"max_file_path_length": 20}},
            await ruled.commit({b"a" * 21: b"1"}),
            "more than 20 bytes",
        ),
        (
            {"type": "file_extension_restriction", "parameters": {"restricted_file_extensions": ["exe", "*.dll"]}},
            await ruled.commit({b"x/setup.EXE": b"1"}),
            "x/setup.EXE",
        ),
        (
            {"type": "max_file_size", "parameters": {"max_file_size": 1}},
            await ruled.commit({b"big": b"1" * (1024 * 1024 + 1)}),
            "1,048,577 bytes",
        ),
        ("secret_patterns", await ruled.commit({b"conf": f"a\n b={make_token()}\n".encode()}), "line 2, column 4"),
    ]  # fmt: skip
    for rule, commit, said in bad:
        kept = await ruled.rule(rule, include=["topic"])
        refusal = await ruled.move(TOPIC, commit)
        assert said in refusal, (rule, refusal)
        assert kept.name in refusal
        # The same commit goes where the ruleset is not, and a good one where it is.
        assert await ruled.move(OTHER, commit) == ""
        assert await ruled.move(OTHER, ZERO_OID) == ""
        assert await ruled.move(TOPIC, good) == "", rule
        assert await ruled.move(TOPIC, ZERO_OID) == ""
        await ruled.change_rule(kept, enforcement="disabled")
    assert await ruled.tip() == base


async def test_the_secret_itself_is_shown_to_nobody(ruled: Ruled) -> None:
    token = make_token()
    await ruled.rule("secret_patterns")
    refusal = await ruled.push_file(b"conf", token.encode(), name=TOPIC)
    assert "crn_… (40 bytes), fingerprint" in refusal
    assert token[5:] not in refusal


async def test_a_secret_may_stay_by_its_fingerprint_or_its_path(ruled: Ruled) -> None:
    work = await ruled.commit({b"tests/data/conf": make_token().encode()})
    kept = await ruled.rule("secret_patterns")
    refusal = await ruled.move(TOPIC, work)
    fingerprint = refusal.rpartition("fingerprint ")[2].split()[0]
    for allowed in ({"allowed_fingerprints": [fingerprint]}, {"allowed_paths": ["tests/data/"]}):
        await ruled.change_rule(kept, rules=[{"type": "secret_patterns", "parameters": allowed}])
        assert await ruled.move(TOPIC, work) == "", allowed
        assert await ruled.move(TOPIC, ZERO_OID) == ""
        await ruled.change_rule(kept, rules=[{"type": "secret_patterns"}])
        assert await ruled.move(TOPIC, work) != ""


async def test_a_detour_over_a_branch_without_rules_leads_nowhere(ruled: Ruled) -> None:
    """Attack: push the commit where nothing is asked, then move the protected branch to what is there already."""
    await ruled.rule(texts("commit_message_pattern", "starts_with", "CAIRN-"), include=["main"])
    work = await ruled.commit({b"a": b"1"})
    assert await ruled.move(TOPIC, work) == ""
    assert "commit_message_pattern" in await ruled.move(MAIN, work)
    # Nor does deleting a good commit's branch or adding a good one on top.
    top = await ruled.commit({b"b": b"1"}, parents=[work], message="CAIRN-2")
    assert work[:10] in await ruled.move(MAIN, top)


async def test_what_was_there_before_the_rule_is_not_held_against_a_new_commit(ruled: Ruled) -> None:
    await ruled.push_file(b"old", b"1")
    await ruled.rule(texts("commit_message_pattern", "starts_with", "CAIRN-"), include=["main", "release/*"])
    assert await ruled.move(MAIN, await ruled.commit({b"a": b"1"}, message="CAIRN-1")) == ""
    # A branch begins where a protected one is.
    assert await ruled.move(b"refs/heads/release/1", await ruled.tip()) == ""


async def test_both_refs_of_a_push_with_the_same_bad_commit_are_refused(ruled: Ruled) -> None:
    work = await ruled.commit({b"a": b"1"})
    await ruled.rule(texts("commit_message_pattern", "starts_with", "CAIRN-"), include=["topic", "other"])
    said = await ruled.land((TOPIC, ZERO_OID, work), (OTHER, ZERO_OID, work), (b"refs/heads/free", ZERO_OID, work))
    assert [bool(said[name]) for name in (TOPIC, OTHER, b"refs/heads/free")] == [True, True, False]


async def test_a_merge_brings_back_no_old_version_of_a_path_that_may_not_change(ruled: Ruled) -> None:
    """Attack: a merge with an old commit that everybody has, and in it the file as that one had it."""
    weak, strict = {b"ci/run.yml": b"weak"}, {b"ci/run.yml": b"strict"}
    old = await ruled.commit(weak)
    assert await ruled.move(MAIN, old) == ""
    topic = await ruled.commit({b"topic": b"1"}, parents=[old])
    assert await ruled.push_file(b"ci/run.yml", b"strict") == ""
    await ruled.rule({"type": "file_path_restriction", "parameters": {"restricted_file_paths": ["/ci/"]}})
    tip = await ruled.tip()
    for parents in ([tip, old], [tip, topic], [topic, tip]):
        evil = await ruled.commit(weak | {b"topic": b"1"}, parents=parents)
        assert "ci/run.yml" in await ruled.move(MAIN, evil), parents
    for parents in ([tip, topic], [topic, tip]):
        merge = await ruled.commit(strict | {b"topic": b"1"}, parents=parents)
        assert await ruled.move(b"refs/heads/merged-" + merge.encode()[:4], merge) == ""
    assert await ruled.move(MAIN, merge) == ""


async def test_a_merge_is_asked_for_what_it_adds_itself(ruled: Ruled) -> None:
    base = await ruled.tip()
    mine = await ruled.commit({b"mine": b"1"})
    theirs = await ruled.commit({b"theirs": b"1"})
    await ruled.rule({"type": "file_path_restriction", "parameters": {"restricted_file_paths": ["*.env"]}})
    clean = await ruled.commit({b"theirs": b"1"}, parents=[mine, theirs])
    evil = await ruled.commit({b"theirs": b"1", b"evil.env": b"1"}, parents=[mine, theirs])
    assert "evil.env" in await ruled.move(TOPIC, evil)
    assert await ruled.move(TOPIC, clean) == ""
    assert base != clean


async def test_tags_are_looked_into_and_what_names_no_commit_is_refused(ruled: Ruled) -> None:
    blob_tag = await ruled.tag(await ruled.tag(await ruled.commit({b"a": b"1"})), ObjectKind.TAG, message=make_token())
    await ruled.rule("secret_patterns", target="tag")
    assert "the message of" in await ruled.move(TAG, blob_tag)
    assert await ruled.move(TAG, await ruled.tag(await ruled.tip())) == ""
    async with ruled.engine.view(await ruled.engine.state(ruled.repository.store_id)) as view:
        command = GitCommand(
            name="rev-list", options=("--objects", "--no-object-names"), revisions=(await ruled.tip(),)
        )
        oids = (await ruled.engine.runner.run(command, git_dir=view.path)).decode().split()
    for oid in oids[1:]:
        refusal = await ruled.move(b"refs/tags/odd", oid)  # type: ignore[arg-type]  # git's own words
        assert "which rules cannot look into" in refusal
    assert len(oids) > 2


async def test_moving_a_tag_is_a_force_and_so_is_what_leaves_commits_behind(ruled: Ruled) -> None:
    base, work = await ruled.tip(), await ruled.commit({b"a": b"1"})
    await ruled.move(TAG, await ruled.tag(work))
    await ruled.rule("non_fast_forward", target="tag")
    assert "do not force" in await ruled.move(TAG, await ruled.tag(base))
    later = await ruled.commit({b"b": b"1"}, parents=[work])
    assert await ruled.move(TAG, await ruled.tag(later)) == ""


async def test_paths_that_are_no_text_and_links_are_judged_by_their_names(ruled: Ruled) -> None:
    await ruled.rule({"type": "file_path_restriction", "parameters": {"restricted_file_paths": ["*.env", "naïve"]}})
    assert r"\xff.env" in await ruled.push_file(b"\xff.env", b"1", name=TOPIC)
    link = await ruled.commit({b"a/.env": File(b"/etc/passwd", 0o120000)})
    assert "a/.env" in await ruled.move(TOPIC, link)
    assert "naïve" in await ruled.push_file("naïve".encode(), b"1", name=TOPIC)
    assert await ruled.push_file(b"A.ENV", b"1", name=TOPIC) == ""


async def test_what_is_too_much_to_look_through_is_refused_and_never_passed(
    ruled: Ruled, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await ruled.commit({b"a": b"1", b"b": b"2"})
    second = await ruled.commit({b"c": b"1"}, parents=[first])
    kept = await ruled.rule("secret_patterns")
    for name, value, said in (
        ("COMMITS_MAX", 1, "more than 1 commits"),
        ("CHANGES_MAX", 2, "more than 2 files"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(new_commits, name, value)
            refusal = await ruled.move(TOPIC, second)
            assert "it cannot be examined" in refusal
            assert said in refusal
    with monkeypatch.context() as patched:
        patched.setattr(examine, "EXAMINE_SECONDS", 0.0)
        assert "takes more than" in await ruled.move(TOPIC, second)
        # A trial notes it and lets it pass.
        await ruled.change_rule(kept, enforcement="evaluate")
        assert await ruled.move(TOPIC, second) == ""
        assert "cannot be examined" in next(iter(ruled.verdicts[-1].refs.values())).findings[0].message


async def test_without_a_rule_that_looks_at_objects_no_process_runs_for_it(
    ruled: Ruled, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = await ruled.commit({b"a": b"1"})
    names: list[str] = []
    spawn = GitRunner.spawn

    def counted(self: GitRunner, command: GitCommand, **options: Any) -> Any:
        names.append(command.name)
        return spawn(self, command, **options)

    monkeypatch.setattr(GitRunner, "spawn", counted)

    async def processes() -> Sequence[str]:
        names.clear()
        before = children()
        assert await ruled.move(TOPIC, work) == ""
        assert await ruled.move(TOPIC, ZERO_OID) == ""
        await asyncio.sleep(0)
        assert children() <= before
        return list(names)

    without = await processes()
    await ruled.rule("deletion", "creation", include=["main"])
    assert await processes() == without
    kept = await ruled.rule(texts("commit_message_pattern", "starts_with", "W"))
    assert await processes() == [*without, "rev-list"]
    await ruled.change_rule(kept, rules=[{"type": "secret_patterns"}])
    assert await processes() == [*without, "rev-list", "diff-tree", "cat-file"]
