"""Known sets are fetched from a server on loopback: whole, verified, gone on with, or refused in a sentence or two."""

import hashlib
import io
import re
import stat
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from utils.data import datasets
from utils.data.reading import downloads
from utils.data.reading.downloads import BLOCK, fetch
from utils.data.reading.places import KNOWN, Known
from utils.errors import UserError

RATINGS = "".join(f"{user}::{movie}::{1 + (user + movie) % 5}::{user}\n" for user in range(99) for movie in range(99))


def zipped(files, mode=0o644 | stat.S_IFREG, packed=zipfile.ZIP_DEFLATED):
    """The bytes of a zip archive of {name: text}."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type, info.external_attr = packed, mode << 16
            archive.writestr(info, text)
    return out.getvalue()


FILES = {"tiny/ratings.dat": RATINGS, "tiny/README": "terms", "__MACOSX/tiny/._README": "left aside"}
GOOD = zipped(FILES, packed=zipfile.ZIP_STORED)  # 100 kB: some blocks


class Server(ThreadingHTTPServer):
    """Serves `body` for every *.zip and its md5 for *.zip.md5; `stops` holds after how many bytes each answer breaks
    off, `status` replaces the answer, `ranges` remembers the Range header of each request for a *.zip."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.stops, self.status, self.ranges, self.md5 = GOOD, [], 200, [], None
        self.url = f"http://127.0.0.1:{self.server_port}/sets"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        if self.path.endswith(".md5"):
            return self.answer(200, (server.md5 or hashlib.md5(server.body).hexdigest() + "  tiny.zip\n").encode())  # noqa: S324
        server.ranges.append(self.headers.get("Range"))
        if server.status != 200:
            return self.answer(server.status, b"no")
        start = int(re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])
        if start and start >= len(server.body):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(server.body)}"})
        stop = server.stops.pop(0) if server.stops else None
        return self.answer(206 if start else 200, server.body[start:], stop=stop)

    def answer(self, status, body, headers=None, stop=None):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body[:stop])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(downloads, "PAUSE", 0)
    monkeypatch.setitem(KNOWN, "ml-tiny", Known("tiny", hashlib.sha256(GOOD).hexdigest()))
    monkeypatch.setitem(KNOWN, "ml-changing", Known("tiny"))
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def refusal(name, folder, url):
    """The message of the UserError that fetching gives; it says where to get and to place the archive, if it must."""
    with pytest.raises(UserError) as caught:
        fetch(name, folder, url)
    assert not list(folder.glob("tiny*"))
    assert not list(folder.glob(".*"))
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


def whole(folder):
    """Whether the set lies in the folder exactly as it was packed, and nothing but it."""
    assert [path.name for path in folder.iterdir()] == ["tiny"]
    assert {path.name for path in (folder / "tiny").iterdir()} == {"ratings.dat", "README"}
    return (folder / "tiny" / "ratings.dat").read_text() == RATINGS


def test_a_known_set_is_downloaded_unpacked_and_then_found(server, tmp_path, capsys):
    folder = tmp_path / "data"  # made if absent
    assert fetch("ml-tiny", folder, server.url) == folder / "tiny"
    assert whole(folder)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("University of Minnesota") == 1
    fetch("ml-tiny", folder, server.url)
    assert len(server.ranges) == 1
    assert capsys.readouterr().err == ""
    assert len(datasets.load("ml-tiny", data_dir=folder).ratings) == 99 * 99


def test_an_interrupted_download_goes_on_where_it_stopped(server, tmp_path):
    server.stops = [2 * BLOCK + 7, BLOCK]
    fetch("ml-tiny", tmp_path, server.url)
    assert whole(tmp_path)
    assert server.ranges == [None, f"bytes={2 * BLOCK}-", f"bytes={3 * BLOCK}-"]


def test_a_download_interrupted_for_good_is_gone_on_with_the_next_time(server, tmp_path):
    server.stops = [BLOCK] * 4
    assert "the connection breaks off each time" in refusal("ml-tiny", tmp_path, server.url)
    assert (tmp_path / "ml-tiny.zip.part").read_bytes() == GOOD[: 4 * BLOCK]
    fetch("ml-tiny", tmp_path, server.url)
    assert whole(tmp_path)
    assert server.ranges[-1] == f"bytes={4 * BLOCK}-"


def test_a_part_that_is_whole_already_is_not_fetched_again(server, tmp_path):
    (tmp_path / "ml-tiny.zip.part").write_bytes(GOOD)
    fetch("ml-tiny", tmp_path, server.url)
    assert whole(tmp_path)
    assert server.ranges == [f"bytes={len(GOOD)}-"]


@pytest.mark.parametrize("part", [b"not a part of it", GOOD + b"and more"])
def test_a_part_of_something_else_is_thrown_away(server, tmp_path, part):
    (tmp_path / "ml-tiny.zip.part").write_bytes(part)
    fetch("ml-tiny", tmp_path, server.url)
    assert whole(tmp_path)
    assert server.ranges[-1] is None


def test_a_wrong_checksum_is_refused_and_leaves_nothing(server, tmp_path):
    server.body = GOOD[:-1] + b"x"
    said = refusal("ml-tiny", tmp_path, server.url)
    assert "does not have the published checksum" in said
    assert f"{server.url}/ml-tiny.zip" in said
    assert f"place it at {tmp_path / 'ml-tiny.zip'}" in said
    assert list(tmp_path.iterdir()) == []
    assert server.ranges == [None]  # not fetched again and again


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (500, 4), (503, 4)])
def test_a_server_error_is_said_and_retried_if_that_can_help(server, tmp_path, status, tries):
    server.status = status
    assert f"answers {status}" in refusal("ml-tiny", tmp_path, server.url)
    assert len(server.ranges) == tries


def test_offline_says_the_address_and_the_place(tmp_path, server):
    server.server_close()
    said = refusal("ml-tiny", tmp_path, server.url)
    assert "no connection to 127.0.0.1" in said
    assert f"{server.url}/ml-tiny.zip" in said
    assert f"place it at {tmp_path / 'ml-tiny.zip'}" in said


@pytest.mark.parametrize(
    ("error", "said"),
    [(requests.exceptions.SSLError("expired"), "certificate can't be verified"), (requests.Timeout(), "in time")],
)
def test_tls_is_verified_and_what_fails_is_said(monkeypatch, server, tmp_path, error, said):
    def get(*_, **options):
        assert options.get("verify", True) is True
        raise error

    monkeypatch.setattr(requests, "get", get)
    assert said in refusal("ml-tiny", tmp_path, server.url)
    assert said in refusal("ml-changing", tmp_path, server.url)


def test_a_set_that_changes_is_held_against_the_md5_beside_it(server, tmp_path):
    fetch("ml-changing", tmp_path / "a", server.url)
    assert whole(tmp_path / "a")
    server.md5 = "MD5 (tiny.zip) = " + "0" * 32
    (tmp_path / "b").mkdir()
    assert "does not have the published checksum" in refusal("ml-changing", tmp_path / "b", server.url)
    server.md5 = "<html>moved</html>"
    assert "holds no md5 checksum" in refusal("ml-changing", tmp_path / "b", server.url)


def test_an_archive_placed_by_hand_is_verified_unpacked_and_kept(server, tmp_path):
    archive = tmp_path / "ml-tiny.zip"
    archive.write_bytes(GOOD[:-10])
    said = refusal("ml-tiny", tmp_path, server.url)
    assert str(archive) in said
    assert "not the published archive" in said
    archive.write_bytes(GOOD)
    fetch("ml-tiny", tmp_path, server.url)
    assert archive.read_bytes() == GOOD
    archive.unlink()
    assert whole(tmp_path)
    assert server.ranges == []


def test_a_placed_archive_without_known_checksum_is_held_against_the_md5_placed_beside_it(server, tmp_path, capsys):
    (tmp_path / "ml-changing.zip").write_bytes(GOOD)
    (tmp_path / "ml-changing.zip.md5").write_text("1" * 32)
    assert "not the published archive" in refusal("ml-changing", tmp_path, server.url)
    (tmp_path / "ml-changing.zip.md5").unlink()
    fetch("ml-changing", tmp_path, server.url)
    assert "no checksum is known" in capsys.readouterr().err


def lying():
    """An archive whose directory claims 10 bytes for a file of 99,999."""
    data = bytearray(zipped({"tiny/ratings.dat": "0" * 99_999}))
    directory = data.rindex(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (10).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (zipped({"tiny/ratings.dat": "x", "../evil": "x"}), "'../evil' would be written outside"),
        (zipped({"tiny/ratings.dat": "x", "tiny/../../evil": "x"}), "outside"),
        (zipped({"tiny/ratings.dat": "x", "/tmp/evil": "x"}), "outside"),  # noqa: S108
        (zipped({"tiny/ratings.dat": "x", "tiny\\..\\evil": "x"}), "outside"),
        (zipped({"tiny/ratings.dat": "x", "C:/evil": "x"}), "outside"),
        (zipped({"tiny/evil": "/etc/passwd"}, mode=0o777 | stat.S_IFLNK), "is a link"),
        (zipped({"tiny/ratings.dat": "0" * 20_000_000}), "refused: 1 files of 20,000,000 bytes"),
        (zipped({f"tiny/{i}": "" for i in range(10_001)}), "refused: 10,001 files"),
        (lying(), "can't be unpacked"),
        (zipped({"other/ratings.dat": "x"}), "no folder tiny in this archive; found: other"),
        (zipped({"tiny/a": "x", "tiny/a/b": "x"}), "can't be unpacked"),
        (GOOD[: len(GOOD) // 2], "can't be unpacked"),
        (b"<html>not found</html>", "can't be unpacked"),
        (zipped(FILES).replace(b"\x08\x00", b"\x63\x00"), "can't be unpacked"),  # an unknown way of packing
    ],
)
def test_an_archive_that_would_do_harm_or_is_damaged_is_refused_and_leaves_nothing(server, tmp_path, archive, said):
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "ml-changing.zip").write_bytes(archive)
    assert said in refusal("ml-changing", inside, server.url)
    assert [path.name for path in inside.iterdir()] == ["ml-changing.zip"]
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]


def test_a_folder_that_cannot_be_written_is_said(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be stored"):
        fetch("ml-tiny", tmp_path / "file", server.url)


def test_the_published_checksums_are_of_the_length_their_kind_has():
    lengths = {"sha256": 64, "md5": 32}
    for name, known in KNOWN.items():
        assert known.checksum is None or re.fullmatch(r"(md5:)?[0-9a-f]+", known.checksum), name
        digest = (known.checksum or "md5:" + "0" * 32).removeprefix("md5:")
        assert len(digest) == lengths["sha256" if digest == known.checksum else "md5"], name
