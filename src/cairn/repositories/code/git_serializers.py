"""Commits, refs, trees and files as GitHub's API writes them. Who wrote a commit is text; an
account stands beside it only where the address is verified."""

import base64
import hashlib
import posixpath
from typing import Any

import msgspec

from cairn.git.diff import Diff, FileDiff, FileStatus, Hunk
from cairn.git.reading import Commit, Tag
from cairn.git.ref_queries import RefValue
from cairn.git.tree_listing import ListedEntry
from cairn.git.types import ObjectKind, Oid, Signature
from cairn.identity.attribution import Authors
from cairn.identity.schemas import simple_user
from cairn.repositories.code.browse import FileContent
from cairn.repositories.code.signatures import Signatures, verification_json
from cairn.repositories.rules.protected_branches import RefRules
from cairn.repositories.serializers import Json, Links
from cairn.web.api import api_time
from cairn.web.node_ids import make_node_id
from cairn.web.urls import path_join

_BASE64_LINE = 60
_STATUSES = {
    FileStatus.ADDED: "added",
    FileStatus.DELETED: "removed",
    FileStatus.MODIFIED: "modified",
    FileStatus.RENAMED: "renamed",
    FileStatus.COPIED: "copied",
    FileStatus.TYPE_CHANGED: "changed",
}


def text(raw: bytes) -> str:
    """Return a path or ref name for JSON: UTF-8, other bytes replaced."""
    return raw.decode("utf-8", "replace")


def base64_lines(data: bytes) -> str:
    """Return base64 broken into lines of 60, each ended, as GitHub sends it."""
    coded = base64.b64encode(data).decode("ascii")
    return "".join(f"{coded[at : at + _BASE64_LINE]}\n" for at in range(0, len(coded), _BASE64_LINE))


def signature_json(signature: Signature) -> Json:
    """Return who and when."""
    return {"name": signature.name, "email": signature.email, "date": api_time(signature.at)}


def _parents(links: Links, commit: Commit, *, git_data: bool) -> list[Json]:
    found = []
    for oid in commit.parent_oids:
        url = links.git("commits", oid) if git_data else f"{links.api}/commits/{oid}"
        found.append({"sha": oid, "url": url, "html_url": f"{links.html}/commit/{oid}"})
    return found


def git_commit_json(links: Links, commit: Commit, signatures: Signatures) -> Json:
    """Return a commit as the git data API has it."""
    return {
        "sha": commit.oid,
        "node_id": make_node_id("C", commit.oid),
        "url": links.git("commits", commit.oid),
        "html_url": f"{links.html}/commit/{commit.oid}",
        "author": signature_json(commit.author),
        "committer": signature_json(commit.committer),
        "tree": {"sha": commit.tree_oid, "url": links.git("trees", commit.tree_oid)},
        "message": commit.message.rstrip("\n"),
        "parents": _parents(links, commit, git_data=True),
        "verification": verification_json(signatures, commit.oid),
    }


def _account_json(links: Links, signature: Signature, authors: Authors) -> Json | None:
    found = authors.of(signature.email)
    if found is None:
        return None
    user = simple_user(
        links.origin,
        account_id=found.account_id,
        login=found.login,
        kind=found.kind,
        is_site_admin=found.is_site_admin,
    )
    return msgspec.structs.asdict(user)


def commit_json(
    links: Links, commit: Commit, authors: Authors, signatures: Signatures, diff: Diff | None = None
) -> Json:
    """Return a commit as lists have it; with ``diff`` the files and counts too."""
    url = f"{links.api}/commits/{commit.oid}"
    body: Json = {
        "sha": commit.oid,
        "node_id": make_node_id("C", commit.oid),
        "commit": {
            "author": signature_json(commit.author),
            "committer": signature_json(commit.committer),
            "message": commit.message.rstrip("\n"),
            "tree": {"sha": commit.tree_oid, "url": links.git("trees", commit.tree_oid)},
            "url": links.git("commits", commit.oid),
            "comment_count": 0,
            "verification": verification_json(signatures, commit.oid),
        },
        "url": url,
        "html_url": f"{links.html}/commit/{commit.oid}",
        "comments_url": f"{url}/comments",
        "author": _account_json(links, commit.author, authors),
        "committer": _account_json(links, commit.committer, authors),
        "parents": _parents(links, commit, git_data=False),
    }
    if diff is not None:
        added, removed = diff.total_additions, diff.total_deletions
        body["stats"] = {"total": added + removed, "additions": added, "deletions": removed}
        old = commit.parent_oids[0] if commit.parent_oids else commit.oid
        body["files"] = [file_json(links, file, old=old, new=commit.oid) for file in diff.files]
    return body


def file_json(links: Links, file: FileDiff, *, old: Oid, new: Oid) -> Json:
    """Return one file that changed from ``old`` to ``new``; ``patch`` is absent for binary files and for what is too
    large to show."""
    # A deleted file is shown as it was before.
    ref = (new if file.new_path is not None else old).encode("ascii")
    additions, deletions = file.additions or 0, file.deletions or 0
    body: Json = {
        "sha": file.new_oid or file.old_oid,
        "filename": text(file.path),
        "status": _STATUSES[file.status],
        "additions": additions,
        "deletions": deletions,
        "changes": additions + deletions,
        "blob_url": links.page("blob", ref, file.path),
        "raw_url": links.page("raw", ref, file.path),
        "contents_url": links.contents(file.path, ref),
    }
    if file.hunks and not file.is_truncated:
        body["patch"] = "\n".join(_hunk_text(hunk) for hunk in file.hunks)
    if file.status in {FileStatus.RENAMED, FileStatus.COPIED} and file.old_path is not None:
        body["previous_filename"] = text(file.old_path)
    return body


def _hunk_text(hunk: Hunk) -> str:
    heading = f" {text(hunk.heading)}" if hunk.heading else ""
    lines = [f"@@ -{_range(hunk.old_start, hunk.old_count)} +{_range(hunk.new_start, hunk.new_count)} @@{heading}"]
    for line in hunk.lines:
        lines.append(line.kind.value.decode("ascii") + text(line.content))
        if line.ends_without_newline:
            lines.append("\\ No newline at end of file")
    return "\n".join(lines)


def _range(start: int, count: int) -> str:
    return str(start) if count == 1 else f"{start},{count}"


def ref_json(links: Links, ref: RefValue, kind: ObjectKind) -> Json:
    """Return a ref as the git data API has it; its object is the tag, not what the tag means."""
    kind = ObjectKind.TAG if ref.peeled is not None else kind
    return {
        "ref": text(ref.name),
        "node_id": _ref_node_id(links, ref),
        "url": links.api + "/git" + path_join(ref.name),
        "object": {"type": kind.value, "sha": ref.oid, "url": links.git(f"{kind.value}s", ref.oid)},
    }


def _ref_node_id(links: Links, ref: RefValue) -> str:
    """Return the node id of a ref: a hash, since names are longer than an id may be."""
    return make_node_id("REF", hashlib.sha256(links.api.encode() + b" " + ref.name).hexdigest()[:32])


def tag_json(links: Links, tag: Tag, signatures: Signatures) -> Json:
    """Return an annotated tag."""
    kind = tag.target_kind.value
    return {
        "node_id": make_node_id("TA", tag.oid),
        "tag": text(tag.name),
        "sha": tag.oid,
        "url": links.git("tags", tag.oid),
        "message": tag.message.rstrip("\n"),
        "tagger": signature_json(tag.tagger) if tag.tagger is not None else None,
        "object": {"sha": tag.target_oid, "type": kind, "url": links.git(f"{kind}s", tag.target_oid)},
        "verification": verification_json(signatures, tag.oid),
    }


def branch_json(links: Links, ref: RefValue, rules: RefRules) -> Json:
    """Return a branch as lists have it."""
    return {
        "name": text(ref.name.removeprefix(b"refs/heads/")),
        "commit": {"sha": ref.oid, "url": f"{links.api}/commits/{ref.oid}"},
        "protected": rules.is_protected(ref.name),
    }


def full_branch_json(
    links: Links, ref: RefValue, commit: Commit, authors: Authors, signatures: Signatures, rules: RefRules
) -> Json:
    """Return a branch with its commit and protection."""
    name = ref.name.removeprefix(b"refs/heads/")
    url = links.api + path_join("branches", name)
    is_protected, checks = rules.is_protected(ref.name), rules.checks_of(ref.name)
    return {
        "name": text(name),
        "commit": commit_json(links, commit, authors, signatures),
        "_links": {"self": url, "html": links.page("tree", name, b"")},
        "protected": is_protected,
        "protection": {
            "enabled": is_protected,
            "required_status_checks": {
                "enforcement_level": "everyone" if checks else "off",
                "contexts": [check.context for check in checks],
                "checks": [{"context": check.context, "app_id": check.integration_id} for check in checks],
            },
        },
        "protection_url": f"{url}/protection",
    }


def tag_ref_json(links: Links, ref: RefValue) -> Json:
    """Return a tag as the list of tags has it: with the commit it means."""
    name = ref.name.removeprefix(b"refs/tags/")
    oid = ref.peeled or ref.oid
    return {
        "name": text(name),
        "zipball_url": links.api + "/zipball" + path_join(ref.name),
        "tarball_url": links.api + "/tarball" + path_join(ref.name),
        "commit": {"sha": oid, "url": f"{links.api}/commits/{oid}"},
        "node_id": _ref_node_id(links, ref),
    }


def tree_json(links: Links, oid: Oid, entries: tuple[ListedEntry, ...], *, is_truncated: bool) -> Json:
    """Return a tree; files have their size, submodules no address."""
    return {
        "sha": oid,
        "url": links.git("trees", oid),
        "tree": [_tree_entry(links, entry) for entry in entries],
        "truncated": is_truncated,
    }


def _tree_entry(links: Links, entry: ListedEntry) -> Json:
    body: Json = {
        "path": text(entry.path),
        "mode": f"{entry.mode:06o}",
        "type": entry.kind.value,
        "sha": entry.oid,
    }
    if entry.size_bytes is not None:
        body["size"] = entry.size_bytes
    if entry.kind is not ObjectKind.COMMIT:
        body["url"] = links.git(f"{entry.kind.value}s", entry.oid)
    return body


def blob_json(links: Links, oid: Oid, data: bytes) -> Json:
    """Return a blob with its content."""
    return {
        "sha": oid,
        "node_id": make_node_id("B", oid),
        "size": len(data),
        "url": links.git("blobs", oid),
        "content": base64_lines(data),
        "encoding": "base64",
    }


def entry_json(
    links: Links, ref: bytes, path: bytes, *, kind: str, oid: Oid, size_bytes: int, submodule_url: str | None = None
) -> Json:
    """Return what stands at a path, without content: ``kind`` is file, dir, symlink or submodule."""
    url = links.contents(path, ref)
    git_url = links.git("trees" if kind == "dir" else "blobs", oid)
    html_url: str | None = links.page("tree" if kind == "dir" else "blob", ref, path)
    download_url = links.page("raw", ref, path) if kind in {"file", "symlink"} else None
    body: Json = {}
    if kind == "submodule":
        git_url, html_url = _submodule_pages(submodule_url, oid)
        body["submodule_git_url"] = submodule_url
    body |= {
        "type": kind,
        "name": text(posixpath.basename(path)),
        "path": text(path),
        "sha": oid,
        "size": size_bytes,
        "url": url,
        "html_url": html_url,
        "git_url": git_url,
        "download_url": download_url,
        "_links": {"self": url, "git": git_url, "html": html_url},
    }
    return body


def _submodule_pages(url: str | None, oid: Oid) -> tuple[Any, Any]:
    """Return where a submodule's tree may be seen, if its address leads to a web page at all."""
    if url is None or not url.startswith(("http://", "https://")):
        return None, None
    base = url.removesuffix(".git").rstrip("/")
    return f"{base}/git/trees/{oid}", f"{base}/tree/{oid}"


def file_content_json(links: Links, ref: bytes, path: bytes, content: FileContent) -> Json:
    """Return a file; one that is too large to be sent this way has encoding "none" and is there as raw."""
    body = entry_json(links, ref, path, kind="file", oid=content.oid, size_bytes=content.size_bytes)
    if content.data is None:
        return body | {"encoding": "none", "content": ""}
    return body | {"encoding": "base64", "content": base64_lines(content.data)}
