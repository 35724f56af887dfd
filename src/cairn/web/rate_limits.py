"""How much a caller may ask for: by what is asked (API, pages, git) and by who asks.

Limits keep run-away scripts from everybody else; they stop nobody who works. The API's is GitHub's, told in its
headers: a sliding hour. Pages have a sliding minute. Git has a leaky bucket: a build farm may come all at once, and who
has used everything waits for a fraction of a second, never for an hour.

A token has a budget of its own, so one that runs wild does not stop its owner's others; sessions, passwords and keys
share the account's; who is not signed in shares the address's.
"""

from __future__ import annotations

import functools
import ipaddress
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cairn.base.actor import Actor
from cairn.base.errors import RateLimited
from cairn.base.settings import Settings
from cairn.git.places import ANONYMOUS
from cairn.web.counters import Counters, Rule, Shape, Usage

if TYPE_CHECKING:  # the programs without pages do not carry the framework
    from cairn.web.context import RequestContext

CORE, SEARCH = "core", "search"
"""What GitHub's headers call the two budgets of the API."""

HOUR_SECONDS = 3600
MINUTE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class RateState:
    """One caller's budget in GitHub's words; ``reset_at`` is seconds since 1970: everything is there again then."""

    limit: int
    used: int
    reset_at: int
    resource: str = "core"

    @property
    def remaining(self) -> int:
        """How many more requests are answered now."""
        return max(0, self.limit - self.used)


class RateLimits:
    """The limits of one program; a limit of 0 in the settings means none."""

    def __init__(self, settings: Settings, counters: Counters | None = None) -> None:
        self._counters = counters or Counters()
        self._signed_in = _rule("api", settings.rate_api_per_hour, HOUR_SECONDS, Shape.WINDOW)
        self._anonymous = _rule("api", settings.rate_api_anonymous_per_hour, HOUR_SECONDS, Shape.WINDOW)
        self._searches = _rule("search", settings.rate_search_per_minute, MINUTE_SECONDS, Shape.WINDOW)
        self._searches_anonymous = _rule(
            "search", settings.rate_search_anonymous_per_minute, MINUTE_SECONDS, Shape.WINDOW
        )
        self._pages = _rule("pages", settings.rate_pages_per_minute, MINUTE_SECONDS, Shape.WINDOW)
        self._cost = _rule("cost", settings.rate_costly_per_minute, MINUTE_SECONDS, Shape.BUCKET)
        self._cost_anonymous = _rule("cost", settings.rate_costly_anonymous_per_minute, MINUTE_SECONDS, Shape.BUCKET)
        self._git = _rule("git", settings.rate_git_per_minute, MINUTE_SECONDS, Shape.BUCKET)

    def look(self, context: RequestContext, *, resource: str | None = None) -> RateState:
        """Return the caller's budget without using it: of a resource, or of what this request is counted as."""
        now = int(context.site.clock().timestamp())
        resource = resource or _resource_of(context)
        rule = self._api_rule(context, resource)
        if rule is None:
            return RateState(_UNLIMITED, 0, now + HOUR_SECONDS, resource)
        usage = self._counters.look(rule, caller_name(context))
        # A caller who has used nothing is told the whole window, as GitHub does.
        left = math.ceil(usage.full_in_seconds) if usage.used else rule.seconds
        return RateState(rule.limit, min(usage.used, rule.limit), now + left, resource)

    def count_api(self, context: RequestContext) -> None:
        """Use one request of the caller's budget. Errors: RateLimited."""
        resource = _resource_of(context)
        rule = self._api_rule(context, resource)
        if rule is None:
            return
        usage = self._counters.take(rule, caller_name(context))
        if usage.wait_seconds:
            # Clients know their limit by these words.
            who = context.actor.label if context.actor.is_signed_in else context.client_address
            what = "searches a minute" if resource == SEARCH else "requests an hour"
            raise _limited(f"API rate limit exceeded for {who}: {rule.limit:,} {what}.", usage)

    def give_back(self, context: RequestContext) -> None:
        """Return one API request to the caller's budget: a 304 is free."""
        rule = self._api_rule(context, _resource_of(context))
        if rule is not None and self._counters.look(rule, caller_name(context)).used:
            self._counters.add(rule, caller_name(context), -1)

    def count_page(self, context: RequestContext) -> None:
        """Count one page. Errors: RateLimited."""
        if self._pages is None:
            return
        usage = self._counters.take(self._pages, caller_name(context))
        if usage.wait_seconds:
            raise _limited(f"You asked for {self._pages.limit:,} pages within a minute; wait a moment.", usage)

    def count_cost(self, context: RequestContext, points: int) -> None:
        """Count the points of costly work. Errors: RateLimited."""
        rule = self._cost_anonymous if context.actor.is_anonymous else self._cost
        if rule is None:
            return
        usage = self._counters.take(rule, caller_name(context))
        if usage.wait_seconds:
            raise _limited(
                f"You asked for more than {rule.limit:,} histories, searches and comparisons within a minute; the next "
                "is welcome in a moment.",
                usage,
            )
        self._counters.add(rule, caller_name(context), points - 1)

    def count_git(self, actor: Actor, address: str) -> None:
        """Count one request of a git client. Errors: RateLimited."""
        if self._git is None:
            return
        usage = self._counters.take(self._git, _name(actor, address))
        if usage.wait_seconds:
            raise _limited(
                f"More than {self._git.limit:,} git requests came within a minute; the next is welcome in a moment "
                "(CAIRN_RATE_GIT_PER_MINUTE).",
                usage,
            )

    async def require(self, rule: Rule, key: str, message: str) -> None:
        """Use one under a rule of a feature's own, judged over all programs. Errors: RateLimited with ``message``."""
        usage = await self._counters.take_exactly(rule, key)
        if usage.wait_seconds:
            raise _limited(message, usage)

    def _api_rule(self, context: RequestContext, resource: str) -> Rule | None:
        is_known = context.actor.account_id is not None
        if resource == SEARCH:
            return self._searches if is_known else self._searches_anonymous
        return self._signed_in if is_known else self._anonymous


def _resource_of(context: RequestContext) -> str:
    return SEARCH if context.path.startswith(_SEARCH_PREFIX) else CORE


_SEARCH_PREFIX = "/api/v3/search/"
_UNLIMITED = 1_000_000_000
"""What GitHub's headers say where there is no limit."""


def _rule(name: str, limit: int, seconds: int, shape: Shape) -> Rule | None:
    return Rule(name, limit, seconds, shape) if limit else None


def _limited(message: str, usage: Usage) -> RateLimited:
    return RateLimited(message, retry_after_seconds=max(1, math.ceil(usage.wait_seconds)))


def caller_name(context: RequestContext) -> str:
    """Return whose budget a request uses: the token's, the account's, or the address's of someone not signed in."""
    return _name(context.actor, context.client_address)


def _name(actor: Actor, address: str) -> str:
    if actor.limits is not None and actor.limits.token_id is not None:
        return f"token:{actor.limits.token_id}"
    return whose_share(actor, address)


def whose_share(actor: Actor, address: str) -> str:
    """Return whose work this is where work is shared out: the account's with all its tokens, or the address's."""
    if actor.deploy_key is not None:
        return f"deploy-key:{actor.deploy_key.key_id}"
    if actor.account_id is None:
        return f"{ANONYMOUS}{network_of(address)}"
    return f"account:{actor.account_id}"


@functools.lru_cache(maxsize=10_000)  # asked twice for each request; to take an address apart costs as much as a query
def network_of(address: str) -> str:
    """Return what counts as one address: an IPv4 address, an IPv6 /64 (one customer has that many); text as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
