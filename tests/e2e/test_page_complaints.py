"""The fixtures notice what a page must never do: else the other browser tests prove less than they say."""

import pytest
from playwright.sync_api import Page

INLINE_SCRIPT = (
    "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))"
)
MISDEEDS = {
    "inline script": (INLINE_SCRIPT, "script"),
    "inline style": ("document.body.setAttribute('style', 'color: red')", "style"),
    "other origin": ("void fetch('http://192.0.2.1/').catch(() => null)", "connect"),
    "image of another origin": ("new Image().src = 'http://192.0.2.1/x.png'", "image"),
    "uncaught error": (
        "void setTimeout(() => { throw new Error('nobody catches it') })",
        "nobody catches it",
    ),
    "console error": ("console.error('something is wrong')", "something is wrong"),
}


@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_a_misdeed_is_noticed(desk: Page, page_complaints: list[str], misdeed: str) -> None:
    script, noticed = MISDEEDS[misdeed]
    desk.evaluate(script)
    desk.wait_for_timeout(200)
    assert any(noticed in complaint for complaint in page_complaints), page_complaints
    assert desk.evaluate("window.ran") is None
    page_complaints.clear()
