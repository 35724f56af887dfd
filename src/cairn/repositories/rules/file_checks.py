"""Rules about files: their paths, endings and sizes."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from cairn.base.settings import MIB
from cairn.git.path_patterns import PathPattern, matches_any
from cairn.git.quarantine import Quarantine
from cairn.git.reading import open_repository
from cairn.git.types import Oid, show
from cairn.repositories.rules.checks import extension
from cairn.repositories.rules.new_commits import ChangedFile
from cairn.repositories.rules.types import FileExtensions, FilePathLength, FilePaths, FileSize


def file_problems(
    rule: FilePaths | FilePathLength | FileExtensions | FileSize,
    files: Iterable[ChangedFile],
    sizes: Mapping[Oid, int],
) -> Iterator[str]:
    """Yield what is wrong with the files of new commits, file by file."""
    problem = _problem(rule, sizes)
    for file in files:
        why = problem(file)
        if why:
            yield f"{_shown(file.path)} in commit {file.commit[:10]} {why}"


def _problem(
    rule: FilePaths | FilePathLength | FileExtensions | FileSize, sizes: Mapping[Oid, int]
) -> Callable[[ChangedFile], str]:
    match rule:
        case FilePaths():
            patterns = path_patterns(rule.parameters.restricted_file_paths)
            return lambda file: "is at a path that may not change" if matches_any(patterns, file.path) else ""
        case FilePathLength():
            most = rule.parameters.max_file_path_length
            return lambda file: f"has a path of more than {most:,} bytes" if len(file.path) > most else ""
        case FileExtensions():
            endings = tuple(extension(one).encode() for one in rule.parameters.restricted_file_extensions)
            return lambda file: "has a restricted extension" if _lower(file.path).endswith(endings) else ""
        case FileSize():
            limit = rule.parameters.max_file_size
            return lambda file: (
                f"has {sizes[file.blob]:,} bytes, more than {limit:,} MiB"
                if file.blob is not None and sizes[file.blob] > limit * MIB
                else ""
            )


def _lower(path: bytes) -> bytes:
    return path.decode("utf-8", "surrogateescape").lower().encode("utf-8", "surrogateescape")


def _shown(path: bytes) -> str:
    text = show(path)
    return text if len(text) <= 200 else text[:100] + "…" + text[-100:]


@lru_cache(maxsize=200)
def path_patterns(patterns: tuple[str, ...]) -> Sequence[PathPattern]:
    """Return patterns as ``.gitignore`` writes them, compiled."""
    return [PathPattern(pattern.encode("utf-8", "surrogatepass")) for pattern in patterns]


async def read_sizes(quarantine: Quarantine, blobs: Iterable[Oid]) -> dict[Oid, int]:
    """Return how many bytes each blob has, from its header alone."""
    return await asyncio.to_thread(_read_sizes, quarantine, list(blobs))


def _read_sizes(quarantine: Quarantine, blobs: Sequence[Oid]) -> dict[Oid, int]:
    repository = open_repository(quarantine.path, alternates=quarantine.alternates)
    try:
        return {oid: int(repository.odb.read_header(oid)[1]) for oid in blobs}
    finally:
        repository.free()
