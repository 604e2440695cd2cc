"""Webhook signatures: the specification's own numbers, what a receiver refuses, and what it must not."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from model_registry.errors import UsageError
from pipelines.serving.webhooks import Replayed, Seen, WebhookRefused, digest, key_of, new_secret, signed, verify

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
BODY = '{"type": "video.done", "data": {"id": "vid_1", "title": "夜"}}'.encode()
NOW = 1_700_000_000.0


def message(now: float = NOW, secret: str = SECRET, message_id: str = "msg_1") -> dict[str, str]:
    return signed(message_id, BODY, secret, now)


class TestSigning:
    def test_it_is_the_hmac_of_id_time_and_body(self):
        made = hmac.new(b"k" * 32, b"msg_1.1700000000." + BODY, hashlib.sha256).digest()

        assert message() == {
            "webhook-id": "msg_1",
            "webhook-timestamp": "1700000000",
            "webhook-signature": f"v1,{base64.b64encode(made).decode()}",
        }

    def test_the_published_example_comes_out(self):
        # The test vector of the Standard Webhooks reference libraries.
        headers = signed(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            b'{"test": 2432232314}',
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            1614265330,
        )

        assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    def test_parts_are_joined_by_dots(self):
        assert digest(b"k", b"a", b"b") == hmac.new(b"k", b"a.b", hashlib.sha256).digest()

    def test_secrets_differ_and_are_long(self):
        one, other = new_secret(), new_secret()

        assert one != other
        assert len(key_of(one)) == 32

    @pytest.mark.parametrize(
        "secret",
        ["", "whsec_", "whsec_c2hvcnQ=", "whsec_***", base64.b64encode(b"k" * 32).decode(), "whsec_" + "A" * 88],
    )
    def test_a_secret_that_is_none_is_not_quoted(self, secret):
        with pytest.raises(UsageError, match="24 to 64 bytes in base64") as refused:
            key_of(secret)

        assert not secret or secret == "whsec_" or secret not in str(refused.value)


class TestVerify:
    def test_what_was_signed_passes_and_says_its_id(self):
        assert verify(message(), BODY, SECRET, now=NOW + 10) == "msg_1"

    def test_names_of_headers_have_no_case(self):
        shouted = {name.title(): value for name, value in message().items()}

        assert verify(shouted, BODY, SECRET, now=NOW)

    def test_of_several_signatures_one_is_enough(self):
        headers, former = message(), message(secret=new_secret())
        headers["webhook-signature"] = f"{former['webhook-signature']} {headers['webhook-signature']} v1a,xyz"

        assert verify(headers, BODY, SECRET, now=NOW)

    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_each_header_is_needed(self, name):
        headers = {other: value for other, value in message().items() if other != name}

        with pytest.raises(WebhookRefused, match=f"has no {name}"):
            verify(headers, BODY, SECRET, now=NOW)

    @pytest.mark.parametrize(
        "change",
        [
            {"webhook-id": "msg_2"},
            {"webhook-timestamp": "1700000001"},
            {"webhook-signature": "v1,"},
            {"webhook-signature": "v1," + "A" * 44},
            {"webhook-signature": "v2" + message()["webhook-signature"][2:]},
            {"webhook-signature": "é"},
        ],
    )
    def test_whatever_is_changed_is_refused(self, change):
        with pytest.raises(WebhookRefused, match="does not fit"):
            verify({**message(), **change}, BODY, SECRET, now=NOW)

    def test_so_is_another_body_or_secret(self):
        with pytest.raises(WebhookRefused, match="does not fit"):
            verify(message(), BODY + b" ", SECRET, now=NOW)
        with pytest.raises(WebhookRefused, match="does not fit"):
            verify(message(), BODY, new_secret(), now=NOW)

    @pytest.mark.parametrize("aside_s", [301, -301, 1e6])
    def test_a_copy_sent_later_or_from_the_future_is_refused(self, aside_s):
        with pytest.raises(WebhookRefused, match=f"is {abs(aside_s):.0f} s from now, allowed are 300"):
            verify(message(), BODY, SECRET, now=NOW + aside_s)

    @pytest.mark.parametrize("sent", ["nan", "-1", "1e9", "１７"])
    def test_a_time_that_is_none_is_refused_though_signed(self, sent):
        made = digest(key_of(SECRET), b"msg_1", sent.encode(), BODY)
        headers = {"webhook-id": "msg_1", "webhook-timestamp": sent}
        headers["webhook-signature"] = f"v1,{base64.b64encode(made).decode()}"

        with pytest.raises(WebhookRefused, match="from now"):
            verify(headers, BODY, SECRET, now=NOW)


class TestReplay:
    def test_a_copy_is_replayed_and_the_next_message_is_not(self):
        seen = Seen()
        verify(message(), BODY, SECRET, seen=seen, now=NOW)

        with pytest.raises(Replayed, match="msg_1 was taken before"):
            verify(message(), BODY, SECRET, seen=seen, now=NOW + 1)
        assert verify(message(message_id="msg_2"), BODY, SECRET, seen=seen, now=NOW + 1) == "msg_2"

    def test_so_is_a_second_attempt_signed_later(self):
        seen = Seen()
        verify(message(), BODY, SECRET, seen=seen, now=NOW)

        with pytest.raises(Replayed):
            verify(message(NOW + 3600), BODY, SECRET, seen=seen, now=NOW + 3600)

    def test_a_forgery_is_not_remembered(self):
        seen = Seen()
        with pytest.raises(WebhookRefused):
            verify(message(secret=new_secret()), BODY, SECRET, seen=seen, now=NOW)

        assert verify(message(), BODY, SECRET, seen=seen, now=NOW)

    def test_what_the_receiver_could_not_keep_may_come_again(self):
        seen = Seen()
        seen.forget(verify(message(), BODY, SECRET, seen=seen, now=NOW))

        assert verify(message(), BODY, SECRET, seen=seen, now=NOW)

    def test_memory_is_bounded_in_time_and_number(self):
        seen = Seen(remembered_s=100, most=2)

        assert [seen.take(name, 0) for name in "aab"] == [True, False, True]
        assert [seen.take("b", 99), seen.take("b", 100)] == [False, True]
        assert [seen.take("c", 101), seen.take("d", 101), seen.take("b", 101)] == [True, True, True]
