"""Copies in the report: one sentence a claim, both sides in pictures, both timelines joined, hostile works harmless."""

from __future__ import annotations

import base64
import html
import io
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from PIL import Image

from jobs.report.claims import claims_of, gravest, sentence
from jobs.report.copies import PAIRS, rows_apart
from jobs.report.mapping import Band, map_svg, part_drawn
from jobs.report.page import Page, ReportVideo, bank_headline, quarantined, render
from pipelines.copyright.bank.reference import Kind
from pipelines.copyright.claimed import Claimed
from pipelines.risk.verdicts import VERDICTS, by_time, findings, priority, suggestion, top_labels
from tests.jobs.claimed import POLICY, both, claimed
from tests.jobs.test_report import HOSTILE, driver, find, opened, shown  # noqa: F401  two of them are fixtures
from tests.windows import seen

BANK = {"bank": "/banks/films", "bank_version": "3", "references": 1234, "quarantined": {}}


def webp(colour) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 36), colour).save(out, "WEBP")
    return out.getvalue()


def video(video_id="copy", claims=(), signals=(), strip=None, duration_ms=60_000, title="", pictures=None):
    """Judge a video as `pipelines/risk/judge.py` does."""
    own = [found for claim in claims if (found := claim.finding(POLICY, duration_ms))]
    found = sorted([*findings(signals, POLICY, duration_ms), *own], key=by_time)
    verdict = dict.fromkeys(VERDICTS.names) | {
        "video_id": video_id,
        "uri": f"/videos/{video_id}.mp4",
        "content_sha256": "c" * 64,
        "duration_ms": duration_ms,
        "suggestion": suggestion(found, complete=True).value,
        "labels": top_labels(found),
        "segments": [finding.as_segment() for finding in found],
        "complete": True,
        "priority": priority(found, None, complete=True),
        "decided_at": datetime(2026, 11, 21, 2, 14, tzinfo=UTC),
    }
    seen = [*signals, *(claim.signal() for claim in claims if not claim.licensed)]
    return ReportVideo(verdict, title, seen, pictures or {}, None, list(claims), strip or {})


def page_of(*videos, **summary):
    return Page("Recall", summary, POLICY, videos, len(videos))


def text_of(claims, **more) -> str:
    return html.unescape(render(page_of(video(claims=claims, **more))))


def said(*claims: Claimed, **more) -> str:
    [claim] = claims_of(claims, POLICY, 60_000)
    return sentence(claim, **more)


class TestSentences:
    def test_picture_and_sound_are_one_claim(self):
        assert said(*both()) == (
            "0:12 to 0:31 of this upload is 41:02 to 41:21 of Some Film (film), picture 0.93, sound 0.88"
        )

    def test_the_order_of_the_rows_does_not_matter(self):
        assert said(*reversed(both())) == said(*both())

    def test_a_modality_with_times_of_its_own_says_them(self):
        picture, sound = both()
        wider = replace(sound, row={**sound.row, "start_ms": 8000, "ref_start_ms": 2_458_000})
        assert said(picture, wider) == (
            "0:08 to 0:31 of this upload is 40:58 to 41:21 of Some Film (film), "
            "picture 0.93 from 0:12 to 0:31, sound 0.88"
        )

    def test_a_speed_is_said_where_it_is_one(self):
        assert said(claimed(speed=1.25)).endswith("picture 0.93, at 1.25 times its speed")
        assert said(claimed(speed=1.01)).endswith("picture 0.93")

    def test_a_work_without_a_title_goes_by_its_id(self):
        assert "of film-7 (known bad)" in said(claimed(title=" ", kind=Kind.KNOWN_BAD))

    def test_a_long_title_is_cut(self):
        assert "of " + "x" * 79 + "… (film)" in said(claimed(title="x" * 500))

    def test_a_picture_has_no_times(self):
        assert said(claimed(), still=True).startswith("This picture is 41:02 to 41:21 of Some Film")


class TestClaims:
    def test_what_is_below_the_thresholds_is_left_out(self):
        weak, brief = claimed(score=0.4), claimed(end_ms=14_000)
        assert claims_of([weak, brief], POLICY, 60_000) == []

    def test_the_gravest_first_and_the_licensed_last(self):
        kinds = [
            claimed(score=0.97, licensed=True, reference_id="a"),
            claimed(score=0.6, reference_id="b"),
            claimed(score=0.95, reference_id="c"),
            claimed(score=0.91, reference_id="d", kind=Kind.KNOWN_BAD),
        ]
        found = claims_of(kinds, POLICY, 60_000)
        assert [(claim.reference_id, claim.kind) for claim in found] == [
            ("d", "block"),
            ("c", "review"),
            ("b", "review"),
            ("a", "licensed"),
        ]

    def test_one_number_of_two_references_is_two_claims(self):
        found = claims_of([claimed(), claimed("Audio", reference_id="film-8")], POLICY, 60_000)
        assert [claim.forms for claim in found] == [("Image",), ("Audio",)]

    def test_a_licence_counts_for_nothing(self):
        assert gravest(["licensed", "pass", "review"]) == "review"
        assert gravest(["licensed"]) == "review"


class TestCard:
    def test_a_claim_of_picture_and_sound_is_said_once_and_marked_once(self):
        text = text_of(both())
        assert len(re.findall(r'<p class="sentence">', text)) == 1
        assert len(re.findall(r'<svg class="lane"', text)) == 1
        assert len(re.findall(r'<g class="mark review"', text)) == 2, "one in the lane and one in the drawing"
        assert "Image and Audio, highest 0.99 at 0:12" in text
        assert 'class="seen"' not in text

    def test_two_claims_under_one_label_share_a_lane(self):
        later = claimed(score=0.7, start_ms=40_000, end_ms=50_000, claim=1)
        text = text_of([*both(), later])
        lane = re.search(r'<svg class="lane".*?</svg></div>|<svg class="lane".*?(?=</div>)', text, re.DOTALL)[0]
        assert len(re.findall('<g class="mark', lane)) == 2
        assert re.findall(r'<circle cx="([\d.]+%)" cy="(\d+%)"', lane) == [("35.83%", "1%"), ("75%", "30%")]

    def test_other_findings_keep_their_sentences(self):
        nude = seen(0.9, 2000, 4000, "Explicit")
        text = text_of(both(), signals=[nude])
        assert text.count('<ol class="seen">') == 1
        assert text.count('<svg class="lane"') == 2

    def test_a_weak_claim_stays_below_the_thresholds(self):
        text = text_of([claimed(score=0.4)])
        assert "1 label below the thresholds" in text
        assert 'class="copies"' not in text
        assert "card pass compact" in text

    def test_a_claim_that_no_rule_speaks_of_is_in_shadow(self):
        quiet = replace(POLICY, rules=POLICY.rules[2:])
        page = Page("Recall", {}, quiet, [replace(video(claims=both()), verdict=video().verdict)], 1)
        assert "2 labels in shadow mode" in render(page)

    def test_what_is_licensed_is_shown_as_such_and_passes(self):
        text = text_of([claimed(licensed=True)])
        assert "card pass compact" in text
        assert "Licensed where this policy shows videos (US), so it counts for nothing." in text
        assert '<section class="copy licensed">' in text
        assert '<svg class="lane"' not in text
        assert 'data-labels=""' in text

    def test_search_finds_titles_owners_and_ids(self):
        text = text_of([claimed(), claimed(reference_id="song-1", title="Some Song", kind=Kind.MUSIC, licensed=True)])
        for word in ("Some Film", "film-7", "A Studio", "Some Song", "song-1"):
            assert word in re.search(r'data-search="([^"]*)"', text)[1]

    def test_the_label_filter_knows_the_claims(self):
        assert 'data-labels="Copyright/Film and TV"' in text_of(both())

    def test_a_still_has_no_drawing(self):
        text = text_of([claimed(start_ms=0, end_ms=0)], duration_ms=0)
        assert "This picture is 41:02 of Some Film" in text
        assert '<svg class="map"' not in text

    def test_many_claims_and_works_fold(self):
        cuts = [claimed(claim=n, start_ms=n * 5000, end_ms=n * 5000 + 4000) for n in range(7)]
        works = [claimed(reference_id=f"film-{n}") for n in range(10, 16)]
        text = text_of([*cuts, *works])
        assert "<summary>4 more</summary>" in text
        assert "<summary>4 more works</summary>" in text

    def test_hostile_works_stay_text(self):
        row = {"reference_id": HOSTILE, "title": HOSTILE, "owner": HOSTILE, "ref_picture": webp("red")}
        text = render(page_of(video(claims=[*both(**row), claimed(**row, licensed=True, claim=1)])))
        assert text.count("<script") == 1
        assert "<img src=x" not in text
        assert "\u202e" not in text
        assert html.escape("</script>") in text


class TestPictures:
    def test_both_sides_stand_beside_each_other(self):
        far, near, work = webp("red"), webp("green"), webp("blue")
        text = text_of(both(ref_picture=work), strip={2000: far, 20_000: near})
        pair = re.search(r'<div class="pair veiled">(.*?)</div>\s*<div class="told">', text, re.DOTALL)[1]
        pictures = [base64.b64decode(data) for data in re.findall('base64,([^"]*)', pair)]
        assert pictures == [near, work]
        assert re.findall(r"<figcaption><bdi>(.*?)</bdi> <b>(.*?)</b>", pair) == [
            ("this upload", "0:20"),
            ("Some Film", "about 41:11"),
        ]

    def test_a_side_without_a_picture_says_so(self):
        text = text_of(both(), strip={20_000: webp("green")})
        assert text.count('<div class="none">no picture</div>') == 1

    def test_without_any_picture_there_are_words(self):
        text = text_of(both())
        assert '<div class="pair' not in text

    def test_the_sound_side_may_bring_the_picture(self):
        picture, sound = both()
        sound = replace(sound, row={**sound.row, "ref_picture": webp("blue")})
        assert "Some Film, about 41:11: Copyright/Film and TV 0.99" in text_of([picture, sound])

    def test_the_gravest_claims_get_the_pictures(self):
        cuts = [claimed(claim=n, score=0.5 + n / 100, start_ms=n * 4000, end_ms=n * 4000 + 3500) for n in range(12)]
        text = text_of(cuts, strip={n * 4000: webp((n, 0, 0)) for n in range(12)})
        assert text.count('<div class="pair veiled">') == PAIRS
        assert "This upload at 0:00" not in text


class TestDrawing:
    def test_the_reference_has_the_scale_of_the_upload(self):
        assert part_drawn([Band(12_000, 31_000, 2_462_000, 2_481_000, "review", "")], 60_000) == (2_441_500, 60_000)

    def test_the_reference_begins_at_its_beginning(self):
        assert part_drawn([Band(30_000, 40_000, 0, 10_000, "review", "")], 60_000) == (0, 60_000)

    def test_claims_far_apart_need_a_scale_of_their_own(self):
        bands = [Band(0, 5000, 100_000, 105_000, "review", ""), Band(5000, 10_000, 195_000, 200_000, "review", "")]
        assert part_drawn(bands, 10_000) == (92_500, 115_000)

    def test_a_band_joins_both_stretches(self):
        drawn = map_svg([Band(12_000, 30_000, 0, 18_000, "review", 'a\n"b"', "p1")], 60_000, "Some Film")
        assert 'points="20,0 50,0 30,1 0,1"' in drawn
        assert '<rect x="20%" width="30%" y="18" height="8" class="foot"></rect>' in drawn
        assert '<rect x="0%" width="30%" y="60" height="8" class="foot"></rect>' in drawn
        assert 'aria-label="a, &#34;b&#34;" data-tip="a\n&#34;b&#34;" data-opens="p1"' in drawn

    def test_both_timelines_have_clock_times(self):
        drawn = map_svg([Band(12_000, 31_000, 2_462_000, 2_481_000, "review", "")], 60_000, "Some Film")
        upload = ["0:00", "0:10", "0:20", "0:30", "0:40", "0:50", "1:00"]
        assert re.findall(r">([\d:]+)<", drawn) == [*upload, "40:50", "41:00", "41:10", "41:20", "41:30", "41:40"]

    def test_times_with_hours_are_fewer(self):
        drawn = map_svg([Band(0, 20_000, 3_600_000, 3_620_000, "review", "")], 60_000, "Some Film")
        assert re.findall(r">([\d:]+)<", drawn)[7:] == ["1:00:00", "1:00:30"]

    @pytest.mark.parametrize("band", [(0, 0, 0, 0), (59_000, 99_000, 5, 5), (0, 60_000, 10**9, 10**9 + 60_000)])
    def test_odd_spans_stay_inside(self, band):
        drawn = map_svg([Band(*band, "review", "")], 60_000, "x")
        corners = [float(x) for x in re.findall(r"([-\d.]+),[01]", drawn)]
        assert all(0 <= x <= 100 for x in corners)

    def test_stretches_that_touch_share_the_height(self):
        assert rows_apart([(0, 5), (3, 8), (5, 9), (20, 30)]) == [(0, 2), (1, 2), (0, 2), (0, 1)]
        assert rows_apart([(20, 30), (0, 9), (0, 9), (1, 2)]) == [(0, 1), (0, 3), (1, 3), (2, 3)]
        assert rows_apart([]) == []


class TestHead:
    def test_the_bank_its_references_and_the_claims(self):
        assert bank_headline(BANK, 12) == "12 claims of 1,234 references in bank films at version 3"
        assert bank_headline({"bank": "films/", "references": 1}, 1) == "1 claim of 1 reference in bank films"
        assert "12 claims of 1,234 references" in render(page_of(copyright=BANK, counts={"claims": 12}))
        assert "reference" not in render(page_of(counts={"claims": 0})).partition("<main>")[0].partition("<body>")[2]

    def test_quarantined_references_are_named_with_the_reason(self):
        held = {f"film-{n}": "it matched too much" for n in range(7)}
        text = render(page_of(copyright=BANK | {"quarantined": held}))
        assert "7 references are quarantined" in text
        assert text.partition("<main>")[0].count("</b></bdi>: <bdi>it matched too much") == 5
        assert "film-6: it matched too much" in text.partition("</main>")[2]
        assert "notice" not in render(page_of(copyright=BANK)).partition("</style>")[2]

    def test_hostile_ids_and_reasons(self):
        assert quarantined({"copyright": {"quarantined": {"a\u202e": "b\nc"}}}) == {"a\\u202e": "b c"}
        assert quarantined({"copyright": {"quarantined": None}}) == quarantined({}) == {}


# In a browser


def three():
    """A film by picture and sound, a clip of it that is a known bad video too, a licensed song."""
    copy = [*both(ref_picture=webp("red")), claimed(reference_id="bad-1", title="Brawl", kind=Kind.KNOWN_BAD, owner="")]
    song = claimed("Audio", reference_id="song-1", title="Some Song", kind=Kind.MUSIC, licensed=True)
    return page_of(
        video("copy", copy, strip={20_000: webp("green")}),
        video("dance", [song]),
        video("tea"),
        copyright=BANK,
    )


@pytest.mark.browser
def test_a_copy_opens_beside_what_it_is_of(opened):  # noqa: F811
    browser = opened(three())
    find(browser, "#v1 .map .mark").click()
    shown_ = browser.find_elements("css selector", "#viewer img")
    assert [img.is_displayed() for img in shown_] == [True, False], "the known bad video has no picture"
    find(browser, "#next").click()
    assert [img.is_displayed() for img in shown_] == [True, True]
    assert find(browser, "#caption").text.split("\n") == [
        "This upload at 0:20: Copyright/Film and TV 0.99",
        "Some Film, about 41:11: Copyright/Film and TV 0.99",
    ]
    assert find(browser, "#place").text == "2 of 2"


@pytest.mark.browser
def test_copies_are_blurred_until_asked_for(opened):  # noqa: F811
    browser = opened(three())
    blur = "return getComputedStyle(document.querySelector('.pair img')).filter"
    assert "blur" in browser.execute_script(blur)
    find(browser, "#pictures").click()
    browser.execute_script("document.getAnimations().forEach((animation) => animation.finish())")
    assert browser.execute_script(blur) == "none"


@pytest.mark.browser
def test_works_are_found(opened):  # noqa: F811
    browser = opened(three())
    for words, expected in (("some film", ["copy"]), ("brawl known", ["copy"]), ("song-1", ["dance"]), ("opera", [])):
        find(browser, "#search").clear()
        find(browser, "#search").send_keys(words)
        assert shown(browser) == expected


@pytest.mark.browser
def test_copies_are_never_wider_than_a_phone(opened, driver):  # noqa: F811
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        row = {"title": "x" * 300, "owner": "y" * 300, "reference_id": "z" * 300, "ref_picture": webp("red")}
        browser = opened(page_of(video("a", both(**row), strip={0: webp("blue")}), copyright=BANK))
        assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
