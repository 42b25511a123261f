"""Who hears each kind of message."""

from __future__ import annotations

from collections.abc import Mapping

from cloud.blocks.hear import hear as hear_block
from cloud.chain.message import Hear
from cloud.events.hear import hear as hear_event
from cloud.ledger.hear import hear as hear_ledger


def hears() -> Mapping[str, Hear]:
    """Return who hears each kind of message of a gateway."""
    return {"event": hear_event, "block": hear_block, "ledger": hear_ledger}
