"""The desk's files on the wire: joined, compressed, without comments, checked for newer versions."""

import gzip
import os
import re
import time
from pathlib import Path

import brotli
import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from ops_service.app import DESK_HEADERS, FRONTEND
from ops_service.desk_files import DeskFiles, condensed
from ops_service.joined_modules import NotJoinable, in_order, joined
from tests.running_ops import RunningOps

SCRIPT = "/static/app.js"
MODULE = "/static/lib/format.js"


def raw(ops: RunningOps, path: str, accepted: str) -> tuple[httpx.Headers, bytes]:
    """The answer as it came over the wire."""
    with httpx.stream("GET", ops.url + path, headers={"accept-encoding": accepted}) as answer:
        return answer.headers, b"".join(answer.iter_raw())


def test_scripts_and_styles_come_without_comments(ops: RunningOps) -> None:
    for path in (MODULE, "/static/styles/base.css"):
        answer = ops.http.get(path)
        source = (FRONTEND / path.removeprefix("/static/")).read_text()
        assert len(answer.text) < len(source)
        assert not re.search(r"^\s*(//|/\*)", answer.text, re.MULTILINE)
        assert DESK_HEADERS.items() <= {name.title(): value for name, value in answer.headers.items()}.items()


ENCODINGS = {
    "gzip, deflate, br, zstd": "br",
    "gzip, deflate": "gzip",
    "br;q=0, gzip;q=0.5": "gzip",
    "br; q=0.000": None,
    "identity": None,
    "gzip;q=x": "gzip",
    "brotli": None,
}


def test_a_script_comes_in_the_best_encoding_that_is_accepted(ops: RunningOps) -> None:
    plain = raw(ops, SCRIPT, "identity")[1]
    unpack = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}
    for accepted, chosen in ENCODINGS.items():
        headers, body = raw(ops, SCRIPT, accepted)
        assert (accepted, headers.get("content-encoding")) == (accepted, chosen)
        assert unpack[chosen](body) == plain
        assert headers["vary"] == "Accept-Encoding"


def test_an_unchanged_file_is_not_sent_again(ops: RunningOps) -> None:
    for path in (SCRIPT, "/static/icon.svg"):
        etag = ops.http.get(path).headers["etag"]
        again = ops.http.get(path, headers={"if-none-match": etag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["content-security-policy"]
    assert ops.http.get(SCRIPT, headers={"if-none-match": 'W/"other"'}).status_code == 200


def test_a_head_has_the_headers_and_no_body(ops: RunningOps) -> None:
    whole, head = ops.http.get(SCRIPT), ops.http.head(SCRIPT)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-encoding", "content-length", "etag", "content-type"):
        assert head.headers[name] == whole.headers[name]


def test_a_changed_module_is_sent_with_the_next_request(tmp_path: Path) -> None:
    (tmp_path / "app.js").write_text('import { a } from "./a.js";\nshow(a);\n')
    (tmp_path / "a.js").write_text("export const a = 1;\n")
    app = Starlette(routes=[Mount("/static", DeskFiles(tmp_path, {}))])
    with TestClient(app) as client:
        before = client.get(SCRIPT)
        (tmp_path / "a.js").write_text("export const a = 2;\n")
        os.utime(tmp_path / "a.js", ns=(0, time.time_ns() + 10**9))
        after = client.get(SCRIPT, headers={"if-none-match": before.headers["etag"]})
        assert "const a = 1;" in before.text
        assert (after.status_code, "const a = 2;" in after.text) == (200, True)


def test_only_comments_that_have_a_line_of_their_own_are_left_out() -> None:
    source = 'a("http://x"); // why\n  // gone\n\n/** gone\n * too\n */\n  b("/* stays */")\n'
    assert condensed(source) == 'a("http://x"); // why\nb("/* stays */")\n'


def test_lines_are_joined_where_a_break_has_no_meaning() -> None:
    source = "a(b,\n  c); // d,\ne();\n\nreturn {\n  f: 1,\n}\ng\n"
    assert condensed(source) == "a(b,c); // d,\ne();return {f: 1,}\ng\n"


def test_every_module_stands_once_in_the_joined_script_behind_what_it_imports() -> None:
    order = in_order(FRONTEND / "app.js")
    assert len(order) == len(set(order)) > 40
    assert order[-1] == FRONTEND / "app.js"
    assert not re.search(r"^(import|export)\b", joined(FRONTEND / "app.js"), re.MULTILINE)


@pytest.mark.parametrize(
    ("modules", "complaint"),
    [
        (
            {"a": 'import { b } from "./b.js";\n', "b": 'import { a } from "./a.js";\nexport const b = 1;\n'},
            "itself",
        ),
        (
            {"a": 'import { b } from "./b.js";\nexport const b = 1;\n', "b": "export const b = 1;\n"},
            "both declare b",
        ),
        (
            {"a": 'import { b } from "./b.js";\nlet c = b;\n', "b": "export const b = 1;\nfunction c() {}\n"},
            "both declare c",
        ),
        ({"a": 'import b from "./b.js";\n', "b": "export const b = 1;\n"}, "import b from"),
        ({"a": "export default 1;\n"}, "export default"),
        ({"a": "export let a = 1;\n"}, "export let"),
    ],
)
def test_what_cannot_be_joined_is_refused(modules: dict[str, str], complaint: str, tmp_path: Path) -> None:
    for name, source in modules.items():
        (tmp_path / f"{name}.js").write_text(source)
    with pytest.raises(NotJoinable, match=complaint):
        joined(tmp_path / "a.js")
