"""What a reader types to choose commits of a history: a person, words of the message, a span of days."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cairn.base.clock import parse_moment
from cairn.identity.attribution import addresses_of
from cairn.repositories.code.path_history import Chosen
from cairn.web.context import RequestContext

_TEXT_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """The fields as they were typed, and what is wrong with each that cannot be read."""

    author: str = ""
    message: str = ""
    since: str = ""
    until: str = ""
    first_parent: bool = False
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """True if nothing is chosen: the whole history."""
        return not (self.author or self.message or self.since or self.until or self.first_parent)


def read_filter(context: RequestContext) -> HistoryFilter:
    """Return what the query of a request says: ``author``, ``message``, ``since``, ``until``, ``first_parent``."""
    query = context.request.query_params
    author, message, since, until = (
        str(query.get(name, "")).strip()[:_TEXT_CHARACTERS_MAX].replace("\0", "")
        for name in ("author", "message", "since", "until")
    )
    problems = {
        name: f"{text!r} is no day such as 2024-01-31, nor a time."
        for name, text in (("since", since), ("until", until))
        if text and _moment(text) is None
    }
    first_parent = query.get("first_parent", "") not in {"", "0", "false"}
    return HistoryFilter(author, message, since, until, first_parent, problems)


async def choose(context: RequestContext, wanted: HistoryFilter) -> Chosen:
    """Return what git is asked for. What cannot be read as a time is left out: the page says so.

    The login of an account means every address that is verified as its own; any other text stands for itself.
    """
    since, until = _moment(wanted.since), _moment(wanted.until)
    if until is not None and len(wanted.until) == len("2024-01-31"):
        until += timedelta(days=1)  # the day itself belongs to it
    return Chosen(await author_texts(context, wanted.author), wanted.message, since, until, wanted.first_parent)


async def author_texts(context: RequestContext, author: str) -> tuple[str, ...]:
    """Return texts of which one is in the ``name <address>`` of what somebody wrote; none for nobody named."""
    if not author:
        return ()
    async with context.site.database.read() as session:
        addresses = await addresses_of(session, context.settings.host, author.removeprefix("@"))
    return tuple(f"<{address}>" for address in addresses) or (author,)


def _moment(text: str) -> datetime | None:
    try:
        return parse_moment(text) if text else None
    except ValueError:
        return None
