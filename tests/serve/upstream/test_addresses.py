"""Where an upstream may lie, and whom it must prove to be."""

import ipaddress
import socket

import aiohttp
import pytest

from homespun.errors import ConfigError
from homespun.serve.gateway.config import GatewayConfig, Target
from homespun.serve.gateway.types import UpstreamError
from homespun.serve.gateway.upstream import Fleet
from homespun.serve.gateway.upstream.address import literal, objection

PRICE = {"input": 1.0, "output": 2.0}
ALWAYS = [
    "169.254.169.254", "169.254.1.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200", "168.63.129.16",
    "0.0.0.0", "::", "224.0.0.1", "ff02::1", "239.1.1.1", "255.255.255.255",
    "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::169.254.169.254",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1",
    "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "192.0.2.1",
]  # fmt: skip


@pytest.mark.parametrize("address", ALWAYS)
def test_some_addresses_are_refused_whatever_the_settings_say(address):
    assert objection(address, private=True)
    assert objection(address, private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_leave(address):
    assert objection(address, private=False)
    assert objection(address, private=True) is None


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_fine(address):
    assert objection(address, private=False) is None


@pytest.mark.parametrize(
    "host",
    ["2852039166", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE", "0251.0376.0251.0376", "169.254.43518", "[::ffff:a9fe:a9fe]"],
)
def test_odd_spellings_are_read_as_a_connection_would_read_them(host):
    found = literal(host)
    assert found is not None
    assert objection(found, private=True)
    with pytest.raises(ConfigError, match="target 'odd'"):
        Fleet(
            GatewayConfig(target=(Target(name="odd", model="m", url=f"http://{host}/v1", private=True, price=PRICE),))
        )


@pytest.mark.parametrize("host", ["127.1", "2130706433", "localhost", "LOCALHOST.", "[::1]", "10.1.2.3"])
def test_a_private_url_stops_the_start_unless_allowed(host):
    with pytest.raises(ConfigError, match="private = true"):
        Fleet(GatewayConfig(target=(Target(name="t", model="m", url=f"https://{host}/v1", price=PRICE),)))
    Fleet(GatewayConfig(target=(Target(name="t", model="m", url=f"https://{host}/v1", price=PRICE, private=True),)))


def test_an_odd_spelling_is_one_the_c_library_knows():
    assert literal("0177.0.0.1") == socket.inet_ntoa(socket.inet_aton("0177.0.0.1")) == "127.0.0.1"
    assert literal("api.example.org") is None


@pytest.mark.anyio
@pytest.mark.parametrize("leads_to", [["169.254.169.254"], ["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::1"]])
async def test_a_name_that_leads_inside_is_refused_when_it_is_resolved(monkeypatch, asking, faulty, leads_to):
    async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
        return [
            {
                "hostname": host, "host": address, "port": port, "proto": 0, "flags": socket.AI_NUMERICHOST,
                "family": socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET,
            }
            for address in leads_to
        ]  # fmt: skip

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    asker = asking(
        targets=[Target(name="t", model="ok", url=faulty.url.replace("127.0.0.1", "models.example"), price=PRICE)]
    )
    with pytest.raises(UpstreamError) as caught:
        await asker.ask("t")
    assert caught.value.reason == "refused"
    assert len(asker.attempts) == 1
    assert faulty.calls == []


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize(("days", "address"), [(-1, "127.0.0.1"), (30, "10.9.8.7")])
async def test_a_certificate_that_expired_or_names_another_is_refused(stub_module, tmp_path, asking, days, address):
    stub = stub_module.Faulty()
    context, ca_file = stub_module.certificate(tmp_path, days=days, address=address)
    runner = await stub_module.serve(stub, context)
    try:
        asker = asking("ok", url=stub.url, ca_file=ca_file)
        with pytest.raises(UpstreamError) as caught:
            await asker.ask("ok")
        assert caught.value.reason == "tls"
        assert "expired" in str(caught.value) or "10.9.8.7" in str(caught.value) or "mismatch" in str(caught.value)
        assert len(asker.attempts) == 1  # asking again would not help
        assert stub.calls == []
    finally:
        await runner.cleanup()


@pytest.mark.slow
@pytest.mark.anyio
async def test_an_authority_of_the_settings_is_trusted_and_no_other_is(stub_module, tmp_path, asking):
    stub = stub_module.Faulty()
    context, ca_file = stub_module.certificate(tmp_path)
    runner = await stub_module.serve(stub, context)
    try:
        with pytest.raises(UpstreamError, match="certificate"):
            await asking("ok", url=stub.url).ask("ok")
        assert (await asking("ok", url=stub.url, ca_file=ca_file).ask("ok")).body["choices"]
    finally:
        await runner.cleanup()


@pytest.mark.slow
def test_an_authority_that_cannot_be_read_stops_the_start(tmp_path):
    (tmp_path / "not.pem").write_text("hello")
    for name in ("missing.pem", "not.pem"):
        target = Target(name="t", model="m", url="https://example.org/v1", price=PRICE, ca_file=tmp_path / name)
        with pytest.raises(ConfigError, match="ca_file"):
            Fleet(GatewayConfig(target=(target,)))
