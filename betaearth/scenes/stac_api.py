"""A source that is searched: a STAC API over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit

import pystac
import requests
from pystac_client import Client
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import DoesNotConformTo
from urllib3 import Retry

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.grid.patch import footprint_geometry
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.files import Files
from betaearth.scenes.granules import matching, parse_item, to_granule
from betaearth.scenes.hrefs import plain, recorded
from betaearth.scenes.model import Granule, Sensor
from betaearth.scenes.paging import features_of
from betaearth.scenes.profile import SourceProfile
from betaearth.scenes.retries import BriefRetry
from betaearth.storage.discretion import discreet

PAGE_SIZE = 250
"""Items a page: a year over one cell in one answer or two, each well below the limits that servers set."""
TIMEOUT_S = (10.0, 30.0)
"""(connecting, waiting for an answer)."""
NOT_STAC = (
    pystac.STACError,
    pystac.STACTypeError,
    ClientTypeError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
)
"""What pystac raises, some of it by way of Python, where a document is not what it should be."""
DIGITS = 12
"""Hexadecimal digits of a profile's digest that stand in an identity."""
TOO_MANY_REQUESTS = 429
SERVER_FAULT = 500


def patient_retry() -> Retry:
    """Retry of moments: a search is a POST, so every method is retried, and `Retry-After` is obeyed.

    An API that refuses connections is given up after 6 s, one that answers with faults after 30 s, one that swallows
    connections or requests after one or two minutes.
    """
    return BriefRetry(
        total=8,
        connect=3,
        read=2,
        status=5,
        backoff_factor=1,
        status_forcelist=[429, 500, 502, 503, 504],
        allowed_methods=None,
    )


@dataclass(frozen=True)
class StacApiSource:
    """A STAC API with item search."""

    url: str
    """Its root."""
    profile: SourceProfile
    files: Files = field(default_factory=Files, compare=False, repr=False)
    """Opens its assets."""
    retry: Retry = field(default_factory=patient_retry, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Check the address.

        Raises:
            ConfigError: it names no host, or a user, who would end up in every manifest.
        """
        try:
            parts = urlsplit(self.url)
            host = parts.hostname
        except ValueError:
            host = None
        if not host:
            raise ConfigError(f"{plain(self.url)} is not an address: write https://host/path")
        if parts.username or parts.query:
            raise ConfigError(
                f"{parts.scheme}://{host}{parts.path}: the address of a source may hold no user, key or query"
            )

    @property
    def identity(self) -> str:
        """The profile's rules and the root; what the API holds may change, which the sources digest covers."""
        return f"stac-api:{self.profile.digest()[:DIGITS]}:{self.url.rstrip('/')}"

    @property
    def title(self) -> str:
        """The profile's title for its own endpoint, else the host and its path."""
        if self.profile.endpoint is not None and self.profile.endpoint.rstrip("/") == self.url.rstrip("/"):
            return self.profile.title
        parts = urlsplit(self.url)
        return f"STAC API {parts.hostname}{parts.path.rstrip('/')}"

    @property
    def synthetic(self) -> bool:
        """Imagery of an API is taken as what it says it is."""
        return False

    def portable(self, href: str) -> str:
        """An API's hrefs hold everywhere; credentials that they carry stay out."""
        return recorded(href)

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        """Find every granule of the sensors that touches the grid in the year, sorted by (sensed, id).

        Raises:
            TransientError: no answer, throttled, or a fault of the server, for longer than retries lasted.
            ConfigError: the address is no STAC API with item search, it refuses, or it lacks a collection.
            DataError: it answers with something that is not STAC.
        """
        return matching(self._candidates(grid, year, sensors), grid, year, sensors)

    def _candidates(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> Iterator[Granule]:
        for sensor in sorted(sensors & self.profile.collections.keys()):
            for feature in self._items(sensor, grid, year):
                granule = to_granule(parse_item(feature, self.url), self.profile)
                if granule is not None:
                    yield granule

    def _items(self, sensor: Sensor, grid: PixelGrid, year: int) -> Iterator[object]:
        collection = self.profile.collections[sensor]
        area = footprint_geometry(grid)
        with api_errors(self.url):
            if not self._has(collection, sensor):
                return
            search = self._client.search(
                collections=[collection],
                intersects=area,
                datetime=None if sensor is Sensor.DEM else f"{year}-01-01T00:00:00Z/{year}-12-31T23:59:59.999999Z",
                limit=PAGE_SIZE,
            )
            yield from features_of(search, self._io)

    def _has(self, collection: str, sensor: Sensor) -> bool:
        """Tell whether the API has a collection. It may lack Level-1C, which no variant needs alone.

        Raises:
            ConfigError: it lacks another one.
        """
        if self._client.get_collection(collection) is not None:
            return True
        if sensor is Sensor.S2_L1C:
            return False
        raise ConfigError(
            f"{self.url} has no collection {collection}: give an API that has, such as Planetary Computer"
        )

    @cached_property
    def _io(self) -> StacApiIO:
        return StacApiIO(max_retries=self.retry, timeout=TIMEOUT_S)

    @cached_property
    def _client(self) -> Client:
        return Client.open(self.url, stac_io=self._io, timeout=TIMEOUT_S)


@contextmanager
def api_errors(url: str) -> Iterator[None]:
    """Translate what pystac-client says about an API; what it does not know passes untouched.

    Raises:
        TransientError: the network or the server failed, or throttles.
        ConfigError: there is no such API, it refuses, or its certificate is wrong.
        DataError: it does not speak STAC.
    """
    try:
        yield
    except APIError as error:
        # pystac-client makes an APIError without status of an exception of requests, which stays its context.
        _raise_for_status(getattr(error, "status_code", None), url, error)
        _raise_for_request(error.__context__, url)
        raise
    except DoesNotConformTo as error:
        raise ConfigError(f"{url} offers no item search: {error}; give the root of a STAC API") from error
    except NOT_STAC as error:
        raise DataError(f"{url} does not answer with STAC: {error!r:.300}") from error


def _raise_for_status(status: int | None, url: str, error: APIError) -> None:
    if status is None:
        return
    if status in {401, 403}:
        raise ConfigError(f"{url} refuses the search ({status}): check the address and the key") from error
    if status == 404:
        raise ConfigError(f"{url} is not there (404): give the root of a STAC API") from error
    if status == TOO_MANY_REQUESTS or status >= SERVER_FAULT:
        raise TransientError(f"{url} cannot answer now ({status})") from error


def _raise_for_request(cause: BaseException | None, url: str) -> None:
    if isinstance(cause, requests.exceptions.InvalidURL):
        raise ConfigError(f"{url} is not an address: {discreet(str(cause))}") from cause
    if isinstance(cause, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(cause):
        raise ConfigError(f"{url}: the server's certificate cannot be trusted") from cause
    passing = (
        requests.exceptions.ConnectionError,
        requests.exceptions.Timeout,
        requests.exceptions.RetryError,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    )
    if isinstance(cause, passing):
        raise TransientError(f"{url} did not answer: {discreet(str(cause))}") from cause
