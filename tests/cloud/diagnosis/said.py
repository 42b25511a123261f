"""What a diagnosis says: reports as rules give them, at noon."""

from __future__ import annotations

from cloud.diagnosis.acquisition import SECOND_NS, Source
from cloud.diagnosis.finding import Evidence, Finding, Report
from cloud.diagnosis.findings import Computed
from cloud.diagnosis.window import Measured, Subject
from tests.cloud.chain.bring import NOON_NS

SOURCE = Source(Subject("cnc-01", "cnc", {"feed": Measured("mm/min")}))
COMPUTED = Computed(step_s=10.0, fleet=(), subject=SOURCE.json(), blocks=(), data="0" * 32)


def suspicion(confidence: float = 0.8, fault: str = "coolant_filter", **changes: object) -> Finding:
    """Return a finding of a report."""
    seen = Evidence(what="below", signal="coolant_pressure", value=2.0, expected=4.0, unit="bar", sigmas=-9.0, weight=4)
    said = {
        "fault": fault,
        "component": "coolant filter",
        "level": "machine",
        "rule": fault,
        "version": 1,
        "confidence": confidence,
        "urgency": "weeks",
        "since_ns": NOON_NS - 600 * SECOND_NS,
        "evidence": (seen,),
    }
    return Finding.model_validate(said | changes)


def report(*findings: Finding, minute: float = 0.0, asset: str = "cnc-01", abstained: str = "") -> Report:
    """Return the report of a window that ended so many minutes after noon."""
    end_ns = NOON_NS + round(minute * 60 * SECOND_NS)
    return Report(
        asset=asset, start_ns=end_ns - 7200 * SECOND_NS, end_ns=end_ns, findings=findings, abstained=abstained
    )
