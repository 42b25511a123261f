"""How tests read what a driver gives."""

from __future__ import annotations

import asyncio

from contract.model import Sample
from edge.driver import Driver


async def read_until(driver: Driver, count: int = 1) -> list[Sample]:
    """Read, past signs of life and what is no sample, until there are so many samples."""
    samples: list[Sample] = []
    async with asyncio.timeout(5):
        while len(samples) < count:
            samples += [item for item in await driver.read() if isinstance(item, Sample)]
    return samples
