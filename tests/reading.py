"""What the tests of reading share: files made on the spot, tables as plain dictionaries, refusals."""

import io
import zipfile

import pytest

from utils.data.datasets import load
from utils.errors import UserError

HEADING = "userId,movieId,rating,timestamp\n"
FIVE_STARS = "1,1,0.5,10\n1,2,5,11\n2,1,3,12\n"


def write(folder, text, name="own.csv"):
    """A file of that text (or those bytes); its path."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def cells(dataset):
    """{(raw user, raw movie): (stars, seconds)} of a Dataset, seconds None where it has no timestamps."""
    r = dataset.ratings
    seconds = [None] * len(r) if r.timestamp is None else r.timestamp.tolist()
    keys = zip(r.user_ids[r.user].tolist(), r.movie_ids[r.movie].tolist(), strict=True)
    return dict(zip(keys, zip(r.rating.tolist(), seconds, strict=True), strict=True))


def zip_of(files):
    """A zip archive of these files, {name: content}, as bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def refusal(path, **options):
    """The message of the UserError that loading gives; at most two lines."""
    with pytest.raises(UserError) as caught:
        load(path, **options)
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)
