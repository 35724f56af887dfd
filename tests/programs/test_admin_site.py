"""What administrators do on pages, operators do at the command line."""

import json

import pytest
from tests.programs.test_admin import Operator, password_of, signed_in


@pytest.fixture
def operator(database_url: str) -> Operator:
    return Operator(database_url)


def test_rights_are_handed_over_but_never_the_last_ones_away(operator: Operator) -> None:
    operator.create("ada")
    operator.does("promote", "ada")
    assert signed_in(operator.url, password_of("ada")).actor.is_site_admin
    assert "only administrator" in operator.is_refused("demote", "ada")
    [row] = json.loads(operator.does("list-users", "--json"))
    assert (row["login"], row["is_site_admin"], row["suspended_at"]) == ("ada", True, None)
    assert operator.does("sign-out", "ada") == "0 sessions of ada ended.\n"


def test_registration_is_told_and_changed(operator: Operator) -> None:
    assert operator.does("registration") == "open\n"
    assert operator.does("registration", "invite", "--domains", "x.test,y.test") == "invite\tx.test\ty.test\n"
    assert operator.does("registration") == "invite\tx.test\ty.test\n"
    assert "Choose one of the three" in operator.is_refused("registration", "ajar")


def test_announcements_come_and_go(operator: Operator) -> None:
    operator.does("announce", "Back at noon.", "--level", "warning")
    [row] = json.loads(operator.does("list-announced", "--json"))
    assert (row["text"], row["level"]) == ("Back at noon.", "warning")
    operator.does("take-down", str(row["id"]))
    assert operator.does("list-announced") == ""
    assert "over before it begins" in operator.is_refused("announce", "x", "--until", "2020-01-01")


def test_the_state_is_told(operator: Operator) -> None:
    operator.create("ada")
    assert json.loads(operator.does("totals", "--json"))["users"] == 1
    assert json.loads(operator.does("list-running", "--json")) == []
    assert json.loads(operator.does("list-jobs", "--json"))["dead"] == 0
    assert "not dead any more" in operator.is_refused("retry-job", "7")
    assert "not dead any more" in operator.is_refused("discard-job", "7")
