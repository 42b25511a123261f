"""What every test in a real browser needs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
# as root a browser needs --no-sandbox; the others keep it from calling home
FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS: Final = (1280, 768, 390)
"""Screens of a desk, a tablet and a telephone, in pixels."""
_TOO_WIDE: Final = """() => [...document.querySelectorAll("html, main, .panel, .scroll, header, section, td, li")]
    .filter((each) => {
      const style = getComputedStyle(each);
      if (each.closest(".hidden-visually") || style.display === "inline") return false;
      const scrolls = style.overflowX !== "hidden" && each.clientWidth > 0;
      const beyond = each.getBoundingClientRect().right > innerWidth + 1;
      return (scrolls && each.scrollWidth > each.clientWidth + 1) || beyond;
    })
    .map((each) => `${each.tagName}.${each.className}: ${each.scrollWidth} > ${each.clientWidth}`)"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; without one the test is skipped."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def too_wide(page: Page, *widths: int) -> dict[int, list[str]]:
    """Return, for each width of the screen, what is scrolled sideways or stands beyond the right edge.

    Charts are given a moment to take their width.
    """
    found: dict[int, list[str]] = {}
    before = page.viewport_size
    for width in widths or WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        for _ in range(30):
            wide = page.evaluate(_TOO_WIDE)
            if not wide:
                break
            page.wait_for_timeout(100)
        else:
            found[width] = wide
    if before is not None:
        page.set_viewport_size(before)
    return found
