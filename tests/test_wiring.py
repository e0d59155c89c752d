"""From settings to objects: the weights of a run are fetched, and a product's manifest says where they came from."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from betaearth.errors import ConfigError, DataError
from betaearth.events import Downloading, Event, Notice
from betaearth.pipeline.job import variant_record
from betaearth.settings import Settings, load_settings
from betaearth.wiring import check_source_and_model, geojson_document, grid_of, means_of, open_workshop, region_of
from tests.s3_server import owner_client
from tests.weights_server import WeightsServer


@pytest.fixture
def settings(hub: WeightsServer, demo_files: dict[str, bytes], tmp_path: Path) -> Settings:
    """Settings for a small network on the hub, whose commit is `v1`."""
    hub.publish("someone/small", demo_files, "main", "v1")
    return load_settings(
        {
            "source": "synthetic",
            "model": "someone/small",
            "cache": tmp_path,
            "weights": {"revision": "v1"},
            "device": "cpu",
        }
    )


def test_a_run_fetches_its_weights_and_says_so_in_the_manifest(
    settings: Settings, hub: WeightsServer, demo_files: dict[str, bytes]
) -> None:
    events: list[Event] = []
    workshop = open_workshop(settings, events.append)
    size = len(demo_files["model.safetensors"])
    assert Downloading("model.safetensors", size, size) in events
    record = variant_record(workshop.model)
    assert record.name == "small"
    assert record.weights_sha256 == hashlib.sha256(demo_files["model.safetensors"]).hexdigest()
    assert record.weights == f"someone/small@{hub.revisions['someone/small']['v1']}/model.safetensors"
    events.clear()
    hub.asked.clear()
    assert variant_record(open_workshop(settings, events.append).model) == record
    assert hub.asked == []
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert len(notices) == len(events) == 2
    assert "trained on a SYNTHETIC Earth" in notices[0]
    assert "imagery is made up" in notices[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"source": "ftp://x"}, "ftp://x is no source", id="source of no kind"),
        pytest.param({"source": "none.json"}, "none.json is not a file", id="items that are not there"),
        pytest.param({"model": "resnet"}, "neither a variant", id="no variant"),
        pytest.param({"model": "./none.pt"}, "no such file or folder", id="weights that are not there"),
        pytest.param({"model": "pyproject.toml"}, "not a file of weights", id="a file that is none"),
    ],
)
def test_names_that_mean_nothing_are_refused_before_they_are_needed(given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_source_and_model(load_settings({"source": "synthetic", "model": "demo"} | given))


@pytest.mark.parametrize("model", ["demo", "robust", "someone/else"])
def test_names_are_taken_as_they_are_and_nobody_is_asked(
    model: str, hub: WeightsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("somebody was asked"))
    check_source_and_model(load_settings({"source": "planetary-computer", "model": model}))
    assert hub.asked == []


def test_a_pin_that_cannot_be_kept_stops_a_run(settings: Settings) -> None:
    pinned = settings.weights.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ConfigError, match=f"not {'0' * 64}"):
        open_workshop(settings.model_copy(update={"weights": pinned}), print)
    with pytest.raises(ConfigError, match="on this machine, so revision 'v1' means nothing"):
        open_workshop(settings.model_copy(update={"model": "demo"}), print)


def test_a_mirror_is_no_matter_to_shipped_weights(tmp_path: Path, refused: str) -> None:
    settings = load_settings({"model": "demo", "cache": tmp_path, "weights": {"mirror": refused}, "device": "cpu"})
    assert open_workshop(settings, lambda _: None).model.variant.name == "demo"


@pytest.mark.usefixtures("hub")
def test_a_misspelt_path_is_named_as_such(tmp_path: Path) -> None:
    settings = load_settings({"cache": tmp_path, "model": "weights/robsut", "device": "cpu"})
    with pytest.raises(ConfigError, match="nor is there a file or folder weights/robsut on this machine"):
        open_workshop(settings, lambda _: None)


def test_imagery_and_weights_are_read_through_the_settings_of_s3(
    demo_files: dict[str, bytes],
    s3_bucket: str,
    s3_endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    client, bucket = owner_client(s3_endpoint), s3_bucket.removeprefix("s3://")
    for name, data in demo_files.items():
        client.put_object(Bucket=bucket, Key=f"weights/small/{name}", Body=data)
    client.put_object(Bucket=bucket, Key="items.json", Body=b'{"type": "FeatureCollection", "features": []}')
    client.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    source = f"{s3_bucket}/items.json"
    settings = load_settings(
        {
            "source": source,
            "model": "someone/small",
            "cache": tmp_path / "run",
            "weights": {"mirror": f"{s3_bucket}/weights"},
            "s3": {"endpoint": s3_endpoint},
            "device": "cpu",
        }
    )
    workshop = open_workshop(settings, lambda _: None)
    assert workshop.source.identity.startswith("items:sha256:")
    again = settings.model_copy(update={"cache": tmp_path / "again"})
    means = means_of(again, lambda _: None, source=None, model=None)
    assert means.open_source(source).identity == workshop.source.identity
    sha256 = workshop.model.weights_sha256
    assert means.open_model("someone/small", sha256, None).weights_sha256 == sha256


SQUARE = {"type": "Polygon", "coordinates": [[[13.0, 48.0], [14.0, 48.0], [14.0, 49.0], [13.0, 49.0], [13.0, 48.0]]]}


@pytest.fixture
def web() -> Iterator[str]:
    """A server that has a square, a page, and what is not for everybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/endless":
                self.pour()
                return
            status = {"/square.geojson": 200, "/page": 200, "/point": 200, "/private": 403}.get(path, 404)
            body = {"/page": b"<html>", "/point": b'{"type": "Point"}'}.get(path, json.dumps(SQUARE).encode())
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def pour(self) -> None:
            """Send 64 MiB, without saying how much it is, unless the reader has had enough."""
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            try:
                for _ in range(64):
                    self.wfile.write(bytes(1 << 20))
            except OSError:
                return
            poured.set()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    poured = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()
    assert not poured.is_set()


def test_geojson_comes_from_wherever_it_is(
    web: str, s3_bucket: str, s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = owner_client(s3_endpoint)
    client.put_object(Bucket=s3_bucket.removeprefix("s3://"), Key="square.geojson", Body=json.dumps(SQUARE).encode())
    client.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    settings = load_settings({"s3": {"endpoint": s3_endpoint}})
    (tmp_path / "square.geojson").write_text(json.dumps(SQUARE))
    words = [
        str(tmp_path / "square.geojson"),
        (tmp_path / "square.geojson").as_uri(),
        f"{web}/square.geojson?sig=SECRET",
        f"{s3_bucket}/square.geojson",
        json.dumps(SQUARE, indent=2),
    ]
    grid = grid_of(settings)
    regions = [region_of(grid=grid, geojson=word, settings=settings) for word in words]
    assert {region.bounds for region in regions} == {(13.0, 48.0, 14.0, 49.0)}


@pytest.mark.parametrize(
    ("word", "error", "said"),
    [
        ("{web}/none?sig=SECRET", DataError, "/none is not there"),
        ("{web}/private?sig=SECRET", ConfigError, "/private may not be read"),
        ("{web}/page?sig=SECRET", DataError, "/page is no JSON"),
        ("ftp://host/a?sig=SECRET", ConfigError, "ftp://host/a cannot be read"),
        ('{"type": ', DataError, "given as text is no JSON"),
        pytest.param('{"type": ' + "[" * 100_000, DataError, "given as text is no JSON", id="deep"),
        ("s3://bucket", ConfigError, "s3://bucket cannot be read"),
    ],
)
def test_geojson_that_cannot_be_had_is_named(word: str, error: type[Exception], said: str, web: str) -> None:
    with pytest.raises(error, match=said) as told:
        geojson_document(word.replace("{web}", web), load_settings({}))
    assert "SECRET" not in str(told.value)


def test_geojson_of_no_area_is_named(web: str, tmp_path: Path) -> None:
    (tmp_path / "a?b.geojson").write_text('{"type": "Point"}')
    settings = load_settings({})
    names = {
        f"{web}/point?sig=SECRET": f"{web}/point",
        '{"type": "Point"}': "the GeoJSON that was given as text",
        str(tmp_path / "a?b.geojson"): str(tmp_path / "a?b.geojson"),
    }
    for word, name in names.items():
        with pytest.raises(DataError) as told:
            region_of(grid=grid_of(settings), geojson=word, settings=settings)
        assert str(told.value).startswith(f"{name} holds a Point")


def test_geojson_from_elsewhere_has_an_end(
    web: str, s3_bucket: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(SQUARE).encode()
    client = owner_client(s3_endpoint)
    client.put_object(Bucket=s3_bucket.removeprefix("s3://"), Key="square.geojson", Body=text)
    client.close()
    settings = load_settings({"s3": {"endpoint": s3_endpoint}})
    words = [f"{web}/square.geojson?sig=SECRET", f"{s3_bucket}/square.geojson"]
    monkeypatch.setattr("betaearth.wiring.LARGEST_GEOJSON", len(text))
    assert [geojson_document(word, settings) for word in words] == [SQUARE, SQUARE]
    monkeypatch.setattr("betaearth.wiring.LARGEST_GEOJSON", len(text) - 1)
    for word in (*words, f"{web}/endless?sig=SECRET"):
        with pytest.raises(DataError, match=f"has more than the {len(text) - 1} bytes") as told:
            geojson_document(word, settings)
        assert "SECRET" not in str(told.value)
