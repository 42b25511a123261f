"""What a person sees and does, in a real browser."""

from __future__ import annotations

import re
import time
from typing import Any

from playwright.sync_api import Page, expect

PASSWORD = "a password of a test"


def test_the_first_login_by_link_then_by_password(page: Page, cloud: Any) -> None:
    page.goto(cloud.link)
    expect(page.get_by_test_id("whose")).to_contain_text("admin")
    page.fill("input[name=new-password]", "short")
    expect(page.get_by_text("At least 10 characters.", exact=True)).to_be_visible()
    page.fill("input[name=new-password]", PASSWORD)
    page.fill("input[name=repeat]", PASSWORD)
    page.get_by_role("button", name="Save and continue").click()
    expect(page.get_by_test_id("plant-empty")).to_be_visible()
    assert page.url == f"{cloud.address}/"

    page.get_by_test_id("account").get_by_role("button").click()
    page.get_by_test_id("sign-out").click()
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", "not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_test_id("login-problem")).to_be_visible()
    page.fill("input[name=password]", PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Plant overview")).to_be_visible()


def test_a_link_that_was_used_says_so(page: Page, visitor: Page, cloud: Any) -> None:
    visitor.goto(cloud.link)
    expect(page.get_by_test_id("login-problem")).to_contain_text("works once")


def test_who_is_not_logged_in_comes_back_to_the_page_after_the_login(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("cnc-01", en="Milling center 1")
    visitor.context.clear_cookies()
    visitor.goto(f"{cloud.address}/machines/cnc-01")
    visitor.fill("input[name=username]", "admin")
    visitor.fill("input[name=password]", PASSWORD)
    visitor.keyboard.press("Enter")
    expect(visitor.get_by_role("heading", name="Milling center 1")).to_be_visible()


def test_the_plant_shows_states_live_values_and_what_needs_attention(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("cnc-01", en="Milling center 1", zh="加工中心 1")
    plant.announce("cnc-02", en="Milling center 2")
    plant.announce("cnc-03", online=False)
    plant.say("cnc-01", execution="ACTIVE", spindle_speed=1200.0, spindle_load=41.5)
    plant.say("cnc-02", execution="FEED_HOLD", spindle_speed=0.0)
    visitor.goto(cloud.address)
    running, held, offline = (visitor.get_by_test_id(f"tile-cnc-0{n}") for n in (1, 2, 3))
    expect(running).to_contain_text("Running")
    expect(running).to_contain_text(re.compile(r"Spindle speed\s*1\s?200\s*rpm"))
    expect(held).to_contain_text("Feed hold")
    expect(offline).to_contain_text("Offline")
    expect(offline).to_have_class(re.compile("lost"))
    expect(visitor.get_by_text("2 need attention")).to_be_visible()

    plant.say("cnc-01", spindle_speed=3456.0)
    expect(running).to_contain_text(re.compile(r"3\s?456"))
    plant.say("cnc-01", execution="STOPPED")
    expect(running).to_contain_text("Stopped")

    # a machine that nobody knew appears by itself, one that dies turns at once
    plant.announce("cnc-04", line="line2")
    expect(visitor.get_by_test_id("tile-cnc-04")).to_be_visible()
    plant.announce("cnc-02", online=False)
    expect(held).to_contain_text("Last known: Interrupted")

    visitor.get_by_test_id("filter-offline").click()
    expect(running).to_be_hidden()
    expect(offline).to_be_visible()
    visitor.get_by_role("button", name="Clear filters").click()
    visitor.get_by_placeholder("Search machine").fill("center 1")
    expect(running).to_be_visible()
    expect(offline).to_be_hidden()


def test_language_and_theme_are_chosen_and_remembered(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("cnc-01", en="Milling center 1", zh="加工中心 1")
    visitor.goto(cloud.address)
    expect(visitor.get_by_test_id("tile-cnc-01")).to_contain_text("Milling center 1")
    assert "UTC+8" in visitor.locator("header").inner_text()
    visitor.get_by_test_id("language").click()
    dark = visitor.evaluate("document.documentElement.classList.contains('dark')")
    visitor.get_by_test_id("theme").click()
    visitor.reload()
    expect(visitor.get_by_role("heading", name="工厂总览")).to_be_visible()
    expect(visitor.get_by_test_id("tile-cnc-01")).to_contain_text("加工中心 1")
    assert visitor.evaluate("document.documentElement.lang") == "zh-CN"
    assert visitor.evaluate("document.documentElement.classList.contains('dark')") is not dark


def test_a_machine_shows_its_course_its_signals_and_gives_its_data(visitor: Page, plant: Any, cloud: Any) -> None:
    now_ns = time.time_ns()
    plant.announce("cnc-01", en="Milling center 1")
    plant.say("cnc-01", execution="ACTIVE", spindle_speed=1200.0, spindle_load=41.5, program="O1001", door_open=False)
    cloud.write(
        "\n".join(
            f"cnc,site=shanghai,area=machining,line=line1,asset=cnc-01 spindle_speed={1000 + n}.0 {now_ns - n * 10**9}"
            for n in range(200)
        )
    )
    visitor.goto(f"{cloud.address}/machines/cnc-01")
    chart = visitor.get_by_test_id("chart")
    expect(chart).not_to_have_attribute("data-points", "0")
    expect(visitor.get_by_test_id("machine-head")).to_contain_text("O1001")

    rows = visitor.get_by_test_id("signals").locator("tbody tr")
    expect(rows).to_have_count(5)
    expect(visitor.locator("tr[data-signal=spindle_load]")).to_contain_text("41.5")
    expect(visitor.locator("tr[data-signal=door_open]")).to_contain_text("no")
    plant.say("cnc-01", quality=0, spindle_load=41.5)
    expect(visitor.locator("tr[data-signal=spindle_load]")).to_contain_text("Bad")
    visitor.get_by_placeholder("Search signal").fill("load")
    expect(rows).to_have_count(1)
    rows.get_by_role("checkbox").click()
    expect(rows.get_by_role("checkbox")).not_to_be_checked()

    visitor.get_by_test_id("recent-3600").click()
    expect(visitor).to_have_url(re.compile("range=recent-3600"))
    expect(visitor.get_by_text("one point =")).to_be_visible()
    visitor.get_by_test_id("export").click()
    with visitor.expect_download() as download:
        visitor.get_by_test_id("download").click()
    text = download.value.path().read_text()
    assert text.count("\n") > 200
    assert "spindle_speed" in text


def test_dragging_across_the_chart_zooms_in(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("cnc-01")
    plant.say("cnc-01", spindle_speed=1200.0)
    visitor.goto(f"{cloud.address}/machines/cnc-01?range=recent-3600")
    box = visitor.get_by_test_id("chart").bounding_box()
    assert box is not None
    visitor.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 100)
    visitor.mouse.down()
    visitor.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 100, steps=4)
    visitor.mouse.up()
    expect(visitor).to_have_url(re.compile(r"range=20\d\d-.*(~|%7E)20\d\d"))


def test_a_lost_server_is_unmistakable_and_comes_back_by_itself(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("cnc-01")
    plant.say("cnc-01", execution="ACTIVE", spindle_speed=1200.0)
    visitor.goto(cloud.address)
    banner = visitor.get_by_test_id("link-banner")
    expect(visitor.get_by_test_id("tile-cnc-01")).to_contain_text("Running")
    expect(banner).to_be_hidden()
    cloud.stop()
    expect(banner).to_contain_text("No live data")
    expect(visitor.locator("header")).to_contain_text("Connection lost")
    cloud.start()
    expect(banner).to_be_hidden()
    plant.say("cnc-01", spindle_speed=2345.0)
    expect(visitor.get_by_test_id("tile-cnc-01")).to_contain_text(re.compile(r"2\s?345"))


def test_the_keyboard_is_enough(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("cnc-01")
    visitor.goto(cloud.address)
    visitor.get_by_test_id("tile-cnc-01").focus()
    visitor.keyboard.press("Enter")
    expect(visitor.get_by_test_id("machine-head")).to_be_visible()
    visitor.get_by_test_id("live-60").focus()
    visitor.keyboard.press("Enter")
    expect(visitor).to_have_url(re.compile("range=live-60"))


def test_pages_that_are_not_there_say_so(visitor: Page, cloud: Any) -> None:
    visitor.goto(f"{cloud.address}/machines/nothing-99")
    expect(visitor.get_by_text("There is no machine “nothing-99”")).to_be_visible()
    visitor.goto(f"{cloud.address}/no/such/page")
    expect(visitor.get_by_text("There is nothing at this address")).to_be_visible()


def test_a_window_that_gets_narrow_hides_the_tree(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("cnc-01", en="Milling center 1")
    visitor.goto(cloud.address)
    expect(visitor.locator("aside.tree")).to_be_visible()
    visitor.set_viewport_size({"width": 768, "height": 900})
    expect(visitor.locator("aside.tree")).to_be_hidden()


def test_names_that_begin_alike_are_whole_in_the_list_of_a_telephone(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("cnc-01", en="Milling center 1", zh="加工中心 1")
    visitor.set_viewport_size({"width": 390, "height": 844})
    visitor.goto(cloud.address)
    visitor.get_by_test_id("view-list").click()
    name = visitor.locator("td.name a > span").first
    expect(name).to_have_text("Milling center 1")
    assert name.evaluate("it => it.scrollWidth <= it.clientWidth && it.scrollHeight <= it.clientHeight + 1")


def test_each_page_has_its_title_in_the_language(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("cnc-01", en="Milling center 1", zh="加工中心 1")
    visitor.goto(cloud.address)
    expect(visitor).to_have_title("Plant overview · shopfloor")
    visitor.get_by_test_id("tile-cnc-01").click()
    expect(visitor).to_have_title("Milling center 1 · shopfloor")
    visitor.get_by_test_id("language").click()
    expect(visitor).to_have_title("加工中心 1 · shopfloor")
    visitor.goto(f"{cloud.address}/users")
    expect(visitor).to_have_title("用户 · shopfloor")


def test_a_user_name_that_cannot_be_is_told_at_once(visitor: Page, cloud: Any) -> None:
    visitor.goto(f"{cloud.address}/users")
    visitor.fill("input[name=username]", "Li Wei")
    expect(visitor.get_by_text("A user name begins with a small letter")).to_be_visible()
    expect(visitor.get_by_role("button", name="Add a user")).to_be_disabled()
    visitor.fill("input[name=username]", "li.wei")
    expect(visitor.get_by_text("A user name begins with a small letter")).to_be_hidden()


def test_the_small_trend_has_the_gaps_of_the_big_one(visitor: Page, plant: Any, cloud: Any) -> None:
    now_ns = time.time_ns()
    plant.announce("cnc-01")
    plant.say("cnc-01", execution="ACTIVE", spindle_speed=1000.0)
    place = "cnc,site=shanghai,area=machining,line=line1,asset=cnc-01"
    times = [*range(400, 540, 5), *range(1, 100, 5)]
    cloud.write("\n".join(f"{place} spindle_speed={1000 + n}.0 {now_ns - n * 10**9}" for n in times))
    visitor.goto(cloud.address)
    said = visitor.get_by_test_id("tile-cnc-01").locator(".trend path").first
    expect(said).to_have_attribute("d", re.compile(r"M.*M"))
