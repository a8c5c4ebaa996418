"""Signing in, and the pages about people, in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from ops_service.auth import links
from tests.e2e.desk_views import go, use_language
from tests.people import PASSWORD, add_user
from tests.running_ops import RunningOps, event


def expect_complaints(page_complaints: list[str], *statuses: str) -> None:
    """The browser writes refused requests on its console; the test wanted these and no others."""
    assert all(any(status in each for status in statuses) for each in page_complaints), page_complaints
    page_complaints.clear()


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """As an operator does, by keyboard."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_label("Password").press("Enter")


@pytest.fixture
def admin(ops: RunningOps, page: Page) -> Page:
    """The desk with an administrator signed in."""
    add_user(ops, "ana", "admin")
    page.goto(ops.url)
    sign_in(page, "ana")
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    return page


def test_the_page_asks_who_one_is_and_refuses_a_wrong_password(
    ops: RunningOps, page: Page, page_complaints: list[str]
) -> None:
    add_user(ops, "ana", "viewer")
    page.goto(ops.url)
    expect(page).to_have_title("Sign in · Ops")
    sign_in(page, "ana", "wrong")
    expect(page.get_by_role("alert")).to_have_text("Name and password do not match.")
    expect(page.get_by_label("Name")).to_have_value("ana")
    expect(page.get_by_label("Password")).to_have_value("")
    sign_in(page, "ana")
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    assert page.context.cookies() == []
    assert page.evaluate("JSON.stringify([localStorage, sessionStorage])").count("ops_session") == 0
    expect_complaints(page_complaints, "401")


def test_the_first_operator_comes_in_by_the_printed_link(
    ops: RunningOps, page: Page, page_complaints: list[str]
) -> None:
    with ops.database.write() as connection:
        link = links.address_of(ops.url, links.create(connection, None, ops.app.state.clock()))
    page.goto(link)
    page.get_by_label("Name").fill("ana")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    assert page.url == f"{ops.url}/#/"
    expect(page.get_by_role("link", name="People")).to_be_visible()
    page.goto(link)
    expect(page.get_by_text("was used already")).to_be_visible()
    expect_complaints(page_complaints, "410")


def test_an_ended_session_asks_again_and_leads_back(
    ops: RunningOps, admin: Page, page_complaints: list[str]
) -> None:
    ops.send(event("onboarding.failed", "s1", domain="acme.pt"))
    admin.goto(f"{ops.url}/#/tickets/1")
    expect(admin.get_by_label("Assignee")).to_be_visible()
    assert ops.http.delete("/api/v1/users/1/sessions").status_code == 204
    ops.send(event("domain.validated", "s1"))  # the next thing that the page wants to load
    expect(admin.get_by_text("Your session has ended.")).to_be_visible(timeout=20_000)
    sign_in(admin, "ana")
    expect(admin.get_by_label("Assignee")).to_be_visible()
    assert admin.url.endswith("#/tickets/1")
    expect_complaints(page_complaints, "401")


def test_a_viewer_sees_no_controls_that_would_be_refused(ops: RunningOps, page: Page) -> None:
    ops.send(event("onboarding.failed", "s1", domain="acme.pt"))
    add_user(ops, "rui", "viewer")
    page.goto(f"{ops.url}/#/tickets/1")
    sign_in(page, "rui")
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    expect(page.get_by_role("heading", name="Notes")).to_be_visible()
    expect(page.locator("main form")).to_have_count(0)
    expect(page.get_by_role("link", name="People")).to_have_count(0)


def test_one_changes_one_s_own_password(ops: RunningOps, admin: Page, page_complaints: list[str]) -> None:
    admin.get_by_role("link", name="ana").click()
    admin.get_by_label("Present password").fill("wrong")
    admin.get_by_label("New password").fill("another long one")
    admin.get_by_role("button", name="Change").click()
    expect(admin.get_by_text("That is not your present password.")).to_be_visible()
    expect_complaints(page_complaints, "422")
    admin.get_by_label("Present password").fill(PASSWORD)
    admin.get_by_role("button", name="Change").click()
    expect(admin.get_by_text("All your other sessions have ended.")).to_be_visible()
    admin.get_by_role("button", name="Sign out everywhere").click()
    sign_in(admin, "ana", "another long one")
    expect(admin.get_by_role("heading", name="Account")).to_be_visible()


def test_an_administrator_invites_and_the_invited_comes_in(
    ops: RunningOps, admin: Page, second_page: Page
) -> None:
    admin.get_by_role("link", name="People").click()
    people = admin.locator("#users")
    people.get_by_label("Name").fill("rui")
    people.locator("form").get_by_label("Role").select_option("agent")
    people.get_by_role("button", name="Invite").click()
    link = people.locator(".copy code").inner_text()
    expect(people.get_by_role("row", name=re.compile("rui"))).to_contain_text("invited")
    second_page.goto(link)
    second_page.get_by_label("New password").fill(PASSWORD)
    second_page.get_by_label("New password").press("Enter")
    expect(second_page.get_by_role("heading", name="Dashboard")).to_be_visible()
    second_page.close()
    people.get_by_label("Role of rui").select_option("viewer")
    expect(admin.locator("#audit")).to_contain_text("Agent → Viewer")
    people.get_by_role("button", name="Disable: rui").click()
    expect(people.get_by_role("row", name=re.compile("rui"))).to_contain_text("disabled")


def test_an_administrator_makes_and_revokes_a_token(ops: RunningOps, admin: Page) -> None:
    admin.get_by_role("link", name="People").click()
    tokens = admin.locator("#tokens")
    tokens.get_by_label("Name").fill("wall")
    tokens.get_by_role("button", name="Create token").click()
    token = tokens.locator(".copy code").inner_text()
    headers = {"Authorization": f"Bearer {token}"}
    assert ops.http.get("/api/v1/auth/me", headers=headers).json()["name"] == "wall"
    tokens.get_by_role("button", name="Revoke: wall").click()
    expect(tokens.get_by_role("row", name=re.compile("wall"))).to_have_count(0)
    assert ops.http.get("/api/v1/auth/me", headers=headers).status_code == 401


def test_the_last_administrator_is_told_why_they_stay(admin: Page, page_complaints: list[str]) -> None:
    admin.get_by_role("link", name="People").click()
    role = admin.get_by_label("Role of ana")
    role.select_option("viewer")
    expect(admin.locator("#users")).to_contain_text("The last administrator who can sign in.")
    expect(role).to_have_value("admin")
    use_language(admin, "pt")
    admin.get_by_role("button", name="Desativar: ana").click()
    expect(admin.locator("#users .message")).to_have_text(
        "É o último administrador que pode entrar. Crie outro primeiro."
    )
    expect_complaints(page_complaints, "409")


def test_a_name_that_is_taken_is_refused_in_the_operators_language(
    ops: RunningOps, admin: Page, page_complaints: list[str]
) -> None:
    ops.http.post("/api/v1/tokens", json={"name": "wall", "scope": "read"}).raise_for_status()
    use_language(admin, "pt")
    admin.get_by_role("link", name="Pessoas").click()
    for card, taken in (("#users", "ana"), ("#tokens", "wall")):
        name = admin.locator(card).get_by_label("Nome")
        name.fill(taken)
        name.press("Enter")
        expect(admin.locator(card).locator(".message")).to_have_text("Este nome já existe.")
    expect_complaints(page_complaints, "409")


def test_a_field_s_rule_is_told_in_the_operators_language(
    ops: RunningOps, admin: Page, page_complaints: list[str]
) -> None:
    assert ops.send(event("onboarding.failed", "broken")).status_code == 201
    admin.get_by_role("link", name="People").click()
    name = admin.locator("#users input[name=name]")
    role = admin.locator("#users select[name=role]")
    for language, told in (
        ("en", "The service does not accept this. Names are of a-z, 0-9, . _ @ and -."),
        ("pt", "O serviço não aceita isto. Os nomes são de a-z, 0-9, . _ @ e -."),
    ):
        use_language(admin, language)
        role.select_option("agent")
        name.fill("Rui Alves")
        name.press("Enter")
        expect(admin.locator("#users .message")).to_have_text(told)
        expect(name).to_have_value("Rui Alves")
        expect(role).to_have_value("agent")
    name.fill("rui")
    name.press("Enter")
    expect(name).to_have_value("")
    expect(admin.get_by_label("Papel de rui")).to_have_value("agent")
    go(admin, "#/tickets/1")
    tags = admin.get_by_label("Etiquetas")
    tags.fill("Olá, DNS")
    tags.press("Enter")
    expect(admin.locator(".ticket-form [role=status]")).to_have_text(
        "O serviço não aceita isto. No máximo 20 etiquetas de a-z, 0-9, _ e -. ready_for_ops vem por si."
    )
    expect_complaints(page_complaints, "422")


def test_a_password_made_of_the_name_is_refused_in_the_operators_language(
    ops: RunningOps, page: Page, page_complaints: list[str]
) -> None:
    with ops.database.write() as connection:
        link = links.address_of(ops.url, links.create(connection, None, ops.app.state.clock()))
    page.add_init_script("localStorage.setItem('ops.language', 'pt')")
    page.goto(link)
    page.locator("input[name=name]").fill("joana.ribeiro")
    page.locator("input[type=password]").fill("joana.ribeiro.2026")
    page.locator("input[type=password]").press("Enter")
    expect(page.locator(".message")).to_have_text("A palavra-passe não pode ser feita do nome.")
    expect_complaints(page_complaints, "422")


def test_a_token_in_the_address_signs_a_screen_in_and_leaves_the_address(desk: Page, ops: RunningOps) -> None:
    assert ops.tokens["write"] not in desk.url
    desk.reload()
    expect(desk.get_by_role("heading", name="Dashboard")).to_be_visible()
    desk.get_by_role("button", name="Sign out").click()
    expect(desk.get_by_label("Password")).to_be_visible()


def test_a_revoked_token_leads_back_to_the_form(
    desk: Page, ops: RunningOps, page_complaints: list[str]
) -> None:
    # Not before the page that is there has gone: what it asks with that token would end its session, too.
    desk.add_init_script("sessionStorage.setItem('ops.token', 'ops_revoked')")
    desk.reload()
    expect(desk.get_by_text("Your session has ended.")).to_be_visible()
    expect_complaints(page_complaints, "401")


@pytest.mark.parametrize("width", [320, 768, 1280])
@pytest.mark.parametrize("language", ["en", "pt"])
def test_nothing_about_people_is_wider_than_the_screen(
    ops: RunningOps, page: Page, width: int, language: str
) -> None:
    add_user(ops, "a" + "-long" * 12, "admin")
    page.set_viewport_size({"width": width, "height": 800})
    page.add_init_script(f"localStorage.setItem('ops.language', '{language}')")
    page.goto(f"{ops.url}/#/people")
    page.locator("input[name=password]").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("input[name=name]").fill("a" + "-long" * 12)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    page.locator("#audit table").wait_for()
    page.locator("#users input[name=name]").fill("rui")
    page.locator("#users input[name=name]").press("Enter")
    page.locator("#users .copy").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.goto(f"{ops.url}/#/account")
    page.locator("input[name=fresh]").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
