"""What a door tells is what the listeners take."""

import inspect

import pytest

from cairn.git_server.observer import GitObserver, unobserved
from cairn.ops.metrics import Metrics


@pytest.mark.parametrize("listener", [unobserved, Metrics(program="test").git_finished])
def test_every_listener_takes_what_the_doors_tell(listener: GitObserver) -> None:
    told = [name for name in inspect.signature(GitObserver.__call__).parameters if name != "self"]
    assert list(inspect.signature(listener).parameters) == told
