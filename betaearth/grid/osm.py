"""Regions from OpenStreetMap: the area of a relation, looked up at a Nominatim server once and kept.

The answer is kept as `{cache}/osm/R{id}.geojson` and has no expiry: a region stays the same from run to run, although
OpenStreetMap changes. To renew it, remove that file. Data of OpenStreetMap are under the ODbL; the kept file says so.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from pydantic import BaseModel, ConfigDict
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout, exceptions, make_headers

from betaearth._version import __version__
from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.grid.bounds import wrap_longitude
from betaearth.grid.pixels import Bounds

NOMINATIM = "https://nominatim.openstreetmap.org"
USER_AGENT = f"betaearth/{__version__}"
"""The usage policy of OpenStreetMap's server asks every client to name itself."""
CONNECT_S, READ_S = 10.0, 60.0
RETRIES = 4
"""Of a request that was refused for the moment: at once, then 2 s, 4 s and 8 s later, or as `Retry-After` says."""
LONGEST_WAIT_S = 30.0
"""Of what a `Retry-After` asks; who waits longer is the one who runs the command again."""
BUSY = (429, 500, 502, 503, 504)
AREAS = ("Polygon", "MultiPolygon")
INSTEAD = "give the area itself with --geojson or --bbox instead"
PADDING_M = 1000.0
DEGREE_M = 110_500.0
"""The shortest degree of latitude, and so of longitude at the equator: padding by it is never too little."""


class OsmOptions(BaseModel):
    """Where relations of OpenStreetMap are looked up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str = NOMINATIM
    """Root of a Nominatim server, without credentials."""


class Patience(Retry):
    """Repeats a request, and obeys a server that asks to wait, but not for longer than moments."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return the seconds that the server asks for, at most `LONGEST_WAIT_S`."""
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, LONGEST_WAIT_S)


def osm_area(relation: int, *, endpoint: str = NOMINATIM, cache: Path, retries: int = RETRIES) -> dict[str, Any]:
    """Look up the area of a relation; asked once, kept in the cache from then on.

    Args:
        relation: id of a relation with an area, such as 62611: a country, a municipality, a national park.
        endpoint: root of the Nominatim server.
        cache: folder of what can be fetched again.
        retries: how often a request is repeated that the server or the network refuses for the moment.

    Returns:
        GeoJSON geometry, a Polygon or MultiPolygon of (lon, lat), degrees; cut at the antimeridian.

    Raises:
        DataError: it is no id, there is no such relation, it is no area, or the answer makes no sense.
        ConfigError: the endpoint is none, the server does not serve us, or the cache cannot be written.
        TransientError: the server or the network failed.
    """
    name = _name(relation)
    kept = cache / "osm" / f"R{relation}.geojson"
    if (area := _kept_area(kept, relation)) is not None:
        return area
    url = f"{_checked_root(endpoint)}/lookup?" + urlencode(
        {"osm_ids": f"R{relation}", "format": "geojson", "polygon_geojson": 1}
    )
    body = _fetch(url, f"{name} at {endpoint}", retries)
    area = _area_of(body, relation)
    _check_area(area, name)
    _keep(kept, body)
    return area


def padded(bounds: Bounds, metres: float = PADDING_M) -> Bounds:
    """Widen bounds by a distance on every side; at most to all longitudes, and to the poles.

    Args:
        bounds: west, south, east, north, degrees; west > east crosses the antimeridian.
        metres: the least distance.
    """
    west, south, east, north = bounds
    south, north = max(south - metres / DEGREE_M, -90.0), min(north + metres / DEGREE_M, 90.0)
    narrowest = math.cos(math.radians(max(abs(south), abs(north))))
    width = east - west if east >= west else east - west + 360.0
    # Near a pole the sum runs over a full turn before the cosine reaches zero.
    pad = metres / (DEGREE_M * narrowest) if narrowest > 1e-9 else 180.0
    if width + 2 * pad >= 360.0:
        return (-180.0, south, 180.0, north)
    return (_on_globe(west - pad), south, _on_globe(east + pad), north)


def _on_globe(lon: float) -> float:
    return lon if -180.0 <= lon <= 180.0 else wrap_longitude(lon)


def _name(relation: object) -> str:
    if not isinstance(relation, int) or isinstance(relation, bool) or relation <= 0:
        raise DataError(f"OpenStreetMap relation {relation!r:.40}: an id is a whole number above 0, such as 62611")
    return f"OpenStreetMap relation {relation}"


def _kept_area(kept: Path, relation: int) -> dict[str, Any] | None:
    """Read what was kept; None where nothing was, or where it is damaged and must be fetched again."""
    try:
        return _area_of(kept.read_bytes(), relation)
    except (FileNotFoundError, NotADirectoryError, DataError):
        return None
    except OSError as error:
        raise ConfigError(f"{kept} cannot be read: {error.strerror}") from error


def _checked_root(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port  # the port is checked when it is read
    except ValueError as error:
        raise ConfigError("the address of the Nominatim server cannot be read: give https://host/path") from error
    if parts.username or parts.password or parts.query:
        raise ConfigError(f"the Nominatim server {parts.hostname} is given with credentials or a query: leave them out")
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError(f"{endpoint} is no Nominatim server: give https://host/path, such as {NOMINATIM}")
    return endpoint.rstrip("/")


def _area_of(body: bytes, relation: int) -> dict[str, Any]:
    """Take the area of a relation out of an answer.

    Raises:
        DataError: there is no such relation, it is no area, or the answer is none.
    """
    name = _name(relation)
    try:
        features = json.loads(body)["features"]
        found = [it for it in features if _is_relation(it["properties"], relation)]
        kind = found[0]["geometry"]["type"] if found else None
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(f"{name}: the answer is no GeoJSON of Nominatim's lookup: is its endpoint right?") from error
    if kind is None:
        raise DataError(f"{name}: Nominatim knows no such relation with a place's name or boundary; {INSTEAD}")
    if kind not in AREAS:
        raise DataError(f"{name} is a {kind}, which has no area; {INSTEAD}")
    return dict(found[0]["geometry"])


def _is_relation(properties: Mapping[str, Any], relation: int) -> bool:
    return bool(properties["osm_type"] == "relation" and properties["osm_id"] == relation)


def _check_area(area: Mapping[str, Any], name: str) -> None:
    """Refuse coordinates that are none, before they are kept."""
    from betaearth.grid.geojson import read_area  # loads shapely, which the options can do without

    try:
        read_area(area)
    except DataError as error:
        raise DataError(f"{name}: {error}; {INSTEAD}") from error


def _fetch(url: str, what: str, retries: int) -> bytes:
    with _http_errors(what), _pool(url) as pool:
        answer = pool.request(
            "GET",
            url,
            headers={"User-Agent": USER_AGENT, "Accept": "application/geo+json, application/json"},
            retries=Patience(total=retries, backoff_factor=1.0, status_forcelist=BUSY, raise_on_status=False),
            timeout=Timeout(connect=CONNECT_S, read=READ_S),
        )
    _check_status(answer.status, what)
    return answer.data


def _pool(url: str) -> PoolManager:
    """Connect directly, or through the proxy that the environment names."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy is None or proxy_bypass(parts.netloc):
        return PoolManager()
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    login = urlsplit(proxy)
    words = f"{unquote(login.username)}:{unquote(login.password or '')}" if login.username else None
    return ProxyManager(proxy, proxy_headers=make_headers(proxy_basic_auth=words))


@contextmanager
def _http_errors(what: str) -> Iterator[None]:
    """Translate what urllib3 says; what it does not know passes untouched."""
    try:
        yield
    except (exceptions.MaxRetryError, exceptions.SSLError) as error:
        reason = error.reason if isinstance(error, exceptions.MaxRetryError) else error
        if isinstance(reason, exceptions.SSLError) and "CERTIFICATE" in str(reason).upper():
            raise ConfigError(f"{what}: the server's certificate cannot be trusted: {reason}") from error
        raise TransientError(f"{what} cannot be looked up now: {reason}; {INSTEAD}") from error
    except exceptions.LocationValueError as error:
        raise ConfigError(f"{what}: no such address, or a proxy that is none") from error
    except (exceptions.ProtocolError, exceptions.TimeoutError) as error:
        raise TransientError(f"{what}: the answer did not arrive whole: {error}") from error


def _check_status(status: int, what: str) -> None:
    if status == 200:
        return
    if status in BUSY or status >= 500:
        raise TransientError(f"{what} cannot be looked up now: the server answers {status}")
    if status == 400:
        raise DataError(f"{what}: the server does not take this id; {INSTEAD}")
    raise ConfigError(
        f"{what} may not be looked up: the server answers {status}; set BETAEARTH_OSM__ENDPOINT to a Nominatim server "
        f"that serves you, or {INSTEAD}"
    )


def _keep(kept: Path, body: bytes) -> None:
    """Write the answer so that a reader finds all of it or nothing."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, prefix=".", suffix=".new", delete=False) as file:
            file.write(body)
        Path(file.name).replace(kept)
    except OSError as error:
        raise ConfigError(f"the cache cannot be written: {error.filename or kept}: {error.strerror}") from error
