"""Counting what callers use: sliding windows and leaky buckets, in this process, shared with the others through Redis.

A request is judged here and now by what this process knows, so that a limit costs no round trip; a tenth of a second
later what was used is told to Redis, and what the other programs used comes back with the answer. Where guessing must
be stopped exactly, ``take_exactly`` asks Redis before it answers. Without Redis, or while it is away, each process
counts alone: a limit is then looser by the number of programs and never in anybody's way.

The shared counters go by the clock of Redis, so nodes need not agree on the time. A process alone goes by its monotonic
clock: a node whose clock is set back would otherwise refuse everybody until it has caught up.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from cairn.base.log import get_logger
from cairn.base.redis import open_redis

if TYPE_CHECKING:
    from redis.asyncio import Redis

SLICES = 60
"""Pieces of a sliding window: what was used leaves it piece by piece."""
KEYS_MAX = 20_000
"""Callers one process remembers; the quietest goes first."""

_EXCHANGE_SECONDS = 0.1
_BATCH_MAX = 500
_REDIS_SECONDS = 0.5
_RETRY_SECONDS_MAX = 15.0
_PREFIX = "cairn:rate:"
_log = get_logger(__name__)


class Shape(Enum):
    """How what was used comes back."""

    WINDOW = "window"
    """The last ``seconds`` count: each use comes back when it is that old."""
    BUCKET = "bucket"
    """One use comes back every ``seconds / limit``: nobody ever waits longer than that for the next."""


@dataclass(frozen=True, slots=True)
class Rule:
    """At most ``limit`` uses in ``seconds`` (a bucket allows them all at once, then one at a time)."""

    name: str
    limit: int
    seconds: int
    shape: Shape = Shape.BUCKET

    @property
    def slice_seconds(self) -> float:
        """The length of a piece of a window, and the pause between two uses of an empty bucket."""
        return self.seconds / (SLICES if self.shape is Shape.WINDOW else self.limit)


@dataclass(frozen=True, slots=True)
class Usage:
    """Where somebody stands. ``wait_seconds`` is 0 if one more use is welcome now."""

    limit: int
    used: int
    wait_seconds: float
    full_in_seconds: float
    """After so long without a use the whole limit is there again."""


class _Window:
    """Uses by slice; a slice that began ``seconds`` ago is over."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._slices: dict[int, int] = {}

    def usage(self, now: float) -> Usage:
        rule = self._rule
        first = int(now // rule.slice_seconds) - SLICES
        for old in [number for number in self._slices if number <= first]:
            del self._slices[old]
        used = sum(self._slices.values())
        last = max((number for number, count in self._slices.items() if count), default=first)
        return Usage(rule.limit, used, self._wait(used, now), max(0.0, self._ends(last) - now))

    def add(self, cost: int, now: float) -> None:
        number = int(now // self._rule.slice_seconds)
        self._slices[number] = max(0, self._slices.get(number, 0) + cost)

    def replace(self, told: list[bytes]) -> None:
        """Take over what Redis counted: slice, uses, slice, uses …"""
        self._slices = {int(number): int(count) for number, count in zip(told[::2], told[1::2], strict=True)}

    def _wait(self, used: int, now: float) -> float:
        for number in sorted(self._slices):
            if used < self._rule.limit:
                break
            used -= self._slices[number]
            if used < self._rule.limit:
                return max(0.0, self._ends(number) - now)
        return 0.0

    def _ends(self, number: int) -> float:
        return (number + SLICES) * self._rule.slice_seconds


class _Bucket:
    """The generic cell rate algorithm: one moment says everything."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._full_at = 0.0

    def usage(self, now: float) -> Usage:
        pause = self._rule.slice_seconds
        ahead = max(0.0, self._full_at - now)
        used = -(-round(ahead / pause * 1000) // 1000)
        wait = ahead + pause - self._rule.seconds
        return Usage(self._rule.limit, used, wait if wait > 1e-6 else 0.0, ahead)

    def add(self, cost: int, now: float) -> None:
        self._full_at = max(self._full_at, now) + cost * self._rule.slice_seconds

    def replace(self, told: list[bytes]) -> None:
        """Take over the moment that Redis knows."""
        self._full_at = float(told[0])


class _Cell:
    """One caller under one rule: what is known, and what Redis has not been told yet."""

    __slots__ = ("counted", "key", "rule", "untold")

    def __init__(self, rule: Rule, key: str) -> None:
        self.rule = rule
        self.key = f"{_PREFIX}{rule.name}:{key}"
        self.counted = _Window(rule) if rule.shape is Shape.WINDOW else _Bucket(rule)
        self.untold = 0


# Both: KEYS[1] the counter; ARGV: seconds, length of a slice or pause, cost, limit, whether the limit decides.
# They return the time, whether the cost was taken, and the counter as it is now.
_WINDOW_SCRIPT = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local slice, cost = tonumber(ARGV[2]), tonumber(ARGV[3])
local current = math.floor(now / slice)
local kept, used, mine = {}, 0, 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local number, count = tonumber(all[i]), tonumber(all[i + 1])
  if number <= current - 60 then redis.call('HDEL', KEYS[1], all[i])
  elseif number == current then mine = count
  else kept[#kept + 1] = all[i]; kept[#kept + 1] = all[i + 1]; used = used + count end
end
local taken = 1
if ARGV[5] == '1' and used + mine + cost > tonumber(ARGV[4]) then taken = 0 else mine = math.max(0, mine + cost) end
local name = string.format('%d', current)
redis.call('HSET', KEYS[1], name, mine)
redis.call('EXPIRE', KEYS[1], ARGV[1] * 2)
kept[#kept + 1] = name
kept[#kept + 1] = tostring(mine)
return {string.format('%.6f', now), taken, kept}
"""
_BUCKET_SCRIPT = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local after = full + tonumber(ARGV[2]) * tonumber(ARGV[3])
local taken = 1
if ARGV[5] == '1' and after - now > tonumber(ARGV[1]) + 0.000001 then taken = 0 else full = math.max(after, now) end
redis.call('SET', KEYS[1], string.format('%.6f', full), 'EX', math.max(1, math.ceil(full - now)))
return {string.format('%.6f', now), taken, {string.format('%.6f', full)}}
"""
_SCRIPTS = {Shape.WINDOW: _WINDOW_SCRIPT, Shape.BUCKET: _BUCKET_SCRIPT}


class Counters:
    """What callers have used, by rule and key. One for each program; ``sharing`` connects it to the others."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, keys_max: int = KEYS_MAX) -> None:
        self._clock = clock
        self._ahead_seconds = 0.0  # of Redis's clock
        self._keys_max = keys_max
        self._cells: OrderedDict[tuple[str, str], _Cell] = OrderedDict()
        self._untold: dict[str, _Cell] = {}
        self._has_untold = asyncio.Event()
        self._client: Redis | None = None
        self._is_away = False

    def look(self, rule: Rule, key: str) -> Usage:
        """Return where the caller stands, without using anything."""
        cell = self._cells.get((rule.name, key))
        if cell is None:
            return Usage(rule.limit, 0, 0.0, 0.0)
        return cell.counted.usage(self._now())

    def take(self, rule: Rule, key: str) -> Usage:
        """Use one if one is left, and return how it stood before: ``wait_seconds`` above 0 says that it was refused."""
        cell = self._cell(rule, key)
        usage = cell.counted.usage(self._now())
        if usage.wait_seconds == 0.0:
            self._add(cell, 1)
        elif self._client is not None:
            self._tell(cell)  # maybe others know better by now
        return usage

    def add(self, rule: Rule, key: str, cost: int = 1) -> None:
        """Count uses without judging them; a negative cost gives some back."""
        self._add(self._cell(rule, key), cost)

    async def take_exactly(self, rule: Rule, key: str) -> Usage:
        """Use one as ``take`` does, after all programs have been asked; this process alone judges if Redis is away."""
        cell = self._cell(rule, key)
        if self._client is not None and not self._is_away:
            try:
                async with asyncio.timeout(_REDIS_SECONDS):
                    told = await self._client.eval(*_call(cell, cost=1, is_judged=True))
                before = Usage(rule.limit, 0, 0.0, 0.0)
                self._learn(cell, told)
                after = cell.counted.usage(self._now())
                return before if told[1] else Usage(rule.limit, after.used, max(0.1, after.wait_seconds), 0.0)
            except _redis_errors() as error:
                self._lost(error)
        return self.take(rule, key)

    def clear(self, rule: Rule, key: str) -> None:
        """Forget what somebody used."""
        cell = self._cells.pop((rule.name, key), None)
        if cell is not None and self._client is not None:
            used = cell.counted.usage(self._now()).used
            cell.untold -= used
            self._tell(cell)

    @asynccontextmanager
    async def sharing(self, redis_url: str) -> AsyncIterator[None]:
        """Share the counters through Redis until the block ends; with an empty address there is nothing to do."""
        if not redis_url:
            yield
            return
        client = open_redis(redis_url, connect_seconds=_REDIS_SECONDS)
        self._client = client
        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(self._exchange_forever(client))
                try:
                    yield
                finally:
                    task.cancel()
        finally:
            self._client = None
            with suppress(*_redis_errors()):
                await client.aclose()

    def _now(self) -> float:
        return self._clock() + self._ahead_seconds

    def _cell(self, rule: Rule, key: str) -> _Cell:
        name = (rule.name, key)
        cell = self._cells.get(name)
        if cell is None:
            cell = self._cells[name] = _Cell(rule, key)
            if len(self._cells) > self._keys_max:
                self._cells.popitem(last=False)
        else:
            self._cells.move_to_end(name)
        return cell

    def _add(self, cell: _Cell, cost: int) -> None:
        cell.counted.add(cost, self._now())
        if self._client is not None:
            cell.untold += cost
            self._tell(cell)

    def _tell(self, cell: _Cell) -> None:
        if len(self._untold) < self._keys_max:
            self._untold[cell.key] = cell
            self._has_untold.set()

    async def _exchange_forever(self, client: "Redis") -> None:
        pause = _EXCHANGE_SECONDS
        while True:
            await self._has_untold.wait()
            await asyncio.sleep(pause)
            try:
                if self._is_away:
                    async with asyncio.timeout(_REDIS_SECONDS):
                        await client.ping()
                await self._exchange(client)
            except _redis_errors() as error:
                self._lost(error)
                pause = min(max(pause, 0.5) * 2, _RETRY_SECONDS_MAX)
            else:
                pause = _EXCHANGE_SECONDS
                if self._is_away:
                    self._is_away = False
                    _log.info("shared_counters_back")

    async def _exchange(self, client: "Redis") -> None:
        """Tell Redis what was used here since the last time and learn what was used everywhere."""
        while self._untold:
            batch = [self._untold.pop(key) for key in list(self._untold)[:_BATCH_MAX]]
            told = [cell.untold for cell in batch]
            try:
                async with asyncio.timeout(_REDIS_SECONDS * 2), client.pipeline(transaction=False) as pipeline:
                    for cell, cost in zip(batch, told, strict=True):
                        pipeline.eval(*_call(cell, cost=cost, is_judged=False))
                    answers = await pipeline.execute()
            except BaseException:
                for cell in batch:
                    self._untold.setdefault(cell.key, cell)
                raise
            for cell, cost, answer in zip(batch, told, answers, strict=True):
                cell.untold -= cost
                self._learn(cell, answer)
        self._has_untold.clear()

    def _learn(self, cell: _Cell, told: Any) -> None:  # noqa: ANN401 (a script's answer)
        self._ahead_seconds = float(told[0]) - self._clock()
        cell.counted.replace(told[2])
        if cell.untold:
            cell.counted.add(cell.untold, self._now())

    def _lost(self, error: BaseException) -> None:
        if not self._is_away:
            _log.warning("shared_counters_away", reason=str(error) or type(error).__name__)
        self._is_away = True
        self._has_untold.set()  # the exchange goes on trying, and says when Redis is back


def _call(cell: _Cell, *, cost: int, is_judged: bool) -> tuple[Any, ...]:
    rule = cell.rule
    return (
        _SCRIPTS[rule.shape],
        1,
        cell.key,
        rule.seconds,
        f"{rule.slice_seconds:.9f}",
        cost,
        rule.limit,
        int(is_judged),
    )


def _redis_errors() -> tuple[type[BaseException], ...]:
    from redis import RedisError

    return (RedisError, OSError, TimeoutError)
