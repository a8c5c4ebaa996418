"""Who is signed in: the page finds out, notices a change, and says so where it does not know."""

from playwright.sync_api import Page, Route, expect

from tests.e2e.test_live import hurry
from tests.e2e.test_people_page import expect_complaints, sign_in
from tests.people import add_user
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
