"""The small readers of vendors' texts: any text is read or refused, none raises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biometrics.errors import SignatureError
from biometrics.vendors.healthkit.dates import parse_export_date
from biometrics.vendors.signatures import (
    Encoding,
    check_freshness,
    matching_secret,
    parse_unix,
)
from biometrics.vendors.times import Moment, in_offset, parse_day, parse_moment

FUZZ = settings(deadline=None, max_examples=400)
# Texts that nearly are what is read: its own letters in any order, and true ones spoilt.
DATES = st.one_of(
    st.text(),
    st.text(alphabet="0123456789-:.TZ+ APMapm\u202f\u0661", max_size=45),
    st.datetimes().map(lambda at: at.isoformat()),
    st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    st.datetimes().map(lambda at: f"{at:%Y-%m-%d %I:%M:%S} PM +1800"),
    st.tuples(st.dates(), st.text(alphabet="-+:0123456789", max_size=12)).map(
        lambda pair: f"{pair[0]}T00:00:00{pair[1]}"
    ),
)
ANYTHING = st.one_of(
    DATES, st.none(), st.booleans(), st.integers(), st.floats(), st.lists(st.none())
)


def assert_aware(moment: Moment | None) -> None:
    if moment is not None:
        assert moment.at.utcoffset() is not None
        assert moment.local_date == moment.at.date()


@FUZZ
@given(text=ANYTHING)
def test_any_time_is_read_or_none(text: object) -> None:
    assert_aware(parse_moment(text))
    assert_aware(parse_export_date(text))
    parse_day(text)


@FUZZ
@given(
    at=st.datetimes(timezones=st.just(UTC)),
    offset=st.one_of(
        st.none(),
        st.text(max_size=8),
        st.from_regex(r"[+-]\d{2}:?\d{2}", fullmatch=True),
    ),
)
def test_any_time_is_shown_in_any_offset_or_none(
    at: datetime, offset: str | None
) -> None:
    shown = in_offset(at, offset)
    assert_aware(shown)
    assert shown is None or shown.at == at


@pytest.mark.parametrize(
    "at", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
@pytest.mark.parametrize("offset", ["+14:00", "-12:00"])
def test_the_ends_of_the_calendar_are_in_no_other_offset(
    at: datetime, offset: str
) -> None:
    assert_aware(in_offset(at, offset))


@FUZZ
@given(
    text=st.one_of(
        st.none(), st.text(), st.integers().map(str), st.floats().map(str), DATES
    ),
    unit=st.sampled_from(["s", "ms", "either"]),
)
def test_any_signed_time_is_a_number_or_refused(text: str | None, unit: str) -> None:
    try:
        seconds = parse_unix(text, unit=unit, header="x")  # type: ignore[arg-type]
    except SignatureError:
        return
    assert text is not None
    assert seconds in {float(text), float(text) / 1000}
    with pytest.raises(SignatureError):
        check_freshness(
            signed_at=seconds,
            now=datetime.fromtimestamp(0, tz=UTC) - timedelta(days=1),
            tolerance_s=300,
        )


@FUZZ
@given(
    signatures=st.lists(
        st.one_of(
            st.text(),
            st.binary(max_size=40).map(bytes.hex),
            st.text(alphabet="0123456789abcdefABCDEF=+/ \u0661", max_size=70),
        ),
        max_size=5,
    ),
    encoding=st.sampled_from(["hex", "hex-lower", "base64"]),
)
def test_no_signature_is_genuine_by_chance(
    signatures: list[str], encoding: Encoding
) -> None:
    with pytest.raises(SignatureError):
        matching_secret(
            secrets=["one", "two"],
            message=b"body",
            signatures=signatures,
            encoding=encoding,
        )
