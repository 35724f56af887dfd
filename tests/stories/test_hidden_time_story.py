"""A4 in time: what is hidden from somebody is answered as quickly as what is not there."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random

import httpx2
import pytest
from tests.factories.seeds import chosen_seed
from tests.stories.installation import installation
from tests.stories.people import make_cast

ROUNDS = 60
DIFFERENCE_SECONDS_MAX = 0.020
WHO = ("anonymous", "stan", "narrow token")
WANT = b"0011command=ls-refs\n00010000"
WAYS: dict[str, Callable[[httpx2.Client, str], httpx2.Response]] = {
    "page": lambda client, name: client.get(f"/ada/{name}"),
    "raw": lambda client, name: client.get(f"/ada/{name}/raw/main/README.md"),
    "history": lambda client, name: client.get(f"/ada/{name}/commits/main"),
    "settings": lambda client, name: client.get(f"/ada/{name}/settings"),
    "api": lambda client, name: client.get(f"/api/v3/repos/ada/{name}"),
    "contents": lambda client, name: client.get(f"/api/v3/repos/ada/{name}/contents/README.md"),
    "write": lambda client, name: client.patch(f"/api/v3/repos/ada/{name}", json={"description": "x"}),
    "refs": lambda client, name: client.get(f"/ada/{name}.git/info/refs?service=git-upload-pack"),
    "fetch": lambda client, name: client.post(
        f"/ada/{name}.git/git-upload-pack",
        content=WANT,
        headers={"git-protocol": "version=2", "content-type": "application/x-git-upload-pack-request"},
    ),
}


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_hidden_takes_as_long_as_absent(tmp_path: Path) -> None:
    """Medians of hidden and absent, asked in turns so that whatever else the machine does meets both alike."""
    dice = Random(chosen_seed())
    settings = {"CAIRN_RATE_API_ANONYMOUS_PER_HOUR": "0", "CAIRN_RATE_API_PER_HOUR": "0"}
    with installation(tmp_path / "site", settings, program="web") as cairn:
        cast = make_cast(cairn, tmp_path / "work")
        took: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        for number in range(ROUNDS):
            for who in WHO:
                for way, ask in WAYS.items():
                    pair = ["secret", f"absent{number}"]
                    dice.shuffle(pair)
                    statuses = set()
                    for name in pair:
                        started = time.perf_counter()
                        statuses.add(ask(cast.people[who].api, name).status_code)
                        kind = "hidden" if name == "secret" else "absent"
                        took[who, way, kind].append(time.perf_counter() - started)
                    assert len(statuses) == 1, (who, way, statuses)
                    assert statuses <= {401, 404}, (who, way, statuses)
    differences = {
        (who, way): statistics.median(took[who, way, "hidden"]) - statistics.median(took[who, way, "absent"])
        for who in WHO
        for way in WAYS
    }
    for (who, way), seconds in sorted(differences.items(), key=lambda item: -abs(item[1])):
        print(f"{way} by {who}: hidden takes {seconds * 1000:+.2f} ms more than absent")
    assert max(map(abs, differences.values())) <= DIFFERENCE_SECONDS_MAX
