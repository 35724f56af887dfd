"""How many API requests a caller may make in an hour."""

from dataclasses import dataclass

from cairn.web.context import RequestContext


@dataclass(frozen=True, slots=True)
class RateState:
    """One caller's budget: requests in this window, and when it ends (seconds since 1970)."""

    limit: int
    used: int
    reset_at: int
    resource: str = "core"

    @property
    def remaining(self) -> int:
        """How many more requests are answered in this window."""
        return max(0, self.limit - self.used)

    @property
    def is_exceeded(self) -> bool:
        """True when this request is over the limit."""
        return self.used > self.limit


class HourlyWindows:
    """Requests per hour and caller, counted in this process only: a guard against run-away scripts, no security."""

    def __init__(self, *, signed_in: int = 15_000, anonymous: int = 3_000, callers_max: int = 10_000) -> None:
        self._limits = {True: signed_in, False: anonymous}
        self._callers_max = callers_max
        self._windows: dict[str, RateState] = {}

    def look(self, context: RequestContext, now_seconds: float) -> RateState:
        """Return the caller's budget without using it."""
        signed_in = context.actor.account_id is not None
        window = self._windows.get(caller_name(context))
        if window is None or window.reset_at <= now_seconds:
            return RateState(self._limits[signed_in], 0, int(now_seconds) + 3600)
        return window

    def count(self, context: RequestContext, now_seconds: float) -> RateState:
        """Use one request of the caller's budget and return what is left."""
        window = self.look(context, now_seconds)
        return self._keep(context, RateState(window.limit, window.used + 1, window.reset_at))

    def give_back(self, context: RequestContext, now_seconds: float) -> RateState:
        """Return one request to the caller's budget: a 304 is free."""
        window = self.look(context, now_seconds)
        return self._keep(context, RateState(window.limit, max(0, window.used - 1), window.reset_at))

    def _keep(self, context: RequestContext, window: RateState) -> RateState:
        caller = caller_name(context)
        # Re-inserted at the end, so that the first key is the one that was quiet the longest.
        self._windows.pop(caller, None)
        if len(self._windows) >= self._callers_max:
            del self._windows[next(iter(self._windows))]
        self._windows[caller] = window
        return window


def caller_name(context: RequestContext) -> str:
    """Return who a budget belongs to: the account, or the address of someone not signed in."""
    account = context.actor.account_id
    return f"account:{account}" if account is not None else f"address:{context.client_address}"
