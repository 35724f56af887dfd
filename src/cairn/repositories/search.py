"""Finding repositories by what they are called, what they say of themselves and what they are about.

The query language is GitHub's where we have what it asks for; what we do not have is refused with words, never passed
over. Only what the actor may see is looked at: the rule stands in the statement, so hidden repositories change no
result, no count, and not the work.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.roles import Visibility
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid
from cairn.identity.models import Account
from cairn.repositories.languages.table import find_language
from cairn.repositories.life.licences import UNKNOWN, find_licence
from cairn.repositories.lists import RepositoryPage, page_of_visible
from cairn.repositories.models import Repository, RepositoryTopic
from cairn.repositories.search_ranges import Span, read_moments, read_numbers
from cairn.repositories.search_words import QUERY_LENGTH_MAX, Qualifier, Words, split_query

WORDS_MAX = 20
FIELDS = ("name", "description", "topics")
_NOT_OFFERED = frozenset(
    {
        *("forks", "size", "followers", "updated", "mirror"),
        *("good-first-issues", "help-wanted-issues", "has", "sponsorable", "topics", "deployed", "props", "custom"),
    }
)
"""What GitHub has and we have not: refused, because a filter that is passed over answers what was not asked for."""


class SearchRefused(Invalid):
    """The query asks for what there is not; the message says which part of it."""


class SearchOrder(StrEnum):
    """What comes first."""

    BEST = "best"
    """What is called exactly so, then what begins so, then what has it in its name; of these the last pushed to."""
    UPDATED = "updated"
    NAME = "name"
    CREATED = "created"
    STARS = "stars"


@dataclass(frozen=True, slots=True)
class RepositorySearch:
    """A query, understood: ``conditions`` hold of every result, ``text`` is what the best match is measured by."""

    conditions: tuple[ColumnElement[bool], ...]
    text: str
    leaves_out_forks: bool
    """Forks are left out because nobody asked for them."""


async def search_repositories(
    session: AsyncSession,
    actor: Actor,
    wanted: RepositorySearch,
    *,
    order: SearchOrder = SearchOrder.BEST,
    descending: bool | None = None,
    page: int = 1,
    per_page: int = 30,
) -> RepositoryPage:
    """Return one page of the repositories that the actor may see and that match; three statements at most."""
    columns: dict[SearchOrder, list[tuple[Any, bool]]] = {
        # A constant is no order: MariaDB would take it for a column.
        SearchOrder.BEST: [*([(_rank(wanted.text), False)] if wanted.text else []), (_pushed(), True)],
        SearchOrder.UPDATED: [(_pushed(), True)],
        SearchOrder.NAME: [(Repository.name_key, False)],
        SearchOrder.CREATED: [(Repository.created_at, True)],
        SearchOrder.STARS: [(Repository.stars_count, True), (_pushed(), True)],
    }
    first, usual = columns[order][0]
    is_turned = descending is not None and order is not SearchOrder.BEST and descending is not usual
    ordered = [(first, usual is not is_turned), *columns[order][1:], (Repository.id, False)]
    return await page_of_visible(
        session,
        actor,
        wanted.conditions,
        order=[column.desc() if is_down else column for column, is_down in ordered],
        page=page,
        per_page=per_page,
    )


def _pushed() -> ColumnElement[Any]:
    return func.coalesce(Repository.pushed_at, Repository.created_at)


def _rank(text: str) -> ColumnElement[int]:
    name = Repository.name_key
    hyphened = text.replace(" ", "-")
    return case(
        (name.in_([text, hyphened]), 0),
        (name.startswith(hyphened, autoescape=True), 1),
        (name.contains(hyphened, autoescape=True), 2),
        else_=3,
    )


def read_search(typed: str) -> RepositorySearch:
    """Return what somebody typed as a query. Errors: SearchRefused."""
    if len(typed) > QUERY_LENGTH_MAX:
        raise refused(f"A search has at most {QUERY_LENGTH_MAX:,} characters.")
    words = split_query(typed, _QUALIFIERS.keys() | _NOT_OFFERED | {"in"})
    if len(words.words) + len(words.qualifiers) > WORDS_MAX:
        raise refused(f"A search has at most {WORDS_MAX} words and filters.")
    fields = _fields(words)
    conditions = [_holds(word, fields) for word in words.words]
    conditions += _qualified(words.qualifiers)
    asks_for_forks = any(one.name == "fork" or (one.name, one.value) == ("is", "fork") for one in words.qualifiers)
    if not asks_for_forks:
        conditions.append(Repository.parent_id.is_(None))
    text = " ".join(word for word in words.words if not _is_negated(word)).lower()
    return RepositorySearch(tuple(conditions), text, not asks_for_forks)


def _fields(words: Words) -> frozenset[str]:
    wanted = {part for value in words.of("in") for part in value.lower().split(",")}
    if words.of("in", is_negated=True) or not wanted <= {*FIELDS}:
        raise refused(f"in: takes a list of {', '.join(FIELDS)}.")
    return frozenset(wanted or FIELDS)


def _is_negated(word: str) -> bool:
    return len(word) > 1 and word.startswith("-")


def _holds(word: str, fields: frozenset[str]) -> ColumnElement[bool]:
    """Return that one of the fields has a word, in any case; ``owner/name`` names both parts."""
    if _is_negated(word):
        return not_(_holds(word[1:], fields))
    text = word.lower()
    if not text.isprintable():
        return literal(value=False)
    owner, slash, name = text.partition("/")
    if slash and owner and "/" not in name:
        return and_(_owned_by(owner), Repository.name_key.startswith(name, autoescape=True))
    if len(fields) == len(FIELDS):
        return Repository.search_text.contains(text, autoescape=True)
    columns = {
        "name": Repository.name_key,
        "description": func.lower(Repository.description),
        "topics": Repository.topics,
    }
    return or_(*(columns[field].contains(text, autoescape=True) for field in sorted(fields)))


def _qualified(qualifiers: Sequence[Qualifier]) -> list[ColumnElement[bool]]:
    """Return what holds by qualifiers: of those that say which, one of each name; of those that leave out, none."""
    found: list[ColumnElement[bool]] = []
    either: dict[str, list[ColumnElement[bool]]] = {}
    for one in qualifiers:
        if one.name == "in":
            continue
        if one.name in _NOT_OFFERED:
            raise refused(f"{one.name}: is not offered here.")
        condition = _QUALIFIERS[one.name](one.value)
        if one.is_negated:
            found.append(not_(condition))
        elif one.name in _ALTERNATIVES:
            either.setdefault(_ALTERNATIVES[one.name], []).append(condition)
        else:
            found.append(condition)
    return found + [or_(*conditions) for conditions in either.values()]


def _owned_by(login: str) -> ColumnElement[bool]:
    # uq_account_login_key
    return Repository.owner_id.in_(select(Account.id).where(Account.login_key == login.lower()))


def _is_repository(value: str) -> ColumnElement[bool]:
    owner, slash, name = value.partition("/")
    if not slash:
        raise refused("repo: takes an owner and a name: repo:owner/name.")
    return and_(_owned_by(owner), Repository.name_key == name.lower())


def _has_topic(value: str) -> ColumnElement[bool]:
    # ix_repository_topic_topic_repository_id
    return Repository.id.in_(select(RepositoryTopic.repository_id).where(RepositoryTopic.topic == value.lower()))


def _is_written_in(value: str) -> ColumnElement[bool]:
    language = find_language(value)
    if language is None:
        raise refused(f"No language is called {value[:60]!r} here.")
    return func.coalesce(Repository.language, "") == language.name


def _is(value: str) -> ColumnElement[bool]:
    word = value.lower()
    if word == "fork":
        return Repository.parent_id.is_not(None)
    if word == "archived":
        return Repository.is_archived.is_(True)
    if word == "template":
        return Repository.is_template.is_(True)
    if word in {one.value for one in Visibility}:
        return Repository.visibility == Visibility(word)
    raise refused("is: takes public, private, internal, fork, archived or template.")


def _archived(value: str) -> ColumnElement[bool]:
    return Repository.is_archived.is_(_one_of("archived", value, {"true": True, "false": False}))


def _template(value: str) -> ColumnElement[bool]:
    return Repository.is_template.is_(_one_of("template", value, {"true": True, "false": False}))


def _licensed(value: str) -> ColumnElement[bool]:
    known = find_licence(value)
    if known is None and value.lower() not in {"other", UNKNOWN.lower()}:
        raise refused(f"No licence is called {value[:60]!r} here; take SPDX's names, or other.")
    return Repository.license == (known.spdx_id if known else UNKNOWN)


def _starred(value: str) -> ColumnElement[bool]:
    try:
        return _within(Repository.stars_count, read_numbers(value))
    except ValueError:
        raise refused("stars: takes a number or a range: stars:10, stars:>=10, stars:10..50.") from None


def _at(name: str, column: Any) -> Callable[[str], ColumnElement[bool]]:  # noqa: ANN401 (columns that may be null)
    def holds(value: str) -> ColumnElement[bool]:
        try:
            return _within(column, read_moments(value))
        except ValueError:
            raise refused(f"{name}: takes a day or a range: {name}:2024-05-01, {name}:>=2024-05-01.") from None

    return holds


def _within(column: Any, span: Span[Any]) -> ColumnElement[bool]:  # noqa: ANN401 (numbers or times)
    low = literal(value=True) if span.low is None else column >= span.low
    return and_(low, literal(value=True) if span.high is None else column < span.high)


def _fork(value: str) -> ColumnElement[bool]:
    is_only = _one_of("fork", value, {"true": False, "only": True})
    return Repository.parent_id.is_not(None) if is_only else literal(value=True)


def _one_of(name: str, value: str, allowed: Mapping[str, bool]) -> bool:
    if value.lower() not in allowed:
        raise refused(f"{name}: takes {' or '.join(allowed)}.")
    return allowed[value.lower()]


_QUALIFIERS: dict[str, Callable[[str], ColumnElement[bool]]] = {
    "user": _owned_by,
    "org": _owned_by,
    "repo": _is_repository,
    "topic": _has_topic,
    "language": _is_written_in,
    "visibility": _is,
    "is": _is,
    "archived": _archived,
    "fork": _fork,
    "template": _template,
    "license": _licensed,
    "stars": _starred,
    "created": _at("created", Repository.created_at),
    "pushed": _at("pushed", _pushed()),
}
_ALTERNATIVES = {"user": "owner", "org": "owner", "repo": "owner", "language": "language", "license": "license"}
"""Qualifiers of which one must hold if several are given: a repository has one owner, main language and licence."""


def refused(message: str) -> SearchRefused:
    """Return the error for a query that cannot be answered."""
    return SearchRefused(message, FieldProblem("q", "invalid", message, "Search"))
