"""`shopfloor browse`: what does a machine offer?"""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing, suppress
from dataclasses import asdict
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from edge.driver import Driver, DriverError, Tag
from edge.drivers import driver_names, schemes
from shopfloor import known
from shopfloor.errors import ConfigurationError, RefusedError, UnreachableError
from shopfloor.machines import Options, connection, hush, read_options
from shopfloor.output import err, print_json, table

_LOOKED_AT: Final = 2000  # variables, for what was probably meant

app = typer.Typer(add_completion=False)


@app.command()
def browse(
    address: Annotated[
        str,
        typer.Argument(help="For example opc.tcp://192.168.0.10:4840, mqtt://192.168.0.10, http://192.168.0.10:5000."),
    ],
    path: Annotated[
        str,
        typer.Argument(
            help="Only what fits this pattern, and what lies below: names with *, ? and […], for example "
            "'Machines/*/Controller/Prog*'; of MQTT a topic filter, for example 'factory/#'."
        ),
    ] = "",
    *,
    driver: Annotated[
        str | None, typer.Option("--driver", "-d", help="Needed when several drivers have such addresses.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="End after so many.")] = 200,
    option: Options = None,
    timeout: Annotated[float, typer.Option(min=1, help="End after so many seconds.")] = 60,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each variable.")] = False,
) -> None:
    """List what a machine offers: path, address for the plant file, datatype, value."""
    hush()
    options = read_options(option)
    name = driver or _driver_of(address)
    machine = connection(name, address, {"browse_limit": limit, **options})
    found: list[Tag] = []
    try:
        asyncio.run(_browse(machine, path, limit, timeout, found))
    except DriverError as error:
        raise UnreachableError(str(error)) from error
    except TimeoutError:
        if not found:
            raise UnreachableError(f"{address}: nothing within {timeout:g} s", "raise --timeout") from None
        err.print(f"ended after {timeout:g} s; there is more: narrow the pattern or raise --timeout", markup=False)
    if json:
        for tag in found:
            print_json(asdict(tag))
    elif found:
        columns = ("path", "address", "datatype", "value", "unit", "writable", "description")
        rows = [
            (t.path, t.address, t.datatype, t.value, t.unit or None, t.writable or None, t.description or None)
            for t in found
        ]
        table(columns, rows)
    if not found and path:
        others = connection(name, address, {**options, "browse_limit": _LOOKED_AT})
        raise RefusedError(f"{address} has nothing that fits {path!r}", _nearest(others, path, timeout))
    if not found:
        err.print(f"{address} shows nothing", markup=False)
    elif len(found) == limit:
        err.print(f"the first {limit}; --limit shows more, a pattern narrows it", markup=False)


def _nearest(driver: Driver, path: str, timeout_s: float) -> str:
    """Return what stands there in place of `path`: names as deep as it is, without globs at its end."""
    found: list[Tag] = []
    with suppress(DriverError, TimeoutError):
        asyncio.run(_browse(driver, "", _LOOKED_AT, timeout_s, found))
    named = re.split(r"/[*?#+\[]*$", path)[0]
    return known.nearest(named, {"/".join(tag.path.split("/")[: named.count("/") + 1]) for tag in found})


def _driver_of(address: str) -> str:
    """Return the name of the driver for an address; raise ConfigurationError when there is none, or several are."""
    known = schemes()
    found = known.get(urlsplit(address).scheme, [])
    if not found:
        raise ConfigurationError(
            f"{address!r} is no address of a machine",
            f"it begins with {', '.join(f'{scheme}://' for scheme in known)}; drivers: {', '.join(driver_names())}",
        )
    if len(found) > 1:
        raise ConfigurationError(
            f"{address}: {' and '.join(found)} have such addresses", f"say which, for example --driver {found[-1]}"
        )
    return found[0]


async def _browse(driver: Driver, path: str, limit: int, timeout_s: float, found: list[Tag]) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await driver.connect()
            tags: Any = driver.browse(path)
            async with aclosing(tags):
                async for tag in tags:
                    found.append(tag)
                    if len(found) == limit:
                        return
    finally:
        await driver.close()
