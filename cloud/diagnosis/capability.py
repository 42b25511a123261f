"""The capability: what is wrong with machines, how sure, why, and what to do."""

from __future__ import annotations

from typing import Final

from cloud.auth.rights import Action
from cloud.capability import Capability, Right
from cloud.diagnosis import routes
from cloud.diagnosis.tables import BaselineRow, FeedbackRow, FindingRow

_HERE: Final = "/api/v1/diagnosis"
_LEARN: Final = {"start": "-2h", "end": "now"}

CAPABILITY: Final = Capability(
    "diagnosis",
    routers=(routes.router,),
    tables=(FindingRow, FeedbackRow, BaselineRow),
    rights={
        f"GET {_HERE}/health": Right(Action.READ),
        f"GET {_HERE}/findings": Right(Action.READ),
        f"GET {_HERE}/findings/{{finding}}": Right(Action.READ, f"{_HERE}/findings/f1"),
        f"GET {_HERE}/findings/{{finding}}/verify": Right(Action.READ, f"{_HERE}/findings/f1/verify"),
        f"POST {_HERE}/findings/{{finding}}/feedback": Right(
            Action.ACKNOWLEDGE, f"{_HERE}/findings/f1/feedback", body={"verdict": "confirmed"}
        ),
        f"GET {_HERE}/rules": Right(Action.READ),
        f"GET {_HERE}/statistics": Right(Action.READ),
        f"GET {_HERE}/assets/{{asset}}": Right(Action.READ, f"{_HERE}/assets/cnc-01"),
        f"GET {_HERE}/assets/{{asset}}/baseline": Right(Action.READ, f"{_HERE}/assets/cnc-01/baseline"),
        f"POST {_HERE}/assets/{{asset}}/baseline": Right(
            Action.CONFIGURE, f"{_HERE}/assets/nothing/baseline", body=_LEARN
        ),
        f"GET {_HERE}/blocks/{{block}}/envelope": Right(Action.READ, f"{_HERE}/blocks/b1/envelope"),
    },
)
