"""What `scripts/demo` and `scripts/budget` start: each process in a session of its own, and none left behind."""

import atexit
import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
AIRLOCK = DIST / "airlock"
MODULE = DIST / "airlock.wasm"
ENVOY = DIST / "envoy"

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failed(Exception):
    """Something that was expected did not happen; the message is for a person."""


class Interrupted(BaseException):
    """Somebody wants the program to end; not an `Exception`, so that nothing swallows it."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Processes:
    """Starts processes with their output in files of `logs`. Leaving the `with` block ends all of them, the latest
    first, and waits for them, whatever the reason for leaving is: success, a failure, Ctrl-C, the time limit."""

    def __init__(self, logs):
        self.logs = Path(logs)
        self._running = []  # (process, the signal that it is asked to end with)
        self._holding = False
        self._pending = None

    def __enter__(self):
        for number in (*SIGNALS, signal.SIGALRM):
            signal.signal(number, self._on_signal)
        atexit.register(self._end_all)
        # What a process leaves behind becomes a child of this one, which can then wait for it.
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        return self

    def __exit__(self, *_):
        self._holding = True
        self.limit(0)
        self._end_all()

    def limit(self, seconds):
        """Fails what is going on when `seconds` have passed; 0 takes the limit back."""
        signal.alarm(seconds)

    def start(self, name, command, environment=None, ends_with=signal.SIGTERM, **options):
        """Starts `command` in the background; its output goes to NAME.out and NAME.err."""
        with open(self.logs / f"{name}.out", "wb") as output, open(self.logs / f"{name}.err", "wb") as errors:
            return self._spawn(command, ends_with, stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
                               env=clean(environment), **options)

    def run(self, command, text="", seconds=60):
        """Runs `command` with `text` on its stdin; its exit code, stdout and stderr."""
        process = self._spawn(command, signal.SIGTERM, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=clean(None))
        try:
            output, errors = process.communicate(text, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"`{Path(command[0]).name}` did not end within {seconds} s") from None
        finally:
            self.end(process)
            for pipe in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(OSError):
                    pipe.close()
        return process.returncode, output, errors

    def end(self, process):
        """Asks a process to end, waits for it, and then ends by force whatever is left of its session."""
        ends_with = next(ends_with for running, ends_with in self._running if running is process)
        if process.poll() is None:
            process.send_signal(ends_with)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in session_of(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                process.poll()
                left = session_of(process.pid)
                for pid in left:
                    if pid != process.pid:
                        with contextlib.suppress(ChildProcessError):
                            os.waitpid(pid, os.WNOHANG)
                if not left:
                    break
                time.sleep(0.02)
        process.wait()
        self._running = [entry for entry in self._running if entry[0] is not process]

    def output(self, name):
        """Whole lines that NAME has written to its stdout so far."""
        text = (self.logs / f"{name}.out").read_text(errors="replace")
        return text[: text.rfind("\n") + 1].splitlines()

    def tail(self, name, lines=15):
        """The end of what NAME has written, to explain a failure."""
        logs = (self.logs / f"{name}.{end}" for end in ("out", "err"))
        text = "".join(log.read_text(errors="replace") for log in logs if log.exists())
        return "\n".join(text.splitlines()[-lines:])

    def build(self, report):
        """`scripts/build`, one at a time in this checkout. `report` gets a word on how it goes twice a second."""
        with open(ROOT / "scripts/build") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            start = time.monotonic()
            process = self.start("build", [ROOT / "scripts/build"])
            while process.poll() is None:
                report(f"{time.monotonic() - start:.0f} s  {self.tail('build', 1).strip()}")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.5)
            self.end(process)
            if process.returncode != 0:
                raise Failed(f"scripts/build ended with {process.returncode}\n{self.tail('build')}")

    def _spawn(self, command, ends_with, **options):
        # A signal between the start of a process and its entry in the list would leave it behind.
        self._holding = True
        try:
            process = subprocess.Popen([str(word) for word in command], cwd=ROOT, start_new_session=True, **options)
            self._running.append((process, ends_with))
        finally:
            self._holding = False
        if self._pending is not None:
            self._on_signal(self._pending)
        return process

    def _end_all(self):
        while self._running:
            self.end(self._running[-1][0])

    def _on_signal(self, number, _frame=None):
        if self._holding:
            self._pending = number
            return
        self._holding = True  # what follows is the way out: nothing may interrupt it
        if number == signal.SIGALRM:
            raise Failed("the time limit has passed")
        raise Interrupted(number)


def clean(environment):
    """`environment`, or this one without the variables that would change what `airlock` does."""
    if environment is not None:
        return environment
    return {name: value for name, value in os.environ.items() if not name.startswith("AIRLOCK_")}


def session_of(leader):
    """The processes of the session that `leader` leads or has led, those included that nobody has waited for."""
    members = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            # The name, in parentheses, may contain anything; after it: state, parent, group, session.
            fields = Path("/proc", entry, "stat").read_text(errors="replace").rpartition(")")[2].split()
            if fields[3] == str(leader):
                members.append(int(entry))
    return members


def wait_until(condition, seconds, what, process=None):
    """Returns what `condition` returns as soon as that is true."""
    deadline = time.monotonic() + seconds
    while True:
        if result := condition():
            return result
        if process is not None and process.poll() is not None:
            raise Failed(f"{what}: it ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def require_built():
    """Fails unless all is there that `scripts/build` makes."""
    needed = [AIRLOCK, MODULE, ENVOY, ROOT / "tests/clients/typescript/node_modules"]
    for path in needed:
        if not path.exists():
            raise Failed(f"{path.relative_to(ROOT)} is missing: run scripts/build, or leave out --no-build")


class Terminal:
    """Prints for people: colour and a changing line only where somebody watches."""

    def __init__(self):
        self._watched = sys.stdout.isatty()
        self._colour = self._watched and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        sys.stdout.reconfigure(errors="replace", line_buffering=True)

    def paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self._colour else text

    def changing(self, text):
        if self._watched:
            print(f"\r\033[K  {text[:90]}", end="", flush=True)

    def unchanging(self):
        if self._watched:
            print("\r\033[K", end="", flush=True)
