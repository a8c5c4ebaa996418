"""The funnel's own windows, its past, the change against the window before, the trend."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from playwright.sync_api import Page, expect
from sqlalchemy import text

from tests.e2e.desk_views import go
from tests.e2e.test_desk_page import first_number, numbers_shown, wizard_run
from tests.running_ops import RunningOps

DAY = 24 * 60


def instant(minutes_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_if_received_at_once(ops: RunningOps) -> None:
    with ops.database.write() as connection:
        connection.execute(text("UPDATE webhook_events SET received_at = effective_at"))


def assert_numbers_open_their_lists(desk: Page, at_least: int) -> None:
    links = numbers_shown(desk.locator("#funnel table, #funnel .tiles, #failures"))
    assert len(links) >= at_least
    for shown, address in links:
        go(desk, address)
        expect(desk.locator("main .total")).to_have_text(
            re.compile(rf"^{first_number(shown.removeprefix('dns_timeout'))} sessions?$")
        )


def test_a_custom_window_lives_in_the_address_and_its_numbers_open_their_lists(
    desk: Page, ops: RunningOps
) -> None:
    for steps in range(1, 7):
        wizard_run(ops, f"inside-{steps}", steps, age=3 * DAY, failed=steps == 3)
    wizard_run(ops, "after", 4)
    go(desk, "#/?" + urlencode({"since": instant(4 * DAY), "until": instant(2 * DAY)}))
    expect(desk.locator(".tile-total .tile-count")).to_have_text("6")
    expect(desk.locator(".switch [aria-current]")).to_have_count(0)
    desk.reload()
    expect(desk.locator(".tile-total .tile-count")).to_have_text("6")
    assert_numbers_open_their_lists(desk, 14)


def test_a_window_is_entered_in_a_form(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "old", 2, age=3 * DAY)
    desk.get_by_text("Custom window").click()
    desk.get_by_label("Since").fill(instant(4 * DAY).removesuffix("Z"))
    desk.get_by_role("button", name="Filter").click()
    expect(desk.locator(".tile-total .tile-count")).to_have_text("1")
    assert "since=" in desk.url


def test_the_funnel_as_of_a_past_instant_and_its_lists(desk: Page, ops: RunningOps) -> None:
    for steps in range(1, 5):
        wizard_run(ops, f"run-{steps}", steps, age=DAY, failed=steps == 2)
    as_if_received_at_once(ops)
    then = instant(DAY - 10)
    wizard_run(ops, "run-1", 6)
    wizard_run(ops, "later", 1)
    go(desk, "#/?" + urlencode({"as_of": then}))
    expect(desk.locator("#funnel .notice")).to_contain_text("As it was known at")
    expect(desk.locator(".tile-total .tile-count")).to_have_text("4")
    expect(desk.locator(".tile-completed .tile-count")).to_have_text("0")
    expect(desk.locator(".tile-failed .tile-count")).to_have_text("1")
    assert_numbers_open_their_lists(desk, 10)
    expect(desk.locator("main .notice")).to_contain_text("As it was known at")
    desk.get_by_role("link", name="Back to now").click()
    expect(desk.locator("main .notice")).to_have_count(0)


def test_a_window_that_makes_no_sense_is_refused_in_its_place(desk: Page, page_complaints: list[str]) -> None:
    desk.get_by_role("button", name="Pause").click()
    go(desk, "#/?" + urlencode({"since": instant(1), "until": instant(5)}))
    expect(desk.locator("#funnel .trouble")).to_contain_text("The end must be later than the beginning.")
    expect(desk.locator("#funnel .trouble")).to_contain_text(re.compile("Request [0-9a-f]{8}-[0-9]+"))
    expect(desk.locator("#health .facts")).to_be_visible()
    assert all("422" in complaint for complaint in page_complaints)
    page_complaints.clear()


def test_the_change_is_that_against_the_window_before(desk: Page, ops: RunningOps) -> None:
    for number in range(30):
        wizard_run(ops, f"before-{number}", 2 if number < 15 else 1, age=1.5 * DAY)
        wizard_run(ops, f"now-{number}", 2 if number < 24 else 1)
    as_if_received_at_once(ops)
    go(desk, "#/?hours=24")
    change = desk.locator("tr[data-stage=domain_validated] .col-change")
    expect(change).to_have_text("+30 pp")
    expect(desk.locator("tr[data-stage=started] .col-change")).to_have_text("—")
    go(desk, "#/?hours=168")
    expect(change).to_have_text("n<30")


def test_the_trend_counts_days_and_each_opens_its_sessions(desk: Page, ops: RunningOps) -> None:
    for number in range(4):
        wizard_run(ops, f"old-{number}", 6 if number < 3 else 2, age=3 * DAY)
    wizard_run(ops, "new", 6)
    card = desk.locator("#trend")
    expect(card.locator(".total")).to_have_text("80% of the 5 sessions begun in 30 days are completed")
    expect(card.locator(".trend-day")).to_have_count(30)
    card.get_by_text("As a table").click()
    rows = card.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(1).locator("td")).to_have_text(["4", "3", "0", "75%"])
    for cell, total in ((0, "4 sessions"), (1, "3 sessions"), (2, "Nothing matches.")):
        address = rows.nth(1).locator("td a").nth(cell).get_attribute("href")
        assert address
        go(desk, address)
        expect(desk.locator("main")).to_contain_text(total)
        go(desk, "#/")


def test_the_longest_stalled_are_in_sight(desk: Page, ops: RunningOps) -> None:
    for number in range(5):
        wizard_run(ops, f"idle-{number}", 2, age=100 + number, domain=f"d{number}.pt")
    expect(desk.locator(".stuck a")).to_have_text(["d4.pt", "d3.pt", "d2.pt"])
