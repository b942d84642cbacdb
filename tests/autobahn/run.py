"""Runs the cases of the Autobahn test suite against a WebSocket server that echoes text messages.

    run.py SUITE_DIR ws-host ws-port

The suite's release on PyPI for Python 3 is Python 2 code and does not start. Its cases are data and
small classes, so this runner converts them (`fissix`), gives them a client in place of Autobahn's,
and judges as they do. Prints one line for each case that fails, and the counts; exits with 1 if a
case failed.
"""

import asyncio
import importlib
import os
import pathlib
import random
import struct
import subprocess
import sys
import types

# Sections of the suite that the server's rules allow. Binary messages are refused (1.2, 9.2, 9.4, 9.6, 9.8),
# compression is not offered (12, 13). The echo allows the sizes of section 9; the server does not.
SECTIONS = ("1_1_", "2_", "3_", "4_", "5_", "6_", "7_", "9_1_", "9_3_", "9_5_", "9_7_", "10_")
PARALLEL = 16
OPEN, CLOSING, CLOSED = 3, 2, 0


def convert(suite):
    """Converts the cases to Python 3 once, in place."""
    done = suite / "case" / "converted"
    if not done.exists():
        files = sorted(str(file) for file in (suite / "case").glob("*.py"))
        command = [sys.executable, "-m", "fissix", "-w", "-n", "--no-diffs", *files]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # In Python 2 a string is bytes. Here bytes are strings of Latin-1, so this must be one, too.
        for file in files:
            text = pathlib.Path(file).read_text(encoding="latin-1")
            text = text.replace("binascii.b2a_hex(", "hex_of(")
            text = text.replace("/ self.p.autoFragmentSize", "// self.p.autoFragmentSize")
            text = text.replace("(object, Case, )", "(Case,)").replace("(object, Case)", "(Case,)")
            text = text.replace("import binascii", "from . import hex_of\nimport binascii", 1)
            pathlib.Path(file).write_text(text, encoding="utf-8")
        done.touch()


class Utf8Validator:
    """Autobahn's validator, as far as the cases use it: valid so far, and ends on a code point."""

    def reset(self):
        self.text = b""

    def validate(self, text):
        self.text += text.encode("latin-1")
        try:
            self.text.decode("utf-8")
            return (True, True, 0, 0)
        except UnicodeDecodeError as error:
            return (error.reason == "unexpected end of data", False, 0, 0)


class States:
    STATE_OPEN, STATE_CLOSING, STATE_CLOSED = OPEN, CLOSING, CLOSED


def load_cases(suite):
    """Returns the cases as classes by name."""
    for name in ("autobahn", "autobahn.websocket"):
        sys.modules[name] = types.ModuleType(name)
    protocol = sys.modules["autobahn.websocket.protocol"] = types.ModuleType("protocol")
    protocol.WebSocketProtocol = States
    validator = sys.modules["autobahn.websocket.utf8validator"] = types.ModuleType("validator")
    validator.Utf8Validator = Utf8Validator
    package = sys.modules["case"] = types.ModuleType("case")
    package.__path__ = [str(suite / "case")]
    package.hex_of = lambda text: text.encode("latin-1").hex()
    cases = {}
    for file in sorted((suite / "case").glob("case*.py")):
        if not file.stem[4:].startswith(SECTIONS):
            continue
        module = importlib.import_module(f"case.{file.stem}")
        for name, value in vars(module).items():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, type) and item.__name__.startswith("Case"):
                    if item.__name__[4:].startswith(SECTIONS):
                        cases[item.__name__[4:]] = item
    base = importlib.import_module("case.case").Case
    base.compare = lambda self, one, other: plain(one) == plain(other)
    return dict(sorted(cases.items(), key=lambda pair: [int(n) for n in pair[0].split("_")]))


def plain(events):
    return [tuple(octets(part) if isinstance(part, (str, bytes)) else part for part in event) for event in events]


def octets(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def masked(body, key, at):
    """Returns the octets of a frame's body from `at` on, masked with `key`."""
    mask = (key * (len(body) // 4 + 2))[at % 4 : at % 4 + len(body)]
    number = int.from_bytes(body, "big") ^ int.from_bytes(mask, "big")
    return number.to_bytes(len(body), "big")


class Client(asyncio.Protocol):
    """One connection, with the names that the cases expect of Autobahn's protocol."""

    CLOSE_STATUS_CODE_NORMAL = 1000
    CLOSE_STATUS_CODE_PROTOCOL_ERROR = 1002
    CLOSE_STATUS_CODE_INVALID_PAYLOAD = 1007

    def __init__(self, case, ended):
        self.loop = asyncio.get_running_loop()
        self.ended = ended
        self.state = CLOSED
        self.connectionWasOpen = self.closedByMe = self.droppedByMe = False
        self.failedByMe = self.wasClean = self.close_sent = False
        self.remoteCloseCode = self.localCloseCode = None
        self.localCloseReason = self.remoteCloseReason = None
        self.createWirelog = False
        self.autoFragmentSize = 0
        self.txFrameStats = {}
        self.trafficStats = None
        self.factory = types.SimpleNamespace(isServer=False)
        self.received = b""
        self.message = b""
        self.case = case(self)

    # What the cases call.

    def enableWirelog(self, _):
        pass

    def sendFrame(self, opcode, payload="", fin=True, rsv=0, mask=None, payload_len=None, chopsize=None, sync=False):
        body = octets(payload)
        if payload_len is not None:
            body = (body * (payload_len // max(len(body), 1) + 1))[:payload_len]
        self.txFrameStats[opcode] = self.txFrameStats.get(opcode, 0) + 1
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        if len(body) < 126:
            head += bytes([0x80 | len(body)])
        elif len(body) < 65536:
            head += bytes([0xFE]) + struct.pack("!H", len(body))
        else:
            head += bytes([0xFF]) + struct.pack("!Q", len(body))
        key = random.randbytes(4)
        whole = head + key + masked(body, key, 0)
        if self.transport.is_closing():
            return
        step = chopsize or len(whole)
        for at in range(0, len(whole), step):
            self.transport.write(whole[at : at + step])

    def sendMessage(self, payload, isBinary=False, fragmentSize=None):
        size = fragmentSize or self.autoFragmentSize or len(payload)
        parts = [payload[at : at + size] for at in range(0, len(payload), size)]
        for i, part in enumerate(parts):
            self.sendFrame(opcode=0 if i else 1, payload=part, fin=i == len(parts) - 1)

    def beginMessage(self, *_):
        self.started = False

    def beginMessageFrame(self, length):
        self.left = length
        key = self.key = random.randbytes(4)
        head = bytes([0 if self.started else 1, 0xFF]) + struct.pack("!Q", length)
        if length < 126:
            head = bytes([0 if self.started else 1, 0x80 | length])
        elif length < 65536:
            head = bytes([0 if self.started else 1, 0xFE]) + struct.pack("!H", length)
        self.started = True
        self.at = 0
        self.transport.write(head + key)

    def sendMessageFrameData(self, payload, **_):
        body = octets(payload)
        self.transport.write(masked(body, self.key, self.at))
        self.at += len(body)

    def endMessage(self):
        self.sendFrame(opcode=0, fin=True)

    def sendClose(self, code=None, reason=None):
        if self.state == OPEN:
            self.closedByMe = True
            self.state = CLOSING
            self.close_frame(code, reason)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False, reason=None):
        if self.state == OPEN:
            self.closedByMe = True
            self.state = CLOSING
            self.close_frame(code, reasonUtf8 or reason)

    def close_frame(self, code, reason):
        self.localCloseCode, self.localCloseReason = code, reason
        self.close_sent = True
        body = b"" if code is None else struct.pack("!H", code) + octets(reason or "")
        self.sendFrame(opcode=8, payload=body)

    def continueLater(self, delay, run, tag=None):
        self.loop.call_later(delay, lambda: self.state != CLOSED and run())

    def closeAfter(self, delay):
        self.continueLater(delay, self.sendClose)

    def killAfter(self, delay):
        self.continueLater(delay, self.kill)

    def kill(self):
        self.failedByMe = self.droppedByMe = True
        self.transport.abort()

    # The connection.

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(6, 1, 1)
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        head = ["GET / HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade"]
        head += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        transport.write("\r\n".join(head).encode())
        self.opening = True

    def data_received(self, data):
        self.received += data
        if self.opening:
            head, found, rest = self.received.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise ConnectionError(head.decode())
            self.received, self.opening, self.state = rest, False, OPEN
            self.connectionWasOpen = True
            self.case.onOpen()
        while self.frame():
            pass

    def frame(self):
        data = self.received
        if len(data) < 2:
            return False
        length, begin = data[1], 2
        if length == 126:
            if len(data) < 4:
                return False
            length, begin = struct.unpack("!H", data[2:4])[0], 4
        elif length == 127:
            if len(data) < 10:
                return False
            length, begin = struct.unpack("!Q", data[2:10])[0], 10
        if len(data) < begin + length:
            return False
        self.received = data[begin + length :]
        self.handle(data[0], data[begin : begin + length])
        return True

    def handle(self, first, body):
        text = body.decode("latin-1")
        if first == 0x81 and self.state != CLOSED:
            self.case.onMessage(text, False)
        elif first == 0x8A:
            self.case.onPong(text)
        elif first == 0x89:
            self.case.onPing(text)
        elif first == 0x88:
            self.remoteCloseCode = struct.unpack("!H", body[:2])[0] if body else None
            self.wasClean = True
            if not self.close_sent:
                self.state = CLOSING
                self.sendFrame(opcode=8, payload=body)
                self.close_sent = True
        else:
            raise ConnectionError(f"unexpected frame {first:#x}")

    def connection_lost(self, _):
        self.state = CLOSED
        if not self.ended.done():
            self.case.onConnectionLost(self.failedByMe)
            self.ended.set_result(self.case)


async def main():
    suite, host, port = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    convert(suite)
    cases = load_cases(suite)
    turns = asyncio.Semaphore(PARALLEL)

    async def run(name, case):
        async with turns:
            ended = asyncio.get_running_loop().create_future()
            await asyncio.get_running_loop().create_connection(lambda: Client(case, ended), host, port)
            judged = await asyncio.wait_for(ended, 120)
            good = (judged.OK, judged.NON_STRICT, judged.INFORMATIONAL)
            passed = judged.behavior in good and judged.behaviorClose in good
            if not passed or os.environ.get("VERBOSE"):
                words = (judged.behavior, judged.behaviorClose, judged.result, judged.resultClose)
                print(name.replace("_", "."), *words, sep=" | ")
            return judged.behavior if passed else "FAILED"

    results = await asyncio.gather(*(run(name, case) for name, case in cases.items()))
    counts = {result: results.count(result) for result in sorted(set(results))}
    print(len(results), "cases:", ", ".join(f"{count} {name}" for name, count in counts.items()))
    sys.exit(1 if "FAILED" in counts or not results else 0)


asyncio.run(main())
