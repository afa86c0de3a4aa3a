"""Code in processes that have imported torch and nothing of ours or of other packages.

One new interpreter imports torch, which takes seconds, and forks a process for each piece of code.
"""

import atexit
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

SERVER = """
import io, json, os, sys, tempfile, traceback
import torch
answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    task = json.loads(line)
    files = [tempfile.TemporaryFile("w+") for _ in range(2)]
    process = os.fork()
    if not process:
        code = 0
        os.environ.update(task["environment"])
        for number, file in enumerate(files, 1):
            os.dup2(file.fileno(), number)
        try:
            exec(compile(task["code"], "<code>", "exec"), {"__name__": "__main__"})
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            code = 1
            traceback.print_exc()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    said = []
    for file in files:
        file.seek(0)
        said.append(file.read())
    print(json.dumps([code, *said]), file=answers, flush=True)
"""


@cache
def _server() -> subprocess.Popen:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", SERVER], **pipes)
    atexit.register(process.kill)
    return process


def run(code: str, **environment: str) -> SimpleNamespace:
    """Run code where only torch is imported: its returncode, stdout and stderr."""
    server = _server()
    source = str(Path(sys.modules["sib"].__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {source!r})\n" + code
    server.stdin.write(json.dumps({"code": code, "environment": environment}) + "\n")
    server.stdin.flush()
    code, stdout, stderr = json.loads(server.stdout.readline())
    return SimpleNamespace(returncode=code, stdout=stdout, stderr=stderr)
