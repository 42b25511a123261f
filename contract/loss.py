"""The words of the loss ledger: what edge nodes tell of it, and what it says of a source.

An edge node tells its part as two string metrics of the node, JSON each: `Ledger/Spool`, the balance of its spool,
every few seconds, and `Ledger/Entry`, once for each loss, gap or clock jump that it knows of. They are control metrics:
spooled and acknowledged like data, but no signals. The gateway adds its own part and publishes the whole of each
source, retained, in the category `ledger` of the unified namespace (`SourceLedger`).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

LEDGER: Final = "Ledger/"
ENTRY: Final = "Ledger/Entry"
BALANCE: Final = "Ledger/Spool"
MOST_TOLD: Final = 100  # entries in one SourceLedger, the newest ones

Count = Annotated[int, Field(ge=0, lt=2**63)]
Text = Annotated[str, Field(max_length=1000)]
Reason = Literal[
    "sequence",  # numbers of a Sparkplug node without acknowledgements that never came
    "overflow",  # the source's own queue overflowed, as its overflow bit says
    "driver_queue",  # the driver's queue was full
    "not_understood",  # messages or values that cannot be read
    "too_large",  # values that no message can hold; their samples go on without them
    "offline",  # the machine could not be read
    "edge_down",  # the edge did not run
    "edge_spool",  # records of the edge's spool were damaged or dropped
    "gateway_spool",  # records of the gateway's spool were damaged or dropped
    "gateway_full",  # the gateway's spool was full, and the node does not send again
    "cloud_full",  # more was held for the cloud than the gateway's spool has room for: events, blocks, replies
    "gateway_away",  # the gateway did not listen, and the node does not wait for it
    "block_budget",  # blocks that the edge's spool has no room for beside the samples
    "clock",  # the clock of the edge was set
    "source_time",  # times of a source that were replaced, or that are odd otherwise
    "identity",  # names that had one id have ids of their own from then on; messages in another's name
]


class Entry(BaseModel):
    """One thing that happened to a source; entries with one (node, id) are one entry, which may have grown.

    `source` is a machine, empty for the node itself. `first` and `last` are numbers where the source has any (messages
    of a spool, Sparkplug's seq). `count` is how many samples or messages are lost, 0 when nobody can know: then the
    range of time says it. Outcome `filled`: read again from the source's history; `noted`: nothing was lost by it.
    """

    model_config = ConfigDict(frozen=True)

    id: Count
    source: Annotated[str, Field(max_length=256)] = ""
    reason: Reason
    outcome: Literal["lost", "filled", "noted"] = "lost"
    count: Count = 0
    first: Count | None = None
    last: Count | None = None
    start_ns: Count = Field(description="beginning of the time in question, ns since 1970")
    end_ns: Count = Field(description="its end")
    detail: Text = ""

    def grown(self, other: Entry) -> Entry:
        """Return the entry that both are versions of; which one came first does not matter."""
        larger = max(self, other, key=lambda entry: (entry.count, entry.end_ns))
        return larger.model_copy(
            update={
                "start_ns": min(self.start_ns, other.start_ns),
                "end_ns": max(self.end_ns, other.end_ns),
                "first": min((n for n in (self.first, other.first) if n is not None), default=None),
                "last": max((n for n in (self.last, other.last) if n is not None), default=None),
            }
        )


class Balance(BaseModel):
    """What became of the messages of an edge node's spool in one epoch: produced = acknowledged + waiting + dropped.

    `dropped` is of the whole life of the spool.
    """

    model_config = ConfigDict(frozen=True)

    epoch: Annotated[str, Field(min_length=1, max_length=64)]
    produced: Count
    acknowledged: Count
    waiting: Count
    dropped: Count = 0
    refused: Count = 0


class Loss(BaseModel):
    """Entries of one source, reason and outcome together: how many, and what they count."""

    model_config = ConfigDict(frozen=True)

    source: str = Field(examples=["cnc-01"])
    reason: Reason
    outcome: Literal["lost", "filled", "noted"]
    entries: Count
    count: Count = Field(description="samples or messages; 0 when nobody can know")


class MachineLedger(BaseModel):
    """What the gateway stored of one asset of a node."""

    model_config = ConfigDict(frozen=True)

    asset: str = Field(examples=["cnc-01"])
    messages: Count
    samples: Count


class SourceTotals(BaseModel):
    """What became of the messages of one edge node: produced = stored + quarantined + waiting + lost + unexplained.

    Of a node that does not wait for acknowledgements `produced` is what was received and what its sequence numbers say
    is missing. What the gateway itself lost is the source `-/gateway`.
    """

    model_config = ConfigDict(frozen=True)

    source: Annotated[str, Field(max_length=256, examples=["demo:shanghai:machining/line1"])]
    acknowledges: bool = Field(description="whether the node keeps its messages until the gateway has them")
    produced: Count
    received: Count
    stored: Count
    repeated: Count = Field(description="received again; recognized, and stored once")
    refused: Count = Field(description="not taken at first, the spool was full; an acknowledging node sends them again")
    quarantined: Count = Field(description="messages, and lines of messages, that cannot be stored; kept as they came")
    waiting: Count = Field(description="kept in a spool, on the way")
    events: Count = Field(0, description="events that the cloud has")
    blocks: Count = Field(0, description="blocks of numbers that the cloud has")
    lost: Count = Field(description="messages that are lost, with an entry that says why")
    unexplained: Count = Field(description="messages that are neither here nor in any entry: a fault of the platform")
    machines: list[MachineLedger] = []
    losses: list[Loss] = []


class SourceLedger(SourceTotals):
    """The ledger of one source as the gateway publishes it."""

    time: Annotated[int, Field(ge=0, lt=2**53, description="when the gateway wrote this, ms since 1970")]
    entries: Annotated[list[Entry], Field(max_length=MOST_TOLD)] = Field([], description="the newest entries")
