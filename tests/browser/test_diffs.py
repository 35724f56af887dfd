"""What changed, in a real browser: words, views, hidden lines, the filter, keys, pictures, and no JavaScript."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.conftest import Site, Visitor, visit
from tests.browser.test_accessibility import LOOKS, examine
from tests.factories.git_repositories import init
from tests.factories.rich_change import make_rich_change

from cairn.repositories.code.diff_request import file_key

if TYPE_CHECKING:
    from playwright.async_api import Browser

MILL = f"#diff-{file_key(b'engine/mill.py')}"
LONG = f"#diff-{file_key(b'docs/long.txt')}"
WHERE = """all => all.slice(0, 2).map(one => { const box = one.getBoundingClientRect();
  return [one.className, box.left, box.top]; })"""


async def publish_rich_change(ada: Visitor, folder: Path) -> str:
    """Make ada/engine with a commit that changes things of every kind, and return its address."""
    await ada.join("ada")
    await ada.create("engine")
    stock, _, after = make_rich_change(folder)
    await ada.site.let_objects_be_lost("engine")
    await asyncio.to_thread(stock.git, "push", "-q", ada.site.git_url("ada", "engine"), "HEAD:refs/heads/main")
    return f"/ada/engine/commit/{after}"


async def test_a_change_is_read_with_a_script(visitor: Visitor, tmp_path: Path) -> None:
    path = await publish_rich_change(visitor, tmp_path / "stock")
    page = visitor.page
    await visitor.open(path)
    assert await page.locator(f"{MILL} mark").all_inner_texts()
    await _unfolds_hidden_lines(visitor)
    await _loads_a_folded_file(visitor)
    await _filters_files(visitor)
    await _goes_by_keys(visitor)
    await _compares_pictures(visitor)
    await page.click("nav[aria-label=View] >> text=Split")
    await page.wait_for_selector(f"{MILL} .diff-split")
    await visitor.open(path)
    await page.wait_for_selector(f"{MILL} .diff-split")  # remembered
    assert await visitor.overflow() == 0


async def _unfolds_hidden_lines(visitor: Visitor) -> None:
    page = visitor.page
    lines = page.locator(f"{LONG} .diff-text")
    before = await lines.count()
    gap = page.locator(f"{LONG} .diff-gap").nth(1)
    await gap.locator("[data-grow=down]").click()
    await page.wait_for_selector(f"{LONG} >> text=line 83 of a long file")
    assert await lines.count() == before + 20
    await page.locator(f"{LONG} .diff-gap").nth(1).locator("[data-grow=all]").click()
    await page.wait_for_selector(f"{LONG} >> text=line 146 of a long file")
    shown = [int(number) for number in await page.locator(f"{LONG} td:nth-child(2) a").all_inner_texts()]
    assert shown == sorted(set(shown))
    assert shown[:2] == [57, 58]


async def _loads_a_folded_file(visitor: Visitor) -> None:
    lock = f"#diff-{file_key(b'package-lock.json')}"
    await visitor.page.click(f"{lock} summary.diff-name")
    await visitor.page.wait_for_selector(f"{lock} >> text=lockfileVersion")


async def _filters_files(visitor: Visitor) -> None:
    page = visitor.page
    shown = page.locator(".changes-leaf:visible")
    assert await shown.count() == 23
    await page.fill("#changes-filter", "ENGINE py")
    assert sorted(await shown.all_inner_texts()) == ["A\ncarry.py", "A\nprinter.py", "M\nmill.py", "M\nstore.py"]
    assert await page.locator(".changes-tree li:not(.changes-leaf):visible").count() == 1
    await page.fill("#changes-filter", "")
    assert await shown.count() == 23
    await shown.filter(has_text="mill.py").locator("a").click()
    assert page.url.endswith(MILL)


async def _goes_by_keys(visitor: Visitor) -> None:
    page = visitor.page
    await page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")

    async def current() -> Any:
        return await page.evaluate("document.querySelector('.diff-file.is-current')?.dataset.path")

    seen = []
    for key in ("j", "j", "j", "k"):
        await page.keyboard.press(key)
        seen.append(await current())
    assert seen == ["README.md", "current", "data.bin", "current"]
    await page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    changes = []
    for key in ("n", "n", "n", "p"):
        await page.keyboard.press(key)
        changes.append(await page.evaluate("document.activeElement.id"))
    assert all(change.startswith("diff-") for change in changes)
    assert changes[3] == changes[1] != changes[2]
    await page.focus("#changes-filter")
    await page.keyboard.press("j")
    assert await page.input_value("#changes-filter") == "j"


async def _compares_pictures(visitor: Visitor) -> None:
    page = visitor.page
    wheel = f"#diff-{file_key(b'pictures/wheel.png')}"
    await page.locator(wheel).scroll_into_view_if_needed()
    await page.evaluate(
        "wheel => Promise.all([...document.querySelectorAll(wheel + ' img')].map(one => one.decode()))", wheel
    )
    await page.click(f"{wheel} >> text=Swipe")
    await page.fill(f"{wheel} .picture-slider", "25")
    clipped = await page.evaluate(f"getComputedStyle(document.querySelector('{wheel} .picture-after img')).clipPath")
    assert "75%" in clipped
    await page.click(f"{wheel} >> text=Side by side")
    assert await page.locator(f"{wheel} .picture-slider:visible").count() == 0


async def test_a_change_is_read_without_a_script(chromium: "Browser", site: Site, tmp_path: Path) -> None:
    ada = await visit(chromium, site, java_script_enabled=False)
    path = await publish_rich_change(ada, tmp_path / "stock")
    page = ada.page
    await ada.open(path)
    assert await page.locator(f"{MILL} mark").count() > 0
    assert await page.locator("#changes-filter:visible").count() == 0
    await page.click(f"#diff-{file_key(b'package-lock.json')} summary.diff-name")
    await page.click("text=Show the changes")
    await page.wait_for_selector("text=lockfileVersion")
    await page.click("text=All files")
    await page.click("nav[aria-label=View] >> text=Split")
    await page.wait_for_selector(f"{MILL} .diff-split")
    await page.locator(f"{LONG} .menu summary").click()
    await page.locator(f"{LONG} >> text=Show the whole file").click()
    await page.locator(".diff-new").nth(199).wait_for(state="attached")
    assert await page.locator(".diff-new").count() == 200
    assert ada.complaints == []


async def test_a_large_change_comes_as_it_is_read(visitor: Visitor, tmp_path: Path) -> None:
    await visitor.join("ada")
    await visitor.create("engine")
    made = init(tmp_path / "stock")
    made.commit({"README": "1\n"})
    oid = made.commit({f"folder{number % 9}/file{number:03}.txt": f"{number}\n" for number in range(420)})
    await asyncio.to_thread(made.git, "push", "-q", visitor.site.git_url("ada", "engine"), "HEAD:refs/heads/main")
    page = visitor.page
    await visitor.open(f"/ada/engine/commit/{oid}")
    await page.wait_for_selector(".changes-tree")
    assert await page.locator(".changes-leaf").count() == 420
    for _ in range(8):
        before = await page.locator(".diff-file").count()
        if before == 420:
            break
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await page.locator(".diff-file").nth(before).wait_for(state="attached")
    names = await page.locator(".diff-file").evaluate_all("all => all.map(one => one.dataset.path)")
    assert len(names) == len(set(names)) == 420
    # A link to a line of a file far down leads there.
    last = f"#diff-{file_key(b'folder8/file413.txt')}R1"
    await visitor.open("/")  # else the browser stays on the page that has them all
    await visitor.open(f"/ada/engine/commit/{oid}{last}")
    await page.wait_for_selector(last)
    assert "skip=" in page.url
    assert page.url.endswith(last)


@pytest.mark.parametrize(
    "look", ["light", *(pytest.param(look, marks=pytest.mark.nightly) for look in LOOKS if look != "light")]
)
async def test_changes_stand_up_to_axe_in_both_views(
    chromium: "Browser", site: Site, tmp_path: Path, look: str
) -> None:
    ada = await visit(chromium, site, **LOOKS[look])
    path = await publish_rich_change(ada, tmp_path / "stock")
    await examine(ada, path, f"{path}?diff=split", f"{path}?list=1")
    assert ada.complaints == []


async def test_on_a_phone_both_sides_are_one_column(chromium: "Browser", site: Site, tmp_path: Path) -> None:
    ada = await visit(chromium, site, **LOOKS["phone"])
    path = await publish_rich_change(ada, tmp_path / "stock")
    await ada.open(f"{path}?diff=split")
    sides = ada.page.locator(f"{MILL} .diff-change :is(.diff-old, .diff-new):visible")
    boxes = await sides.evaluate_all(WHERE)
    (old, old_left, old_top), (new, new_left, new_top) = boxes
    assert (old, new) == ("diff-old", "diff-new")
    assert old_left == new_left
    assert old_top < new_top
    assert await ada.page.locator(f"{MILL} .diff-context .diff-old:visible").count() == 0
    assert await ada.overflow() == 0
