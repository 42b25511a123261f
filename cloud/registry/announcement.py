"""What an asset's `info` message in the unified namespace says, checked."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloud.registry.kind import kind_of
from contract.model import Datatype
from contract.sensor import Sensors
from contract.topics import UnsTopic

MAX_SIGNALS: Final = 10_000
_Id = Annotated[str, Field(min_length=1, max_length=64)]
_Label = Annotated[str, Field(max_length=256)]
_Text = Annotated[str, Field(max_length=2000)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class AnnouncementError(ValueError):
    """A message that does not announce an asset; says why."""


class AnnouncedSignal(BaseModel):
    """A signal as its edge node announced it."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=128)]
    datatype: Datatype = Datatype.DOUBLE
    unit: Annotated[str, Field(max_length=32)] = ""
    low: _Finite | None = None
    high: _Finite | None = None
    deadband: _Finite = 0.0
    period_s: _Finite = 0.0
    writable: bool = False
    description: Annotated[str, Field(max_length=4096)] = ""
    label: _Label = ""


class Announcement(BaseModel):
    """An asset as its edge node announced it; what later versions add is ignored."""

    model_config = ConfigDict(frozen=True)

    time: Annotated[int, Field(ge=0, lt=2**53)]
    enterprise: _Id
    site: _Id
    area: _Id
    line: _Id
    asset: _Id
    kind: _Id
    names: Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=32)] = {}
    label: _Label = ""
    edge_node: Annotated[str, Field(max_length=256)] = ""
    online: bool
    state: Annotated[str, Field(max_length=128)] = ""
    """The signal that tells its state, where the plant file says so."""
    reason_code: Annotated[str, Field(max_length=64)] = ""
    reason: _Text = ""
    do: _Text = ""
    """Why it is offline, for programs and for people, and what to do about it."""
    signals: Annotated[list[AnnouncedSignal], Field(max_length=MAX_SIGNALS)] = []
    sensors: Sensors = {}
    """What stands behind the sensors that measure in blocks, where the plant file says so."""

    @property
    def state_signal(self) -> str | None:
        """The signal that tells its state; None: none does."""
        signals = ((signal.name, signal.datatype) for signal in self.signals)
        return kind_of(self.kind).state_signal(signals, self.state)


def read_announcement(topic: UnsTopic, payload: bytes) -> Announcement:
    """Return what an info message says; raise AnnouncementError, also when its topic is another asset's."""
    try:
        found = Announcement.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise AnnouncementError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if (found.enterprise, found.site, found.area, found.line, found.asset) != topic[:5]:
        raise AnnouncementError(f"it speaks of {found.area}/{found.line}/{found.asset}, another place than its topic")
    names = [signal.name for signal in found.signals]
    if len(set(names)) != len(names):
        raise AnnouncementError("two signals have one name")
    return found
