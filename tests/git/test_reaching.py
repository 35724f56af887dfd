"""Which values reach an object: through files, folders, commits, tags and merges; never because it merely exists."""

from pathlib import Path

import pytest
from tests.factories.git_repositories import StockRepository, init

from cairn.git.history import Objects
from cairn.git.reaching import which_reach
from cairn.git.runner import GitRunner
from cairn.git.types import Oid


class Family:
    """before -> adds -> removes; a side that never had it, merged with ``removes``; tags upon both."""

    def __init__(self, folder: Path) -> None:
        self.client = init(folder)
        client = self.client
        self.before = client.commit({"a.txt": "a\n"})
        client.git("checkout", "-q", "-b", "side")
        self.side = client.commit({"b.txt": "b\n"}, "side")
        client.git("checkout", "-q", "main")
        self.adds = client.commit({"deep/er/secret.txt": "secret\n"}, "adds")
        self.blob, self.folder = client.oid("HEAD:deep/er/secret.txt"), client.oid("HEAD:deep/er")
        client.git("rm", "-q", "-r", "deep")
        self.removes = client.commit({"a.txt": "c\n"}, "removes")
        client.git("merge", "-q", "--no-ff", "-m", "merge", "side")
        self.merge = client.oid("HEAD")
        client.git("tag", "-a", "-m", "bad", "bad", self.removes)
        client.git("tag", "-a", "-m", "good", "good", self.side)
        self.bad, self.good = client.oid("bad"), client.oid("good")

    @property
    def values(self) -> list[Oid]:
        """Everything that a ref may point to here."""
        return [self.before, self.side, self.adds, self.removes, self.merge, self.bad, self.good]


@pytest.fixture
def family(tmp_path: Path) -> Family:
    return Family(tmp_path / "r")


@pytest.fixture
def runner(tmp_path: Path) -> GitRunner:
    return GitRunner(home=tmp_path / "home")


def objects(client: StockRepository) -> Objects:
    return Objects(client.git_dir)


async def test_values_reach_what_some_commit_of_theirs_brought_in(runner: GitRunner, family: Family) -> None:
    reaching = {family.adds, family.removes, family.merge, family.bad}
    for wanted in (family.blob, family.folder, family.adds, family.client.oid(f"{family.adds}^{{tree}}")):
        assert await which_reach(runner, objects(family.client), family.values, [wanted]) == reaching, wanted


async def test_a_wanted_tag_or_tip_reaches_itself(runner: GitRunner, family: Family) -> None:
    found = await which_reach(runner, objects(family.client), family.values, [family.bad, family.merge])
    assert found == {family.bad, family.merge}


async def test_trees_and_blobs_as_values(runner: GitRunner, family: Family) -> None:
    values = [family.folder, family.blob, family.client.oid(f"{family.before}^{{tree}}"), Oid("1" * 40)]
    assert await which_reach(runner, objects(family.client), values, [family.blob]) == {family.folder, family.blob}


async def test_nothing_below_what_is_known_to_be_clean_is_walked(runner: GitRunner, family: Family) -> None:
    found = await which_reach(runner, objects(family.client), family.values, [family.blob], clean=[family.side])
    assert found == {family.adds, family.removes, family.merge, family.bad}
    assert await which_reach(runner, objects(family.client), [], [family.blob]) == set()
