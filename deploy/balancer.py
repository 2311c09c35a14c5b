"""A balancer for one machine: `python -m deploy.balancer HOST:PORT UPSTREAM…` passes bytes on.

It asks each upstream for `/readyz` every second, gives a connection to those that are ready in
turn, and to the next one if none is taken there. It is what `make stack` uses where Debian's caddy
is not installed; it knows neither TLS nor HTTP, and hides the customer's address.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from itertools import count

from deploy.programs import answers

LOOK_S = 1.0
CONNECT_S = 2.0
CHUNK_BYTES = 1 << 16
_REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

Upstream = tuple[str, int]
_Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Balancer:
    """Knows which upstreams are ready."""

    def __init__(self, upstreams: tuple[Upstream, ...]) -> None:
        """Nothing is known of them yet, so each may be tried."""
        self._upstreams = upstreams
        self._ready = set(upstreams)
        self._turn = count()

    async def look(self) -> None:
        """Ask each upstream how it is, until cancelled."""
        while True:
            states = await asyncio.gather(
                *(answers(*each, path="/readyz") for each in self._upstreams)
            )
            pairs = zip(self._upstreams, states, strict=True)
            self._ready = {each for each, is_ready in pairs if is_ready}
            await asyncio.sleep(LOOK_S)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a customer's connection on until one side hangs up."""
        upstream = await self._connect()
        try:
            if upstream is None:
                writer.write(_REFUSAL)
                return
            there, back = upstream
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        finally:
            for side in (writer, *(upstream[1:] if upstream else ())):
                side.close()

    async def _connect(self) -> _Pipe | None:
        """A connection to the next one that takes it; those that are ready first."""
        first = next(self._turn) % len(self._upstreams)
        turn = self._upstreams[first:] + self._upstreams[:first]
        for host, port in sorted(turn, key=lambda each: each not in self._ready):
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_S):
                    return await asyncio.open_connection(host, port)
        return None


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(CHUNK_BYTES):
            sink.write(chunk)
            await sink.drain()
    # The other direction has nobody left to talk to.
    sink.close()


def address(text: str) -> Upstream:
    """The host and port in `host:port`."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


async def main(here: Upstream, upstreams: tuple[Upstream, ...]) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    balancer = Balancer(upstreams)
    server = await asyncio.start_server(balancer.serve, *here, backlog=2048)
    looking = asyncio.create_task(balancer.look())
    await stop.wait()
    looking.cancel()
    server.close()


if __name__ == "__main__":
    here, *upstreams = map(address, sys.argv[1:])
    with asyncio.Runner() as runner:
        runner.run(main(here, tuple(upstreams)))
