"""Pages from Jinja templates: escaping always on, templates of several packages, the helpers every page uses."""

import functools
import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from litestar.response import Stream
from markupsafe import Markup

from cairn import __version__
from cairn.web.context import RequestContext
from cairn.web.icons import icon
from cairn.web.static_files import StaticFiles
from cairn.web.urls import path_join, sign_in_url

HTML = "text/html"


class Renderer:
    """The templates of some packages, compiled once.

    Each package keeps its own under ``templates/<package>/``; ``web/layout.html`` is what pages extend.
    """

    def __init__(self, packages: tuple[str, ...], static: StaticFiles, *, reload_templates: bool = False) -> None:
        self.static_url = static.url
        self.libraries = static.libraries
        self.library_url = static.library_url
        self._static = static
        self._environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(_template_folder(package)) for package in packages]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=reload_templates,
            cache_size=-1,
        )
        self._environment.globals |= {
            "icon": icon,
            "static_url": static.url,
            "library_url": static.library_url,
            "path_join": path_join,
            "version": __version__,
            "identicon": identicon,
        }
        self._environment.filters |= {"bytes": human_bytes, "number": human_number, "short": short_oid}

    @functools.cached_property
    def build(self) -> str:
        """What a page of this build is made with: changes with every template and static file."""
        digest = hashlib.sha256(__version__.encode())
        for name in sorted(self._environment.list_templates()):
            source, _, _ = self._environment.loader.get_source(self._environment, name)  # type: ignore[union-attr]
            digest.update(f"\0{name}\0{source}".encode())
        for name in self._static.names():
            digest.update(f"\0{self._static.url(name)}".encode())
        return digest.hexdigest()

    def text(self, name: str, values: Mapping[str, Any]) -> str:
        """Return a template filled in; an unknown name or value is an error, never an empty text."""
        return self._environment.get_template(name).render(values)


def _template_folder(package: str) -> Path:
    with as_file(files(package).joinpath("templates")) as folder:
        return folder


def render(
    context: RequestContext,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> Response[str]:
    """Return a page. Templates also see ``context``, ``actor``, ``settings``, ``csrf_input()``, ``ago(time)``,
    ``with_query(name=value)``, ``sign_in_here``, ``banners``, ``registration``, ``awaits_administrator`` and the
    globals of the Renderer."""
    text = context.site.renderer.text(template, _values(context) | values)
    return Response(content=text, status_code=status, headers=dict(headers or {}), media_type=HTML)


def render_around(
    context: RequestContext, template: str, pieces: AsyncIterator[str], *, name: str, **values: object
) -> Stream:
    """Return a page that is sent while a part of it is still being made: ``pieces``, where the template says ``name``.

    The rest of the page stands before the first piece is asked for; what leaves the reader takes the pieces with it.
    """
    mark = f"<!--{secrets.token_hex(16)}-->"
    text = context.site.renderer.text(template, _values(context) | values | {name: Markup(mark)})  # noqa: S704
    head, _, tail = text.partition(mark)

    async def parts() -> AsyncIterator[str]:
        yield head
        async for piece in pieces:
            yield piece
        yield tail

    return Stream(parts(), media_type=HTML)


def _values(context: RequestContext) -> dict[str, Any]:
    now = context.site.clock()

    def csrf_input() -> Markup:
        return Markup('<input type="hidden" name="csrf_token" value="{}">').format(context.csrf_token())

    def with_query(**changes: object) -> str:
        """Return this page's address with some query parameters set, or removed by None."""
        query = {name: values for name, values in context.request.query_params.dict().items() if name not in changes}
        query |= {name: [str(value)] for name, value in changes.items() if value is not None}
        return f"{context.path}?{urlencode(query, doseq=True)}" if query else context.path

    return {
        "context": context,
        "actor": context.actor,
        "settings": context.settings,
        "nonce": context.nonce,
        "appearance": context.appearance,
        "flash": context.take_flash,
        "csrf_input": csrf_input,
        "csrf_token": context.csrf_token,
        "ago": lambda value: ago(value, now),
        "with_query": with_query,
        "banners": context.site.state.banners_at(now, put_away(context)),
        "registration": context.site.state.registration or context.settings.registration,
        "awaits_administrator": context.site.state.awaits_administrator,
        "sign_in_here": sign_in_url(context.repeatable_address),
    }


PUT_AWAY_COOKIE = "cairn_put_away"


def put_away(context: RequestContext) -> list[str]:
    """Return the ids of the announcements that this browser does not want to see again."""
    return [part for part in context.request.cookies.get(PUT_AWAY_COOKIE, "")[:500].split(".") if part.isdecimal()]


def redirect(path: str, *, status: int = 303) -> Response[bytes]:
    """Send the browser to a path of this site with GET. ``path`` is ours, or has passed ``context.own_path``."""
    return Response(content=b"", status_code=status, headers={"Location": path})


_STEPS = ((60, 1, "second"), (3600, 60, "minute"), (86400, 3600, "hour"), (86400 * 30, 86400, "day"))


def ago(value: datetime, now: datetime) -> Markup:
    """Return a ``<time>`` element: words for the eye, the exact moment for machines and on hover."""
    moment = value.astimezone(UTC)
    # Digits and names of months need no escaping, and a folder has a thousand of these.
    return Markup(  # noqa: S704
        f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}" title="{moment:%-d %B %Y, %H:%M UTC}" data-ago>'
        f"{_words(moment, now)}</time>"
    )


def _words(moment: datetime, now: datetime) -> str:
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 45:
        return "just now"
    for limit, unit_seconds, unit in _STEPS:
        if abs(seconds) < limit:
            count = max(1, round(abs(seconds) / unit_seconds))
            words = f"{count} {unit}{'' if count == 1 else 's'}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return moment.strftime("%-d %b %Y")


def human_bytes(count: int) -> str:
    """Return a size for people: ``512 B``, ``1.4 KiB``, ``3 MiB``."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f}".removesuffix(".0") + f" {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def human_number(count: int) -> str:
    """Return a count with thousands apart."""
    return f"{count:,}"


def short_oid(oid: str) -> str:
    """Return the first ten digits of an object id."""
    return oid[:10]


def identicon(name: str, size: int = 24) -> Markup:
    """Return an inline picture that is always the same for the same name: stones stacked by its hash."""
    hue, stones = _stones(name)
    return Markup(
        '<svg class="identicon identicon-{}" width="{}" height="{}" viewBox="0 0 24 24" aria-hidden="true">{}</svg>'
    ).format(hue, size, size, stones)


_AVATAR_COLOURS = ("4f7d73", "8a6a3f", "6c6f93", "93605a", "5f7f4c", "4d7694", "87608a", "746d5f")


def avatar_file(name: str) -> bytes:
    """Return the same picture as an SVG file; its ground is clear, so that it stands on light and dark pages."""
    hue, stones = _stones(name)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="460" height="460" viewBox="0 0 24 24">'
        f'<g fill="#{_AVATAR_COLOURS[hue]}">{stones}</g></svg>'
    ).encode()


def _stones(name: str) -> tuple[int, Markup]:
    """Return the number of the colour, 0 to 7, and the three stones, the smallest on top."""
    digest = hashlib.sha256(name.lower().encode()).digest()
    widths = sorted(9 + digest[index] % 8 for index in (1, 2, 3))
    offsets = [(digest[index] % 5 - 2) * 0.5 for index in (4, 5, 6)]
    stones = Markup("").join(
        Markup('<rect x="{}" y="{}" width="{}" height="{}" rx="2.4"/>').format(
            round(12 - width / 2 + offset, 2), top, width, 4.4
        )
        for width, offset, top in zip(widths, offsets, (4.6, 9.8, 15), strict=True)
    )
    return digest[0] % 8, stones
