"""Deleted repositories over REST: list, restore, and nothing for anybody else."""

from tests.factories.forge import Forge


async def test_list_and_restore_over_rest(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    made = await forge.repository(ada, "engine", files={"a": b"1"}, description="Mill")
    api = forge.api(ada)
    assert (await api.call("DELETE", "/repos/ada/engine")).status_code == 204
    assert (await api.get("/repos/ada/engine")).status_code == 404
    [listed] = (await api.get("/user/deleted")).json()
    assert (listed["id"], listed["full_name"], listed["deleted_by"]) == (made.id, "ada/engine", "ada")
    assert (await forge.api(ben).get("/user/deleted")).json() == []
    assert (await forge.api().get("/user/deleted")).status_code == 401
    place = f"/user/deleted/{made.id}/restore"
    assert (await forge.api(ben).call("POST", place, json={})).status_code == 404
    back = await api.call("POST", place, json={"name": "motor"})
    assert (back.status_code, back.json()["full_name"]) == (201, "ada/motor")
    assert (await api.call("POST", place, json={})).status_code == 404
