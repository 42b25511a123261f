"""Where a broker is: what a configuration may say of it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from contract.broker import Broker, BrokerSettings


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"url": "http://localhost"}, "mqtt://host:port"),
        ({"url": "mqtt://"}, "mqtt://host:port"),
        ({"url": "mqtt://a:b@localhost"}, "no user and no password"),
        ({"password_file": "x"}, "needs a user"),
        ({"url": "mqtts://a", "cert_file": "x"}, "go together"),
        ({"ca_file": "x"}, "mqtts://"),
    ],
)
def test_wrong_settings_are_explained(options: dict[str, str], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        Broker.model_validate(options)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPFLOOR_MQTT_URL", "mqtts://[::1]")
    monkeypatch.setenv("SHOPFLOOR_MQTT_USER", "edge")
    settings = BrokerSettings()
    assert settings.address == ("::1", 8883)
    assert settings.user == "edge"
    assert Broker().user is None
