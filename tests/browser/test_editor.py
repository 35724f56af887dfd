"""The editor, its drafts, a merge under somebody's feet, and uploads, in a real browser, by keys."""

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browser.conftest import Site, Visitor, visit
from tests.browser.test_accessibility import LOOKS, examine
from tests.factories.git_repositories import init

if TYPE_CHECKING:
    from playwright.async_api import Browser

SOURCE = "def store(wheel):\n    return wheel\n"
EDITING = (
    "/ada/engine/new/main",
    "/ada/engine/edit/main/src/store.py",
    "/ada/engine/edit/main/README.md",
    "/ada/engine/edit/main/blob.bin",
    "/ada/engine/delete/main/src",
    "/ada/engine/upload/main/src",
    "/ada/bare/new/main",
    "/ada/bare/upload/main",
)
"""Every page that edits, with each way it can look."""


async def fill(ada: Visitor, site: Site, folder: Path) -> None:
    """Let a visitor be ada, with ada/engine and an empty ada/bare."""
    await ada.join("ada")
    await ada.create("bare")
    await ada.create("engine")
    made = await asyncio.to_thread(init, folder)
    files: dict[str, str | bytes | None] = {
        "README.md": "# Engine\n",
        "src/store.py": SOURCE,
        "blob.bin": bytes(range(256)),
    }
    await asyncio.to_thread(made.commit, files, "First stone")
    await asyncio.to_thread(made.git, "push", "-q", site.git_url("ada", "engine"), "--all")


@pytest.fixture
async def ada(visitor: Visitor, site: Site, tmp_path: Path) -> Visitor:
    """Ada at her desk, with something to edit."""
    await fill(visitor, site, tmp_path / "work")
    return visitor


def need_editor(site: Site) -> None:
    if "codemirror" not in site.libraries:
        pytest.skip("the browser libraries are not installed: scripts/browser-libraries")


async def begin(ada: Visitor, path: str) -> None:
    """Open a page that edits, and wait until its script has done what it does."""
    await ada.open(path)
    await ada.page.wait_for_selector("[data-edit][data-ready]")


async def raw(ada: Visitor, path: str) -> str:
    """Return a file of ada/engine as it is on the server."""
    return await (await ada.context.request.get(f"{ada.site.origin}/ada/engine/raw/{path}")).text()


async def test_a_file_is_edited_by_keys_alone(ada: Visitor, site: Site) -> None:
    need_editor(site)
    page = ada.page
    await ada.open("/ada/engine/blob/main/src/store.py")
    await page.keyboard.press("e")
    await page.wait_for_selector("[data-edit][data-ready] .cm-content:focus")
    await page.wait_for_selector(".cm-line .hl-k:text('def')")
    await page.keyboard.press("Control+End")
    await page.keyboard.type("# end")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.type("x")
    # Tab has indented as the file does; after Escape it leaves.
    await page.keyboard.press("Escape")
    await page.keyboard.press("Tab")
    assert await page.evaluate("!document.activeElement.closest('.cm-editor')")
    await page.focus("[name=message]")
    await page.keyboard.type("Mark the end")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("/blob/main/src/store.py$"))
    assert await raw(ada, "main/src/store.py") == SOURCE + "# end\n    x"


async def test_changes_and_preview_are_seen_without_leaving(ada: Visitor, site: Site) -> None:
    need_editor(site)
    page = ada.page
    await begin(ada, "/ada/engine/edit/main/README.md")
    await page.click(".cm-content")
    await page.keyboard.press("Control+End")
    await page.keyboard.type("**Heavy**")
    await page.click("[data-view=changes]")
    await page.wait_for_selector("[data-preview] .diff-add:has-text('**Heavy**')")
    await page.click("[data-view=preview]")
    await page.wait_for_selector("[data-preview] strong:text('Heavy')")
    assert not await page.is_visible(".cm-content")
    await page.click("[data-view=edit]")
    assert await page.is_visible(".cm-content")
    assert page.url.endswith("/edit/main/README.md")


async def test_what_was_typed_is_offered_again_until_it_is_committed(ada: Visitor, site: Site) -> None:
    need_editor(site)
    page = ada.page
    path = "/ada/engine/edit/main/README.md"
    page.on("dialog", lambda dialog: dialog.accept())
    await begin(ada, path)
    await page.click(".cm-content")
    await page.keyboard.press("Control+End")
    await page.keyboard.type("Typed with care")
    await ada.until("Object.values(localStorage).some((one) => one.includes('Typed with care'))")
    await ada.open("/ada/engine")
    await begin(ada, path)
    await page.click("[data-draft-take]")
    await page.wait_for_selector(".cm-line:has-text('Typed with care')")
    await page.click("[data-commit]")
    await page.wait_for_url(re.compile("/blob/main/README.md$"))
    assert "Typed with care" in await raw(ada, "main/README.md")
    await begin(ada, path)
    assert await page.evaluate("Object.keys(localStorage).filter((one) => one.startsWith('cairn_draft')).length") == 0
    assert not await page.is_visible("[data-draft]")


async def test_a_change_under_the_feet_is_merged_in_the_editor(ada: Visitor, site: Site, tmp_path: Path) -> None:
    need_editor(site)
    page = ada.page
    await begin(ada, "/ada/engine/edit/main/src/store.py")
    await page.click(".cm-content")
    await page.keyboard.press("Control+Home")
    await page.keyboard.type("# mine")
    await page.keyboard.press("Enter")

    def push_theirs() -> None:
        made = init(tmp_path / "theirs")
        made.git("pull", "-q", site.git_url("ada", "engine"), "main")
        made.commit({"src/store.py": SOURCE.replace("return wheel", "return wheel + 1")}, "Carry")
        made.git("push", "-q", site.git_url("ada", "engine"), "main")

    await asyncio.to_thread(push_theirs)
    ada.complaints.clear()
    await page.click("[data-commit]")
    await page.wait_for_selector(".edit-moved")
    ada.complaints.clear()  # the browser complains of every answer of 409
    shown = page.locator(".edit-moved button.button-primary")
    await shown.click()
    await page.wait_for_selector("[data-edit][data-ready] .alert-notice:not([hidden])")
    if "<<<<<<<" in await page.input_value("[name=content]"):
        await page.evaluate("document.querySelector('.cm-content').focus()")
        pytest.fail("git merges lines that do not touch")
    await page.click("[data-commit]")
    await page.wait_for_url(re.compile("/blob/main/src/store.py$"))
    assert await raw(ada, "main/src/store.py") == "# mine\n" + SOURCE.replace("return wheel", "return wheel + 1")


async def test_files_are_chosen_taken_out_and_uploaded(ada: Visitor, tmp_path: Path) -> None:
    page = ada.page
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(name)
    await ada.open("/ada/engine/upload/main/src")
    await page.wait_for_selector("[data-upload][data-ready]")
    await page.set_input_files("[name=files]", [tmp_path / "one.txt", tmp_path / "two.txt"])
    await page.click("[aria-label='Take out two.txt']")
    await page.click("main button[type=submit]")
    await page.wait_for_url(re.compile("/tree/main/src$"))
    assert await raw(ada, "main/src/one.txt") == "one.txt"
    assert (await ada.context.request.get(f"{ada.site.origin}/ada/engine/raw/main/src/two.txt")).status == 404


async def test_without_javascript_a_file_is_made_and_edited(site: Site, chromium: "Browser", tmp_path: Path) -> None:
    ada = await visit(chromium, site, java_script_enabled=False)
    await fill(ada, site, tmp_path / "work")
    page = ada.page
    await ada.open("/ada/bare")
    await page.click("text=Create the first file")
    await page.fill("[name=path]", "docs/first.md")
    await page.fill("[name=content]", "# First\n")
    await page.click("button[value=changes]")
    assert await page.locator(".diff-add").count() == 1
    await page.click("button[value=commit]")
    await page.wait_for_url(re.compile("/blob/main/docs/first.md$"))
    await page.click("[aria-label='Edit this file']")
    assert await page.input_value("[name=content]") == "# First\n"


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("look", list(LOOKS))
async def test_every_page_that_edits_stands_up_to_axe(
    chromium: "Browser", site: Site, tmp_path: Path, look: str
) -> None:
    ada, ben = await visit(chromium, site, **LOOKS[look]), await visit(chromium, site, **LOOKS[look])
    await fill(ada, site, tmp_path / "work")
    await examine(ada, *EDITING)
    await ben.join("ben")
    await examine(ben, "/ada/engine/edit/main/README.md")


async def test_the_editor_stands_up_to_axe_on_a_phone_in_the_dark(
    chromium: "Browser", site: Site, tmp_path: Path
) -> None:
    ada = await visit(chromium, site, **LOOKS["phone in the dark"])
    await fill(ada, site, tmp_path / "work")
    await examine(ada, "/ada/engine/edit/main/src/store.py", "/ada/engine/upload/main")
    assert ada.complaints == []


async def test_a_wiki_page_is_written_in_the_same_editor(ada: Visitor, site: Site) -> None:
    need_editor(site)
    page = ada.page
    page.on("dialog", lambda dialog: dialog.accept())
    await begin(ada, "/ada/engine/wiki/_new?title=Home")
    await page.click(".cm-content")
    await page.keyboard.type("# Turning\nSee [[Stones]].\n**Heavy**")
    await page.wait_for_selector(".cm-line .hl-gs:text('Turning')")
    await page.click("[data-view=preview]")
    await page.wait_for_selector("[data-preview] strong:text('Heavy')")
    assert not await page.is_visible(".cm-content")
    await page.click("[data-view=edit]")
    await ada.until("Object.values(localStorage).some((one) => one.includes('Stones'))")
    # Left without saving, it is offered again.
    await ada.open("/ada/engine")
    await begin(ada, "/ada/engine/wiki/_new?title=Home")
    await page.click("[data-draft-take]")
    await page.click("[data-commit]")
    await page.wait_for_url(re.compile("/ada/engine/wiki$"))
    await page.wait_for_selector(".wiki-page strong:text('Heavy')")
    await begin(ada, "/ada/engine/wiki/Home/_edit")
    assert await page.evaluate("Object.keys(localStorage).filter((one) => one.startsWith('cairn_draft')).length") == 0
    await page.select_option("[data-edit-ending]", "rst")
    await page.click(".cm-content")
    await page.keyboard.press("Control+End")
    await page.keyboard.type(" x")
    await page.fill("[name=message]", "Tell of it")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("/ada/engine/wiki$"))
