"""The report: every video once, hostile text harmless, pictures once, curves in their place, a page that works."""

import base64
import hashlib
import html
import io
import re
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from jobs.report.page import Page, ReportVideo, facts, label_groups, number, render, sections, took
from jobs.report.seen import seen_in
from jobs.report.timeline import Lane, Mark, axis_svg, clock, lane_svg, mark_place, span, steps_path, tick_times
from jobs.report.tracks import tracks
from jobs.report.words import REASONS, decision, one_line, problem, score_text, threshold_text, thresholds, visible
from pipelines.risk.policy import parse_policy
from pipelines.risk.signals import Signal
from pipelines.risk.verdicts import VERDICTS, findings, priority, suggestion, top_labels
from pipelines.rows import ErrorCode

NSFW, WEAPONS, CLIP = "open_nsfw@1.0.0", "imagenet_weapons@1.0.0", "zero_shot_clip@2.0.0"
HOSTILE = "</script><script>window.hacked=1</script>\"'><img src=x onerror=window.hacked=1>\u202egpj.exe\nnext"
POLICY = parse_policy(
    {
        "name": "test",
        "version": "1",
        "rule": [
            {"label": "Explicit", "abstain": [0.5, 0.8], "action": "block", "severity": 5},
            {"label": "Violence/Weapons", "abstain": [0.4, 0.8], "models": "imagenet_*"},
            {"label": "Violence/Weapons", "abstain": [0.6, 0.9], "models": "zero_shot_*", "smooth_ms": 2000},
        ],
    },
    digest="0123456789abcdef",
)


def webp(colour, size=(36, 64)):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "WEBP")
    return out.getvalue()


def signal(label, score, start_ms, end_ms, source=NSFW, **more):
    times = {"start_ms": start_ms, "end_ms": end_ms, "evidence_ms": start_ms}
    return Signal(label=label, form="Image", score=score, source=source, **times, **more)


def video(video_id, signals=(), title="", pictures=None, poster=None, error=None, duration_ms=10_000, **verdict):
    found = findings(signals, POLICY, duration_ms or 0)
    row = dict.fromkeys(VERDICTS.names) | {
        "video_id": video_id,
        "uri": f"/videos/{video_id}.mp4",
        "content_sha256": hashlib.sha256(video_id.encode(errors="replace")).hexdigest(),
        "duration_ms": duration_ms,
        "suggestion": suggestion(found, complete=error is None).value,
        "labels": top_labels(found),
        "segments": [finding.as_segment() for finding in found],
        "complete": error is None,
        "error_code": error and error[0],
        "error_message": error and error[1],
        "priority": priority(found, None, complete=error is None),
        "bundle": "lite@1",
        "policy": POLICY.id,
        "decided_at": datetime(2026, 11, 21, 2, 14, tzinfo=UTC),
    }
    return ReportVideo(row | verdict, title, list(signals), pictures or {}, poster)


NUDE = [signal("Explicit/Explicit Nudity", 0.9, 2000, 4000), signal("Explicit/Explicit Nudity", 0.6, 7000, 8000)]
GUN = [signal("Violence/Weapons", 0.5, 2000, 3000, WEAPONS, detail="raw score; only a cue")]
SHADOW = [signal("Alcohol/Alcohol Use", 0.7, 0, 3000, CLIP)]


def sample(total=None, summary=None):
    """Return one video of each kind, most urgent first."""
    pictures = {2000: webp("red"), 7000: webp("blue")}
    videos = [
        video("nude", [*NUDE, *GUN, *SHADOW], "Beach day 沙滩", pictures, webp("green")),
        video("armed", GUN, "Range day", {2000: webp("orange", (64, 36))}),
        video("cut", SHADOW, poster=webp("white"), error=("truncated", "pictures end at 6.1 s of 42.0 s")),
        video("gone", error=("not_found", "there is no such file"), duration_ms=None),
        video("calm", [signal("Explicit", 0.1, 0, 1000), *SHADOW], "Tea", poster=webp("grey")),
        video("blank"),
    ]
    return Page("Recall of 2026-11-21", summary or {}, POLICY, videos, total or len(videos))


def page_of(*videos, **summary):
    return Page("Recall", summary, POLICY, videos, len(videos))


def cards_of(text):
    return re.findall(r'<article class="card ([^"]*)" id="v(\d+)"', text)


# The whole page


def test_every_video_appears_once_and_in_order():
    kinds = ["block", "review", "review", "review", "pass compact", "pass compact"]
    assert cards_of(render(sample())) == [(kind, str(n)) for n, kind in enumerate(kinds, 1)]


def test_the_same_page_gives_the_same_text():
    assert render(sample()) == render(sample())


def test_nothing_is_fetched_and_nothing_is_inline_that_the_policy_forbids():
    text = render(sample())
    assert not re.search(r'(?:src|href)="(?!data:image/webp;base64,|#v\d)', text)
    assert not re.search(r"<[^>]* (?:style|on\w+)=", text)
    assert "<link" not in text
    assert "@import" not in text


def test_the_content_security_policy_names_the_style_and_the_script_and_nothing_else():
    text = render(sample())
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    hashes = [
        "'sha256-" + base64.b64encode(hashlib.sha256(block.encode()).digest()).decode() + "'"
        for block in re.search(r"<style>(.*)</style>.*<script>(.*?)</script>", text, re.DOTALL).groups()
    ]
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src {hashes[0]}",
        f"script-src {hashes[1]}",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert text.count("<script") == text.count("<style") == 1


def test_hostile_text_stays_text():
    hostile = video(HOSTILE, GUN, HOSTILE, uri=HOSTILE, error=("odd</b>", HOSTILE))
    hostile.verdict["segments"][0] |= {"text": HOSTILE, "reference_id": HOSTILE}
    text = render(page_of(hostile, run={HOSTILE: HOSTILE}, versions={"models": [HOSTILE]}))
    assert text.count("<script") == 1
    assert "<img src=x" not in text
    assert "\u202e" not in text
    assert html.escape("</script>") in text


def test_a_name_that_is_no_unicode_can_be_written():
    assert "caf\\udce9" in render(page_of(video("caf\udce9"))).encode("utf-8").decode()


def test_a_picture_is_embedded_once_however_often_it_is_shown():
    red, blue = webp("red"), webp("blue")
    pages = page_of(video("a", NUDE, pictures={2000: red, 7000: blue}, poster=red), video("again", NUDE, poster=blue))
    text = render(pages)
    assert text.count("data:image/webp;base64,") == 2
    assert text.count(base64.b64encode(red).decode()) == 1
    assert re.findall(r'data-key="(p\d)"', text) == ["p1", "p1", "p2", "p2"]


def test_without_a_poster_the_best_evidence_stands_for_the_video():
    text = render(page_of(video("a", NUDE, pictures={7000: webp("blue"), 2000: webp("red")})))
    hero = re.search(r'class="hero picture" aria-label="([^"]*)"', text)[1]
    assert hero == "Enlarge: Explicit/Explicit Nudity 0.90, 0:02 to 0:04"


def test_what_does_not_fit_is_said():
    text = render(sample(total=12_345))
    assert "This page shows the 6 most urgent of 12,345 videos." in text
    assert "verdicts.parquet" in text
    assert "most urgent" not in render(sample())


def test_tiles_count_the_run_and_say_what_of_it_is_here():
    text = render(sample(total=900, summary={"counts": {"block": 3, "review": 20, "pass": 877, "incomplete": 2}}))
    tiles = re.findall(r"<b>([\d,]+)</b> <span>(\w+)</span>(?: <small>(\d+) on)?", text)
    assert tiles == [("3", "block", "1"), ("20", "review", "3"), ("877", "pass", "2"), ("2", "incomplete", "")]


@pytest.mark.parametrize(
    "summary", [{}, {"run": {}}, {"run": None, "counts": None, "busy_s": None}, {"busy_s": {"decode": 0.0}}, {"new": 3}]
)
def test_a_summary_may_lack_anything(summary):
    text = render(page_of(video("a"), **summary))
    assert "1 video" in text


def test_a_run_without_videos_is_a_page():
    assert "The run has no videos." in render(page_of())


# What it says of the run


def test_sections_put_loose_values_into_the_run_and_leave_busy_time_to_its_bars():
    summary = {"run": {"seconds": 734.2, "job": None}, "busy_s": {"decode": 1.0}, "peak_memory_mb": 6120}
    assert sections(summary) == {"Run": [("took", "12 min 14 s"), ("peak memory, MB", "6,120")]}


def test_facts_read_as_words():
    found = facts({"hours_per_hour": 412.43, "errors": {"truncated": 9}, "models": ["a@1", "b@2"], "none": {}})
    assert found == [
        ("hours of video per hour", "412"),
        ("errors", "truncated 9"),
        ("models", "a@1, b@2"),
        ("none", "none"),
    ]


def test_numbers_and_durations():
    assert [number(0.01634), number(16.34), number(1234.5), number(12000)] == ["0.0163", "16.3", "1,234", "12,000"]
    assert [took(1.26), took(734.2), took(5021)] == ["1.3 s", "12 min 14 s", "1 h 23 min"]


def test_a_first_level_counts_the_cards_below_it_once():
    class Found:
        def __init__(self, *names):
            self.label_names = list(names)

    groups = label_groups([Found("Violence/Weapons", "Violence/Graphic Violence"), Found("Violence/Weapons")])
    assert [(choice.value, choice.count) for choice in groups["Violence"]] == [
        ("Violence", 2),
        ("Violence/Graphic Violence", 1),
        ("Violence/Weapons", 2),
    ]


# Words


def test_hidden_characters_become_visible_and_letters_stay():
    assert visible("a\nb\u202ec\u200bd\x00") == "a\\nb\\u202ec\\u200bd\\x00"
    assert visible("视频 👩‍👩‍👧 né") == "视频 👩‍👩‍👧 né"
    assert one_line("  two\n\tlines ") == "two lines"


def test_a_score_under_a_threshold_never_reads_like_it():
    assert [score_text(score) for score in (0.7999, 0.8, float(np.float32(0.83)), 1.0)] == [
        "0.79",
        "0.80",
        "0.83",
        "1.00",
    ]
    assert [threshold_text(score) for score in (0.8, 0.855)] == ["0.80", "0.855"]


def test_a_decision_names_its_thresholds():
    rule = POLICY.rules[0]
    assert decision(rule, 0.8) == "block from 0.80 on"
    assert decision(rule, 0.79) == "in doubt between 0.50 and 0.80, so review"
    assert thresholds(rule) == "review from 0.50 (in doubt); block from 0.80"
    assert thresholds(POLICY.rules[2]) == "review from 0.60, no doubt from 0.90; judged by the mean over 2 s"


def test_a_problem_has_a_reason_a_message_and_a_code():
    found = problem({"error_code": "truncated", "error_message": "pictures end at 6.1 s", "complete": False})
    assert (found.code, found.reason) == ("truncated", "The file breaks off early")
    assert found.message == "Pictures end at 6.1 s."
    assert problem({"error_code": None, "complete": True}) is None
    assert problem({"error_code": "brand_new", "complete": False}).reason == "The video was not wholly looked at"


def test_every_code_has_a_reason():
    assert REASONS.keys() == set(ErrorCode)


def test_what_was_seen_where():
    track = next(t for t in tracks(GUN, video("a", GUN).verdict["segments"], POLICY, 10_000) if t.segments)
    [seen] = seen_in(track, 10_000)
    assert (seen.when, seen.label.name, score_text(seen.score)) == ("0:02 to 0:03", "Violence/Weapons", "0.50")
    assert seen.decision == "in doubt between 0.40 and 0.80, so review"
    assert seen.source == "imagenet_weapons@1.0.0, raw score; only a cue"


def test_a_still_picture_has_no_times():
    text = render(page_of(video("a", [signal("Explicit", 0.7, 0, 0)], duration_ms=0)))
    assert "in the picture" in text
    assert 'class="axis"' not in text


# Tracks


def test_models_under_different_rules_get_their_own_lanes():
    both = [*GUN, signal("Violence/Weapons", 0.7, 2000, 5000, CLIP)]
    found = tracks(both, video("a", both).verdict["segments"], POLICY, 10_000)
    assert [(track.sources, [row["end_ms"] for row in track.segments]) for track in found] == [
        (CLIP, [5000]),
        (WEAPONS, [3000]),
    ]


def test_a_label_without_a_rule_is_shown_apart():
    text = render(page_of(video("a", [*NUDE, *SHADOW])))
    judged, shadow = text.split('<details class="more shadow">')
    assert "1 label in shadow mode" in shadow
    assert "Scores of Alcohol/Alcohol Use over time" in shadow
    assert "Scores of Alcohol/Alcohol Use over time" not in judged


def test_a_match_without_signals_gets_a_lane_without_a_curve():
    row = video("a", GUN).verdict["segments"][0]
    reference = {"reference_id": "film 7", "ref_start_ms": 60_000, "ref_end_ms": 61_000}
    match = row | reference | {"label": "Copyright/Film and TV"}
    text = render(page_of(video("a", segments=[match], suggestion="review")))
    assert "matches film 7, its 1:00 to 1:01" in text
    lane = re.search(r'aria-label="Scores of Copyright/Film and TV over time">.*?</div>', text, re.DOTALL)[0]
    assert "<path" not in lane
    assert 'class="mark review"' in lane


def test_labels_beyond_the_first_few_are_counted():
    tops = ("Alcohol", "Gambling", "Hate Symbols", "Rude Gestures", "Abuse", "Fraud", "Copyright", "Spoken Claim")
    quiet = [signal(name, 0.9 - n / 10, 0, 1000) for n, name in enumerate(tops)]
    text = render(page_of(video("a", [*NUDE, *quiet])))
    assert "8 labels in shadow mode" in text
    assert "2 more, none above 0.30." in text


# Timelines


def steps(*edges_ms, scores):
    return np.array(edges_ms, np.int64), np.array(scores, np.float64)


def test_a_curve_is_drawn_in_thousandths_of_the_duration():
    curve = steps(2000, 4000, 5000, scores=[0.5, 0.25])
    assert steps_path(curve, 10_000) == "M0 100H200V50H400V75H500V100H1000V100"


def test_the_highest_of_the_steps_that_share_a_column_counts():
    crowded = steps(*range(0, 5001, 1), scores=[0.9 if n == 2500 else 0.1 for n in range(5000)])
    assert steps_path(crowded, 1_000_000) == "M0 100H0V90H2V10H3V90H5V100H1000V100"


def test_a_curve_past_the_end_is_cut_there():
    assert steps_path(steps(9000, 30_000, scores=[1.0]), 10_000) == "M0 100H900V0H1000V100"
    assert steps_path(steps(10_000, 10_001, scores=[1.0]), 10_000) == "M0 100H999V0H1000V100"


def test_segments_stand_where_they_happen_and_can_always_be_hit():
    place = lambda start_ms, end_ms: mark_place(Mark(start_ms, end_ms, start_ms, 0.5, "review", ""), 10_000)  # noqa: E731
    assert place(2000, 4500) == (20.0, 25.0)
    assert place(5000, 5001) == (50.0, 0.9)
    assert place(10_000, 10_001) == (99.1, 0.9)
    assert place(9000, 99_000) == (90.0, 10.0)


def test_a_lane_has_bands_thresholds_curve_and_segments():
    mark = Mark(2000, 4500, 3000, 0.75, "block", 'Explicit 0.75\n"quoted"', "p1")
    drawn = lane_svg(Lane(steps(2000, 4500, scores=[0.75]), None, (0.5, 0.8), "block", (mark,)), 10_000, "Explicit")
    assert '<rect x="0%" width="100%" y="20%" height="30%" class="band doubt"></rect>' in drawn
    assert '<rect x="0%" width="100%" y="0%" height="20%" class="band block"></rect>' in drawn
    assert '<line x1="0" x2="100%" y1="50%" y2="50%" class="threshold low"></line>' in drawn
    assert '<rect x="20%" width="25%" y="0" height="100%" class="stretch"></rect>' in drawn
    assert '<circle cx="30%" cy="25%" r="3"></circle>' in drawn
    assert 'aria-label="Explicit 0.75, &#34;quoted&#34;"' in drawn


def test_an_averaged_curve_is_laid_over_the_raw_one():
    raw, judged = steps(0, 1000, scores=[1.0]), steps(0, 1000, scores=[0.5])
    drawn = lane_svg(Lane(raw, judged), 1000, "Explicit")
    assert re.findall(r'd="([^"]*)" class="([^"]*)"', drawn) == [
        ("M0 100H0V0H1000V100", "area"),
        ("M0 100H0V50H1000V100", "curve"),
    ]


@pytest.mark.parametrize(
    ("duration_ms", "ticks"),
    [
        (900, [0, 200, 400, 600, 800]),
        (12_000, [0, 2000, 4000, 6000, 8000, 10_000, 12_000]),
        (55_125, [0, 10_000, 20_000, 30_000, 40_000, 50_000]),
        (3 * 3_600_000, [n * 1_800_000 for n in range(7)]),
        (1, [0]),
    ],
)
def test_ticks_are_round_and_few(duration_ms, ticks):
    assert tick_times(duration_ms) == ticks


def test_axis_texts():
    assert re.findall(r">([\d:.]+)<", axis_svg(90_000)) == ["0:00", "0:15", "0:30", "0:45", "1:00", "1:15", "1:30"]
    assert re.findall(r">([\d:.]+)<", axis_svg(1200))[:2] == ["0:00.0", "0:00.2"]


def test_clock_and_span():
    assert [clock(12_999), clock(3_723_000), clock(1250, tenths=True)] == ["0:12", "1:02:03", "0:01.2"]
    assert [span(12_000, 31_000), span(12_000, 12_400)] == ["0:12 to 0:31", "at 0:12"]


# In a browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,900",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield browser
    browser.quit()


@pytest.fixture
def opened(driver, tmp_path):
    """Open a page from disk, and find its console empty afterwards."""

    def show(page):
        file = tmp_path / "report.html"
        file.write_text(render(page), "utf-8")
        driver.get_log("browser")
        driver.get(file.as_uri())
        return driver

    yield show
    assert driver.get_log("browser") == []


def press(browser, key):
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(key).perform()


def find(browser, selector):
    return browser.find_element("css selector", selector)


def shown(browser):
    cards = browser.find_elements("css selector", ".card")
    return [card.get_attribute("data-search").split("\n")[0] for card in cards if card.is_displayed()]


def focused(browser):
    return browser.execute_script("return document.activeElement.closest('.card')?.id ?? document.activeElement.id")


def blur_of(browser, selector):
    script = "const img = document.querySelector(arguments[0]); return getComputedStyle(img).filter"
    browser.execute_script("document.getAnimations().forEach((animation) => animation.finish())")
    return browser.execute_script(script, selector)


@pytest.mark.browser
def test_the_page_opens_from_disk_with_all_its_pictures(opened):
    browser = opened(sample())
    assert shown(browser) == ["nude", "armed", "cut", "gone", "calm", "blank"]
    widths = browser.execute_script("return [...document.querySelectorAll('main img')].map((img) => img.naturalWidth)")
    assert widths == [36, 36, 36, 64, 64, 36, 36]


@pytest.mark.browser
def test_hostile_text_does_nothing(opened):
    browser = opened(page_of(video(HOSTILE, GUN, HOSTILE, uri=HOSTILE, error=(HOSTILE, HOSTILE))))
    assert browser.execute_script("return window.hacked") is None
    assert "<script>" in find(browser, "h2").text


@pytest.mark.browser
def test_the_page_is_never_wider_than_a_phone(opened, driver):
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        long = video("x" * 500, [*NUDE, *SHADOW], "长标题" * 200, {2000: webp("red", (640, 60))})
        browser = opened(page_of(long, video("y" * 500), command="z" * 500))
        browser.execute_script("document.querySelectorAll('details').forEach((details) => { details.open = true })")
        assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.browser
def test_tiles_filter_and_let_go(opened):
    browser = opened(sample())
    for kind, expected in (
        ("block", ["nude"]),
        ("review", ["armed", "cut", "gone"]),
        ("incomplete", ["cut", "gone"]),
        ("pass", ["calm", "blank"]),
    ):
        find(browser, f"[data-tile={kind}]").click()
        assert shown(browser) == expected
    assert find(browser, "#shown").text == "2 of 6"
    find(browser, "[data-tile=pass]").click()
    assert len(shown(browser)) == 6


@pytest.mark.browser
def test_search_looks_into_ids_titles_uris_labels_and_errors(opened):
    browser = opened(sample())
    box = find(browser, "#search")
    for words, expected in (
        ("ＢＥＡＣＨ", ["nude"]),
        ("沙滩", ["nude"]),
        ("weapons range", ["armed"]),
        ("/videos/calm", ["calm"]),
        ("not_found", ["gone"]),
        ("alcohol", []),
    ):
        box.clear()
        box.send_keys(words)
        assert shown(browser) == expected
    assert find(browser, "#nothing").is_displayed()
    find(browser, "#clear").click()
    assert len(shown(browser)) == 6


@pytest.mark.browser
def test_labels_and_errors_filter(opened):
    from selenium.webdriver.support.select import Select

    browser = opened(sample())
    Select(find(browser, "#label")).select_by_value("Violence")
    assert shown(browser) == ["nude", "armed"]
    Select(find(browser, "#label")).select_by_value("Explicit/Explicit Nudity")
    assert shown(browser) == ["nude"]
    Select(find(browser, "#label")).select_by_value("")
    Select(find(browser, "#error")).select_by_value("truncated")
    assert shown(browser) == ["cut"]


@pytest.mark.browser
def test_a_picture_opens_and_the_arrows_turn_the_pages(opened):
    from selenium.webdriver import Keys

    browser = opened(sample())
    find(browser, "#v1 .frames .picture").click()
    captions = []
    for _ in range(4):
        captions.append(find(browser, "#caption").text)
        press(browser, Keys.ARROW_RIGHT)
    assert captions == [
        "0:02: Explicit/Explicit Nudity 0.90, Violence/Weapons 0.50",
        "0:07: Explicit/Explicit Nudity 0.60",
        "A frame of the video",
        "A frame of the video",
    ]
    assert not find(browser, "#next").is_enabled()
    press(browser, Keys.ARROW_LEFT)
    assert find(browser, "#place").text == "2 of 3"
    press(browser, Keys.ESCAPE)
    assert not find(browser, "#viewer").is_displayed()


@pytest.mark.browser
def test_a_segment_says_what_it_is_and_opens_its_picture(opened):
    from selenium.webdriver import Keys

    browser = opened(sample())
    browser.execute_script("document.querySelectorAll('#v1 .mark')[1].focus()")
    tip = find(browser, "#tip").text.split("\n")
    assert tip[:2] == ["Explicit/Explicit Nudity 0.60, 0:07 to 0:08", "in doubt between 0.50 and 0.80, so review"]
    assert tip[2].startswith(NSFW)
    press(browser, Keys.ENTER)
    assert find(browser, "#caption").text == "0:07: Explicit/Explicit Nudity 0.60"


@pytest.mark.browser
def test_a_label_tells_its_sentence_in_two_languages(opened):
    browser = opened(sample())
    browser.execute_script("document.querySelector('#v1 .labels .label').focus()")
    assert "An adult's genitals" in find(browser, "#tip").text
    assert find(browser, "#tip [lang=zh-Hans]").text.endswith("。")


@pytest.mark.browser
def test_pictures_are_blurred_until_somebody_wants_them(opened):
    browser = opened(sample())
    assert "blur" in blur_of(browser, "#v1 .frames img")
    assert "blur" in blur_of(browser, "#v3 .hero img")
    assert blur_of(browser, "#v5 .hero img") == "none"
    find(browser, "#pictures").click()
    assert blur_of(browser, "#v1 .frames img") == "none"
    assert find(browser, "#pictures").get_attribute("aria-pressed") == "true"
    find(browser, "#pictures").click()
    assert "blur" in blur_of(browser, "#v1 .frames img")
    assert browser.execute_script("return localStorage.length + sessionStorage.length + document.cookie.length") == 0


@pytest.mark.browser
def test_keys_move_search_and_help(opened):
    from selenium.webdriver import Keys

    browser = opened(sample())
    visited = []
    for key in "jjkjjjjjj":
        press(browser, key)
        visited.append(focused(browser))
    assert visited == ["v1", "v2", "v1", "v2", "v3", "v4", "v5", "v6", "v6"]
    press(browser, Keys.ENTER)
    assert find(browser, "#v6 details").get_attribute("open")
    press(browser, "/")
    assert focused(browser) == "search"
    press(browser, "j?")
    assert find(browser, "#search").get_attribute("value") == "j?"
    press(browser, Keys.ESCAPE)
    press(browser, "?")
    assert find(browser, "#keys").is_displayed()


@pytest.mark.browser
def test_moving_skips_what_is_filtered_out(opened):
    browser = opened(sample())
    find(browser, "[data-tile=incomplete]").click()
    visited = []
    for key in "jj":
        press(browser, key)
        visited.append(focused(browser))
    assert visited == ["v3", "v4"]
