"""Downloads from a server on this machine that misbehaves on demand."""

import contextlib
import errno
import gzip
import hashlib
import io
import os
import shutil
import socket
import ssl
import stat
import subprocess
import tarfile
import threading
from collections import namedtuple
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from replicate.cli import cli
from replicate.io import download as module
from replicate.io.download import fetch
from replicate.io.errors import InputError
from replicate.io.published import PUBLISHED, Source

BODY = bytes(range(256)) * 1000
SIZE = len(BODY)
POS, NEG = b"a fine film .\n" * 50, b"a dull film .\n" * 60
WANTED = (
    Source("rt-polarity.pos", (), hashlib.sha256(POS).hexdigest(), len(POS)),
    Source("rt-polarity.neg", (), hashlib.sha256(NEG).hexdigest(), len(NEG)),
)
GOOD = [("rt/README", b"read me"), ("rt/rt-polarity.pos", POS), ("rt/rt-polarity.neg", NEG)]


class Server(ThreadingHTTPServer):
    """Answers by a function a path; keeps what was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked, self.scheme = {}, [], "http"
        self.go_on = threading.Event()

    def url(self, path, *answers):
        """Address of `path`; its requests get the answers in turn, then the last again."""
        if answers:
            self.answers[path] = list(answers)
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        answers = self.server.answers[self.path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self)
        self.close_connection = True

    def start(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, *args):
        pass


def status(code, **headers):
    return lambda handler: handler.start(code, Content_Length=0, **headers)


def redirect(url):
    return status(302, Location=url)


def page(body, **headers):
    """All of `body`, whatever range is asked for."""

    def answer(handler):
        handler.start(200, Content_Length=len(body), **headers)
        handler.wfile.write(body)

    return answer


def ranged(body, stop=None, etag=None, shift=0):
    """`body` from the byte asked for; the connection breaks off at byte `stop`."""

    def answer(handler):
        headers = {"ETag": etag} if etag else {}
        wanted, condition = handler.headers.get("Range"), handler.headers.get("If-Range")
        first = 0
        if wanted and condition in (None, etag):
            first = int(wanted[len("bytes=") : -1])
            if first >= len(body):
                return handler.start(416, Content_Length=0, Content_Range=f"bytes */{len(body)}")
            named = f"bytes {first + shift}-{len(body) - 1}/{len(body)}"
            handler.start(206, Content_Length=len(body) - first, Content_Range=named, **headers)
        else:
            handler.start(200, Content_Length=len(body), **headers)
        handler.wfile.write(body[first:stop])

    return answer


def hang(handler):
    handler.server.go_on.wait(10)


@contextlib.contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server():
    with serving(Server()) as server:
        yield server


@pytest.fixture
def tls_server(tmp_path_factory, monkeypatch):
    """A server with a certificate of its own, which `requests` is told to trust."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", key, "-out", certificate]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Server()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.scheme = "https"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with serving(server):
        yield server


def source_of(*urls, body=BODY, size=SIZE):
    return Source("file.bin", urls, hashlib.sha256(body).hexdigest(), size)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No waits, short patience, and plain HTTP: a session as the module's own but for that."""
    retry = module._RETRY.new(backoff_factor=0)

    def session():
        made = own()
        made.mount("https://", HTTPAdapter(max_retries=retry))
        made.mount("http://", HTTPAdapter(max_retries=retry))
        return made

    own = module._session
    monkeypatch.setattr(module, "_session", session)
    monkeypatch.setattr(module, "_TIMEOUT", (5, 5))
    return own


def get(source, folder, **changes):
    """The file of `source`, fetched as the vectors are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "VECTORS", source)
        return fetch(folder, corpora=(), **changes)[source.name]


def refused(source, folder):
    """The message of a download that must fail: one line, and no file."""
    with pytest.raises(InputError) as caught:
        get(source, folder)
    assert "\n" not in str(caught.value)
    assert not (folder / source.name).exists()
    return str(caught.value)


def names(folder):
    return sorted(p.name for p in folder.iterdir() if p.name != ".replicate.fetch.lock")


# Whole files


def test_a_file_arrives_under_its_name_and_nothing_else(server, tmp_path):
    path = get(source_of(server.url("/f", page(BODY))), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "file.bin"
    assert path.read_bytes() == BODY
    assert names(path.parent) == ["file.bin"]


def test_progress_is_told_in_bytes(server, tmp_path):
    told = []
    source = source_of(server.url("/f", ranged(BODY, stop=100_000), ranged(BODY)))
    get(source, tmp_path, progress=lambda *row: told.append(row))
    assert {(name, total) for name, _, total in told} == {("file.bin", len(BODY))}
    done = [row[1] for row in told]
    assert done == sorted(done) and done[-1] == len(BODY) and 100_000 in done


def test_a_right_file_is_not_asked_for_again(server, tmp_path):
    source = source_of(server.url("/f", page(BODY)))
    (tmp_path / "file.bin").write_bytes(BODY)
    get(source, tmp_path)
    assert server.asked == []


@pytest.mark.parametrize("there", [b"short", bytes(len(BODY))])
def test_another_file_of_the_name_is_left_alone(server, tmp_path, there):
    """It is somebody's; nothing is asked for, and no other file is made."""
    (tmp_path / "file.bin").write_bytes(there)
    with pytest.raises(InputError, match="not the published file; move it away"):
        get(source_of(server.url("/f", page(BODY))), tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == there
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"] and server.asked == []


def test_bytes_are_kept_as_stored_when_a_server_calls_them_packed(server, tmp_path):
    body = gzip.compress(b"vectors", mtime=0)
    url = server.url("/f", page(body, Content_Encoding="gzip"))
    assert get(source_of(url, body=body, size=len(body)), tmp_path).read_bytes() == body
    assert server.asked[0][1]["Accept-Encoding"] == "identity"


# Wrong files


def test_another_content_is_refused(server, tmp_path):
    text = refused(source_of(server.url("/f", page(BODY[::-1]))), tmp_path)
    assert "sha256 is not the published one" in text
    assert names(tmp_path) == [] and len(server.asked) == 1


@pytest.mark.parametrize("body", [BODY[:-1], BODY + b"x"])
def test_another_size_is_refused_by_its_header(server, tmp_path, body):
    read = []

    def answer(handler):
        handler.start(200, Content_Length=len(body))
        # Nothing is sent: who reads on waits for ever.
        read.append(handler.rfile.read(1))

    text = refused(source_of(server.url("/f", answer)), tmp_path)
    assert f"{len(body):,} bytes instead of {len(BODY):,}" in text
    assert names(tmp_path) == []


def test_reading_stops_when_more_comes_than_should(server, tmp_path):
    sent = []

    def endless(handler):
        handler.start(200)
        for _ in range(2000):
            handler.wfile.write(bytes(1 << 16))
            sent.append(1)

    text = refused(source_of(server.url("/f", endless)), tmp_path)
    assert f"more than {len(BODY):,} bytes" in text
    server.server_close()  # waits for the handler
    assert len(sent) < 2000


def test_a_file_without_announced_length_is_taken(server, tmp_path):
    def answer(handler):
        handler.start(200)
        handler.wfile.write(BODY)

    assert get(source_of(server.url("/f", answer)), tmp_path).read_bytes() == BODY


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (BODY, "text/html; charset=utf-8"),
        (b"<!DOCTYPE html><p>Log in", "text/plain"),
        (b"\n <HTML><p>Log in", "text/plain"),
        (b"\xef\xbb\xbf<!doctype html>", "text/plain"),
    ],
)
def test_an_html_page_is_refused(server, tmp_path, body, kind):
    source = source_of(server.url("/f", page(body, Content_Type=kind)), body=body, size=len(body))
    assert "an HTML page" in refused(source, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("body", [b"<b> is no page", b"a film about <html>"])
def test_other_text_is_no_html_page(server, tmp_path, body):
    url = server.url("/f", page(body, Content_Type="text/plain"))
    assert get(source_of(url, body=body, size=len(body)), tmp_path).read_bytes() == body


# Breaks


def test_a_break_is_continued_where_it_was(server, tmp_path):
    source = source_of(server.url("/f", ranged(BODY, stop=100_000), ranged(BODY)))
    assert get(source, tmp_path).read_bytes() == BODY
    assert [headers.get("Range") for _, headers in server.asked] == [None, "bytes=100000-"]
    assert names(tmp_path) == ["file.bin"]


def test_the_next_call_continues_the_last(server, tmp_path):
    source = source_of(server.url("/f", ranged(BODY, stop=100_000)))
    assert "broken off at byte 100,000" in refused(source, tmp_path)
    assert (tmp_path / "file.bin.part").read_bytes() == BODY[:100_000]
    server.url("/f", ranged(BODY))
    assert get(source, tmp_path).read_bytes() == BODY
    assert server.asked[-1][1]["Range"] == "bytes=100000-"


def test_a_whole_part_needs_no_server(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(BODY)
    assert get(source_of(server.url("/f", page(BODY))), tmp_path).read_bytes() == BODY
    assert server.asked == []


@pytest.mark.parametrize("old", [bytes(500), bytes(len(BODY)), bytes(len(BODY) + 5)])
def test_a_part_of_something_else_is_given_up(server, tmp_path, old):
    # The shorter is continued, the equal and the longer are checked.
    (tmp_path / "file.bin.part").write_bytes(old)
    assert get(source_of(server.url("/f", ranged(BODY))), tmp_path).read_bytes() == BODY
    assert "Range" not in server.asked[-1][1]


def test_a_server_without_ranges_starts_again(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(BODY[:70_000])
    assert get(source_of(server.url("/f", page(BODY))), tmp_path).read_bytes() == BODY
    assert [headers.get("Range") for _, headers in server.asked] == ["bytes=70000-"]


def test_another_range_than_asked_for_is_refused(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(BODY[:70_000])
    assert "HTTP 206" in refused(source_of(server.url("/f", ranged(BODY, shift=1))), tmp_path)
    assert (tmp_path / "file.bin.part").read_bytes() == BODY[:70_000]


def test_a_file_that_changes_in_between_is_not_patched_together(server, tmp_path):
    first, then = ranged(BODY[::-1], stop=9000), ranged(BODY)
    assert get(source_of(server.url("/f", first, then)), tmp_path).read_bytes() == BODY
    assert [headers.get("Range") for _, headers in server.asked] == [None, "bytes=9000-", None]


def test_a_break_without_announced_length_is_noticed(server, tmp_path):
    def answer(handler):
        handler.start(200)
        handler.wfile.write(BODY[:100_000])

    source = source_of(server.url("/f", answer, ranged(BODY)))
    assert get(source, tmp_path).read_bytes() == BODY
    assert server.asked[1][1]["Range"] == "bytes=100000-"


# Waits and mirrors


def test_waits_double_and_end(server, tmp_path):
    assert "HTTP 503" in refused(source_of(server.url("/f", status(503))), tmp_path)
    assert len(server.asked) == 6
    after = [module._RETRY]
    for _ in range(5):
        after.append(after[-1].increment("GET", "/f", HTTPResponse(status=503)))
    assert [retry.get_backoff_time() for retry in after] == [0, 0, 2, 4, 8, 16]


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_a_fault_that_passes_is_waited_out(server, tmp_path, code):
    source = source_of(server.url("/f", status(code, Retry_After=9999), status(code), page(BODY)))
    assert get(source, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("code", [204, 401, 403, 404, 410])
def test_a_fault_that_stays_is_not_waited_for(server, tmp_path, code):
    assert f"HTTP {code}" in refused(source_of(server.url("/f", status(code))), tmp_path)
    assert len(server.asked) == 1


def test_a_connection_may_break_off_some_times(server, tmp_path):
    breaks = [ranged(BODY, stop=n) for n in range(20_000, len(BODY), 20_000)]
    assert len(breaks) < module._CONNECTIONS
    source = source_of(server.url("/f", *breaks, ranged(BODY)))
    assert get(source, tmp_path).read_bytes() == BODY


def test_a_server_that_never_gets_on_is_given_up(server, tmp_path):
    def answer(handler):
        handler.start(200, Content_Length=len(BODY))
        handler.wfile.write(BODY[:20_000])

    assert "broken off" in refused(source_of(server.url("/f", answer)), tmp_path)
    assert len(server.asked) == module._CONNECTIONS


def test_a_silent_server_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_TIMEOUT", (5, 0.05))
    text = refused(source_of(server.url("/f", hang)), tmp_path)
    assert "timed out" in text.lower()
    assert len(server.asked) == 3


def test_a_server_that_falls_silent_is_asked_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_TIMEOUT", (5, 0.2))

    def stall(handler):
        ranged(BODY, stop=1 << 16)(handler)
        hang(handler)

    source = source_of(server.url("/f", stall, ranged(BODY)))
    assert get(source, tmp_path).read_bytes() == BODY
    assert server.asked[1][1]["Range"] == f"bytes={1 << 16}-"


def test_without_a_network_the_wait_is_short(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/f"
        text = refused(source_of(url), tmp_path)
    assert f"{url}: " in text and "refused" in text


def test_mirrors_are_asked_in_turn(server, tmp_path):
    first, second = server.url("/1", status(404)), server.url("/2", page(BODY))
    third = server.url("/3", page(BODY))
    assert get(source_of(first, second, third), tmp_path).read_bytes() == BODY
    assert [path for path, _ in server.asked] == ["/1", "/2"]


def test_the_next_mirror_continues_what_the_last_one_began(server, tmp_path):
    first = server.url("/1", ranged(BODY, stop=80_000), status(404))
    second = server.url("/2", ranged(BODY))
    assert get(source_of(first, second), tmp_path).read_bytes() == BODY
    assert server.asked[-1][1]["Range"] == "bytes=80000-"


def test_every_mirror_says_why(server, tmp_path):
    first, second = server.url("/1", status(404)), server.url("/2", page(b"<!doctype html>"))
    third = server.url("/3", page(BODY[::-1]))
    text = refused(source_of(first, second, third), tmp_path)
    for part in (f"{first}: HTTP 404", f"{second}: 15 bytes", f"{third}: its sha256", "run again"):
        assert part in text


# HTTPS


def test_plain_http_is_never_asked(server, tmp_path, quick, monkeypatch):
    monkeypatch.setattr(module, "_session", quick)
    for url in (server.url("/f", page(BODY)), "file:///etc/passwd"):
        assert "No connection adapters" in refused(source_of(url), tmp_path)
    assert server.asked == []


def test_https_is_taken_and_its_certificate_checked(tls_server, tmp_path, quick, monkeypatch):
    monkeypatch.setattr(module, "_session", quick)
    source = source_of(tls_server.url("/f", page(BODY)))
    assert get(source, tmp_path / "trusted").read_bytes() == BODY
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert "certificate" in refused(source, tmp_path / "not")


def test_a_redirect_leads_to_https_only(tls_server, server, tmp_path, quick, monkeypatch):
    monkeypatch.setattr(module, "_session", quick)
    away = source_of(tls_server.url("/away", redirect(server.url("/f", page(BODY)))))
    assert "No connection adapters" in refused(away, tmp_path)
    assert server.asked == []
    stay = source_of(tls_server.url("/stay", redirect(tls_server.url("/f", page(BODY)))))
    assert get(stay, tmp_path).read_bytes() == BODY


def test_a_missing_bundle_of_certificates_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "no.pem"))
    text = refused(source_of("https://127.0.0.1:1/f"), tmp_path)
    assert "CA certificate bundle" in text and "no.pem; correct or unset" in text


@pytest.mark.parametrize("proxy", ["http://[", "socks9://127.0.0.1:1", "http://127.0.0.1:1"])
def test_a_bad_proxy_is_no_fault_of_the_disk(tmp_path, monkeypatch, proxy):
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("https_proxy", proxy)
    text = refused(source_of("https://example.invalid/f"), tmp_path)
    assert "no mirror gave it" in text and "free space" not in text


# The folder


def test_two_fetches_do_not_share_a_folder(server, tmp_path):
    arrived = threading.Event()

    def slow(handler):
        arrived.set()
        hang(handler)
        page(BODY)(handler)

    source = source_of(server.url("/f", slow))
    first = threading.Thread(target=get, args=(source, tmp_path))
    first.start()
    try:
        assert arrived.wait(10)
        with pytest.raises(InputError, match="another fetch is at work"):
            get(source, tmp_path)
        get(source_of(server.url("/g", page(BODY))), tmp_path / "another")
    finally:
        server.go_on.set()
        first.join()
    assert (tmp_path / "file.bin").read_bytes() == BODY


def full(*args):
    raise OSError(errno.ENOSPC, "No space left on device")


class Full(io.FileIO):
    """A file on a disk with 150,000 bytes left."""

    def write(self, data):
        return super().write(data) if self.tell() + len(data) <= 150_000 else full()


def test_a_file_has_its_name_only_when_its_bytes_are_on_the_disk(server, tmp_path, monkeypatch):
    done = []
    fsync, rename = os.fsync, os.replace

    def synced(handle):
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def renamed(source, target):
        done.append(f"{os.path.basename(source)} to {os.path.basename(target)}")
        rename(source, target)

    monkeypatch.setattr("os.fsync", synced)
    monkeypatch.setattr("os.replace", renamed)
    get(source_of(server.url("/f", page(BODY))), tmp_path)
    assert done == ["file", "file.bin.part to file.bin", "folder"]


@pytest.mark.parametrize("place", ["writing", "flushing"])
def test_a_full_disk_is_said_and_leaves_no_file(server, tmp_path, monkeypatch, place):
    source = source_of(server.url("/f", ranged(BODY)))
    with monkeypatch.context() as patch:
        if place == "writing":
            patch.setattr(module, "open", Full, raising=False)
        else:
            patch.setattr("os.fsync", full)
        text = refused(source, tmp_path)
    assert "No space left on device" in text and "free space" in text and str(tmp_path) in text
    assert get(source, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize(("free", "enough"), [(155_999, False), (156_000, True)])
def test_a_disk_too_small_is_told_beforehand(server, tmp_path, monkeypatch, free, enough):
    (tmp_path / "file.bin.part").write_bytes(BODY[:100_000])
    usage = namedtuple("usage", "free")(free)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    source = source_of(server.url("/f", ranged(BODY)))
    if enough:
        assert get(source, tmp_path).read_bytes() == BODY
    else:
        assert "156,000 more bytes are needed" in refused(source, tmp_path)
        assert server.asked == []


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be written"):
        fetch(tmp_path / "file")


# The archive


def packed(members=GOOD, pack=gzip.compress):
    """A ``.tar.gz`` of (name, content)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return pack(stream.getvalue())


# All together


@pytest.fixture
def published(server, monkeypatch):
    """The sources of the module, moved to this machine."""
    files = tuple(
        replace(
            source, urls=(server.url(f"/{source.name}", page(body, Content_Type="text/plain")),)
        )
        for source, body in zip(WANTED, (POS, NEG))
    )
    archives = server.url("/1.tar.gz", page(packed())), server.url("/2.tar.gz", page(packed()))
    vectors = Source("v.gz", (server.url("/v.gz", ranged(BODY)),), source_of().sha256, len(BODY))
    mr = replace(PUBLISHED["mr"], files=files, archives=archives)
    monkeypatch.setitem(PUBLISHED, "mr", mr)
    monkeypatch.setattr(module, "VECTORS", vectors)
    return server


def asked(server):
    return [path for path, _ in server.asked]


def test_fetch_brings_corpus_and_vectors_once(published, tmp_path):
    paths = fetch(tmp_path)
    assert list(paths) == ["rt-polarity.pos", "rt-polarity.neg", "v.gz"]
    assert [path.read_bytes() for path in paths.values()] == [POS, NEG, BODY]
    assert names(tmp_path) == sorted(paths)
    assert asked(published) == ["/1.tar.gz", "/v.gz"]
    assert fetch(tmp_path) == paths
    assert asked(published) == ["/1.tar.gz", "/v.gz"]


def test_fetch_brings_only_what_is_wanted(published, tmp_path):
    assert list(fetch(tmp_path, corpora=())) == ["v.gz"]
    assert list(fetch(tmp_path, vectors=False)) == ["rt-polarity.pos", "rt-polarity.neg"]
    assert asked(published) == ["/v.gz", "/1.tar.gz"]


def test_an_archive_packed_anew_is_accepted_and_an_altered_one_is_not(published, tmp_path):
    published.url("/1.tar.gz", page(packed([("x/rt-polarity.pos", NEG), GOOD[2]])))
    published.url("/2.tar.gz", page(packed([GOOD[2], ("rt-polarity.pos", POS)])))
    assert fetch(tmp_path, vectors=False)["rt-polarity.pos"].read_bytes() == POS
    assert asked(published) == ["/1.tar.gz", "/2.tar.gz"]


@pytest.mark.parametrize("start", ["../../", "/", "..\\\\", "C:/"])
def test_names_in_an_archive_are_never_paths(published, tmp_path, start):
    members = [(start + name.rsplit("/", 1)[-1], body) for name, body in GOOD]
    published.url("/1.tar.gz", page(packed([*members, *GOOD[1:]] if "\\" in start else members)))
    fetch(tmp_path / "in" / "side", vectors=False)
    assert names(tmp_path) == ["in"] and names(tmp_path / "in") == ["side"]
    assert names(tmp_path / "in" / "side") == ["rt-polarity.neg", "rt-polarity.pos"]


def test_an_archive_of_more_than_it_may_hold_is_refused(published, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ARCHIVE_LIMIT", 100)
    fetch(tmp_path, vectors=False)
    assert asked(published) == ["/1.tar.gz", "/2.tar.gz", "/rt-polarity.pos", "/rt-polarity.neg"]


def test_without_an_archive_the_files_are_asked_for(published, tmp_path):
    published.url("/1.tar.gz", status(404))
    published.url("/2.tar.gz", page(packed()[:-20]))
    paths = fetch(tmp_path, vectors=False)
    assert [path.read_bytes() for path in paths.values()] == [POS, NEG]
    assert asked(published)[2:] == ["/rt-polarity.pos", "/rt-polarity.neg"]


def test_without_any_mirror_all_are_named(published, tmp_path):
    published.url("/1.tar.gz", status(404))
    published.url("/2.tar.gz", page(packed()[:-20]))
    published.url("/rt-polarity.pos", status(403))
    with pytest.raises(InputError) as caught:
        fetch(tmp_path, vectors=False)
    text = str(caught.value)
    for part in (
        "/1.tar.gz: HTTP 404",
        "/2.tar.gz: the archive: not a",
        "rt-polarity.pos: HTTP 403",
    ):
        assert part in text
    assert "\n" not in text and names(tmp_path) == []


def test_a_full_disk_is_no_fault_of_the_mirror(published, tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        fetch(tmp_path)
    assert asked(published) == ["/1.tar.gz"] and names(tmp_path) == []


# Corpora by name


@pytest.fixture
def two(published, monkeypatch):
    """Two made-up corpora of this machine beside MR: ``subj``, and ``trec`` with two parts."""
    for name, bodies in (("subj", (POS, NEG)), ("trec", (b"0 who ?\n", b"1 when ?\n"))):
        corpus = PUBLISHED[name]
        files = tuple(
            replace(
                file,
                urls=(published.url(f"/{file.name}", ranged(body)),),
                sha256=hashlib.sha256(body).hexdigest(),
                size=len(body),
            )
            for file, body in zip(corpus.files, bodies)
        )
        monkeypatch.setitem(PUBLISHED, name, replace(corpus, files=files))
    return published


def test_corpora_arrive_by_name_and_no_other(two, tmp_path):
    """Those that are named, in the order of the names; no archive is asked for."""
    paths = fetch(tmp_path, corpora=("TREC", "subj"), vectors=False)
    wanted = ["TREC.train.all", "TREC.test.all", "subj.subjective", "subj.objective"]
    assert list(paths) == wanted and names(tmp_path) == sorted(wanted)
    assert paths["TREC.test.all"].read_bytes() == b"1 when ?\n"
    assert asked(two) == [f"/{name}" for name in wanted]
    assert fetch(tmp_path, corpora=("trec", "mr"), vectors=False).keys() > {"rt-polarity.pos"}
    assert asked(two)[4:] == ["/1.tar.gz"]


def test_a_corpus_is_continued_and_checked(two, tmp_path):
    """What broke off goes on where it was; another content of a part is refused."""
    (tmp_path / "subj.subjective.part").write_bytes(POS[:100])
    assert fetch(tmp_path, corpora=["subj"], vectors=False)["subj.subjective"].read_bytes() == POS
    assert two.asked[0][1]["Range"] == "bytes=100-"
    two.url("/TREC.test.all", page(b"2 when ?\n"))
    with pytest.raises(InputError, match=r"TREC\.test\.all: no mirror gave it .*sha256 is not"):
        fetch(tmp_path, corpora=["trec"], vectors=False)
    assert not (tmp_path / "TREC.test.all").exists()


def test_a_name_that_is_not_published_is_refused(two, tmp_path, refused):
    """Before anything is asked for."""
    with refused("'sst3'", "choose mr, sst1"):
        fetch(tmp_path, corpora=["subj", "sst3"])
    assert asked(two) == [] and names(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], (["mr"], True)),
        (["--corpus-only"], (["mr"], False)),
        (["--corpus", "sst2"], (["sst2"], False)),
        (["--corpus", "sst2, subj", "--corpus", "mr"], (["sst2", "subj", "mr"], False)),
    ],
)
def test_the_command_passes_names_on(words, wanted, monkeypatch, tmp_path):
    """MR with vectors where nothing is named; the named corpora alone otherwise."""
    got = []

    def fake(dest, *, corpora, vectors, progress):
        got.append(([name.strip() for name in corpora], vectors))
        return {}

    monkeypatch.setattr(module, "fetch", fake)
    cli.main(["fetch", "--dest", str(tmp_path), *words], standalone_mode=False)
    assert got == [wanted]


def test_the_published_sources_are_complete():
    """An address over HTTPS, a checksum and a size for each file; no address of a copy."""
    assert len(PUBLISHED) == 8
    for corpus in PUBLISHED.values():
        assert all(url.startswith("https://") for url in corpus.archives)
        assert corpus.paper and corpus.terms and len(corpus.labels) >= 2
    files = [file for corpus in PUBLISHED.values() for file in corpus.files]
    for source in (*files, module.VECTORS):
        assert source.urls and all(url.startswith("https://") for url in source.urls)
        assert all(url.endswith(f"/{source.name}") for url in source.urls)
        assert len(bytes.fromhex(source.sha256)) == 32 and source.size > 0
    assert len({file.name for file in files}) == len({file.sha256 for file in files}) == len(files)
