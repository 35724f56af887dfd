"""The ways in by an object's id (RELIABILITY 1.5), each tried against a repository that must not show the object."""

import re
from dataclasses import dataclass

from tests.factories.forge import Forge, Person
from tests.factories.forking import heads
from tests.factories.pushes import EMPTY_PACK, pieces, push
from tests.factories.raw_packs import BLOB, COMMIT, TREE, object_id, raw_pack, ref_delta, whole

from cairn.base.errors import CairnError
from cairn.git.engine import Engine
from cairn.git.fetch_cache import Flight
from cairn.git.pktline import PktReader, ProtocolError, encode
from cairn.git.reading import ObjectReader
from cairn.git.types import ZERO_OID, Oid
from cairn.git.upload_pack import V2Request
from cairn.repositories.queries import RepositoryView

PATH = "secret.txt"
_PERSON = b"Eve <eve@example.org> 1700000000 +0000"


@dataclass(frozen=True)
class Secret:
    """A commit that adds one file, with everything that is only in it."""

    name: str
    commit: Oid
    tree: Oid
    text: bytes

    @property
    def blob(self) -> Oid:
        """The file's id."""
        return object_id("blob", self.text)

    @property
    def oids(self) -> tuple[Oid, Oid, Oid]:
        """Commit, tree and file."""
        return self.commit, self.tree, self.blob


async def secret_of(engine: Engine, store: int, name: str, commit: Oid, text: bytes) -> Secret:
    """Return what a commit that was just made holds, read from the store that has it."""
    async with engine.view(await engine.state(store)) as view:
        reader = ObjectReader(view.path)
        try:
            return Secret(name, commit, (await reader.read_commit(commit)).tree_oid, text)
        finally:
            reader.close()


async def require_closed(forge: Forge, person: Person, repository: RepositoryView, secrets: list[Secret]) -> int:
    """Fail if any way leads a person with all rights on the repository to a secret; return how many were tried."""
    before = await heads(forge, repository)
    tried = 0
    for secret in secrets:
        tried += await fetches(forge.engine, repository.store_id, secret)
        tried += await pushes(forge.engine, repository.store_id, secret)
        tried += await pages(forge, person, repository, secret)
        tried += await operations(forge, person, repository, secret)
    assert await heads(forge, repository) == before, "a way in moved a ref"
    await _no_foreign_id(forge.engine, repository.store_id)
    tried += await _submodule(forge, person, repository, secrets)
    return tried


async def fetches(engine: Engine, store: int, secret: Secret) -> int:
    """Protocol v2 hands out anything it has, v0 what it is asked for; ``object-info`` tells sizes."""
    ways = [V2Request(b"fetch", (b"want " + oid.encode(), b"done")) for oid in secret.oids]
    ways += [
        V2Request(b"fetch", (b"want " + oid.encode(), b"filter blob:none", b"no-progress", b"done"))
        for oid in secret.oids
    ]
    ways += [V2Request(b"object-info", (b"size", b"oid " + oid.encode())) for oid in secret.oids]
    ways += [V2Request(b"bundle-uri", ())]
    for way in ways:
        answer = await _answer(engine, store, way)
        if way.command == b"object-info":
            # An object that nobody may know of has a line without a size.
            assert not any(re.fullmatch(rb"[0-9a-f]{40} \d+\n?", line) for line in await _lines(answer)), answer
            continue
        assert b"PACK" not in answer, (secret.name, way)
        assert not any(oid.encode() in answer for oid in secret.oids) or b"not our ref" in answer, answer
    for oid in secret.oids:
        body = encode(b"want " + oid.encode() + b" side-band-64k ofs-delta\n") + b"0000" + encode(b"done\n")
        assert b"PACK" not in await _answer_v0(engine, store, body), secret.name
    return len(ways) + 3


async def _answer(engine: Engine, store: int, request: V2Request) -> bytes:
    try:
        async with engine.upload.serve_v2(await engine.state(store), request) as answer:
            if isinstance(answer, Flight):
                return b"".join([chunk async for chunk in answer.chunks()])
            return answer if isinstance(answer, bytes) else answer.read_bytes()
    except (CairnError, ProtocolError) as error:
        return str(error).encode()


async def _lines(answer: bytes) -> list[bytes]:
    """Return the packets up to the flush; a refusal in words has none."""
    try:
        return await PktReader(pieces(answer), max_bytes=len(answer) + 1).read_until_flush()
    except ProtocolError:
        return []


async def _answer_v0(engine: Engine, store: int, body: bytes) -> bytes:
    try:
        async with engine.upload.serve_stateless_v0(await engine.state(store), body, version=0) as flight:
            return b"".join([chunk async for chunk in flight.chunks()])
    except (CairnError, ProtocolError) as error:
        return str(error).encode()


async def pushes(engine: Engine, store: int, secret: Secret) -> int:
    """Names for what is not the pusher's, by an empty pack, a delta upon it, a commit that points to it."""
    evil = b"refs/heads/evil"
    tree = b"100644 stolen\0" + bytes.fromhex(secret.blob)
    tree_oid = object_id("tree", tree)
    commit = b"tree " + tree_oid.encode() + b"\nauthor " + _PERSON + b"\ncommitter " + _PERSON + b"\n\nsteal\n"
    upon = b"tree " + secret.tree.encode() + b"\nparent " + secret.commit.encode() + commit[45:]
    copied = b"a copy that only a delta makes\n"
    copied_tree = b"100644 stolen\0" + bytes.fromhex(object_id("blob", copied))
    of_copy = b"tree " + object_id("tree", copied_tree).encode() + commit[45:]
    delta = ref_delta(secret.blob, len(secret.text), copied)
    tries: list[tuple[Oid, bytes]] = [
        (secret.commit, EMPTY_PACK),
        (object_id("commit", commit), raw_pack([whole(COMMIT, commit), whole(TREE, tree)])),
        (object_id("commit", upon), raw_pack([whole(COMMIT, upon)])),
        (object_id("commit", of_copy), raw_pack([whole(COMMIT, of_copy), whole(TREE, copied_tree), delta])),
        # The delta makes --fix-thin copy the secret into the pack; a tree beside it then names it.
        (
            object_id("commit", commit),
            raw_pack([whole(COMMIT, commit), whole(TREE, tree), delta, whole(BLOB, b"something\n")]),
        ),
    ]
    for tip, pack in tries:
        report = await push(engine, store, [(evil, ZERO_OID, tip)], pack)
        assert not report.is_ok, (secret.name, tip)
    for oid in (secret.tree, secret.blob):
        report = await push(engine, store, [(b"refs/tags/evil", ZERO_OID, oid)], EMPTY_PACK)
        assert not report.is_ok, (secret.name, oid)
    return len(tries) + 2


async def pages(forge: Forge, person: Person, repository: RepositoryView, secret: Secret) -> int:
    at = secret.commit
    paths = [
        *(f"commit/{oid}" for oid in (at, at[:12], secret.tree)),
        *(f"commit/{at}{ending}" for ending in (".patch", ".diff")),
        *(f"{verb}/{at}/{PATH}" for verb in ("blob", "raw", "tree", "commits", "blame", "edit")),
        *(f"{verb}/{at}" for verb in ("tree", "commits", "find", "paths")),
        *(f"raw/{oid}" for oid in secret.oids),
        *(f"archive/{at}{ending}" for ending in (".zip", ".tar.gz")),
        *(f"compare/main...{at}", f"compare/{at}...main", f"compare/{at}"),
    ]
    browser = forge.browser(person)
    for path in paths:
        answer = await browser.get(f"/{repository.full_name}/{path}")
        assert answer.status_code >= 400, (secret.name, path, answer.status_code)
        assert secret.text.strip() not in answer.content, (secret.name, path)
    return len(paths)


async def operations(forge: Forge, person: Person, repository: RepositoryView, secret: Secret) -> int:
    at, base = secret.commit, f"/repos/{repository.full_name}"
    reads = [
        *(f"git/commits/{oid}" for oid in secret.oids),
        *(f"git/trees/{oid}" for oid in secret.oids),
        *(f"git/trees/{at}?recursive=1", f"git/blobs/{secret.blob}", f"git/tags/{at}"),
        *(f"commits/{at}", f"commits?sha={at}", f"commits/{at}/status", f"commits/{at[:10]}"),
        *(f"contents/{PATH}?ref={at}", f"contents?ref={at}", f"readme?ref={at}"),
        *(f"compare/main...{at}", f"zipball/{at}", f"tarball/{at}"),
    ]
    as_text = [("diff", reads_of) for reads_of in (f"commits/{at}", f"compare/main...{at}")]
    as_text += [(kind, f"commits/{at}") for kind in ("patch", "sha")]
    as_text += [("raw", f"contents/{PATH}?ref={at}"), ("raw", f"git/blobs/{secret.blob}")]
    for kind, path in [("json", path) for path in reads] + as_text:
        accept = "application/vnd.github+json" if kind == "json" else f"application/vnd.github.{kind}"
        answer = await forge.api(person, accept=accept).get(f"{base}/{path}")
        assert answer.status_code >= 400, (secret.name, path, kind, answer.status_code)
        assert secret.text.strip() not in answer.content, (secret.name, path, kind)
    writes = [
        ("POST", "git/refs", {"ref": "refs/heads/evil", "sha": at}),
        ("PATCH", "git/refs/heads/main", {"sha": at, "force": True}),
        ("POST", "git/commits", {"message": "steal", "tree": secret.tree, "parents": [at]}),
        ("POST", "git/trees", {"tree": [{"path": "s", "mode": "100644", "type": "blob", "sha": secret.blob}]}),
        ("POST", "git/tags", {"tag": "evil", "message": "m", "object": at, "type": "commit"}),
        ("POST", "merges", {"base": "main", "head": at}),
        ("POST", "merge-upstream", {"branch": at}),
    ]
    api = forge.api(person)
    for method, path, body in writes:
        answer = await api.call(method, f"{base}/{path}", json=body)
        assert answer.status_code >= 400, (secret.name, path, answer.status_code, answer.text)
    return len(reads) + len(as_text) + len(writes)


async def _submodule(forge: Forge, person: Person, repository: RepositoryView, secrets: list[Secret]) -> int:
    """A submodule may name any commit anywhere; following it must not open what happens to lie in a pack."""
    lines = [b"160000 s%d\0" % number + bytes.fromhex(secret.commit) for number, secret in enumerate(secrets)]
    tree = b"".join(lines)
    commit = (
        b"tree " + object_id("tree", tree).encode() + b"\nauthor " + _PERSON + b"\ncommitter " + _PERSON + b"\n\ns\n"
    )
    tip = object_id("commit", commit)
    ref = b"refs/heads/modules-" + tip[:8].encode()
    known = await heads(forge, repository)
    if ref.decode() not in known:
        pack = raw_pack([whole(COMMIT, commit), whole(TREE, tree)])
        assert (await push(forge.engine, repository.store_id, [(ref, ZERO_OID, tip)], pack)).is_ok
    browser, api = forge.browser(person), forge.api(person)
    for number, secret in enumerate(secrets):
        for verb in ("tree", "blob", "raw", "commits", "find", "paths"):
            answer = await browser.get(f"/{repository.full_name}/{verb}/{tip}/s{number}/{PATH}")
            assert secret.text.strip() not in answer.content
            assert verb == "commits" or answer.status_code >= 400
        answer = await api.get(f"/repos/{repository.full_name}/contents/s{number}/{PATH}?ref={tip}")
        assert answer.status_code >= 400
        answer = await api.get(f"/repos/{repository.full_name}/contents/s{number}?ref={tip}")
        assert secret.text.strip() not in answer.content
    return 8 * len(secrets)


async def _no_foreign_id(engine: Engine, store: int) -> None:
    """Scan what doors say first, to readers and pushers, in every version: only the repository's own tips."""
    state = await engine.state(store)
    tips = (await engine.snapshot(state)).tips
    said = [await engine.upload.advertisement_v0(state, version=version) for version in (0, 1)]
    said.append(await _answer(engine, store, V2Request(b"ls-refs", (b"peel", b"symrefs", b"unborn"))))
    said.append(await _answer(engine, store, V2Request(b"ls-refs", (b"ref-prefix refs/",))))
    said.append(await engine.receive.advertisement(state))
    for text in said:
        found = {Oid(oid.decode()) for oid in re.findall(rb"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])", text)} - {ZERO_OID}
        assert found <= tips, found - tips
        assert b".have" not in text
