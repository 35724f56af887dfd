"""Which files are told by their paths to be nobody's own."""

import pytest

from cairn.repositories.code.generated_files import kind_of_origin


@pytest.mark.parametrize(
    "path",
    [
        b"package-lock.json", b"web/yarn.lock", b"Cargo.lock", b"go.sum", b"dist/app.min.js", b"a.js.map",
        b"api/v1/x.pb.go", b"x_pb2.py", b"x_pb2_grpc.pyi", b"pkg/zz_generated.deepcopy.go", b"src/__generated__/a.ts",
    ],
)  # fmt: skip
def test_generated(path: bytes) -> None:
    assert kind_of_origin(path) == "generated"


@pytest.mark.parametrize("path", [b"vendor/a/b.go", b"web/node_modules/x/package-lock.json", b"third_party/z.c"])
def test_vendored(path: bytes) -> None:
    assert kind_of_origin(path) == "vendored"


@pytest.mark.parametrize(
    "path", [b"vendor", b"vendors/a.py", b"package.json", b"src/lock.py", b"map", b"\xff\xfe", b""]
)
def test_peoples_own(path: bytes) -> None:
    assert kind_of_origin(path) is None
