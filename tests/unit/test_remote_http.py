"""A database over HTTP: its answers are those of the one that is served, and failures are one line each."""

from __future__ import annotations

import json
import pickle
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.__main__ import main
from core.codebook import Codebook
from core.context import Context, context_codes, retrieving_positions
from core.engine import generate
from core.patches.database import PatchDatabase
from core.patches.protocol import Database, ImageInfo
from core.patches.remote.database import RemoteDatabase, open_remote
from core.patches.remote.http_client import HttpLink
from core.patches.remote.links import check_address, checked_token, link_to, token_in
from core.patches.remote.served import Limits, Served
from core.patches.remote.wire import Choice, Refused, WireError, numbers_of, pack, ranges_of, unpack
from core.types import ConfigError, DatabaseError, DecodeSettings, IntArray, Neighbours
from tests.served import answering, served
from tests.tiny import tiny_backend, tiny_database

QUICK = (0.0, 0.01)
"""Pauses between tries."""


@pytest.fixture(scope="module")
def local() -> PatchDatabase:
    """Twelve images in two styles; some have a picture."""
    made = tiny_database(tiny_backend())
    pictures = [f"picture {n}".encode() if n % 3 else b"" for n in range(12)]
    captions = made.caption_vectors(made.images)
    return PatchDatabase.build(
        made.codebook, made.grids, made.metadata, made.context, captions, pictures, caption_encoder=made.caption_encoder
    )


@pytest.fixture(scope="module")
def address(local: PatchDatabase) -> Iterator[str]:
    with served(local) as address:
        yield address


@pytest.fixture(scope="module")
def remote(local: PatchDatabase, address: str) -> RemoteDatabase:
    return open_remote(HttpLink(address), local.codebook, local.grid)


def queries_of(database: PatchDatabase) -> IntArray:
    positions = retrieving_positions(database.context, database.grid)
    found: IntArray = context_codes(database.context, database.grids, positions).reshape(-1, database.context.size)
    return found[::7]


def assert_same(found: list[Neighbours], expected: list[Neighbours]) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        for name in ("codes", "distances", "entries"):
            one, other = getattr(mine, name), getattr(theirs, name)
            assert one.dtype == other.dtype
            assert one.tobytes() == other.tobytes()
            assert not one.flags.writeable
        assert mine.lost == 0


# -- the same answers ------------------------------------------------------------------------------------------------


def test_what_it_holds_is_what_is_served(local: PatchDatabase, remote: RemoteDatabase) -> None:
    for name in (
        "grid", "context", "fingerprint", "caption_encoder", "knows_images", "styles", "notice",
        "can_return_all", "codebook",
    ):  # fmt: skip
        assert getattr(remote, name) == getattr(local, name), name
    assert remote.unsupported_settings.keys() == {*local.unsupported_settings, "follow"}
    assert len(remote) == len(local)
    assert remote.images.tolist() == local.images.tolist()
    assert dict(remote.style_counts) == {"3d": 6, "flat": 6}
    for image in local.images.tolist():
        assert remote.image_info(image) == local.image_info(image)
        assert remote.picture(image) == local.picture(image)
        codes = remote.image_codes(image)
        assert codes.dtype == np.uint16
        assert np.array_equal(codes, local.image_codes(image))
    vectors = remote.caption_vectors(np.array([3, 0]))
    expected = local.caption_vectors(np.array([3, 0]))
    assert vectors is not None
    assert expected is not None
    assert vectors.tobytes() == expected.tobytes()
    for mine, theirs in zip(remote.provenance(np.arange(99)), local.provenance(np.arange(99)), strict=True):
        assert mine.tolist() == theirs.tolist()


@pytest.mark.parametrize(("k", "position", "weight"), [(1, None, 0.0), (9, None, 0.0), (0, None, 0.0), (5, 20, 0.3)])
def test_searches_are_equal_bit_by_bit(
    local: PatchDatabase, remote: RemoteDatabase, k: int, position: int | None, weight: float
) -> None:
    queries = queries_of(local)
    assert_same(remote.search(queries, k, position, weight), local.search(queries, k, position, weight))
    assert_same(remote.search(queries[:0], k, position, weight), [])
    places = np.arange(len(queries)) % 30
    assert_same(remote.search(queries, k, places, weight), local.search(queries, k, places, weight))


def views(database: Database) -> list[Database]:
    flat = database.with_styles(["flat"])
    return [
        flat,
        database.subset([1, 2, 3, 8]),
        database.subset([1, 2, 3, 8]).with_styles(["3d"]),
        flat.subset([3]),
        database.subset([]),
        database.subset(database.images[database.images != 4]),
    ]


def test_views_are_equal(local: PatchDatabase, remote: RemoteDatabase) -> None:
    queries = queries_of(local)
    for here, there in zip(views(local), views(remote), strict=True):
        assert there.images.tolist() == here.images.tolist()
        assert len(there) == len(here)
        assert (there.styles, there.fingerprint) == (here.styles, here.fingerprint)
        assert_same(there.search(queries, 6), here.search(queries, 6))


def test_nearest_captions_are_equal(local: PatchDatabase, remote: RemoteDatabase) -> None:
    vectors = local.caption_vectors(local.images)
    assert vectors is not None
    for vector in (*vectors[:3], np.zeros_like(vectors[0])):
        for here, there in zip([local, *views(local)], [remote, *views(remote)], strict=True):
            assert there.nearest_captions(vector, 3).tolist() == here.nearest_captions(vector, 3).tolist()


def test_mistakes_are_told_as_by_a_database_that_is_here(local: PatchDatabase, remote: RemoteDatabase) -> None:
    queries = queries_of(local)
    for wrong in (
        lambda d: d.search(queries[:, :2], 3),
        lambda d: d.search(queries + 1000, 3),
        lambda d: d.search(queries, -1),
        lambda d: d.search(queries, 1, 5, -1.0),
        lambda d: d.search(queries, 1, None, 1.0),
        lambda d: d.with_styles(["noto"]),
        lambda d: d.subset([99]),
        lambda d: d.with_styles(["flat"]).subset([0]),
        lambda d: d.provenance(np.array([10**9])),
        lambda d: d.nearest_captions(np.zeros(3, np.float32), 2),
        lambda d: d.picture(12),
    ):
        with pytest.raises(ConfigError) as here:
            wrong(local)
        with pytest.raises(ConfigError) as there:
            wrong(remote)
        assert str(there.value) == str(here.value)
    with pytest.raises(ConfigError, match="image: got 99"):
        remote.image_info(99)


def test_a_picture_is_the_same(local: PatchDatabase, remote: RemoteDatabase) -> None:
    backend = tiny_backend()
    settings = DecodeSettings(n_neighbours=8, caption_filter=4, styles=("flat",), position_weight=0.1, seed=5)
    here, there = (generate(backend, database, "pizza", settings) for database in (local, remote))
    assert there.codes_sha256 == here.codes_sha256
    assert there.origin == here.origin
    assert {n: s.caption for n, s in there.sources.items()} == {n: s.caption for n, s in here.sources.items()}
    assert there.incomplete == ()


def test_large_batches_are_sent_in_several_calls_and_equal_queries_once(local: PatchDatabase) -> None:
    calls: list[bytes] = []

    class Counted(Served):
        where = "here"

        def ask(self, call: str, body: bytes, of: str = "") -> bytes:
            calls.append(call.encode())
            return self.answer(call, body, of)

    link = Counted(local, Limits(queries=4, neighbours=40))
    remote = open_remote(link, local.codebook)
    queries = np.unique(queries_of(local), axis=0)[:10]
    twice = np.concatenate([queries, queries])
    assert_same(remote.search(twice, 12), local.search(twice, 12))
    assert calls.count(b"search") == 4  # 10 queries, of which 3 with 12 neighbours each make less than 40
    remote.search(queries, 12)
    assert calls.count(b"search") == 4  # remembered


def test_a_view_that_was_forgotten_there_is_told_again(
    local: PatchDatabase, remote: RemoteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.patches.remote.served.VIEWS_KEPT", 2)
    query, first = queries_of(local)[:1], remote.subset([1, 5])
    first.search(query, 3)
    for image in range(3):
        remote.subset([image]).search(query, 1)
    assert_same(first.search(query, 4), local.subset([1, 5]).search(query, 4))


def test_it_is_sent_to_another_process_as_its_address(local: PatchDatabase, remote: RemoteDatabase) -> None:
    again = pickle.loads(pickle.dumps(remote.with_styles(["flat"])))
    assert again.images.tolist() == local.with_styles(["flat"]).images.tolist()


# -- the form of what is sent ----------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_the_numbers(numbers: set[int]) -> None:
    ascending = np.array(sorted(numbers), np.int64)
    ranges = ranges_of(ascending)
    assert numbers_of(ranges).tolist() == ascending.tolist()
    assert (ranges[1:, 0] > ranges[:-1, 1]).all()
    choice = Choice.of(ascending)
    assert Choice.read(choice.said) == choice
    assert Choice.read(choice.said).id == choice.id


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_noise_is_refused_in_one_line(local: PatchDatabase, noise: bytes) -> None:
    counter = Served(local)
    for call in ("keep", "search", "known", "picture", "vectors", "nearest", "describe", noise.decode("latin-1")):
        if call == "describe" and not noise:
            continue
        with pytest.raises(Refused) as refused:
            counter.answer(call, noise)
        assert refused.value.status in (400, 404, 409, 422)
        assert "\n" not in refused.value.reason


SAID: dict[str, object] = {"view": "", "k": 1, "position": None, "weight": 0.0}


@pytest.mark.parametrize(
    "said",
    [
        {**SAID, "k": 10**6}, {**SAID, "k": True}, {**SAID, "position": "x"}, {**SAID, "weight": "1"},
        {**SAID, "view": "0" * 32}, {**SAID, "view": []}, {"k": 1}, [],
        {**SAID, "position": 3, "weight": float("nan")}, {**SAID, "position": 10**30, "weight": 1.0},
        {**SAID, "position": [3] * 49, "weight": 1.0}, {**SAID, "position": [3] * 49 + ["x"], "weight": 1.0},
        {**SAID, "position": [3] * 49 + [10**30], "weight": 1.0}, {**SAID, "position": [3] * 49 + [-1], "weight": 1.0},
    ],
)  # fmt: skip
def test_searches_of_another_form_are_refused(local: PatchDatabase, said: object) -> None:
    queries, none = queries_of(local)[:50], np.zeros(0, np.float32)
    body = pack(said=np.frombuffer(json.dumps(said).encode(), np.uint8), queries=queries, bounds=none)
    with pytest.raises(Refused) as refused:
        Served(local, Limits(neighbours=2000)).answer("search", body)
    assert refused.value.status in (400, 409, 413, 422)


def test_arrays_are_checked() -> None:
    data = pack(queries=np.zeros((2, 4), np.int64))
    assert unpack(data, {"queries": ("<i8", 2)})["queries"].shape == (2, 4)
    for form in ({"queries": ("<i8", 1)}, {"queries": ("<f4", 2)}, {"other": ("<i8", 2)}, {}):
        with pytest.raises(WireError):
            unpack(data, form)


# -- limits of a server ----------------------------------------------------------------------------------------------


def asked(address: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, object]]:
    """Status and JSON of a plain call."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_health_and_manifest(local: PatchDatabase, address: str) -> None:
    status, told = asked(address, "GET", "/health")
    assert (status, told["status"]) == (200, "ok")
    status, told = asked(address, "GET", "/manifest")
    assert (status, told["fingerprint"], told["entries"]) == (200, local.fingerprint, len(local))


def test_what_is_not_there_and_what_is_too_long(local: PatchDatabase) -> None:
    with served(local, limits=Limits(bytes=1000)) as address:
        for method, path, body, expected in (
            ("GET", "/", b"", 404), ("GET", "/v1/search", b"", 405), ("POST", "/v1/none", b"", 404),
            ("POST", "/v1/search", b"x" * 1001, 413), ("POST", "/v1/search", b"x", 400), ("PUT", "/health", b"", 405),
            ("POST", "/v1/../../etc/passwd", b"", 404),
        ):  # fmt: skip
            status, said = asked(address, method, path, body)
            assert (method, path, status) == (method, path, expected)
            assert isinstance(said["error"], str)
            assert "\n" not in said["error"]


def test_a_token_is_needed_where_there_is_one(local: PatchDatabase, tmp_path: Path) -> None:
    with served(local, token="let-me-in-please") as address:
        assert asked(address, "GET", "/health")[0] == 200
        assert asked(address, "GET", "/manifest")[0] == 401
        for token in ("", "another-token"):
            with pytest.raises(DatabaseError, match=r"token: got none.*set ARRAG_DATABASE_TOKEN"):
                open_remote(HttpLink(address, token), local.codebook)
        good = open_remote(link_to(address, {"ARRAG_DATABASE_TOKEN": " let-me-in-please\n"}), local.codebook)
        assert good.fingerprint == local.fingerprint
    (tmp_path / "token").write_text("let-me-in-please\n")
    assert token_in(tmp_path / "token") == "let-me-in-please"
    with pytest.raises(ConfigError) as error:
        checked_token("söcret", "ARRAG_DATABASE_TOKEN")
    assert "cret" not in str(error.value)


class Slow:
    """A database whose searches take their time."""

    def __init__(self, database: PatchDatabase, seconds: float) -> None:
        self._database, self._seconds, self.busy, self.most = database, seconds, 0, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    def __len__(self) -> int:
        return len(self._database)

    def search(self, *asked: object) -> object:
        self.busy += 1
        self.most = max(self.most, self.busy)
        time.sleep(self._seconds)
        self.busy -= 1
        return self._database.search(*asked)  # type: ignore[arg-type]


def test_a_call_ends_in_time_and_so_many_are_worked_on(local: PatchDatabase) -> None:
    slow = Slow(local, 0.15)
    with served(slow, limits=Limits(seconds=0.3, at_once=2, waiting=1)) as address:  # type: ignore[arg-type]
        remote = open_remote(HttpLink(address, pauses=(0.0,)), local.codebook)
        with pytest.raises(DatabaseError, match=r"search: got no answer in 0\.3 s"):
            remote.search(np.unique(queries_of(local), axis=0)[:40], 1)
        failures: list[str] = []

        def ask(number: int) -> None:
            try:
                remote.search(queries_of(local)[number : number + 1], 2)
            except DatabaseError as error:
                failures.append(str(error))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert slow.most <= 2
    assert failures
    assert all("busy" in failure for failure in failures)


# -- a client that meets something else ------------------------------------------------------------------------------


def test_a_server_that_is_down_is_told_in_one_line_and_is_found_again(local: PatchDatabase) -> None:
    query = queries_of(local)[:1]
    with served(local) as address:
        remote = open_remote(HttpLink(address, pauses=QUICK), local.codebook)
        remote.search(query, 1)
    with pytest.raises(
        DatabaseError, match=r"got no answer .*, expected a database server; check the address"
    ) as error:
        remote.search(query, 2)
    assert "\n" not in str(error.value)
    with served(local, port=int(address.rsplit(":", 1)[1])):
        assert_same(remote.search(query, 3), local.search(query, 3))
    with (
        served(local.subset([0, 1, 2]), port=int(address.rsplit(":", 1)[1])),
        pytest.raises(DatabaseError, match=r"another database .* is served now; open it again"),
    ):
        remote.search(query, 4)


def test_another_codebook_grid_or_version_is_told(
    local: PatchDatabase, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Codebook.from_vectors(np.random.default_rng(0).normal(size=(48, 8)).astype(np.float32))
    with pytest.raises(DatabaseError, match="serve one that was built with the tokenizer of this model"):
        open_remote(HttpLink(address), other)
    with pytest.raises(DatabaseError, match="got token grids of 8 x 8, expected 8 x 9"):
        open_remote(HttpLink(address), local.codebook, type(local.grid)(8, 9))
    monkeypatch.setattr("core.patches.remote.database.PROTOCOL", 2)
    with pytest.raises(DatabaseError, match=r"server of version .* expected protocol 2; run the same version"):
        open_remote(HttpLink(address), local.codebook)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "got a redirect"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello", "another kind of server"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n[]", "another kind of server"),
        (b"SSH-2.0-OpenSSH\r\n", "got no answer"),
        (b"", "got no answer"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 4\r\n\r\nabcd",
            "got no arrays",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 99\r\n\r\nab", "got no answer"),
    ],
)
def test_other_servers_are_told_in_one_line(local: PatchDatabase, data: bytes, said: str) -> None:
    for address in answering(data):
        with pytest.raises(DatabaseError, match=said) as error:
            open_remote(HttpLink(address, pauses=QUICK), local.codebook)
        assert address in str(error.value)
        assert "\n" not in str(error.value)


def test_proxies_of_the_environment_are_not_asked(
    local: PatchDatabase, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    assert len(open_remote(link_to(address), local.codebook)) == len(local)


@pytest.mark.parametrize(
    "name",
    ["http://", "http://user:pass@host:1", "http://host:99999", "http://host/?x=1", "http://ho st", "ray://", "ray://a/b",
     "ray://a@host", "http://host#x", "https://[::1"],
)  # fmt: skip
def test_addresses_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="database: got"):
        check_address(name)


def test_an_answer_of_which_a_part_is_missing_is_told_and_not_remembered(local: PatchDatabase) -> None:
    lost = [0.5, 0.0]

    class Partial(Slow):
        def search(self, *asked: object) -> object:
            share = lost.pop(0) if lost else 0.0
            return [Neighbours(n.codes, n.distances, n.entries, lost=share) for n in local.search(*asked)]  # type: ignore[arg-type]

    with served(Partial(local, 0)) as address:  # type: ignore[arg-type]
        remote = open_remote(HttpLink(address), local.codebook)
        query = queries_of(local)[:1]
        assert [remote.search(query, 3)[0].lost for _ in range(3)] == [0.5, 0.0, 0.0]


def test_a_database_without_captions_or_pictures(local: PatchDatabase) -> None:
    plain = PatchDatabase.build(local.codebook, local.grids, [ImageInfo("x")] * 12, Context(border="zero"))
    with served(plain) as address:
        remote = open_remote(HttpLink(address), local.codebook)
        assert remote.caption_vectors(np.array([1])) is None
        assert remote.picture(1) is None
        assert remote.unsupported_settings.keys() == {*plain.unsupported_settings, "follow"}
        with pytest.raises(DatabaseError, match="without caption vectors"):
            remote.nearest_captions(np.ones(8, np.float32), 2)
        query = np.array([[-1, 3, -1, -1]])
        assert_same(remote.search(query, 5), plain.search(query, 5))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--port", "0", "--host", "0.0.0.0"], "--host: got 0.0.0.0, which other machines reach, and no token"),
        (["--host", "no.such.host.invalid"], "cannot serve on no.such.host.invalid:8765"),
        (["--port", "x"], "got 'x', expected a whole number from 0 to 65535"),
        (["--token-file", "/nowhere/token"], "--token-file: got '/nowhere/token', which cannot be read"),
        (["--stop"], "got one without --ray"),
        (["--ray"], "--name: got nothing"),
    ],
)
def test_what_cannot_be_served_is_told_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, more: list[str], said: str
) -> None:
    monkeypatch.delenv("ARRAG_DATABASE_TOKEN", raising=False)
    try:
        status = main(["database", "serve", "emoji", *more])
    except SystemExit as end:  # of argparse
        status = int(str(end.code))
    assert status == 2
    assert said in capsys.readouterr().err
