"""Random histories and pushes from two clients, by stock git, leave server and clients equal."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockGitFailed, StockRepository, init
from tests.factories.pushes import make_store, push, refs_of, verdict
from tests.factories.seeds import chosen_seed
from tests.stories.nodes import open_node

from cairn.git.engine import Engine
from cairn.git.types import ZERO_OID, Oid, RefName

BRANCHES = [b"refs/heads/main", b"refs/heads/feature/one", b"refs/heads/feature/two", b"refs/heads/\xe4"]


class Client:
    """A client that keeps what the server told it, in stock git's own repository."""

    def __init__(self, repository: StockRepository, name: str, dice: random.Random) -> None:
        self.repository = repository
        self.name = name
        self.dice = dice
        self.known: dict[RefName, Oid] = {}

    async def fetch(self, engine: Engine, store: int, folder: Path) -> None:
        """Take the server's refs over, objects by stock git from a node's view."""
        state = await engine.state(store)
        snapshot = await engine.snapshot(state)
        source = init(folder, bare=True)
        lines = [f"{ref.oid} ".encode() + ref.name + b"\n" for ref in snapshot.refs]
        (source.path / "packed-refs").write_bytes(b"# pack-refs with: sorted \n" + b"".join(lines))
        async with engine.view(snapshot.fresher(state)) as view:
            (source.objects / "info" / "alternates").write_text(f"{view.objects}\n")
            self.repository.git("fetch", "-q", "--prune", f"file://{source.path}", "+refs/*:refs/server/*")
        self.known = {ref.name: ref.oid for ref in snapshot.refs}

    def commit_on(self, base: Oid | None) -> Oid:
        """Return a new commit on ``base``: a changed, a deleted or a new file; sometimes a merge."""
        git, dice = self.repository.git, self.dice
        git("read-tree", *([base] if base else ["--empty"]))
        for _ in range(dice.randrange(1, 4)):
            blob = git("hash-object", "-w", "--stdin", stdin=dice.randbytes(dice.randrange(2000))).decode().strip()
            path = f"{self.name}/{dice.randrange(3)}/{dice.randrange(5)}"
            git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        tree = git("write-tree").decode().strip()
        parents = [base] if base else []
        if base and self.known and dice.random() < 0.3:
            parents.append(dice.choice(sorted(set(self.known.values()))))
        words = [word for parent in dict.fromkeys(parents) for word in ("-p", parent)]
        return Oid(git("commit-tree", tree, *words, "-m", str(dice.random())).decode().strip())

    async def push(self, engine: Engine, store: int) -> int:
        """Push random changes of some branches and return how many moved."""
        commands = []
        for name in self.dice.sample(BRANCHES, self.dice.randrange(1, 4)):
            old = self.known.get(name, ZERO_OID)
            kind = self.dice.choice(["forward", "forward", "forced", "delete"])
            if kind == "delete" and old != ZERO_OID:
                commands.append((name, old, ZERO_OID))
            else:
                base = None if kind == "forced" or old == ZERO_OID else old
                commands.append((name, old, self.commit_on(base or self._any())))
        news = [new for _, _, new in commands if new != ZERO_OID]
        pack = self.repository.pack(news, without=self.known.values(), thin=True) if news else b""
        capabilities = ["atomic"] if self.dice.random() < 0.5 else []
        report = await push(engine, store, commands, pack, capabilities=capabilities)
        moved = [command for command in commands if not report.refs[command[0]]]
        assert report.unpacked == "ok" or not moved, report
        if capabilities:
            assert len(moved) in {0, len(commands)}
        for name, _, new in moved:
            self.known.pop(name, None)
            if new != ZERO_OID:
                self.known[name] = new
        return len(moved)

    def _any(self) -> Oid | None:
        values = sorted(set(self.known.values()))
        return self.dice.choice(values) if values and self.dice.random() < 0.7 else None


@pytest.fixture
async def nodes(database_url: str, tmp_path: Path) -> AsyncIterator[list[Engine]]:
    storage_url = f"file://{tmp_path / 'store'}"
    async with (
        open_node(tmp_path / "a", database_url=database_url, storage_url=storage_url) as one,
        open_node(tmp_path / "b", database_url=database_url, storage_url=storage_url) as other,
    ):
        yield [one, other]


@pytest.mark.parametrize("steps", [15, pytest.param(400, marks=pytest.mark.nightly)])
async def test_two_clients_and_two_nodes_end_up_equal(nodes: list[Engine], tmp_path: Path, steps: int) -> None:
    dice = random.Random(chosen_seed())
    store = await make_store(nodes[0])
    clients = [Client(init(tmp_path / name), name, dice) for name in ("ada", "grace")]
    expected: dict[RefName, Oid] = {}
    moved = 0
    for step in range(steps):
        client, node = dice.choice(clients), dice.choice(nodes)
        if dice.random() < 0.4:
            await client.fetch(node, store, tmp_path / f"fetch{step}")
            assert client.known == expected
        before = dict(client.known)
        moved += await client.push(node, store)
        for name in {*before, *client.known}:
            if before.get(name) != client.known.get(name):
                expected.pop(name, None)
                if name in client.known:
                    expected[name] = client.known[name]
        for each in nodes:
            assert await refs_of(each, store) == expected
    assert moved
    for number, client in enumerate(clients):
        await client.fetch(nodes[number], store, tmp_path / f"last{number}")
        listed = client.repository.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/server").splitlines()
        names = {name.replace(b"refs/server/", b"refs/"): oid for oid, _, name in (x.partition(b" ") for x in listed)}
        assert {name: oid.decode() for name, oid in names.items()} == expected
        with pytest.raises(StockGitFailed):
            client.repository.git("cat-file", "-e", "1" * 40)
        client.repository.git("fsck", "--strict", "--no-progress")
    assert await verdict(nodes[1], store, tmp_path / "verdict") == expected
