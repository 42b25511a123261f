"""SHOPFLOOR_PORT as a user may write it."""

from __future__ import annotations

import pytest

from shopfloor.errors import ConfigurationError
from shopfloor.ports import port_of


@pytest.mark.parametrize("text", ["http", "80", "70000", "-1", "8080.0", "８０８０"])
def test_a_port_that_is_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="SHOPFLOOR_PORT"):
        port_of({"SHOPFLOOR_PORT": text})


def test_the_default_port() -> None:
    assert port_of({}) == 8080
    assert port_of({"SHOPFLOOR_PORT": ""}) == 8080
    assert port_of({"SHOPFLOOR_PORT": "9000"}) == 9000
