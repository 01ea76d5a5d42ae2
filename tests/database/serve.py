"""The database itself: run by the Python of its own environment, as ``serve.py FOLDER PORT [USER PASSWORD]``.

It prints its address once it listens, and ends with its standard input: whoever started it holds the other end,
so that no test leaves a server behind, however it dies.
"""

import asyncio
import os
import sys
from pathlib import Path

from mongoeco.engines.sqlite import SQLiteEngine
from mongoeco.wire.auth import WireAuthUser
from mongoeco.wire.proxy import AsyncMongoEcoProxyServer


async def serve(folder, port, *user):
    engine = SQLiteEngine(str(Path(folder) / "database.sqlite"))
    users = (WireAuthUser(*user),) if user else ()
    async with AsyncMongoEcoProxyServer(engine=engine, port=int(port), auth_users=users) as server:
        print(server.address.port, flush=True)
        starter_is_gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin, starter_is_gone.set)
        await starter_is_gone.wait()
    # Clients that stay connected would be waited for.
    os._exit(0)


asyncio.run(serve(*sys.argv[1:]))
