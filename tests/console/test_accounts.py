"""Users, tokens and passwords, as their owner and as an admin."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import WIDTHS, too_wide

PASSWORD = "a password of a test"
SOURCES = Path(__file__).parents[2] / "cloud" / "console" / "src"


def test_a_user_is_added_comes_by_link_and_must_set_a_password(
    visitor: Page, plant: Any, cloud: Any, browser: Browser
) -> None:
    plant.announce("cnc-01", en="Milling center 1")
    visitor.goto(cloud.address)
    visitor.get_by_test_id("account").get_by_role("button").click()
    visitor.get_by_test_id("page-users").click()
    visitor.fill("input[name=username]", "li.wei")
    visitor.get_by_role("combobox", name="Role").first.select_option("operator")
    visitor.get_by_role("button", name="Add a user").click()
    once = visitor.get_by_test_id("once")
    expect(once).to_contain_text("Login link of li.wei")
    link = once.locator("code").inner_text()
    assert link.startswith(f"{cloud.address}/login#")
    visitor.reload()
    expect(visitor.locator("[data-user='li.wei']")).to_contain_text("has not set a password yet")
    expect(once).to_be_hidden()

    theirs = browser.new_context(locale="en-US").new_page()
    theirs.goto(link)
    expect(theirs.get_by_test_id("whose")).to_contain_text("li.wei (Operator)")
    theirs.goto(f"{cloud.address}/machines/cnc-01")  # nothing else is to be had before
    expect(theirs.get_by_test_id("whose")).to_contain_text("li.wei")
    theirs.fill("input[name=new-password]", PASSWORD)
    theirs.fill("input[name=repeat]", PASSWORD)
    theirs.get_by_role("button", name="Save and continue").click()
    expect(theirs.get_by_role("heading", name="Milling center 1")).to_be_visible()
    theirs.get_by_test_id("account").get_by_role("button").click()
    expect(theirs.get_by_test_id("page-tokens")).to_be_visible()
    expect(theirs.get_by_test_id("page-users")).to_be_hidden()
    theirs.goto(f"{cloud.address}/users")  # not for operators
    expect(theirs.get_by_test_id("nowhere")).to_contain_text("“Users” is not for the role “Operator”")
    theirs.get_by_test_id("nowhere").get_by_role("link").click()
    expect(theirs.get_by_role("heading", name="Plant overview")).to_be_visible()

    theirs.context.close()


def add(visitor: Page, cloud: Any, browser: Browser, username: str, role: str, *scopes: str) -> Page:
    """Add a user; return a page of theirs."""
    wish = {"username": username, "role": role, "password": PASSWORD, "scopes": list(scopes) or ["plant"]}
    headers = {"Origin": cloud.address}
    assert visitor.request.post(f"{cloud.address}/api/v1/users", data=wish, headers=headers).status == 201
    theirs = browser.new_context(locale="en-US")
    credentials = {"username": username, "password": PASSWORD}
    assert theirs.request.post(f"{cloud.address}/api/v1/auth/login", data=credentials, headers=headers).ok
    return theirs.new_page()


def closed_pages() -> dict[str, str]:
    """Return the addresses of the pages that need a right, with the action."""
    texts = [path.read_text() for path in (SOURCES / "pages").glob("*/page.ts")]
    found = {re.findall(r'route: "(.*?)"', text)[0]: re.findall(r'who: "(.*?)"', text) for text in texts}
    return {route: who[0] for route, who in found.items() if who and who != ["everybody"]}


def test_every_page_says_which_role_it_needs(visitor: Page, cloud: Any, browser: Browser) -> None:
    theirs = add(visitor, cloud, browser, "chen.jie", "maintainer")
    closed = closed_pages()
    assert closed["/faults"] == "inject"
    roles = {
        "inject": ("Trainer", "培训师"),
        "configure": ("Engineer", "工程师"),
        "administer": ("Administrator", "管理员"),
    }
    for language, locale in enumerate(("en", "zh")):
        theirs.goto(cloud.address)
        theirs.evaluate(f"localStorage.setItem('shopfloor.locale', '{locale}')")
        for route, action in closed.items():
            theirs.goto(f"{cloud.address}{route}")
            said = theirs.get_by_test_id("nowhere")
            expect(said).to_contain_text(
                ["it needs the role “{}”", "需要“{}”角色"][language].format(roles[action][language])
            )
    theirs.context.close()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_role_and_the_scope_of_a_user_are_edited_and_hold_at_once(
    visitor: Page, plant: Any, cloud: Any, browser: Browser, language: str
) -> None:
    plant.announce("cnc-01", line="line1", en="Milling center 1", zh="加工中心 1")
    plant.announce("cnc-02", line="line2", en="Milling center 2", zh="加工中心 2")
    theirs = add(visitor, cloud, browser, "li.wei", "viewer")
    theirs.goto(cloud.address)
    expect(theirs.get_by_text("Milling center 2").first).to_be_visible()
    visitor.goto(cloud.address)
    visitor.evaluate(f"localStorage.setItem('shopfloor.locale', '{language}')")
    visitor.goto(f"{cloud.address}/users")
    edit, save, whole = [("Role and scope", "Save", "all of the plant"), ("角色和范围", "保存", "整个工厂")][
        language == "zh"
    ]
    row = visitor.locator("[data-user='li.wei']")
    expect(row).to_contain_text(whole)
    row.get_by_role("button", name=edit).focus()
    visitor.keyboard.press("Enter")
    access = visitor.get_by_test_id("access")
    access.locator("[name=role-of]").select_option("operator")
    access.locator("[name=scopes-of]").fill("line:shanghai/machining/line1")
    assert too_wide(visitor, 1920, *WIDTHS) == {}
    access.get_by_role("button", name=save).click()
    expect(access).to_be_hidden()
    expect(row).to_contain_text("line:shanghai/machining/line1")
    told = theirs.request.get(f"{cloud.address}/api/v1/auth/me").json()
    assert (told["role"], told["scopes"]) == ("operator", ["line:shanghai/machining/line1"])
    theirs.reload()
    expect(theirs.get_by_text("Milling center 1").first).to_be_visible()
    expect(theirs.get_by_text("Milling center 2")).to_have_count(0)
    theirs.context.close()

    row = visitor.locator("[data-user=admin]")
    row.get_by_role("button", name=edit).click()
    access.locator("[name=role-of]").select_option("viewer")
    access.get_by_role("button", name=save).click()
    expect(visitor.get_by_role("alert")).to_contain_text(
        ["admin is the last administrator.", "admin 是最后一名管理员。"][language == "zh"]
    )
    expect(access).to_be_visible()


def test_roles_change_and_users_are_disabled_and_deleted(visitor: Page, cloud: Any) -> None:
    visitor.goto(f"{cloud.address}/users")
    visitor.fill("input[name=username]", "wang.fang")
    visitor.get_by_role("button", name="Add a user").click()
    row = visitor.locator("[data-user='wang.fang']")
    row.get_by_role("button", name="Role and scope").click()
    row.get_by_role("combobox").select_option("engineer")
    row.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("Engineer")
    visitor.reload()
    expect(row).to_contain_text("Engineer")

    dialog = visitor.get_by_test_id("ask")
    row.get_by_role("button", name="Disable").click()
    dialog.get_by_role("button", name="Disable").click()
    expect(row).to_contain_text("disabled")
    row.get_by_role("button", name="Enable").click()
    expect(row.get_by_role("button", name="Disable")).to_be_visible()
    row.get_by_role("button", name="Delete").click()
    visitor.keyboard.press("Escape")
    expect(row).to_be_visible()
    row.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(row).to_be_hidden()

    visitor.locator("[data-user=admin]").get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog).to_contain_text("admin is the last administrator.")
    visitor.keyboard.press("Escape")
    visitor.get_by_test_id("language").click()
    visitor.locator("[data-user=admin]").get_by_role("button", name="删除").click()
    dialog.get_by_role("button", name="删除").click()
    expect(dialog).to_contain_text("admin 是最后一名管理员。")


def test_a_token_is_shown_once_works_and_is_revoked(visitor: Page, cloud: Any) -> None:
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=cloud.address)
    visitor.goto(f"{cloud.address}/tokens")
    expect(visitor.get_by_text("There is no token yet.")).to_be_visible()
    visitor.fill("input[name=token-name]", "grafana")
    visitor.get_by_role("button", name="Make a token").click()
    once = visitor.get_by_test_id("once")
    token = once.locator("code").inner_text()
    once.get_by_test_id("copy").click()
    expect(once.get_by_test_id("copy")).to_contain_text("Copied")
    assert visitor.evaluate("navigator.clipboard.readText()") == token
    ask = {"Authorization": f"Bearer {token}"}
    assert httpx2.get(f"{cloud.address}/api/v1/plant", headers=ask).status_code == 200
    visitor.reload()
    expect(visitor.get_by_test_id("tokens")).to_contain_text("grafana")
    expect(once).to_be_hidden()

    visitor.get_by_role("button", name="Revoke").click()
    visitor.get_by_test_id("ask").get_by_role("button", name="Revoke").click()
    expect(visitor.get_by_text("There is no token yet.")).to_be_visible()
    assert httpx2.get(f"{cloud.address}/api/v1/plant", headers=ask).status_code == 401


def test_the_own_password_is_changed_and_says_whose_it_is(visitor: Page, cloud: Any) -> None:
    visitor.goto(f"{cloud.address}/password")
    expect(visitor.get_by_role("heading", name="Password of admin")).to_be_visible()
    visitor.fill("input[name=password]", "not the password")
    visitor.fill("input[name=new-password]", "another password of a test")
    visitor.fill("input[name=repeat]", "another password of a test")
    visitor.get_by_role("button", name="Change password").click()
    expect(visitor.get_by_role("alert")).to_contain_text("The current password is wrong.")
    visitor.get_by_test_id("language").click()
    expect(visitor.get_by_role("alert")).to_contain_text("当前密码错误。")
    visitor.fill("input[name=password]", PASSWORD)
    visitor.get_by_role("button", name="修改密码").click()
    expect(visitor.get_by_test_id("saved")).to_be_visible()


def test_the_menu_is_worked_by_keyboard(visitor: Page, cloud: Any) -> None:
    visitor.goto(cloud.address)
    button = visitor.get_by_test_id("account").get_by_role("button").first
    button.focus()
    visitor.keyboard.press("Enter")
    expect(visitor.get_by_test_id("page-password")).to_be_focused()
    visitor.keyboard.press("ArrowDown")
    expect(visitor.get_by_test_id("page-tokens")).to_be_focused()
    visitor.keyboard.press("Escape")
    expect(visitor.get_by_test_id("page-tokens")).to_be_hidden()
    expect(button).to_be_focused()
    visitor.keyboard.press("Enter")
    expect(visitor.get_by_test_id("page-api")).to_have_attribute("href", "/api/v1/docs")
    visitor.keyboard.press("Enter")
    expect(visitor.get_by_role("heading", name="Change password", level=1)).to_be_visible()
