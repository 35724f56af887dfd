"""Topics: short words for what repositories are about, by which people find them."""

import re
from collections.abc import Iterable, Sequence

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.visible import visible
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.repositories.events import TopicsChanged
from cairn.repositories.models import ACCESS_COLUMNS, TOPIC_LENGTH_MAX, Repository, RepositoryTopic
from cairn.repositories.queries import load_scope, lock_repository

TOPICS_MAX = 20
BROWSED_MAX = 100
LIVELY_MAX = 1000
_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]*")


class TopicsInvalid(Invalid):
    """A topic is none, or there are too many."""


def is_topic(text: str) -> bool:
    """Tell whether a text may be a topic."""
    return len(text) <= TOPIC_LENGTH_MAX and _TOPIC.fullmatch(text) is not None


def check_topics(names: Iterable[str]) -> tuple[str, ...]:
    """Return topics in lower case, each once, in their order; TopicsInvalid says what is wrong.

    Source: GitHub's rules: letters, digits and hyphens, a letter or digit first, 50 characters, 20 topics.
    """
    found = tuple(dict.fromkeys(name.strip().lower() for name in names))
    if len(found) > TOPICS_MAX:
        raise _invalid(f"A repository has at most {TOPICS_MAX} topics; these are {len(found)}.")
    for name in found:
        if not is_topic(name):
            raise _invalid(
                f"{name[:60]!r} is no topic: it begins with a letter or a digit and has letters, digits and "
                f"hyphens, at most {TOPIC_LENGTH_MAX} of them."
            )
    return found


def _invalid(message: str) -> TopicsInvalid:
    return TopicsInvalid(message, FieldProblem("topics", "invalid", message, "Repository"))


async def set_topics(session: AsyncSession, actor: Actor, repository_id: int, names: Sequence[str]) -> tuple[str, ...]:
    """Give a repository these topics in place of those it has, and return them as they are kept.

    Errors: NotFound, Forbidden; TopicsInvalid.
    """
    topics = check_topics(names)
    repository, _ = await lock_repository(session, repository_id)
    scope = await load_scope(session, actor, repository_id)
    if scope is None:
        raise NotFound("Not Found")
    await authorize(session, actor, Action.REPOSITORY_MAINTAIN, scope)
    before = tuple(repository.topics.split())
    if topics == before:
        return topics
    await session.execute(delete(RepositoryTopic).where(RepositoryTopic.repository_id == repository_id))
    if topics:
        rows = [{"repository_id": repository_id, "topic": topic} for topic in topics]
        await session.execute(insert(RepositoryTopic), rows)
    # A blank before and after each, so that one topic can be looked for as text.
    repository.topics = f" {' '.join(topics)} " if topics else ""
    repository.updated_at = await database_now(session)
    emit(
        session,
        TopicsChanged(repository_id=repository_id, old_topics=before, new_topics=topics, actor_id=actor.account_id),
    )
    changes = {"topics": (" ".join(before), " ".join(topics))}
    record(session, actor, "repository.update", repository.name, repository_id=repository_id, changes=changes)
    await session.flush()
    return topics


async def list_topics(
    session: AsyncSession, actor: Actor, *, containing: Sequence[str] = (), limit: int = BROWSED_MAX
) -> list[tuple[str, int]]:
    """Return the topics of the repositories the actor may see and how many of those have each, the most used first.

    ``containing``: only topics that have all of these in them. Goes through all of them: see ``list_lively_topics``.
    """
    # ix_repository_topic_topic_repository_id, and the indexes that visible() names.
    seen = visible(actor, Action.REPOSITORY_SEE, ACCESS_COLUMNS, leads=True)
    count = func.count()
    rows = await session.execute(
        select(RepositoryTopic.topic, count)
        .join(Repository, Repository.id == RepositoryTopic.repository_id)
        .where(seen, *(RepositoryTopic.topic.contains(text, autoescape=True) for text in containing))
        .group_by(RepositoryTopic.topic)
        .order_by(count.desc(), RepositoryTopic.topic)
        .limit(limit)
    )
    return [(topic, number) for topic, number in rows]


async def list_lively_topics(session: AsyncSession, actor: Actor, *, limit: int) -> list[str]:
    """Return the most used topics of the LIVELY_MAX repositories the actor may see that were pushed to last."""
    # ix_repository_visibility_pushed_at, primary key of repository_topic.
    lively = (
        select(Repository.id)
        .where(visible(actor, Action.REPOSITORY_SEE, ACCESS_COLUMNS, leads=True), Repository.topics != "")
        .order_by(Repository.pushed_at.desc())
        .limit(LIVELY_MAX)
        .subquery()
    )
    rows = await session.execute(
        select(RepositoryTopic.topic)
        .join(lively, lively.c.id == RepositoryTopic.repository_id)
        .group_by(RepositoryTopic.topic)
        .order_by(func.count().desc(), RepositoryTopic.topic)
        .limit(limit)
    )
    return [topic for (topic,) in rows]
