"""Problem documents: each has a code that programs and translations can rely on."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import cloud
from cloud.problems import Code, InfluxCode


def raised() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Give each place where a Problem is made: where, its code, the names of its args."""
    root = Path(cloud.__file__).parent
    for file in sorted(root.rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        named = {
            target.id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or ast.unparse(call.func).rpartition(".")[2] != "Problem":
                continue
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            args = given.get("args")
            args = named[args.id] if isinstance(args, ast.Name) else args
            names = (
                [key.value for key in args.keys if isinstance(key, ast.Constant)] if isinstance(args, ast.Dict) else []
            )
            yield f"{file.relative_to(root)}:{call.lineno}", ast.unparse(given["code"]), frozenset(map(str, names))


def test_one_code_has_one_set_of_args_wherever_it_is_raised() -> None:
    args = defaultdict(set)
    for _, code, names in raised():
        args[code].add(names)
    assert len(args) > 20
    assert {code: names for code, names in args.items() if len(names) > 1} == {}


def test_every_code_is_raised_and_every_raised_code_is_known() -> None:
    source = "".join(file.read_text("utf-8") for file in Path(cloud.__file__).parent.rglob("*.py"))
    unused = [code for code in Code if not re.search(rf"\bCode\.{code.name}\b", source)]
    assert unused == []
    known = {f"Code.{code.name}" for code in Code} | {f"InfluxCode.{code.name}" for code in InfluxCode} | {"code"}
    assert [(where, code) for where, code, _ in raised() if code.removeprefix("problems.") not in known] == []


def test_a_code_is_snake_case() -> None:
    assert [code for code in Code if not re.fullmatch("[a-z]+(_[a-z]+)*", code)] == []


@pytest.mark.parametrize(
    ("method", "path", "code", "args"),
    [
        ("GET", "/api/v1/assets/cnc-9", Code.UNKNOWN_ASSET, {"asset": "cnc-9"}),
        (
            "GET",
            "/api/v1/telemetry/history?asset=cnc-01&signal=x",
            Code.UNKNOWN_SIGNAL,
            {"asset": "cnc-01", "signals": ["x"]},
        ),
        ("GET", "/api/v1/users", Code.ROLE_NEEDED, {"role": "admin", "has": "viewer"}),
        ("GET", "/api/v1/nothing", Code.UNKNOWN_ADDRESS, {}),
        ("PUT", "/api/v1/users", Code.METHOD_NOT_ALLOWED, {}),
        ("GET", "/api/v1/telemetry/history", Code.INVALID_REQUEST, {}),
    ],
)
def test_a_problem_says_its_code_and_what_stands_in_it(
    viewer: TestClient, method: str, path: str, code: Code, args: dict[str, object]
) -> None:
    document = viewer.request(method, path).json()
    assert document["code"] == code
    assert document["args"] | args == document["args"]


def test_what_is_wrong_with_a_field_can_be_translated(viewer: TestClient) -> None:
    (wrong,) = viewer.get("/api/v1/telemetry/history?asset=cnc-01&signal=feed&points=0").json()["errors"]
    assert (wrong["where"], wrong["code"], wrong["args"]) == ("query.points", "greater_than_equal", {"ge": 1})


def test_half_a_surrogate_pair_is_answered(viewer: TestClient) -> None:
    answer = viewer.post(
        "/api/v1/tokens", content=b'{"name": "t", "\\ud800": 1}', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"].startswith("body")
