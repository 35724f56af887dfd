"""From nothing to a served push, as the first user of an installation lives it: ``cairnd up`` and nothing else."""

import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.services.ports import accepts_connections, wait_until
from tests.stories.browser import Browser
from tests.stories.installation import (
    PASSWORD,
    Installation,
    commit_file,
    fails,
    git,
    installation,
    ssh_key,
    start_git,
    working_copy,
)
from tests.stories.people import join

LINK = re.compile(r"Create the first administrator: (http\S+)")


@dataclass
class Story:
    """What one step leaves for the next."""

    cairn: Installation
    browser: Browser
    work: Path
    link: str
    key_line: str
    ssh_command: str
    token: str = ""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("story")
    key_line, ssh_command = ssh_key(folder)
    with installation(folder / "cairn", {"CAIRN_DRAIN_SECONDS": "8"}) as cairn, Browser(cairn.client()) as browser:
        wait_until(lambda: LINK.search(cairn.log()) is not None, within_seconds=10, what="the link is printed")
        found = LINK.search(cairn.log())
        assert found
        yield Story(
            cairn,
            browser,
            working_copy(folder / "work", {"README.md": "# The first stone\n"}),
            found[1],
            key_line,
            ssh_command,
        )


def test_1_the_printed_link_makes_the_first_administrator_once(story: Story) -> None:
    assert story.link.startswith(story.cairn.origin)
    assert story.browser.open(story.link).status_code == 200
    done = story.browser.submit(login="ada", email="ada@example.org", password=PASSWORD)
    assert done.status_code == 200, done.url
    assert "Welcome, ada" in done.text
    with Browser(story.cairn.client()) as stranger:
        assert stranger.open(story.link).status_code == 404


def test_2_signing_out_and_in_again_by_password(story: Story) -> None:
    story.browser.open("/settings/profile")
    story.browser.post(story.browser.form("/logout"))
    asked = story.browser.open("/new")
    assert asked.url.path == "/login"
    wrong = story.browser.submit(name="ada", password="not this one")
    assert wrong.status_code == 422
    done = story.browser.submit(name="ada", password=PASSWORD)
    assert (done.status_code, done.url.path) == (200, "/new"), "signing in goes on to the page that was asked for"


def test_3_a_repository_is_created_and_tells_how_to_begin(story: Story) -> None:
    story.browser.open("/new")
    done = story.browser.submit(name="engine", visibility="private")
    assert (done.status_code, done.url.path) == (200, "/ada/engine")
    assert f"{story.cairn.origin}/ada/engine.git" in done.text
    assert story.cairn.ssh_url("ada/engine") in done.text


def test_4_a_push_over_http_with_a_token_shows_on_the_page(story: Story) -> None:
    story.browser.open("/settings/tokens/new")
    made = story.browser.submit(name="laptop", scopes="repo")
    found = re.search(r"\bcrn_[0-9A-Za-z]{36}\b", made.text)
    assert found, made.url
    story.token = found[0]
    assert story.token not in story.browser.open("/settings/tokens").text, "a token is shown once"
    url = story.cairn.url("ada/engine", user="ada", secret=story.token)
    refused = fails("push", story.cairn.url("ada/engine", user="ada", secret="crn_wrong"), "main", cwd=story.work)
    assert "Authentication failed" in refused
    git("push", url, "main", cwd=story.work)
    page = story.browser.open("/ada/engine")
    assert "README.md" in page.text
    assert "The first stone" in page.text


def test_5_a_push_over_ssh_with_a_key_shows_on_the_page(story: Story) -> None:
    url = story.cairn.ssh_url("ada/engine")
    assert "Permission denied" in fails("fetch", url, cwd=story.work, ssh_command=story.ssh_command)
    story.browser.open("/settings/keys/new")
    added = story.browser.submit(key=story.key_line, title="laptop")
    assert (added.status_code, added.url.path) == (200, "/settings/keys")
    commit_file(story.work, "src/engine.py", "print('turning')\n")
    git("push", url, "main", cwd=story.work, ssh_command=story.ssh_command)
    page = story.browser.open("/ada/engine/blob/main/src/engine.py")
    assert "turning" in page.text


def test_6_a_stranger_sees_nothing_of_it(story: Story) -> None:
    with story.cairn.client() as client:
        hidden, absent = (client.get(path) for path in ("/ada/engine", "/ada/nothing"))
        assert hidden.status_code == absent.status_code == 404
    assert "Authentication failed" in fails("ls-remote", story.cairn.url("ada/engine", user="ada", secret="x"))


@pytest.mark.parametrize("name", ["web", "ssh", "worker"])
def test_7_a_killed_program_is_started_again_and_serves(story: Story, name: str) -> None:
    cairn = story.cairn
    killed = cairn.children()
    os.kill(killed[name], signal.SIGKILL)

    def is_back() -> bool:
        return cairn.children().get(name, killed[name]) != killed[name] and cairn.readiness().get("status") == "ready"

    wait_until(is_back, within_seconds=20, what=f"{name} runs again and everything is ready")
    others = {other: pid for other, pid in cairn.children().items() if other != name}
    assert others == {other: pid for other, pid in killed.items() if other != name}, "nothing else was restarted"
    commit_file(story.work, f"after-{name}", "still here\n")
    git("push", cairn.url("ada/engine", user="ada", secret=story.token), "main", cwd=story.work)
    heads = git("ls-remote", cairn.ssh_url("ada/engine"), "main", cwd=story.work, ssh_command=story.ssh_command)
    assert heads.split()[0] == git("rev-parse", "main", cwd=story.work).strip()


def test_8_a_stop_signal_lets_a_running_clone_finish(story: Story, tmp_path: Path) -> None:
    """The clone's answer is held back by its reader; it must arrive whole although the stop came in between."""
    cairn = story.cairn
    (story.work / "large").write_bytes(os.urandom(24 << 20))
    commit_file(story.work, "large.txt", "beside it\n")
    git("push", cairn.url("ada/engine", user="ada", secret=story.token), "main", cwd=story.work)
    clone = start_git("clone", "-q", "--bare", cairn.url("ada/engine", user="ada", secret=story.token), tmp_path / "c")
    pack_folder = tmp_path / "c" / "objects" / "pack"
    wait_until(lambda: any(pack_folder.glob("tmp_pack_*")), within_seconds=20, what="the clone receives")
    clone.send_signal(signal.SIGSTOP)
    os.kill(cairn.process.pid, signal.SIGTERM)
    wait_until(
        lambda: "draining" in cairn.log() or not accepts_connections(cairn.port), within_seconds=10, what="drain"
    )
    clone.send_signal(signal.SIGCONT)
    assert clone.wait(20) == 0
    assert cairn.process.exit_code(within_seconds=20) == 0
    git("fsck", "--strict", cwd=tmp_path / "c")


def test_9_what_was_acknowledged_is_there_after_the_next_start(story: Story) -> None:
    links = LINK.findall(story.cairn.log())
    story.cairn.process.kill()
    story.cairn.process.start()
    heads = git("ls-remote", story.cairn.url("ada/engine", user="ada", secret=story.token), "main")
    assert heads.split()[0] == git("rev-parse", "main", cwd=story.work).strip()
    assert LINK.findall(story.cairn.log()) == links, "with an administrator there is no further link"
    assert set(links) == {story.link}, "the greeting repeats the link of the first start"


def test_pushes_over_http_can_be_closed_with_a_sentence_that_names_the_other_door(tmp_path: Path) -> None:
    key_line, ssh_command = ssh_key(tmp_path)
    work = working_copy(tmp_path / "work")
    with installation(tmp_path / "cairn", {"CAIRN_PUSH_TRANSPORTS": "ssh"}) as cairn:
        client, token = join(cairn, "ada")
        with Browser(client) as browser:
            for path, fields in (
                ("/new", {"name": "engine", "visibility": "private"}),
                ("/settings/keys/new", {"key": key_line, "title": "laptop"}),
            ):
                browser.open(path)
                assert browser.submit(**fields).status_code == 200
        url = cairn.url("ada/engine", user="ada", secret=token)
        refused = fails("push", url, "main", cwd=work)
        assert cairn.ssh_url("ada/engine") in refused
        assert not git("ls-remote", url)
        git("push", cairn.ssh_url("ada/engine"), "main", cwd=work, ssh_command=ssh_command)
        git("clone", "-q", url, tmp_path / "clone")
        assert (tmp_path / "clone" / "README.md").exists()
