"""What the rows share: osvm with folders of its own, and looking at what it leaves behind."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

LIMIT_S = 30  # a row that waits longer for something has failed
rows = []


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def row(name):
    def add(function):
        rows.append((name, function))
        return function

    return add


def row_for_each(values, prefix, name):
    """A row for each value, which the function gets beside the host."""
    def add(function):
        for value in values:
            rows.append((f"{prefix}{value}: {name}", lambda host, value=value: function(host, value)))
        return function

    return add


def mounts_of(lines):
    """The key of a component file; nothing where there are none."""
    return "\nmounts:\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def check(condition, text):
    if not condition:
        raise Failed(text)


def await_condition(condition, what):
    end = time.monotonic() + LIMIT_S
    while not condition():
        check(time.monotonic() < end, f"waited in vain for {what}")
        time.sleep(0.02)


class Host:
    """osvm with folders of its own."""

    def __init__(self, build):
        self.build = Path(build).resolve()
        self.folder = Path(tempfile.mkdtemp(prefix="osvm-"))
        self.daemon = None

    def words(self, *words):
        return [str(self.build / "supervisor/osvm"), "--state", f"{self.folder}/state", "--run",
                f"{self.folder}/run", *map(str, words)]

    def osvm(self, *words, status=0, **options):
        done = subprocess.run(self.words(*words), capture_output=True, text=True, check=False,
                              timeout=LIMIT_S, errors="replace", **options)
        if status is not None and done.returncode != status:
            raise Failed(f"osvm {' '.join(map(str, words))}: status {done.returncode}, not {status}: "
                         f"{done.stdout}{done.stderr}")
        return done

    def start_daemon(self, **options):
        with open(self.folder / "daemon.log", "a", encoding="utf-8") as log:
            self.daemon = subprocess.Popen(self.words("daemon"), stderr=log, stdout=log, **options)
        await_condition(lambda: self.osvm("ps", status=None).returncode == 0, "the daemon")

    def kill_daemon(self, number=signal.SIGKILL):
        self.daemon.send_signal(number)
        self.daemon.wait(LIMIT_S)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def component(self, name, command, more="", level="process_sandbox"):
        """A component that runs a shell command."""
        return self.file(f"{name}.yaml", f"metadata: {{name: {name}}}\ncomponent_type: service\n"
                         f"isolation: {level}\nnetwork: {{access: none}}\n"
                         f"command: [/bin/sh, -c, {json.dumps(command)}]\n{more}\n")

    def create(self, name, command, more="", **options):
        self.osvm("create", self.component(name, command, more, **options))

    def inspect(self, name):
        return json.loads(self.osvm("inspect", name).stdout)

    def await_status(self, name, status):
        await_condition(lambda: self.inspect(name)["status"] == status, f"{name} to be {status}")

    def end(self):
        if self.daemon and self.daemon.poll() is None:
            names = [c["name"] for c in json.loads(self.osvm("--json", "ps").stdout)]
            for name in reversed(names):
                self.osvm("kill", name, status=None)
            self.kill_daemon(signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)


def processes_with(text):
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if text.encode() in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found
