"""Runs stories of the Python SDK: each a server and a client that checks what it sees, as `python -m stories.X.server`
and `python -m stories.X.client` do. They are forked from here, because importing the SDK takes most of their time.

Usage: stories.py --examples DIRECTORY --port PORT [--gateway ORIGIN] STORY...

Servers listen on PORT, one after the other; clients go to ORIGIN, or else to the server. A story of both eras is run in
both. Prints a line of JSON for each: {"story": …, "era": …, "code": exit code of the client, "output": of both}.
"""

import argparse
import ctypes
import json
import os
import runpy
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import mcp.client  # noqa: F401  (imported before the forks, which is the point)
import mcp.server.mcpserver  # noqa: F401

PATIENCE = 60  # seconds, for a server to come up and for a client to end


def fork(module, arguments, output):
    """The process id of a child that runs `module` as `python -m` does."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it does not outlive this process
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(child):
    """The exit code of a child, or None while it runs. Asked until it is not None, and not after."""
    process, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if process else None


def wait(child, condition=lambda: False):
    """Waits until the child has ended or the condition holds: the exit code, or None if it still runs."""
    deadline = time.monotonic() + PATIENCE
    while (code := ended(child)) is None and not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return code


def end(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False


def run(story, era, config, port, origin):
    with tempfile.TemporaryFile() as output:
        served_as = ["--http"] if config["server_export"] == "factory" else []
        server = fork(f"stories.{story}.server", [*served_as, "--port", str(port)], output)
        if (code := wait(server, lambda: accepts(port))) is None:
            url = f"{origin}{config['mcp_path']}"
            client = fork(f"stories.{story}.client", ["--http", url, *(["--legacy"] if era == "legacy" else [])], output)
            if (code := wait(client)) is None:
                end(client)
            end(server)
        output.seek(0)
        said = output.read().decode(errors="replace")
    print(json.dumps({"story": story, "era": era, "code": code, "output": said}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--gateway")
    parser.add_argument("stories", nargs="+")
    options = parser.parse_args()
    sys.path.insert(0, str(options.examples))
    try:
        import tomllib
    except ImportError:  # Python 3.10: scripts/setup puts it beside the examples, which need it too
        import tomli as tomllib
    manifest = tomllib.loads((options.examples / "stories/manifest.toml").read_text())
    for story in options.stories:
        config = {**manifest["defaults"], **manifest["story"][story]}
        eras = ("modern", "legacy") if config["era"] == "dual" else (config["era"],)
        for era in eras:
            run(story, era, config, options.port, options.gateway or f"http://127.0.0.1:{options.port}")


main()
