"""Sound that was listened to is wholly examined; every other complaint stands."""

import pyarrow as pa
import pytest

from pipelines.rows import ErrorCode
from pipelines.speech.heard import Heard


def heard(media, code):
    row = {"said": [[]], "media": [media], "error_code": [code], "error_message": [code and "because"], "more": [1]}
    schema = [(name, pa.string()) for name in ("media", "error_code", "error_message")]
    table = pa.table(row).cast(pa.schema([("said", pa.list_(pa.null())), *schema, ("more", pa.int64())]))
    (found,) = Heard().open()(table)
    assert found.column_names == table.column_names
    return found.to_pylist()[0]


def test_sound_without_a_picture_loses_its_complaint():
    found = heard("audio", ErrorCode.NO_VIDEO.value)
    assert (found["error_code"], found["error_message"], found["more"]) == (None, None, 1)


@pytest.mark.parametrize(
    ("media", "code"),
    [
        ("audio", ErrorCode.DAMAGED.value),
        (None, ErrorCode.NO_VIDEO.value),  # neither picture nor sound
        ("video", ErrorCode.TRUNCATED.value),
        ("video", None),
        (None, None),
    ],
)
def test_every_other_row_stays_as_it_is(media, code):
    found = heard(media, code)
    assert (found["error_code"], found["error_message"]) == (code, code and "because")
