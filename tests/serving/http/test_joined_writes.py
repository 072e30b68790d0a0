"""Joined writes over a real socket."""

import asyncio
import socket

import pytest

from kfp_tabular.serving.http.joined_writes import JoinedWrites


class Counting(asyncio.Protocol):
    """Counts the sends of the transport below."""

    def __init__(self):
        self.sent = []

    def connection_made(self, transport):
        self.below = transport
        transport.writelines = self._noted(transport.writelines)
        self.transport = JoinedWrites(transport, asyncio.get_running_loop())

    def _noted(self, writelines):
        def noted(parts):
            self.sent.append(len(parts))
            writelines(parts)

        return noted


def exchange(act):
    """Run `act`; return what the other end received, and the number of parts of each send."""

    async def main():
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        _, protocol = await loop.create_connection(Counting, sock=near)
        reader, writer = await asyncio.open_connection(sock=far)
        await act(protocol.transport, protocol.sent)
        if not protocol.transport.is_closing():
            await asyncio.sleep(0)
            protocol.transport.close()
        received = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return received, protocol.sent

    return asyncio.run(main())


def test_a_head_and_its_body_are_sent_at_once_with_one_call():
    async def act(transport, sent):
        transport.write(b"head")
        transport.write(b"body")
        assert sent == [2]

    assert exchange(act) == (b"headbody", [2])


def test_a_single_write_is_sent_in_the_next_turn():
    async def act(transport, sent):
        transport.write(b"a")
        await asyncio.sleep(0)
        transport.write(b"b")
        await asyncio.sleep(0)

    assert exchange(act) == (b"ab", [1, 1])


@pytest.mark.parametrize("writes", [1, 2, 3, 7])
def test_writes_before_the_close_are_sent_in_order(writes):
    async def act(transport, sent):
        for number in range(writes):
            transport.write(b"%d" % number)
        transport.close()
        transport.write(b"too late")

    received, _ = exchange(act)
    assert received == b"".join(b"%d" % number for number in range(writes))


def test_a_large_body_arrives_complete():
    body = bytes(range(256)) * 40_000

    async def act(transport, sent):
        transport.write(b"head")
        transport.write(body)
        await asyncio.sleep(0)
        transport.close()

    assert exchange(act)[0] == b"head" + body
