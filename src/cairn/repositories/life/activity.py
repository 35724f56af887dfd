"""What a history's activity looks like: series for pages and the API, and their drawings as SVG with a table beside."""

import asyncio
from dataclasses import dataclass

from markupsafe import Markup, escape

from cairn.git.activity import WEEK_SECONDS, Activity, read_activity, week_of
from cairn.git.types import Oid
from cairn.repositories.code.browse import Code

WEEKS_SHOWN = 52
AUTHORS_SHOWN = 100
PATIENCE_SECONDS = 1.0
"""A page or an operation waits so long; then the work goes on, and whoever asks again finds it."""

_WIDTH, _HEIGHT = 720, 140
DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody's weeks: start to commits, additions, deletions."""

    name: str
    email: str
    commits: int
    weeks: dict[int, tuple[int, int, int]]


async def activity_of(code: Code, tip: Oid) -> Activity | None:
    """Return the activity of a tip's history; None while it is still being counted. Errors: Unavailable."""
    engine, state, _ = code.parts
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await read_activity(engine, state, tip)
    except TimeoutError:
        return None


def last_weeks(now_seconds: int) -> list[int]:
    """Return the starts of the last 52 weeks, the present one last."""
    this = week_of(now_seconds)
    return [this - WEEK_SECONDS * back for back in reversed(range(WEEKS_SHOWN))]


def authors_of(activity: Activity) -> list[Author]:
    """Return who wrote most, the busiest first, as many as GitHub answers; those of one address are one."""
    names: dict[str, tuple[str, str]] = {}
    weeks: dict[str, dict[int, tuple[int, int, int]]] = {}
    for one in activity.weeks:
        name, email = activity.authors[one.author]
        key = email.lower()
        names.setdefault(key, (name, email))
        mine = weeks.setdefault(key, {})
        commits, additions, deletions = mine.get(one.start, (0, 0, 0))
        mine[one.start] = (commits + one.commits, additions + one.additions, deletions + one.deletions)
    found = [
        Author(*names[key], sum(commits for commits, _, _ in mine.values()), dict(sorted(mine.items())))
        for key, mine in weeks.items()
    ]
    return sorted(found, key=lambda author: (-author.commits, author.email))[:AUTHORS_SHOWN]


def draw_bars(values: list[int], labels: list[str], title: str) -> Markup:
    """Return a bar for each value as SVG, empty where all are 0; the table beside it says the same in words."""
    if not any(values):
        return Markup()
    most = max([1, *values])
    step = _WIDTH / max(1, len(values))
    bars = "".join(
        f'<rect x="{place * step + 1:.1f}" y="{_HEIGHT - height:.1f}" width="{max(1.0, step - 2):.1f}" '
        f'height="{height:.1f}"><title>{escape(label)}: {value:,}</title></rect>'
        for place, (value, label) in enumerate(zip(values, labels, strict=True))
        if (height := value / most * (_HEIGHT - 4))
    )
    return Markup(  # noqa: S704 (numbers, and labels that are escaped)
        f'<svg class="graph-bars" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}" '
        f'preserveAspectRatio="none">{bars}</svg>'
    )


def draw_punch_card(hours: list[int]) -> Markup:
    """Return a circle for each hour of the week as SVG, days from the top and hours from the left."""
    most = max([1, *hours])
    days = "".join(
        f'<text x="0" y="{place * 28 + 18}">{day[:3]}</text><line x1="40" x2="712" y1="{place * 28 + 28}" '
        f'y2="{place * 28 + 28}"/>'
        for place, day in enumerate(DAYS)
    )
    times = "".join(
        f'<text x="{hour * 28 + 54}" y="214" text-anchor="middle">{hour}</text>' for hour in range(0, 24, 3)
    )
    dots = "".join(
        f'<circle cx="{place % 24 * 28 + 54}" cy="{place // 24 * 28 + 14}" r="{1 + (value / most) ** 0.5 * 11:.1f}">'
        f"<title>{DAYS[place // 24]} {place % 24}:00: {value:,}</title></circle>"
        for place, value in enumerate(hours)
        if value
    )
    return Markup(  # noqa: S704 (numbers only)
        '<svg class="graph-punch" viewBox="0 0 712 220" role="img" aria-label="Commits by hour of the week">'
        f'<g aria-hidden="true">{days}{times}</g>{dots}</svg>'
    )
