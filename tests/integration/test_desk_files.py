"""The desk's files on the wire: compressed, without comments, checked for newer versions."""

import re

import httpx

from ops_service.app import DESK_HEADERS, FRONTEND
from ops_service.desk_files import without_comments
from tests.running_ops import RunningOps

SCRIPT = "/static/lib/format.js"


def test_scripts_and_styles_come_compressed_and_without_comments(ops: RunningOps) -> None:
    for path in (SCRIPT, "/static/styles/base.css"):
        answer = ops.http.get(path)
        source = (FRONTEND / path.removeprefix("/static/")).read_text()
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["content-length"]) < len(source) / 2
        assert not re.search(r"^\s*(//|/\*)", answer.text, re.MULTILINE)
        assert len(answer.text.splitlines()) == len(source.splitlines())
        assert DESK_HEADERS.items() <= {name.title(): value for name, value in answer.headers.items()}.items()


def test_who_takes_no_gzip_gets_the_same_plain(ops: RunningOps) -> None:
    plain = httpx.get(ops.url + SCRIPT, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == ops.http.get(SCRIPT).text


def test_an_unchanged_file_is_not_sent_again(ops: RunningOps) -> None:
    etag = ops.http.get(SCRIPT).headers["etag"]
    again = ops.http.get(SCRIPT, headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_only_comments_that_have_a_line_of_their_own_are_left_out() -> None:
    source = b'a("http://x"); // why\n  // gone\n/** gone\n * too\n */\nb("/* stays */");\n'
    assert without_comments(source) == b'a("http://x"); // why\n\n\n\n\nb("/* stays */");\n'


def test_every_answer_names_its_request(ops: RunningOps) -> None:
    ids = {ops.http.get(path).headers["x-request-id"] for path in ("/readyz", "/", "/nothing", SCRIPT)}
    assert len(ids) == 4
