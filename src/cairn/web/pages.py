"""The toolkit's own pages: every component on one page, the appearance switch, the icon browsers ask for."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from cairn.base.settings import Settings
from cairn.web.context import CONTRAST_COOKIE, SHORTCUTS_COOKIE, THEME_COOKIE, Cookie, RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.highlight import highlight_lines
from cairn.web.icons import icon_names
from cairn.web.markup.documents import Source, TextKind
from cairn.web.render import PUT_AWAY_COOKIE, put_away, redirect, render
from cairn.web.routing import PUBLIC, page

_YEAR_SECONDS = 365 * 86400
_PUT_AWAY_MAX = 30


_ONE_OF_THREE = {"message": "Choose one of the three."}


class AppearanceForm(msgspec.Struct):
    """The appearance form."""

    theme: Annotated[str, Meta(pattern="^(auto|light|dark)$", extra_json_schema=_ONE_OF_THREE)]
    contrast: Annotated[str, Meta(pattern="^(auto|more|less)$", extra_json_schema=_ONE_OF_THREE)] = "auto"
    shortcuts: bool = False
    next: str = "/"


class Specimen(msgspec.Struct):
    """The form shown on the components page; it is never sent."""

    name: str = ""
    address: str = ""
    visibility: str = "public"
    readme: bool = True
    about: str = ""


@page.get("/-/appearance", action=PUBLIC, resource="none")
async def appearance(context: RequestContext, next: str = "/") -> Response[str]:  # noqa: A002 (the parameter's public name)
    """Show what this browser may choose: theme, contrast, whether single keys do something."""
    chosen = context.appearance
    form = blank_form(
        AppearanceForm,
        theme=chosen.theme,
        contrast=chosen.contrast,
        shortcuts=chosen.shortcuts,
        next=context.own_path(next),
    )
    return render(context, "web/appearance.html", form=form)


@page.post("/-/appearance", action=PUBLIC, resource="none")
async def choose_appearance(context: RequestContext, request: WebRequest) -> Response[Any]:
    """Keep the choice in cookies for a year."""
    form = await read_form(request, AppearanceForm)
    if form.value is None:
        return render(context, "web/appearance.html", status=422, form=form)
    chosen = {
        THEME_COOKIE: form.value.theme,
        CONTRAST_COOKIE: form.value.contrast,
        SHORTCUTS_COOKIE: "on" if form.value.shortcuts else "off",
    }
    for name, value in chosen.items():
        context.set_cookie(Cookie(name, value, max_age_seconds=_YEAR_SECONDS, http_only=False))
    return redirect(context.own_path(form.value.next))


class PutAway(msgspec.Struct):
    """The button that puts an announcement away."""

    next: str = "/"


@page.post("/-/announcements/{announcement_id:int}/put-away", action=PUBLIC, resource="none")
async def put_announcement_away(context: RequestContext, request: WebRequest, announcement_id: int) -> Response[Any]:
    """Keep in a cookie that this browser does not want to see an announcement again."""
    form = await read_form(request, PutAway)
    kept = [name for name in put_away(context) if name != str(announcement_id)][-_PUT_AWAY_MAX:]
    ids = ".".join([*kept, str(announcement_id)])
    context.set_cookie(Cookie(PUT_AWAY_COOKIE, ids, max_age_seconds=_YEAR_SECONDS))
    return redirect(context.own_path(form.require().next))


@dataclass(frozen=True, slots=True)
class _Signed:
    """As much of a commit's author as the components read."""

    name: str
    email: str


class _Authors:
    """Knows one address, as a page knows those of its commits."""

    def of(self, email: str) -> dict[str, str] | None:
        return {"login": "ada"} if email == _SIGNATURES[0].email else None


_SIGNATURES = (_Signed("Ada Lovelace", "ada@example.org"), _Signed("Somebody without an account", "else@example.org"))
_AUTHORS = _Authors()


@dataclass(frozen=True, slots=True)
class _Key:
    """A key, as a list of keys tells it."""

    title: str
    fingerprint: str
    algorithm: str
    created_at: datetime
    last_used_at: datetime | None
    last_used_address: str = ""


@page.get("/-/components", action=PUBLIC, resource="none")
async def components(context: RequestContext, settings: Settings) -> Response[str]:
    """Show every component once, for those who build pages and for looking at a theme."""
    wrong: Form[Specimen] = blank_form(Specimen, name="my repo", address="not an address")
    wrong.problems = {"name": "Use letters, digits, - and _.", "address": "This is no e-mail address."}
    now = context.site.clock()
    return render(
        context,
        "web/components.html",
        form=blank_form(Specimen, name="cairn"),
        wrong=wrong,
        colours=[(title, names.split()) for title, names in _COLOURS],
        libraries=list(context.site.renderer.libraries.values()),
        icons=icon_names(),
        times=[
            now - timedelta(minutes=2),
            now - timedelta(hours=5),
            now - timedelta(days=3),
            now - timedelta(days=400),
        ],
        code=highlight_lines(_SAMPLE_CODE, "sample.py"),
        prose=await context.site.markup.render(Source(TextKind.MARKDOWN, _SAMPLE_MARKDOWN)),
        signatures=_SIGNATURES,
        authors=_AUTHORS,
        keys=[
            _Key(
                "Laptop",
                f"SHA256:{'k3yF1ng' * 6}k",
                "ssh-ed25519",
                now - timedelta(days=400),
                now - timedelta(hours=5),
                "192.0.2.7",
            ),
            _Key("Build server", f"SHA256:{'9sXw0Qa' * 6}A", "ecdsa-sha2-nistp256", now - timedelta(days=3), None),
        ],
        clone_urls=[
            ("HTTPS", f"{settings.origin}/ada/engine.git"),
            ("SSH", "ssh://git@example.org:2222/ada/engine.git"),
        ],
    )


HOTKEYS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Everywhere",
        (
            ("?", "The keys of the page you are on"),
            ("/", "Search: in the page's own field, if it has one"),
            ("s", "Search all of Cairn"),
            ("g h", "Front page"),
            ("g e", "Explore"),
            ("Esc", "Close a menu"),
        ),
    ),
    (
        "In a repository",
        (
            ("g c", "Code"),
            ("g m", "Commits"),
            ("g b", "Branches"),
            ("g t", "Tags"),
            ("g w", "Wiki"),
            ("g s", "Settings"),
            ("t", "Find a file"),
        ),
    ),
    (
        "A file",
        (
            ("l", "Go to a line"),
            ("y", "The address that stays the same"),
            ("b", "Blame, and back"),
            ("w", "Wrap long lines"),
            ("e", "Edit it"),
        ),
    ),
    (
        "Changes",
        (("j", "Next file"), ("k", "File before"), ("n", "Next change"), ("p", "Change before")),
    ),
)
"""What single keys do, by place: the page for whoever has no script. Templates name the same in ``data-hotkey``."""


@page.get("/-/shortcuts", action=PUBLIC, resource="none")
async def shortcuts(context: RequestContext) -> Response[str]:
    """Show what keys do on all pages."""
    return render(context, "web/shortcuts.html", groups=HOTKEYS)


@page.get("/favicon.ico", action=PUBLIC, resource="none")
async def favicon(context: RequestContext) -> Response[bytes]:
    """Send browsers that ask for the old address to the icon."""
    return redirect(context.site.renderer.static_url("logo.svg"), status=302)


_COLOURS = (
    ("Grounds", "paper surface sunken raised hover header"),
    ("Lines", "line line-strong field-line"),
    ("Ink", "ink ink-soft ink-faint"),
    ("Accent: what can be pressed", "accent accent-hover accent-ink accent-soft accent-line"),
    ("Success", "success success-soft success-line"),
    ("Warning", "warning warning-soft warning-line"),
    ("Danger", "danger danger-hover danger-soft danger-line"),
    ("Notice", "notice notice-soft notice-line"),
    ("Changes", "add-bg add-mark del-bg del-mark"),
    ("Syntax", "hl-c hl-k hl-s hl-n hl-f hl-t hl-b hl-m hl-v"),
    ("People and folders", "stone-0 stone-1 stone-2 stone-3 stone-4 stone-5 stone-6 stone-7 folder"),
)
"""The tokens, as the components page shows them."""

_SAMPLE_CODE = b'''"""Stones, one on another."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stone:
    mass_grams: int = 400  # about a fist


def stack(stones: list[Stone]) -> str:
    """Return the cairn, heaviest first."""
    ordered = sorted(stones, key=lambda stone: -stone.mass_grams)
    return "\\n".join(f"({stone.mass_grams} g)" for stone in ordered)
'''

_SAMPLE_MARKDOWN = """
## Headings carry an anchor

A paragraph with **strong**, *emphasis*, `code`, ~~deleted~~ and a [link](https://example.org). Autolinks work:
https://example.org/path.

> [!NOTE]
> Alerts stand out, calmly.

- [x] Task lists
- [ ] Still open

| Stone | Mass |
|:--|--:|
| Granite | 2.7 |
| Slate | 2.8 |

```python
def hello(name: str) -> str:
    return f"Hello, {name}"
```

A footnote.[^1]

[^1]: It comes back.
"""

route_handlers: list[HTTPRouteHandler] = [
    appearance,
    choose_appearance,
    put_announcement_away,
    components,
    shortcuts,
    favicon,
]
