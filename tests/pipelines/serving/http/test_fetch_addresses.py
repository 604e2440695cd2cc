"""Which addresses are public, which are ours, and which uris say one thing to everybody."""

from __future__ import annotations

import ipaddress

import pytest

from model_registry.errors import UsageError
from pipelines.serving.http.addresses import is_inside, is_public, number
from pipelines.serving.http.allowlist import Allowed
from pipelines.serving.http.target import Target

PUBLIC = ["1.1.1.1", "93.184.215.14", "2606:4700::1", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::"]
OURS = ["10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "127.0.0.1", "127.255.0.9", "::1", "fd00::1"]
OURS_WRAPPED = ["::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::", "2002:7f00:1::"]
NOBODYS = [
    "169.254.169.254",
    "169.254.1.1",
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "ff02::1",
    "::1.1.1.1",
    "64:ff9b:1::1.1.1.1",
    "2001:0:101:101::1",
    "2001:db8::1",
    "3fff::1",
    "fec0::1",
    "4000::1",
    "192.0.2.1",
    "198.18.0.1",
    "192.88.99.1",
]


class TestAddress:
    @pytest.mark.parametrize("address", PUBLIC)
    def test_public(self, address):
        assert is_public(ipaddress.ip_address(address))
        assert is_inside(ipaddress.ip_address(address))

    @pytest.mark.parametrize("address", OURS + OURS_WRAPPED)
    def test_ours(self, address):
        assert not is_public(ipaddress.ip_address(address))
        assert is_inside(ipaddress.ip_address(address))

    @pytest.mark.parametrize("address", NOBODYS)
    def test_for_nobody(self, address):
        assert not is_public(ipaddress.ip_address(address))
        assert not is_inside(ipaddress.ip_address(address))

    def test_a_name_is_none(self):
        assert number("media.example") is None
        assert not is_public(None)
        assert not is_inside(None)

    @pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1"])
    def test_every_spelling_of_a_number_is_read(self, host):
        assert number(host) == ipaddress.ip_address("127.0.0.1")


class TestTarget:
    @pytest.mark.parametrize(
        ("uri", "said"),
        [
            ("", "scheme none"),
            ("media.example/x", "scheme none"),
            ("//media.example/x", "scheme none"),
            ("file:///etc/passwd", "scheme file"),
            ("data:text/plain,x", "scheme data"),
            ("s3://bucket/key", "scheme s3"),
            ("gopher://media.example/", "scheme gopher"),
            ("jar:https://media.example/!x", "scheme jar"),
            ("https://", "host and a port"),
            ("https:///x", "host and a port"),
            ("https:media.example", "host and a port"),
            ("https://user@media.example/", "host and a port"),
            ("https://user:word@media.example/", "host and a port"),
            ("https://media.example:443@10.0.0.1/", "host and a port"),
            ("https://media.example:/", "host and a port"),
            ("https://media.example:x/", "host and a port"),
            ("https://media.example:-1/", "host and a port"),
            ("https://media.example:0/", "port 0"),
            ("https://media.example:65536/", "port 65536"),
            ("https://media%2eexample/", "host and a port"),
            ("https://media.example%00.other.example/", "host and a port"),
            ("https://[fe80::1%25eth0]/", "host and a port"),
            ("https://[::1/", "names no host"),
            ("https://[1.2.3.4]/", "names no host"),
            ("https://[::g]/", "names no host"),
            ("https://2130706433/", "names no host"),
            ("https://0x7f000001/", "names no host"),
            ("https://0x7f.1/", "names no host"),
            ("https://127.0x1/", "names no host"),
            ("https://0177.0.0.1/", "names no host"),
            ("https://127.1/", "names no host"),
            ("https://127.0.0.1./", "names no host"),
            ("https://media.example./", "names no host"),
            ("https://media..example/", "names no host"),
            ("https://-media.example/", "names no host"),
            ("https://" + "a" * 64 + ".example/", "names no host"),
            ("https://" + "a." * 127 + "example/", "names no host"),
            ("https://media.example\\@10.0.0.1/", "characters"),
            ("https://media.example/\r\nhost: 10.0.0.1", "characters"),
            ("https://media.example/\tx", "characters"),
            (" https://media.example/", "characters"),
            ("https://media.example/ x", "characters"),
            ("https://media.example/\x00", "characters"),
            ("https://mediä.example/", "characters"),
            ("https://127。0。0。1/", "characters"),
            ("https://①②⑦.0.0.1/", "characters"),
            ("https://media.example/" + "x" * 9000, "9022 characters"),
        ],
    )
    def test_one_that_is_refused(self, uri, said):
        with pytest.raises(ValueError, match=said):
            Target.of(uri)

    @pytest.mark.parametrize(
        ("uri", "target", "authority"),
        [
            ("https://media.example", ("https", "media.example", 443, "/", ""), "media.example"),
            ("HTTPS://Media.Example:443/A?b=%2F#c", ("https", "media.example", 443, "/A", "b=%2F"), "media.example"),
            ("http://a_b.example:8080/x", ("http", "a_b.example", 8080, "/x", ""), "a_b.example:8080"),
            ("https://xn--medi-mra.example/", ("https", "xn--medi-mra.example", 443, "/", ""), "xn--medi-mra.example"),
            ("http://127.0.0.1:9000/", ("http", "127.0.0.1", 9000, "/", ""), "127.0.0.1:9000"),
            ("https://[2606:4700:0::1]/", ("https", "2606:4700::1", 443, "/", ""), "[2606:4700::1]"),
        ],
    )
    def test_one_that_is_taken_apart(self, uri, target, authority):
        found = Target.of(uri)

        assert found == Target(*target)
        assert found.authority == authority
        assert Target.of(found.uri) == found


class TestAllowed:
    @pytest.mark.parametrize(
        ("entry", "uri"),
        [
            ("https://media.example", "https://media.example/any/thing?x"),
            ("https://media.example:8443", "https://media.example:8443/"),
            ("https://*.media.example", "https://a.media.example/"),
            ("https://*.media.example", "https://a.b.media.example/"),
            ("https://media.example/videos", "https://media.example/videos"),
            ("https://media.example/videos", "https://media.example/videos/a/b..mp4?v=../x"),
            ("https://media.example/videos/", "https://media.example/videos/a"),
            ("https://media.example/videos", "https://media.example/videos/100%25/%E5%A4%9C.mp4"),
            ("http://10.0.0.5:9000", "http://10.0.0.5:9000/x"),
            ("https://[2606:4700::1]", "https://[2606:4700:0:0::1]/x"),
        ],
    )
    def test_what_it_covers(self, entry, uri):
        assert Allowed.of(entry).covers(Target.of(uri))

    @pytest.mark.parametrize(
        ("entry", "uri"),
        [
            ("https://media.example", "http://media.example/"),
            ("https://media.example", "https://media.example:8443/"),
            ("https://media.example:8443", "https://media.example/"),
            ("https://media.example", "https://a.media.example/"),
            ("https://media.example", "https://media.example.evil.example/"),
            ("https://media.example", "https://evilmedia.example/"),
            ("https://*.media.example", "https://media.example/"),
            ("https://*.media.example", "https://evilmedia.example/"),
            ("https://*.media.example", "https://a.media.example.evil.example/"),
            ("https://media.example/videos", "https://media.example/"),
            ("https://media.example/videos", "https://media.example/videos2"),
            ("https://media.example/videos", "https://media.example/Videos/a"),
            ("https://media.example/videos", "https://media.example/videos/../x"),
            ("https://media.example/videos", "https://media.example/videos/%2e%2E/x"),
            ("https://media.example/videos", "https://media.example/videos/%252e%252e/x"),
            ("https://media.example/videos", "https://media.example/videos/%25252525252e./x"),
            ("https://media.example/videos", "https://media.example/videos/%" + "25" * 4000),
            ("https://media.example/videos", "https://media.example/videos/..%2fx"),
            ("https://media.example/videos", "https://media.example/videos/..%5cx"),
            ("https://media.example/videos", "https://media.example/videos/..;a/x"),
            ("https://media.example/videos", "https://media.example/videos/./x"),
            ("http://10.0.0.5", "http://10.0.0.6/"),
        ],
    )
    def test_what_it_does_not_cover(self, entry, uri):
        assert not Allowed.of(entry).covers(Target.of(uri))

    @pytest.mark.parametrize(
        "entry",
        [
            "",
            "*",
            "media.example",
            "ftp://media.example",
            "https://*",
            "https://*.",
            "https://*.example",
            "https://*.0.0.1",
            "https://*.10.0.0.1",
            "https://a.*.example",
            "https://media.*",
            "https://media.example:*",
            "https://user@media.example",
            "https://media.example/?x",
            "https://media.example/#x",
            "https://media.example/a/../b",
            "https://media.example/a/%2e%2e/b",
            "private+https://*.media.example",
            "private+private+https://media.example",
            "https://2130706433",
        ],
    )
    def test_an_entry_that_means_nothing(self, entry):
        with pytest.raises(UsageError, match="allowed place"):
            Allowed.of(entry)

    def test_a_name_leads_to_public_addresses_only(self):
        allowed = Allowed.of("https://media.example")

        assert all(allowed.admits(address) for address in PUBLIC)
        assert not any(allowed.admits(address) for address in OURS + OURS_WRAPPED + NOBODYS)

    def test_unless_it_is_said_to_be_ours_and_even_then_not_to_metadata(self):
        allowed = Allowed.of("private+https://media.example")

        assert all(allowed.admits(address) for address in PUBLIC + OURS + OURS_WRAPPED)
        assert not any(allowed.admits(address) for address in [*NOBODYS, "media.other", ""])

    def test_a_number_is_itself_and_no_other(self):
        allowed = Allowed.of("http://10.0.0.5:9000")

        assert allowed.admits("10.0.0.5")
        assert not allowed.admits("10.0.0.6")
