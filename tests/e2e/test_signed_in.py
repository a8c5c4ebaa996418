"""Who is signed in: the page finds out, notices a change, and says so where it does not know."""

import re

from playwright.sync_api import Dialog, Page, Route, expect
from sqlalchemy import text

from tests.e2e.test_desk_page import wizard_run
from tests.e2e.test_live import forget_the_cut, hurry
from tests.e2e.test_people_page import expect_complaints, sign_in
from tests.people import PASSWORD, add_user
from tests.running_ops import RunningOps

BUSY = {"type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": "Busy."}


def busy(route: Route) -> None:
    route.fulfill(status=503, json=BUSY, headers={"content-type": "application/problem+json"})


def test_a_busy_service_is_asked_again_who_is_signed_in(
    ops: RunningOps, page: Page, page_complaints: list[str]
) -> None:
    add_user(ops, "ana", "agent")
    hurry(page.context)
    page.goto(ops.url)
    sign_in(page, "ana")
    page.get_by_role("heading", name="Dashboard").wait_for()
    page.route("**/api/v1/auth/me", busy)
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The service is busy.")
    page.wait_for_timeout(500)
    page.get_by_label("Name").fill("an")
    page.wait_for_timeout(500)
    expect(page.get_by_label("Name")).to_have_value("an")
    page.unroute("**/api/v1/auth/me")
    page.get_by_role("heading", name="Dashboard").wait_for()
    expect_complaints(page_complaints, "503")


def test_whatever_is_refused_first_leads_to_the_form_and_back(
    ops: RunningOps, page: Page, page_complaints: list[str]
) -> None:
    add_user(ops, "ana", "agent")
    wizard_run(ops, "broken", 2, failed=True)
    page.add_init_script("localStorage.setItem('ops.language', 'pt')")
    page.goto(f"{ops.url}/#/tickets/1")
    page.locator("input[name=name]").fill("ana")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    note = page.locator("textarea")
    note.fill("Ninguém atende")
    with ops.database.write() as connection:  # of which the stream learns within a minute
        connection.execute(text("DELETE FROM user_sessions"))
    # Gone already, if something else that the page asks was refused first.
    page.evaluate("document.querySelector('.note-form button')?.click()")
    expect(page.get_by_role("alert")).to_have_text("A sua sessão terminou. Inicie sessão outra vez.")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.locator("input[name=name]").fill("ana")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    expect(note).to_have_value("Ninguém atende")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect_complaints(page_complaints, "401")


def test_one_browser_has_one_operator(
    ops: RunningOps, page: Page, other_tab: Page, page_complaints: list[str]
) -> None:
    add_user(ops, "ana", "admin")
    link = ops.http.post("/api/v1/users", json={"name": "eva", "role": "agent"}).json()["path"]
    page.goto(ops.url)
    sign_in(page, "ana")
    expect(page.locator(".account-link bdi")).to_have_text("ana")
    other_tab.goto(ops.url + link)
    other_tab.get_by_label("New password").fill(PASSWORD)
    other_tab.get_by_label("New password").press("Enter")
    expect(page.locator(".account-link bdi")).to_have_text("eva")
    expect(page.get_by_role("link", name="People")).to_have_count(0)
    other_tab.get_by_role("button", name="Sign out").click()
    sign_in(page, "ana")
    expect(other_tab.locator(".account-link bdi")).to_have_text("ana")
    expect_complaints(page_complaints, "401")


def test_a_sign_out_that_fails_is_said_aloud(ops: RunningOps, page: Page, page_complaints: list[str]) -> None:
    page.on("dialog", Dialog.accept)
    add_user(ops, "ana", "agent")
    page.goto(ops.url)
    sign_in(page, "ana")
    page.route("**/auth/sign-out**", lambda route: route.abort())
    with page.expect_event("dialog") as told:
        page.get_by_role("button", name="Sign out").click()
    assert told.value.message == "The service does not answer."
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    forget_the_cut(page_complaints)


def test_a_spoilt_token_in_the_address_leads_to_the_form(
    ops: RunningOps, page: Page, page_complaints: list[str]
) -> None:
    page.goto(f"{ops.url}/#token=abc%")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.url == f"{ops.url}/#/"
    expect_complaints(page_complaints, "401")


def test_too_many_failed_attempts_are_told_with_the_time_to_wait(
    ops: RunningOps, page: Page, page_complaints: list[str]
) -> None:
    for _ in range(10):
        refused = ops.http.post("/api/v1/auth/sign-in", json={"name": "ana", "password": "wrong"})
        assert refused.status_code == 401
    page.goto(ops.url)
    sign_in(page, "ana")
    told = re.compile(r"^Too many failed attempts\. Try again in \d+ seconds\.$")
    expect(page.get_by_role("alert")).to_have_text(told)
    expect_complaints(page_complaints, "429")
