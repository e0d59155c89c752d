from __future__ import annotations

import pytest

from betaearth.scenes.hrefs import lasting, on_blob_storage, plain, recorded, unsigned

BLOB = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/31/U/B02.tif"
SAS = (
    "st=2024-05-01T00%3A00%3A00Z&se=2024-05-02T00%3A00%3A00Z&sp=rl&sv=2021-06-08&sr=c&skoid=a&sktid=b&skt=c&ske=d"
    "&sks=b&skv=2021-06-08&sig=Hush%2Bhush%3D"
)


@pytest.mark.parametrize(
    ("href", "shown", "kept"),
    [
        (BLOB, BLOB, BLOB),
        (f"{BLOB}?{SAS}", BLOB, BLOB),
        (f"{BLOB}?snapshot=2020-01-01&{SAS}", BLOB, f"{BLOB}?snapshot=2020-01-01"),
        (
            "https://u:p@host.org/a.tif?version=3&token=hush#x",
            "https://host.org/a.tif",
            "https://host.org/a.tif?version=3#x",
        ),
        (
            "https://b.s3.amazonaws.com/k.tif?versionId=7&X-Amz-Algorithm=a&X-Amz-Credential=hush&x-amz-signature=hush",
            "https://b.s3.amazonaws.com/k.tif",
            "https://b.s3.amazonaws.com/k.tif?versionId=7",
        ),
        ("https://b.org/k.tif?AWSAccessKeyId=h&Signature=hush&Expires=1", "https://b.org/k.tif", "https://b.org/k.tif"),
        ("https://b.org/k.tif?st=style", "https://b.org/k.tif", "https://b.org/k.tif?st=style"),
        ("http://[broken?sig=hush", "http://[broken", "http://[broken"),
        ("ftp://u:hush@h/a.tif?sig=hush", "ftp://h/a.tif", "ftp://u:hush@h/a.tif?sig=hush"),
        ("file:///data/what?/a.tif", "file:///data/what?/a.tif", "file:///data/what?/a.tif"),
        ("s3://bucket/a?b.tif", "s3://bucket/a?b.tif", "s3://bucket/a?b.tif"),
        ("/data/what?/a.tif", "/data/what?/a.tif", "/data/what?/a.tif"),
    ],
)
def test_what_is_shown_and_what_is_kept(href: str, shown: str, kept: str) -> None:
    assert plain(href) == shown
    assert recorded(href) == kept


def test_only_blobs_are_unsigned() -> None:
    assert unsigned(f"{BLOB}?{SAS}") == BLOB
    assert unsigned(f"{BLOB}?a=%20b&{SAS}&c") == f"{BLOB}?a=%20b&c"
    for href in ("https://b.org/k.tif?sig=a", "s3://bucket/key?sig=a", "/data/a.tif?sig=a", "http://[?sig=a"):
        assert unsigned(href) == href
        assert not on_blob_storage(href)


@pytest.mark.parametrize("base", [BLOB, "https://b.org/get?key=B02.tif"])
def test_what_lasts_of_an_href_names_one_file(base: str) -> None:
    mark = "&" if "?" in base else "?"
    for signature in ("sig=a", "X-Amz-Signature=a&X-Amz-Date=b", "AWSAccessKeyId=h&Signature=a&Expires=1"):
        assert lasting(f"{base}{mark}{signature}") == base
    assert lasting("https://b.org/get?key=B02.tif") != lasting("https://b.org/get?key=B03.tif")
    assert lasting("s3://bucket/a?b.tif") == "s3://bucket/a?b.tif"
