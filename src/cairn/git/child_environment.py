"""The environment of git children: from scratch, so that neither the machine nor a repository configures them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

# Settings of every child. Repository content and the machine's own configuration decide none of them.
_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.alternateRefsCommand": "false",
    "core.bigFileThreshold": "16m",
    "core.fsmonitor": "false",
    "core.fsync": "none",
    "core.maxTreeDepth": "512",
    "core.quotePath": "false",
    "core.packedGitLimit": "4g",
    "commitGraph.generationVersion": "1",
    "diff.algorithm": "myers",
    "diff.renameLimit": "1000",
    "diff.suppressBlankEmpty": "false",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "i18n.logOutputEncoding": "UTF-8",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "merge.renameLimit": "7000",
    "pack.deltaCacheSize": "64m",
    "pack.threads": "1",
    "pack.windowMemory": "128m",
    "pack.writeReverseIndex": "false",
    "protocol.allow": "never",
    "receive.autogc": "false",
    "safe.bareRepository": "explicit",
    "uploadpack.allowAnySHA1InWant": "false",
    "uploadpack.allowFilter": "true",
    "uploadpackfilter.sparse:oid.allow": "false",
    "uploadpack.keepAlive": "5",
}


def base_environment(binary: str, home: Path) -> dict[bytes, bytes]:
    """Return what every child gets, made from scratch: no variable of this process, an empty home, our settings."""
    named = {
        "PATH": f"{Path(binary).parent}:/usr/bin:/bin",
        "HOME": str(home),
        "LC_ALL": "C",
        "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_FLUSH": "0",  # else rev-list and log write each commit's line by itself
        "GIT_CEILING_DIRECTORIES": str(home.parent),
        "GIT_CONFIG_COUNT": str(len(_CONFIG)),
    }
    for index, (key, value) in enumerate(_CONFIG.items()):
        named[f"GIT_CONFIG_KEY_{index}"] = key
        named[f"GIT_CONFIG_VALUE_{index}"] = value
    return {os.fsencode(key): os.fsencode(value) for key, value in named.items()}


def repository_environment(
    git_dir: Path | None, alternates: Sequence[Path], object_directory: Path | None, protocol_version: int | None
) -> dict[bytes, bytes]:
    """Return the variables that say where one child finds its repository, and which protocol it speaks."""
    environment: dict[bytes, bytes] = {}
    if git_dir is not None:
        environment[b"GIT_DIR"] = os.fsencode(git_dir.absolute())
    if object_directory is not None:
        environment[b"GIT_OBJECT_DIRECTORY"] = os.fsencode(object_directory.absolute())
    if alternates:
        environment[b"GIT_ALTERNATE_OBJECT_DIRECTORIES"] = b":".join(map(_quote_alternate, alternates))
    if protocol_version is not None:
        environment[b"GIT_PROTOCOL"] = b"version=%d" % protocol_version
    return environment


def configured(environment: Mapping[bytes, bytes], settings: Sequence[tuple[str, str]]) -> dict[bytes, bytes]:
    """Return the environment with further settings of git's behind those it has; the last of one name counts.

    They may hold secrets: only processes of the same account can read a child's environment.
    """
    first = int(environment[b"GIT_CONFIG_COUNT"])
    more = {b"GIT_CONFIG_COUNT": b"%d" % (first + len(settings))}
    for index, (key, value) in enumerate(settings, first):
        more[b"GIT_CONFIG_KEY_%d" % index] = os.fsencode(key)
        more[b"GIT_CONFIG_VALUE_%d" % index] = os.fsencode(value)
    return {**environment, **more}


def _quote_alternate(folder: Path) -> bytes:
    """Quote as git reads the variable: a colon would end the entry, a leading quote would start one."""
    raw = os.fsencode(folder.absolute())
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"' if b":" in raw or b'"' in raw else raw
