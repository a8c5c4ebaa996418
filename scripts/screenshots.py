"""Photograph the desk for the documentation: `python -m scripts.screenshots [--views dashboard,ticket …]`.

Starts a service of its own on what `make demo` shows, the same each time but for the clock, and keeps
docs/screenshots/<view>-<width>-<theme>.png. Needs the development environment (`make setup-dev`).
"""

import argparse
import asyncio
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Browser, Page

from ops_service.commands.prepared_database import prepare
from projections.database.database import Database
from scripts.demo import fill
from tests.e2e.conftest import OPERATOR, enter
from tests.e2e.desk_views import go
from tests.people import add_user
from tests.running_ops import RunningOps, running_ops
from tests.servers import chromium

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
HEIGHT: Final = 900
COLOURS: Final = 160
"""Of the palette that keeps the pictures small."""
SIGN_IN: Final = "sign-in"
WIDTHS: Final = (320, 768, 1280)
DARK: Final = {("dashboard", 1280), ("dashboard", 320), ("ticket", 1280), ("health", 320), ("people", 1280)}


@contextmanager
def filled_service(scratch: Path) -> Iterator[RunningOps]:
    """A service on the demo's three days, its database in that folder."""
    url = f"sqlite:///{scratch}/ops.db"
    with Database(url) as database:
        prepare(database)
    # In a thread of its own: Playwright's event loop may already be running in this one.
    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, fill(url)).result()
    with running_ops(url) as ops:
        add_user(ops, OPERATOR, "admin")
        add_user(ops, "marta.lopes", "agent")
        ops.http.post("/api/v1/users", json={"name": "rui", "role": "viewer"}).raise_for_status()
        yield ops


def addresses(ops: RunningOps) -> dict[str, str]:
    """A name and an address for each view; details show a ticket and a session where something happened."""
    stuck = ops.get("/api/v1/desk/tickets", stage="failed", status="in_progress", limit=1)["tickets"][0]
    done = ops.get("/api/v1/onboard/sessions", state="completed", limit=1)["sessions"][0]
    return {
        "dashboard": "#/",
        "tickets": "#/tickets?limit=10",
        "ticket": f"#/tickets/{stuck['id']}",
        "sessions": "#/sessions?state=stalled&limit=10",
        "session": f"#/sessions/{done['session_id']}",
        "events": "#/events?limit=10",
        "event": "#/events/7",
        "health": "#/health",
        "account": "#/account",
        "people": "#/people",
    }


def photograph(browser: Browser, ops: RunningOps, names: list[str], width: int, theme: Any) -> None:
    """Keep a picture of the whole page for each view."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT},
        color_scheme=theme,
        locale="en-GB",
        reduced_motion="reduce",
    )
    page = context.new_page()
    if SIGN_IN in names:
        page.goto(ops.url)
        page.locator("input[type=password]").wait_for()
        keep(page, f"{SIGN_IN}-{width}-{theme}")
    enter(page, ops)
    shown = addresses(ops)
    for name in (one for one in names if one in shown):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        go(page, shown[name])
        # What lies below the screen is not drawn before it is scrolled to.
        whole = page.evaluate("() => document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": whole})
        keep(page, f"{name}-{width}-{theme}")
    context.close()


def keep(page: Page, name: str) -> None:
    """Keep a picture of what the page shows."""
    picture = Image.open(BytesIO(page.screenshot(full_page=True)))
    picture.quantize(COLOURS).save(FOLDER / f"{name}.png", optimize=True)


def main() -> None:
    """Take the pictures the arguments ask for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--views", default="", help="names separated by commas; all without it")
    wanted = parser.parse_args().views.split(",")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, filled_service(Path(scratch)) as ops:
        names = [name for name in (*addresses(ops), SIGN_IN) if wanted == [""] or name in wanted]
        with chromium.launched(chromium.provide()) as browser:
            for width in WIDTHS:
                photograph(browser, ops, names, width, "light")
                dark = [name for name in names if (name, width) in DARK]
                photograph(browser, ops, dark, width, "dark")


if __name__ == "__main__":
    main()
