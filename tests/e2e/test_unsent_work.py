"""What an operator has typed is theirs until the service has it: nothing that happens takes it away."""

from playwright.sync_api import Page, Route, expect

from tests.e2e.desk_views import go, holding
from tests.e2e.test_desk_page import wizard_run
from tests.e2e.test_live import forget_the_cut
from tests.e2e.test_people_page import expect_complaints, sign_in
from tests.people import add_user
from tests.running_ops import RunningOps


def test_what_is_typed_while_an_answer_is_on_its_way_stays(desk: Page, ops: RunningOps) -> None:
    wizard_run(ops, "broken", 2, failed=True)
    go(desk, "#/tickets/1")
    assignee, tags, note = (desk.get_by_label(label) for label in ("Assignee", "Tags, sep", "New note"))
    saved = desk.locator(".ticket-form [role=status]")

    with holding(desk, "**/api/v1/desk/tickets/**", "PATCH"):
        assignee.fill("ana ")
        desk.get_by_role("button", name="Save").click()
        assignee.fill("ana maria")
        tags.fill("vip, dns")
    expect(saved).to_have_text("Saved.")
    expect(assignee).to_have_value("ana maria")
    expect(tags).to_have_value("vip, dns")
    expect(desk.get_by_text("someone else has set it")).to_have_count(0)
    desk.get_by_role("button", name="Save").click()
    expect(desk.locator("#ticket .tags li")).to_have_text(["dns", "vip"])
    assert ops.get("/api/v1/desk/tickets/1")["assignee"] == "ana maria"

    with holding(desk, "**/api/v1/desk/tickets/**", "POST"):
        note.fill("Rang the customer.")
        desk.get_by_role("button", name="Add note").click()
        note.fill("Rang the customer. Nobody there.")
    expect(desk.locator("#notes .note-note .note-body")).to_have_text("Rang the customer.")
    expect(note).to_have_value("Nobody there.")


def test_a_note_whose_answer_got_lost_is_known_to_be_there(
    desk: Page, ops: RunningOps, page_complaints: list[str]
) -> None:
    wizard_run(ops, "broken", 2, failed=True)
    go(desk, "#/tickets/1")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    desk.route("**/api/v1/desk/tickets/1/notes", lose)
    desk.get_by_label("New note").fill("Rang the customer.")
    desk.get_by_role("button", name="Add note").click()
    expect(desk.locator(".note-form [role=status]")).to_have_text("Note added.")
    expect(desk.locator("#notes .note-note .note-body")).to_have_text("Rang the customer.")
    expect(desk.get_by_label("New note")).to_have_value("")
    forget_the_cut(page_complaints)


def test_what_is_typed_waits_for_who_leaves_and_for_who_has_to_sign_in_again(
    ops: RunningOps, page: Page, page_complaints: list[str]
) -> None:
    for name in ("ana", "rui"):
        add_user(ops, name, "agent")
    wizard_run(ops, "broken", 2, failed=True)
    page.goto(f"{ops.url}/#/tickets/1")
    sign_in(page, "ana")
    page.get_by_label("New note").fill("Half a")
    page.get_by_label("Assignee").fill("zoe")
    page.locator(".event-name").first.click()
    page.get_by_role("heading", name="Event #1").wait_for()
    page.go_back()
    expect(page.get_by_label("New note")).to_have_value("Half a")
    page.get_by_label("New note").fill("Half a note")
    assert ops.http.delete("/api/v1/users/1/sessions").status_code == 204
    for name, note, assignee in (("rui", "", ""), ("ana", "Half a note", "zoe")):
        page.get_by_role("heading", name="Sign in").wait_for()
        sign_in(page, name)
        expect(page.get_by_label("New note")).to_have_value(note)
        expect(page.get_by_label("Assignee")).to_have_value(assignee)
        if name == "rui":
            page.get_by_role("button", name="Sign out").click()
    expect_complaints(page_complaints, "401")
