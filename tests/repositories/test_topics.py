"""Topics: what may be one, who gives them, what is told."""

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account
from tests.factories.repositories import grant, make_repository

from cairn.access.roles import Role
from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS
from cairn.base.errors import Forbidden, Unauthenticated
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.repositories.models import Repository, RepositoryTopic
from cairn.repositories.queries import find_repository_by_id
from cairn.repositories.topics import TOPICS_MAX, TopicsInvalid, check_topics, set_topics


def test_topics_are_lower_case_and_each_once() -> None:
    assert check_topics(["Git", "forge ", "git", "a-b", "9"]) == ("git", "forge", "a-b", "9")
    assert check_topics([]) == ()


@pytest.mark.parametrize("name", ["", "-a", "a b", "a_b", "ä", "a" * 51, "a.b", "<b>"])
def test_what_is_no_topic_is_refused(name: str) -> None:
    with pytest.raises(TopicsInvalid):
        check_topics(["good", name])


def test_there_are_twenty_at_most() -> None:
    assert len(check_topics([f"t{number}" for number in range(TOPICS_MAX)])) == TOPICS_MAX
    with pytest.raises(TopicsInvalid, match="at most 20"):
        check_topics([f"t{number}" for number in range(TOPICS_MAX + 1)])


async def test_topics_are_kept_told_and_recorded_once(any_database: Database) -> None:
    async with any_database.write() as session:
        ada = await make_account(session, "ada")
        made = await make_repository(session, ada, "mill")
    for topics in (("git", "forge"), ("git", "forge"), ("forge", "x"), ()):
        async with any_database.write() as session:
            assert await set_topics(session, actor_of(ada), made.id, topics) == topics
        async with any_database.read() as session:
            assert (await find_repository_by_id(session, ANONYMOUS, made.id)).topics == topics
            rows = await session.scalars(select(RepositoryTopic.topic).where(RepositoryTopic.repository_id == made.id))
            assert sorted(rows) == sorted(topics)
    async with any_database.read() as session:
        told = [row.payload for row in await session.scalars(select(EventRow).where(EventRow.type == "topics_changed"))]
        assert [(one["old_topics"], one["new_topics"]) for one in told] == [
            ([], ["git", "forge"]),
            (["git", "forge"], ["forge", "x"]),
            (["forge", "x"], []),
        ]
        assert (
            len((await session.scalars(select(AuditEntry).where(AuditEntry.action == "repository.update"))).all()) == 3
        )
        assert (await session.get_one(Repository, made.id)).search_text == "mill\n\n"


async def test_only_who_maintains_a_repository_gives_topics(database: Database) -> None:
    async with database.write() as session:
        ada, ben = await make_account(session, "ada"), await make_account(session, "ben")
        made = await make_repository(session, ada, "mill")
        await grant(session, made, ben, Role.WRITE)
    for actor, error in ((actor_of(ben), Forbidden), (ANONYMOUS, Unauthenticated)):
        with pytest.raises(error):
            async with database.write() as session:
                await set_topics(session, actor, made.id, ["x"])
    async with database.read() as session:
        assert (await find_repository_by_id(session, ANONYMOUS, made.id)).topics == ()
