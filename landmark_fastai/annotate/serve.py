"The server of a desk, from its start to Ctrl-C."

import asyncio
import secrets
import socket
import warnings
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.concurrency import run_in_threadpool

from ..errors import UsageError
from ..files import atomic
from .app import make_app
from .desk import Desk

HERE = '127.0.0.1'
TOKEN = '.annotate.token'  # file in the folder of readers
PAUSE = 1.  # seconds between looks at what the CSV files lack: the journal has it already


def serve(desk: Desk, listening: socket.socket, open_browser: bool = True):
    """Serve the page of a `desk` at a socket that `listen` has made, until Ctrl-C; prints the address.

    The CSV files follow the journal within moments.
    """
    name = f'{HERE}:{listening.getsockname()[1]}'
    token = token_in(desk.folder)
    app = make_app(desk, token, {name}, lifespan=lambda app: following(desk))
    print(f'http://{name}/?token={token}', flush=True)
    if open_browser: webbrowser.open(f'http://{name}/?token={token}')
    config = uvicorn.Config(app, loop='asyncio', log_level='warning', access_log=False,  # uvloop has lost a Ctrl-C
                            server_header=False)
    server = uvicorn.Server(config)
    server.run(sockets=[listening])


def token_in(folder: Path) -> str:
    "The token of the page, which stays: a page that is open goes on when the server comes back."
    path = folder / TOKEN
    if not path.is_file():
        with atomic(path) as temporary:
            temporary.touch(0o600)
            temporary.write_text(secrets.token_urlsafe(32))
    return path.read_text()


def listen(port: int) -> socket.socket:
    "A socket at `port` of this machine, 0 for a free one. Raises UsageError where that is in use, or may not be used."
    listening = socket.socket(proto=socket.IPPROTO_TCP)  # named, else asyncio leaves Nagle on: 40 ms an answer
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try: listening.bind((HERE, port))
    except (OSError, OverflowError) as e:
        listening.close()
        raise UsageError(f'port {port} cannot be used ({getattr(e, "strerror", None) or e}); pass another --port, or 0 '
                         'for a free one') from None
    listening.listen()
    return listening


@asynccontextmanager
async def following(desk: Desk) -> AsyncIterator[None]:
    "While the server runs, write the CSV files whenever something was done; close the `desk` in the end."
    async def follow():
        while True:
            await asyncio.sleep(PAUSE)
            try: await run_in_threadpool(desk.write)
            except OSError as e: warnings.warn(f'{desk.csv_file}: {e}; the journal has it', stacklevel=1)
    task = asyncio.create_task(follow())
    try: yield
    finally:
        task.cancel()
        await run_in_threadpool(desk.close)
