"""Reading code in a real browser: by keys alone, without scripts, on a phone, with axe, within the content policy."""

import asyncio
import re
import wave
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.conftest import Site, Visitor, visit
from tests.browser.test_accessibility import LOOKS, examine
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pictures import picture

from cairn.repositories.code.fuzzy import find_paths

if TYPE_CHECKING:
    from playwright.async_api import Browser

LONG_LINES = 5200
SOURCE = '''"""The mill."""

import math


class Mill:
    """Grinds what it is given, as fine as it is told."""

    def __init__(self, stones: int = 2) -> None:
        self.stones = stones

    def grind(self, corn: list[float], *, fineness: float = 0.5) -> list[float]:
        # Two stones are enough for flour; more only make it warm.
        return [math.floor(grain * fineness * self.stones) for grain in corn if grain > 0]
'''
GITMODULES = '[submodule "vendor"]\n\tpath = vendor\n\turl = ../engine.git\n'
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d7a' * 16}\nsize 12345678\n"


def sound() -> bytes:
    out = BytesIO()
    with wave.open(out, "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(2)
        made.setframerate(8000)
        made.writeframes(b"\0\0" * 8000)
    return out.getvalue()


def make_stock(folder: Path) -> StockRepository:
    """Return a repository with every kind of thing to look at."""
    stock = init(folder)
    first = stock.commit(
        {"README.md": "# Engine\n\nA mill, and what it needs.\n", "src/main/java/A.java": "class A {}\n"}
    )
    files: dict[str, str | bytes | None] = {
        "src/mill.py": SOURCE,
        "src/mill_test.py": SOURCE.replace("Mill", "MillTest"),
        "docs/user/guide.md": "# Guide\n",
        "long.txt": "".join(f"line {number}\n" for number in range(1, LONG_LINES + 1)),
        "app.min.js": "var a=1;" * 5000,
        "latin.txt": "caf\xe9\r\n".encode("latin-1"),
        "logo.png": picture(320, 180),
        "drawing.svg": "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><script>alert(1)</script></svg>",
        "bell.wav": sound(),
        "paper.pdf": b"%PDF-1.4\0",
        "data.bin": b"\0\1\2",
        "film.mov": POINTER,
        "empty": "",
        ".gitmodules": GITMODULES,
        "run.sh": "#!/bin/sh\necho run\n",
        "evil.html": "<script>fetch('/-/shortcuts')</script>",
    }
    stock.commit(files, "Build the mill")
    stock.commit({"src/mill.py": SOURCE.replace("= 2)", "= 3)")}, "Add a stone")
    for name, target in (("latest", b"src/mill.py"), ("away", b"../outside")):
        oid = stock.git("hash-object", "-w", "--stdin", stdin=target).decode().strip()
        stock.git("update-index", "--add", "--cacheinfo", f"120000,{oid},{name}")
    stock.git("update-index", "--chmod=+x", "run.sh")
    stock.git("update-index", "--add", "--cacheinfo", f"160000,{first},vendor")
    stock.git("commit", "-q", "-m", "Link what belongs together")
    return stock


PAGES = (
    "",
    "/tree/main/src",
    "/tree/main/docs/user",
    "/blob/main/src/mill.py#L12-L14",
    "/blob/main/README.md",
    "/blob/main/README.md?plain=1",
    "/blob/main/long.txt?first=5001",
    "/blob/main/app.min.js",
    "/blob/main/latin.txt",
    "/blob/main/logo.png",
    "/blob/main/drawing.svg",
    "/blob/main/bell.wav",
    "/blob/main/paper.pdf",
    "/blob/main/data.bin",
    "/blob/main/film.mov",
    "/blob/main/empty",
    "/blob/main/latest",
    "/blob/main/away",
    "/blob/main/vendor",
    "/blame/main/src/mill.py",
    "/blame/main/empty",
    "/find/main",
    "/find/main?q=mill",
    "/find/main?q=nothing-like-this",
)


@pytest.fixture
async def ada(chromium: "Browser", site: Site, visitor: Visitor, tmp_path: Path) -> Visitor:
    """Ada at her desk, with ada/engine pushed over HTTP."""
    await visitor.join("ada")
    await visitor.create("engine")
    stock = make_stock(tmp_path / "stock")
    await site.let_objects_be_lost("engine")
    await asyncio.to_thread(stock.git, "push", "-q", site.git_url("ada", "engine"), "main")
    return visitor


async def chosen(visitor: Visitor) -> list[str]:
    found: list[str] = await visitor.page.eval_on_selector_all("tr.is-selected", "rows => rows.map(row => row.id)")
    return found


async def test_lines_are_chosen_by_click_and_by_keys_and_linked_to(ada: Visitor) -> None:
    page = ada.page
    await ada.open("/ada/engine/blob/main/src/mill.py")
    assert not await page.locator("[data-line-tools]").is_visible()
    await page.click("#L3 .code-number a")
    assert page.url.endswith("/src/mill.py#L3")
    await page.click("#L6 .code-number a", modifiers=["Shift"])
    assert (await chosen(ada), page.url[-6:]) == (["L3", "L4", "L5", "L6"], "#L3-L6")
    assert await page.locator("[data-line-tools]").is_visible()
    assert await page.inner_text("[data-line-words]") == "Lines 3 to 6"
    permalink = str(await page.get_attribute("[data-copy-link]", "data-copy"))
    assert re.search(r"/ada/engine/blob/[0-9a-f]{40}/src/mill\.py#L3-L6$", permalink)
    await page.click("#L5 .code-number a", modifiers=["Shift"])
    assert await chosen(ada) == ["L3", "L4", "L5"]
    # By keys: the number where one stands is in the order of Tab, the arrows move, Shift takes more.
    await page.focus("#L5 .code-number a")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Space")
    assert await chosen(ada) == ["L7"]
    await page.keyboard.press("Shift+ArrowUp")
    assert (await chosen(ada), page.url[-6:]) == (["L6", "L7"], "#L6-L7")
    assert await page.inner_text("[data-line-status]") == "Lines 6 to 7 chosen"
    await page.keyboard.press("Escape")
    assert (await chosen(ada), page.url.endswith("/src/mill.py")) == ([], True)
    assert await page.locator(".code-number a[tabindex='0']").count() == 1
    # The link leads there again, in a new page too; so does blame.
    await page.goto(permalink)
    assert await chosen(ada) == ["L3", "L4", "L5", "L6"]
    await page.click("[data-lines-at]")
    await page.wait_for_url(re.compile(r"/blame/.*#L3-L6$"))
    assert await chosen(ada) == ["L3", "L4", "L5", "L6"]


async def test_keys_lead_to_permalink_blame_lines_and_finder(ada: Visitor) -> None:
    page = ada.page
    await ada.open("/ada/engine/blob/main/src/mill.py#L2")
    await page.keyboard.press("y")
    await page.wait_for_url(re.compile(r"/blob/[0-9a-f]{40}/src/mill\.py#L2$"))
    await page.keyboard.press("l")
    await page.keyboard.type("4-5")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("#L4-L5$"))
    assert await chosen(ada) == ["L4", "L5"]
    await page.keyboard.press("b")
    await page.wait_for_url(re.compile(r"/blame/.*#L4-L5$"))
    await page.keyboard.press("t")
    await page.wait_for_url(re.compile("/ada/engine/find/"))


async def test_lines_far_down_are_found_in_their_part(ada: Visitor) -> None:
    await ada.open(f"/ada/engine/blob/main/long.txt#L{LONG_LINES - 10}")
    await ada.page.wait_for_url(re.compile(rf"\?first=5001#L{LONG_LINES - 10}$"))
    assert await chosen(ada) == [f"L{LONG_LINES - 10}"]
    assert await ada.page.locator(f"#L{LONG_LINES - 10}").is_visible()
    await ada.open("/ada/engine/blob/main/long.txt?first=5001#L7")
    await ada.page.wait_for_url(re.compile(r"long\.txt#L7$"))
    assert await chosen(ada) == ["L7"]


async def test_contents_path_and_lines_are_copied(ada: Visitor, site: Site) -> None:
    await ada.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.origin)
    await ada.open("/ada/engine/blob/main/src/mill.py#L3")

    async def clipboard() -> str:
        return str(await ada.page.evaluate("navigator.clipboard.readText()"))

    await ada.page.click("[data-copy-from]")
    await ada.page.wait_for_selector("[data-copy-from].is-copied")
    assert await clipboard() == SOURCE.replace("= 2)", "= 3)")
    await ada.page.click(".code-bar [data-copy]")
    await ada.page.wait_for_selector(".code-bar .is-copied")
    assert await clipboard() == "src/mill.py"
    await ada.page.click("[data-copy-lines]")
    await ada.until("document.querySelector('[data-line-status]').textContent.includes('copied')")
    assert await clipboard() == "import math"


async def test_numbers_are_not_part_of_what_is_selected(ada: Visitor) -> None:
    await ada.open("/ada/engine/blob/main/src/mill.py")
    await ada.page.evaluate("getSelection().selectAllChildren(document.querySelector('.code-lines'))")
    text = str(await ada.page.evaluate("getSelection().toString()"))
    assert [line.strip("\t") for line in text.strip().split("\n")] == SOURCE.replace("= 2)", "= 3)").strip().split("\n")


async def test_long_lines_wrap_and_stay_so(ada: Visitor) -> None:
    await ada.open("/ada/engine/blob/main/app.min.js")
    wide = "document.querySelector('.code').scrollWidth > document.querySelector('.code').clientWidth"
    assert await ada.page.evaluate(wide)
    await ada.page.keyboard.press("w")
    assert not await ada.page.evaluate(wide)
    await ada.page.reload()
    assert not await ada.page.evaluate(wide)


async def test_the_finder_is_used_by_keys_alone_and_says_what_it_finds(ada: Visitor) -> None:
    page = ada.page
    await ada.open("/ada/engine")
    await page.keyboard.press("t")
    await page.wait_for_selector("[data-finder][data-ready]")
    await page.keyboard.type("mil")
    await ada.until("document.querySelectorAll('#finder-list a').length === 2")
    field = page.get_by_role("combobox", name="Some letters of a path")
    assert await field.get_attribute("aria-expanded") == "true"
    assert await field.get_attribute("aria-controls") == "finder-list"
    options = page.get_by_role("listbox", name="Files").get_by_role("option")
    assert await options.all_inner_texts() == ["src/mill.py", "src/mill_test.py"]
    assert await page.get_by_role("option", selected=True).inner_text() == "src/mill.py"
    await page.keyboard.press("ArrowDown")
    selected = page.get_by_role("option", selected=True)
    assert await selected.inner_text() == "src/mill_test.py"
    assert await field.get_attribute("aria-activedescendant") == await selected.get_attribute("id")
    await page.keyboard.press("ArrowDown")
    assert await page.get_by_role("option", selected=True).inner_text() == "src/mill.py"
    assert await page.get_by_role("status").inner_text() == "2 files match"
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/blob/main/src/mill_test\.py$"))
    await page.go_back()
    await page.wait_for_selector("[data-finder][data-ready]")
    assert await page.input_value(".finder [name=q]") == "mil"
    await page.fill(".finder [name=q]", "zzz")
    await page.wait_for_selector("text=No file is like that")
    assert await page.get_by_role("status").inner_text() == "0 files match"
    await page.keyboard.press("Escape")
    assert await page.input_value(".finder [name=q]") == ""


async def test_the_finder_ranks_as_the_server_does(ada: Visitor) -> None:
    """Without JavaScript the same list must come, in the same order."""
    words = ("src", "lib", "user", "Mill", "store-two", "index", "test", "ü", "a b")
    paths = [f"{one}/{other}/{third}.py" for one in words for other in words for third in words]
    queries = ["", "m", "mill", "usrmil", "store-two/i", "py", "src/index.py", "ü", "zz", "Test.PY", "sti", "a b"]
    await ada.open("/ada/engine/find/main")
    await ada.page.wait_for_selector("[data-finder][data-ready]")
    ranked: Any = await ada.page.evaluate(
        """async ([paths, queries]) => {
          const { rank } = await import(document.querySelector("script[src*='finder']").src);
          const lowered = paths.map((path) => path.toLowerCase());
          return queries.map((query) => {
            const { matches, total } = rank(paths, lowered, query, 50);
            return [total, matches.map((match) => [match.path, [...match.positions]])];
          });
        }""",
        [paths, queries],
    )
    for query, (total, matches) in zip(queries, ranked, strict=True):
        found = find_paths("\n".join(paths), query)
        expected = [[match.path, list(match.positions)] for match in found.matches]
        assert (query, total, matches) == (query, found.total, expected)


async def test_everything_is_read_without_scripts(ada: Visitor, chromium: "Browser", site: Site) -> None:
    reader = await visit(chromium, site, java_script_enabled=False)
    await reader.open("/ada/engine/find/main")
    await reader.page.fill(".finder [name=q]", "srcmill")
    await reader.page.keyboard.press("Enter")
    await reader.page.click("#finder-list a >> nth=0")
    await reader.page.wait_for_url(re.compile(r"/blob/main/src/mill\.py$"))
    assert await reader.page.locator(".needs-script:visible").count() == 0
    await reader.page.fill("[name=line]", "12")
    await reader.page.keyboard.press("Enter")
    await reader.page.wait_for_url(re.compile(r"/src/mill\.py#L12$"))
    await reader.page.click(".file-bar >> text=Blame")
    await reader.page.click("[aria-label='The file before this change']")
    await reader.page.wait_for_url(re.compile(r"/blame/[0-9a-f]{40}/src/mill\.py#L\d+$"))
    await reader.open("/ada/engine/blob/main/long.txt")
    await reader.page.click("text=Later lines >> nth=0")
    await reader.page.wait_for_selector(f"#L{LONG_LINES}")
    await reader.open("/ada/engine/blob/main/latin.txt")
    await reader.page.click("[aria-label='More about this file']")
    await reader.page.select_option("[name=encoding]", "Windows-1251")
    await reader.page.click("text=Read it so")
    await reader.page.wait_for_url(re.compile("encoding="))
    assert "caf\u0439" in await reader.page.inner_text("#L1")
    assert reader.complaints == []


async def test_nothing_that_a_repository_holds_runs_or_breaks_the_policy(
    ada: Visitor, chromium: "Browser", site: Site
) -> None:
    """Every page and every raw file is opened; the browser reports what it had to forbid. A script in a file of the
    repository would show itself by what it does."""
    reader = await visit(chromium, site)
    reports: list[str] = []
    await reader.context.expose_binding("reportViolation", lambda _, text: reports.append(text))
    await reader.context.add_init_script(
        "addEventListener('securitypolicyviolation', "
        "(event) => reportViolation(`${location.pathname}: ${event.violatedDirective}`))"
    )
    alerts: list[str] = []
    reader.page.on("dialog", lambda dialog: alerts.append(dialog.message))
    nonces: list[str] = []
    for path in PAGES:
        answer = await reader.page.goto(site.origin + "/ada/engine" + path)
        await reader.page.wait_for_load_state("networkidle")
        assert answer is not None
        policy = (await answer.all_headers())["content-security-policy"]
        assert "unsafe" not in policy, path
        nonces += re.findall(r"'nonce-([^']+)'", policy)
    assert len(nonces) == len(set(nonces)) == len(PAGES)
    for name in ("evil.html", "drawing.svg", "logo.png", "latin.txt", "README.md"):
        answer = await reader.page.goto(f"{site.origin}/ada/engine/raw/main/{name}")
        assert answer is not None
        headers = await answer.all_headers()
        assert headers["content-security-policy"].endswith("; sandbox"), name
        assert headers["x-content-type-options"] == "nosniff"
        assert await reader.page.evaluate("self.origin") == "null", "a sandboxed document has no origin"
    # The one thing that was forbidden is the script in the drawing, opened as a document of its own.
    assert {report for report in reports if "/raw/" not in report} == set()
    assert alerts == []


async def test_sound_is_played_by_ranges(ada: Visitor) -> None:
    await ada.open("/ada/engine/blob/main/bell.wav")
    await ada.until("document.querySelector('audio').readyState >= 1")
    assert await ada.page.evaluate("Math.round(document.querySelector('audio').duration)") == 1


@pytest.mark.parametrize("look", ["light", "phone in the dark"])
async def test_the_file_and_the_finder_stand_up_to_axe(
    ada: Visitor, chromium: "Browser", site: Site, look: str
) -> None:
    reader = await visit(chromium, site, **LOOKS[look])
    await examine(reader, *(f"/ada/engine{path}" for path in PAGES if path.startswith(("/blob/main/src", "/find"))))
    assert reader.complaints == []


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("look", list(LOOKS))
async def test_every_page_of_code_stands_up_to_axe(ada: Visitor, chromium: "Browser", site: Site, look: str) -> None:
    reader = await visit(chromium, site, **LOOKS[look])
    await examine(reader, *(f"/ada/engine{path}" for path in PAGES))
    assert reader.complaints == []
