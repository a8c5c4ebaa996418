"""Under pressure the log stays readable: a line a second for each kind of trouble."""

import logging

import pytest

from ops_service.http.sparing_log import SparingLog, SparingWarnings


def test_a_message_is_written_once_a_second_and_the_rest_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    log = SparingLog(logging.getLogger(__name__), lambda: now)
    for number in range(3):
        log.warning("no room for %s", number)
    log.warning("the disk is full")
    assert caplog.messages == ["no room for 0", "the disk is full"]
    now += 1
    log.warning("no room for %s", 3)
    now += 1
    log.warning("no room for %s", 4)
    assert caplog.messages[2:] == ["no room for 3 (2 more before it)", "no room for 4"]


def test_a_server_s_warnings_are_written_once_a_second_too(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    logger = logging.getLogger(f"{__name__}.server")
    logger.addFilter(SparingWarnings(lambda: now))
    for _ in range(3):
        logger.warning("Invalid HTTP request received.")
        logger.error("this happens once")
    now += 1
    logger.warning("Invalid HTTP request received.")
    assert [message for message in caplog.messages if "once" not in message] == [
        "Invalid HTTP request received.",
        "Invalid HTTP request received. (2 more before it)",
    ]
    assert caplog.messages.count("this happens once") == 3
