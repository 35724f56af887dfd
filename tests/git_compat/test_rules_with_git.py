"""Rules with stock git over both doors: each ref alone, and what the terminal reads."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.factories.git_repositories import StockGitFailed
from tests.git_compat.fixtures import Place
from tests.git_compat.programs import LOGIN, Installation

from cairn.base.actor import Actor, ActorKind
from cairn.db.database import open_database
from cairn.identity.queries import find_account
from cairn.identity.token_format import make_token
from cairn.repositories.rules.edit import create_ruleset
from cairn.repositories.rules.types import (
    Conditions,
    Deletion,
    Enforcement,
    NonFastForward,
    RefNames,
    RulesetContent,
    Secrets,
)


async def _add(installation: Installation, repository_id: int, content: RulesetContent) -> int:
    database = open_database(installation.settings.effective_database_url, pool_size=1)
    try:
        async with database.write() as session:
            account = await find_account(session, LOGIN)
            assert account is not None
            actor = Actor(ActorKind.USER, account_id=account.id, login=account.login)
            return (await create_ruleset(session, actor, repository_id, content)).id
    finally:
        await database.close()


def test_the_terminal_reads_what_was_refused_where_and_why(place: Place) -> None:
    client = place.client()
    client.commit({"a.txt": "one\n"}, "first")
    client.git("push", "-q", "origin", "main", "main:old")
    content = RulesetContent(
        name="No secrets",
        enforcement=Enforcement.ACTIVE,
        conditions=Conditions(ref_name=RefNames(include=("main", "old"))),
        rules=(Secrets(), NonFastForward(), Deletion()),
    )
    with ThreadPoolExecutor(1) as pool:
        ruleset_id = pool.submit(asyncio.run, _add(place.installation, place.repository.id, content)).result()
    token = make_token()
    client.commit({"conf/prod.env": f"# x\nTOKEN={token}\n"}, "second")
    with pytest.raises(StockGitFailed) as failed:
        client.git("push", "origin", "main", "main:topic", ":old")
    said = str(failed.value)
    assert "remote: refs/heads/main is refused by ruleset 'No secrets':" in said
    assert "conf/prod.env in commit" in said
    assert "line 2, column 7 has what looks like a Cairn token: crn_…" in said
    assert f"/{LOGIN}/{place.repository.name}/rules#ruleset-{ruleset_id}" in said
    assert "! [remote rejected] main -> main (ruleset 'No secrets', secret_patterns: " in said
    assert "! [remote rejected] old (ruleset 'No secrets', deletion: it may not be deleted)" in said
    assert "[new branch]" in said
    assert token not in said
    client.git("reset", "-q", "--hard", "HEAD~1")
    client.git("commit", "-q", "--amend", "-m", "first, again")
    with pytest.raises(StockGitFailed, match="non_fast_forward"):
        client.git("push", "-f", "origin", "main")
    with pytest.raises(StockGitFailed, match="atomic"):
        client.git("push", "--atomic", "-f", "origin", "main", "main:topic")
    names = client.git("ls-remote", "--heads", "origin").decode().split()[1::2]
    assert names == ["refs/heads/main", "refs/heads/old", "refs/heads/topic"]
