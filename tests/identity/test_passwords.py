"""Passwords: what is refused; hashes that tell nothing and are renewed; the same time for nobody's account."""

import asyncio
from typing import Literal

import pytest
from argon2 import PasswordHasher
from tests.factories.authentication import quick_hasher

from cairn.identity.passwords import (
    CONCURRENT_MAX,
    PasswordRefused,
    Passwords,
    check_new_password,
    default_hasher,
)


@pytest.mark.parametrize("password", ["short", "1234567", "password1", "PASSWORD123", "aaaaaaaaaa", "ababababab"])
def test_passwords_that_are_guessed_first_are_refused(password: str) -> None:
    with pytest.raises(PasswordRefused) as refused:
        check_new_password(password, login="somebody")
    assert password not in refused.value.message


@pytest.mark.parametrize("password", ["octocat-1", "OCTOCAT-1", "cat@example.test"])
def test_a_password_equal_to_name_or_address_is_refused(password: str) -> None:
    with pytest.raises(PasswordRefused, match="your name"):
        check_new_password(password, login="octocat-1", email="cat@example.test")


@pytest.mark.parametrize("password", ["correct horse battery", "pässwörter", "p4ssphr4se", "x1y2z3w4"])
def test_no_kinds_of_characters_are_demanded(password: str) -> None:
    check_new_password(password, login="somebody", email="s@example.test")


def test_a_password_beyond_the_limit_is_refused() -> None:
    check_new_password("ab1" * 333, login="somebody")
    with pytest.raises(PasswordRefused, match="at most 1,000"):
        check_new_password("ab1" * 334, login="somebody")


async def test_a_hash_verifies_its_password_and_no_other() -> None:
    passwords = Passwords(quick_hasher())
    stored = await passwords.hash("correct horse")
    assert stored.startswith("$argon2id$")
    assert "correct" not in stored
    assert await passwords.verify(stored, "correct horse")
    assert not await passwords.verify(stored, "correct horsf")
    assert not await passwords.verify(stored, "")
    assert not await passwords.verify("no hash at all", "correct horse")


async def test_the_same_text_composed_otherwise_is_the_same_password() -> None:
    passwords = Passwords(quick_hasher())
    stored = await passwords.hash("p\u00e4ssw\u00f6rter")
    assert await passwords.verify(stored, "pa\u0308sswo\u0308rter")


async def test_without_an_account_a_hash_is_verified_all_the_same() -> None:
    """Attack: a quick refusal tells which names have accounts."""

    class Counting(PasswordHasher):
        verified = 0

        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 (the library's name)
            self.verified += 1
            return super().verify(hash, password)

    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    passwords = Passwords(hasher)
    assert not await passwords.verify(None, "nobody's password")
    assert not await passwords.verify(None, "whatever")
    assert hasher.verified == 2


async def test_any_text_can_be_tried_as_a_password() -> None:
    passwords = Passwords(quick_hasher())
    stored = await passwords.hash("half \ud800 a pair")
    assert await passwords.verify(stored, "half \ud800 a pair")
    assert not await passwords.verify(stored, "half \x00 a pair")


async def test_an_enormous_password_is_wrong_without_work() -> None:
    passwords = Passwords(quick_hasher())
    assert not await passwords.verify(await passwords.hash("x" * 1001), "x" * 1001)


async def test_hashes_with_other_parameters_are_outdated() -> None:
    old = await Passwords(quick_hasher()).hash("correct horse")
    assert Passwords(default_hasher()).is_outdated(old)
    assert not Passwords(quick_hasher()).is_outdated(old)


async def test_only_a_few_hashes_are_at_work_at_once() -> None:
    """Each takes 32 MiB: the number at work is what bounds memory."""
    at_work = most = 0

    class Watched(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            nonlocal at_work, most
            at_work += 1
            most = max(most, at_work)
            try:
                return super().hash(password, salt=salt)
            finally:
                at_work -= 1

    passwords = Passwords(Watched(time_cost=2, memory_cost=1024, parallelism=1))
    await asyncio.gather(*(passwords.hash(f"password {number}") for number in range(CONCURRENT_MAX * 4)))
    assert 1 <= most <= CONCURRENT_MAX


async def test_a_cancelled_caller_gives_its_place_back() -> None:
    passwords = Passwords(PasswordHasher(time_cost=4, memory_cost=4096, parallelism=1))
    for _ in range(CONCURRENT_MAX * 2):
        task = asyncio.create_task(passwords.hash("correct horse"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await passwords.hash("correct horse")).startswith("$argon2id$")
