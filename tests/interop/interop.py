"""Python's `websockets` against a running gateway; `run.sh` starts it and says where it is."""

import asyncio
import json
import os
import sys
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import DATA_OPCODES

URL = os.environ["BARRAGE_WS_URL"]
ADMIN = os.environ["BARRAGE_ADMIN_URL"]
PATIENCE_S = 30
# A batch that is large enough to be compressed, and then some.
EVENTS = 70
EVENTS_MIN = 60


class Watched(Extension):
    """permessage-deflate as the library has it, counting compressed messages."""

    def __init__(self, inner):
        self.inner = inner
        self.name = inner.name
        self.received = []  # of every message: whether it came compressed
        self.sent_compressed = 0

    def decode(self, frame, **options):
        if frame.opcode in DATA_OPCODES and frame.opcode != 0:
            self.received.append(frame.rsv1)
        return self.inner.decode(frame, **options)

    def encode(self, frame):
        frame = self.inner.encode(frame)
        self.sent_compressed += frame.rsv1
        return frame


class WatchedFactory(ClientPerMessageDeflateFactory):
    """Offers what `ClientPerMessageDeflateFactory` offers."""

    extension = None

    def process_response_params(self, params, accepted_extensions):
        self.params = list(params)
        self.extension = Watched(super().process_response_params(params, accepted_extensions))
        return self.extension


class Client:
    """A connection that numbers its commands and sorts what it receives."""

    def __init__(self, socket, extension):
        self.socket = socket
        self.extension = extension
        self.messages = []
        self.compressed = []  # of every message: whether it came compressed
        self.next_id = 1

    async def receive(self):
        message = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE_S))
        self.messages.append(message)
        self.compressed.append(bool(self.extension) and self.extension.received[-1])
        return message

    async def until(self, wanted):
        while True:
            message = await self.receive()
            if wanted(message):
                return message

    async def ask(self, command, *, parts=None):
        command = {**command, "id": self.next_id}
        self.next_id += 1
        text = json.dumps(command, ensure_ascii=False)
        if parts:
            size = -(-len(text) // parts)
            await self.socket.send(text[at : at + size] for at in range(0, len(text), size))
        else:
            await self.socket.send(text)
        return await self.until(lambda message: message.get("id") == command["id"])


async def dial(factory=None, **options):
    """Connects, with the library's own offer unless a factory brings another one."""
    factory = factory or WatchedFactory(client_max_window_bits=True)
    socket = await connect(
        URL, compression=None, extensions=[factory], subprotocols=["barrage.v1"], **options
    )
    client = Client(socket, factory.extension)
    welcome = await client.receive()
    assert welcome["type"] == "welcome", welcome
    return client, factory


def publish(room, texts):
    events = [{"room": room, "body": {"text": text}} for text in texts]
    request = urllib.request.Request(
        f"{ADMIN}/v1/events",
        data=json.dumps({"events": events}).encode(),
        headers={"Authorization": "Bearer dev", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        results = json.load(answer)["results"]
    assert all(result["stored"] for result in results), results
    return [result["event"] for result in results]


async def join(client, room):
    joined = await client.ask({"type": "join", "room": room})
    assert joined["type"] == "joined" and joined["room"] == room, joined
    return joined


async def large_batch(client, room):
    """Publishes until one batch holds many events; returns its number among the messages."""
    await join(client, room)
    # A slot may end in between; the next lot then comes whole.
    for lot in range(5):
        texts = [f"前方高能 {lot}-{n} 🎉 “弹幕”" for n in range(EVENTS)]
        published = await asyncio.to_thread(publish, room, texts)
        received, largest = [], None
        while len(received) < EVENTS:
            batch = await client.until(lambda message: message["type"] == "batch")
            received += batch["events"]
            assert "left_out" not in batch, batch["left_out"]
            if len(batch["events"]) >= EVENTS_MIN:
                largest = len(client.messages) - 1
        assert received == published, "every event intact and in order"
        if largest is not None:
            return largest
    raise AssertionError("no batch was large")


async def compression_is_negotiated_and_batches_come_compressed_and_intact():
    client, factory = await dial()
    assert sorted(factory.params) == [
        ("client_no_context_takeover", None),
        ("server_no_context_takeover", None),
    ], factory.params
    assert client.socket.subprotocol == "barrage.v1"
    at = await large_batch(client, "python-compressed")
    assert client.compressed[at], "a large batch comes compressed"
    for message, compressed in zip(client.messages, client.compressed):
        if message["type"] != "batch":
            assert not compressed, f"{message['type']} is sent as it is"
    await client.socket.close()
    assert client.socket.close_code == 1000, client.socket.close_code


async def compressed_commands_are_understood_whole_and_in_parts():
    client, _ = await dial()
    room = "python-commands"
    await join(client, room)
    before = client.extension.sent_compressed
    for text, parts in [("嗨", None), ("字" * 200, None), ("弹幕" * 100, 3)]:
        command = {"type": "publish", "room": room, "body": {"text": text}}
        ack = await client.ask(command, parts=parts)
        assert ack["type"] == "ack" and ack["stored"], ack
        assert ack["event"]["body"]["text"] == text
    assert client.extension.sent_compressed - before >= 3, "the library compressed them"
    body = {"list": ["项"] * 900}
    ack = await client.ask({"type": "publish", "room": room, "kind": "x-list", "body": body})
    assert ack["event"]["body"] == body
    pong = await client.socket.ping("在吗")
    # The pong comes while messages are read.
    reply = await client.ask({"type": "ping", "ts": 1.5})
    assert reply["ts"] == 1.5, reply
    await asyncio.wait_for(pong, PATIENCE_S)
    await client.socket.close()


async def a_smaller_window_of_the_client_is_welcome():
    factory = WatchedFactory(client_max_window_bits=9, client_no_context_takeover=True)
    client, _ = await dial(factory)
    assert (await client.ask({"type": "ping", "ts": 7}))["ts"] == 7
    await large_batch(client, "python-window")
    await client.socket.close()


async def a_smaller_window_of_the_server_is_done_without_compression():
    factory = WatchedFactory(server_max_window_bits=10)
    client, _ = await dial(factory)
    assert client.socket.protocol.extensions == [], "not what was asked for"
    at = await large_batch(client, "python-plain")
    assert not client.compressed[at]
    await client.socket.close()


async def closed_with(misdeed):
    client, _ = await dial()
    await join(client, "python-closing")
    try:
        await misdeed(client)
        while True:
            await client.receive()
    except ConnectionClosed:
        return client.socket.close_code


async def misdeeds_are_closed_with_their_codes():
    async def binary(client):
        await client.socket.send(b"{}")

    async def too_large(client):
        await client.socket.send(" " * (16 * 1024 + 1))

    async def babble(client):
        for _ in range(8):
            await client.socket.send("喂")

    for misdeed, code in [(binary, 1003), (too_large, 1009), (babble, 4502)]:
        closed = await closed_with(misdeed)
        assert closed == code, f"{misdeed.__name__}: {closed}"
    for code in [1000, 1001, 4999]:
        client, _ = await dial()
        await client.socket.close(code, "再见")
        assert client.socket.protocol.close_rcvd.code == code, "the close is echoed"


async def main():
    for check in [
        compression_is_negotiated_and_batches_come_compressed_and_intact,
        compressed_commands_are_understood_whole_and_in_parts,
        a_smaller_window_of_the_client_is_welcome,
        a_smaller_window_of_the_server_is_done_without_compression,
        misdeeds_are_closed_with_their_codes,
    ]:
        try:
            await asyncio.wait_for(check(), 2 * PATIENCE_S)
        except Exception:
            print(f"FAILED: {check.__name__}", file=sys.stderr)
            raise
        print(f"ok: {check.__name__}")


asyncio.run(main())
