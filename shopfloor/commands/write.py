"""`shopfloor write`: set a signal of a machine, and see what became of it."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer

from shopfloor import known
from shopfloor.api import connect
from shopfloor.outcome import ended, must_be_done
from shopfloor.output import cell, out, print_json

# so that -5 is a value
app = typer.Typer(add_completion=False, context_settings={"ignore_unknown_options": True})


@app.command()
def write(
    asset: Annotated[str, typer.Argument(help="For example cnc-01.")],
    signal: Annotated[str, typer.Argument(help="One that is writable, for example feed_override.")],
    value: Annotated[str, typer.Argument(help="A number, true or false, or else a text; '\"5\"' is the text 5.")],
    *,
    expires: Annotated[float, typer.Option(min=0.1, max=60, help="Void after so many seconds.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Set a signal of a machine, once or not at all, and print what was read back.

    Exit code 4: refused, 3: expired, 1: failed, or unknown whether it was done.
    """
    with connect() as api:
        known.check_signals(api, asset, [signal])
        wish = {"verb": "write", "signal": signal, "value": _value(value), "expires_s": expires}
        told = ended(api, api.post(f"assets/{asset}/commands", wish))
        unit = known.kinds(api, asset)[signal].unit
    if json:
        print_json(told)
    elif told["state"] == "done":
        out.print(f"{asset} {signal} {cell(told['value'])} {unit}".rstrip(), markup=False)
    must_be_done(told, f"{asset} {signal}")


def _value(text: str) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, str | int | float) else text
