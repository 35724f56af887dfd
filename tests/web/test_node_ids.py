import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.web.node_ids import NodeId, make_node_id, read_node_id


@given(st.sampled_from(["U", "O", "R", "PR", "I", "IC"]), st.integers(min_value=1, max_value=2**63 - 1))
def test_a_node_id_leads_back_to_its_thing(kind: str, key: int) -> None:
    assert read_node_id(make_node_id(kind, key)) == NodeId(kind, str(key))


def test_things_of_different_kinds_never_share_an_id() -> None:
    assert len({make_node_id(kind, 7) for kind in ("U", "O", "R", "PR", "I")}) == 5


@pytest.mark.parametrize(
    "text", ["", "U_", "U", "u_dTE", "R_dTE", "U_dTE=", "U_dTF", "U_" + "A" * 65, "U_dQ", "U_ä", "U_/w"]
)
def test_a_foreign_text_is_no_node_id(text: str) -> None:
    assert make_node_id("U", 1) == "U_dTE"
    assert read_node_id(text) is None
