"""Every command of docs/compose.md is one that the containers are tested with, in both languages."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from documents import commands  # noqa: E402 what run.py imports, too

NOT_TYPED = {
    "docker compose -f docker-compose.yml -f deploy/NAME.yml up -d": "each variant is started so",
    "docker compose build && docker compose pull --ignore-pull-failures": "wants a registry",
    "docker save $(docker compose config | sed -n 's/.*image: //p' | sort -u) | gzip > shopfloor.tgz": "gigabytes",
    "docker load < shopfloor.tgz": "gigabytes",
    "git pull": "wants a newer version",
    "python -m shopfloor.compose.influx": "store-setup runs it",
    "docker compose stop influxdb": "goes before the next one",
    "docker compose run --rm --no-deps influxdb influxd recovery auth create-operator"
    " --bolt-path /var/lib/influxdb2/influxd.bolt --org shopfloor --username shopfloor-admin": "wants the public image",
    "make compose-test": "is what types the others",
    "make bench ARGS=queries": "takes hours",
}


def test_every_command_of_the_page_is_typed_by_compose_test() -> None:
    sources = "".join((HERE / name).read_text() for name in ("run.py", "week.py", "own_machines.py"))
    # a text that goes on in the next line is one
    sources = re.sub(r"""['"]\n\s*['"]""", "", sources).replace('\\"', '"')
    missing = [command for command in commands() if command not in sources and command not in NOT_TYPED]
    assert missing == []
    assert set(NOT_TYPED) <= set(commands())


def test_both_languages_have_the_same_commands() -> None:
    chinese = [command.replace("名称", "NAME") for command in commands("compose.zh-CN.md")]
    assert [command for command in chinese if command not in commands()] == []
