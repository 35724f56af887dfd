"""One push and the operator's hooks: what they are shown, what they refuse, what they say.

Stock git reads refs from files, ours are rows: a hook gets a directory of the refs as they were before the push, and
``post-receive`` one of the refs as they are after it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cairn.base.log import get_logger
from cairn.git.operator_hooks import HookCall, OperatorHooks, Say
from cairn.git.quarantine import Quarantine
from cairn.git.ref_queries import RefSnapshot
from cairn.git.ref_transaction import RefUpdate
from cairn.git.refs_directory import refs_directory
from cairn.git.staging import Stager
from cairn.git.store_state import StoreState, read_state
from cairn.git.types import RefName

_log = get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class HookedPush:
    """The hooks' side of one push; ``refused`` fills while it is staged. ``variables`` tell who pushes where."""

    hooks: OperatorHooks
    stager: Stager
    state: StoreState
    options: tuple[bytes, ...]
    variables: Mapping[str, str]
    is_atomic: bool
    say: Say
    refused: dict[RefName, str] = field(default_factory=dict)

    async def inspect(
        self, snapshot: RefSnapshot, quarantine: Quarantine, updates: Sequence[RefUpdate]
    ) -> Sequence[RefUpdate]:
        """Return the updates that ``pre-receive`` and ``update`` let pass; of an atomic push all or none."""
        async with self._git_dir(snapshot) as git_dir:
            call = self._call(git_dir, quarantine.objects, quarantine.alternates, is_quarantined=True)
            self.refused = await self.hooks.refusals(updates, call)
        if self.refused and self.is_atomic:
            return []
        return [update for update in updates if update.name not in self.refused]

    async def tell(self, moved: Sequence[RefUpdate]) -> None:
        """Let ``post-receive`` know what moved. Nothing raises: the push is committed."""
        try:
            state = await read_state(self.stager.database, self.state.id)
            snapshot = await self.stager.refs.snapshot(state)
            async with self.stager.views.open(state) as view, self._git_dir(snapshot) as git_dir:
                await self.hooks.tell(moved, self._call(git_dir, view.objects, (), is_quarantined=False))
        except Exception:
            _log.exception("post_receive_failed", store_id=self.state.id)

    @asynccontextmanager
    async def _git_dir(self, snapshot: RefSnapshot) -> AsyncIterator[Path]:
        folder = self.stager.cache.root / "tmp"
        async with refs_directory(folder, snapshot.refs, head_target=self.state.head_target) as git_dir:
            (git_dir / "objects").mkdir()  # git takes nothing for a repository that has none
            yield git_dir

    def _call(self, git_dir: Path, objects: Path, alternates: tuple[Path, ...], *, is_quarantined: bool) -> HookCall:
        return HookCall(
            git_dir=git_dir,
            object_directory=objects,
            alternates=alternates,
            options=self.options,
            variables=self.variables,
            is_quarantined=is_quarantined,
            say=self.say,
        )
