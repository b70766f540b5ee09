"""What comes with osvm besides its programs: completion in shells, manual pages, a unit, an installed tree."""

import os
import shlex
import shutil
import signal
import socket
import subprocess

from harness import LIMIT_S, Skipped, check, row

RUNS = "exec sleep 1000"


def commands_of(host):
    """The names of all commands, as help shows them."""
    return [line.split()[0] for line in host.osvm("help").stdout.splitlines() if line.startswith("  ")]


def tool(name):
    if not shutil.which(name):
        raise Skipped(f"{name} is not installed")
    return name


def answer(*words, **options):
    """What a program says; it is to end well, and to be silent on standard error."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=LIMIT_S, **options)
    check(done.returncode == 0 and not done.stderr, f"{words[:3]}: {done.returncode} {done.stdout}{done.stderr}")
    return done.stdout


# --- completion ---------------------------------------------------------------------------------------


def complete_in_bash(host, script, words):
    """The candidates for the last of these words."""
    text = (f"source {script}; COMP_WORDS=({shlex.join(map(str, words))}); COMP_CWORD={len(words) - 1}; _osvm; "
            'printf "%s\\n" "${COMPREPLY[@]}"')
    return answer("bash", "--norc", "-c", text, cwd=host.folder).split()


def complete_in_fish(host, script, words):
    line = shlex.join(map(str, words[:-1])) + " " + words[-1]
    said = answer("fish", "--no-config", "-c", f"source {script}; complete -C {shlex.quote(line)}", cwd=host.folder,
                  env={"HOME": str(host.folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
    return [entry.split("\t")[0] for entry in said.splitlines()]


def complete_in_zsh(host, script, words):
    """The function itself, with its ways out replaced by ones that print."""
    text = ("compdef() { : }; source " + str(script) + "; _call() { : };"
            "compadd() { [[ $1 == -a ]] && print -rl -- ${(P)2} || { shift; print -rl -- $@ } };"
            "_describe() { print -rl -- ${${(P)2}%%:*} }; _files() { print -rl -- *(N) };"
            f"words=({shlex.join(map(str, words))}); CURRENT={len(words)}; _osvm; true")
    found = answer("zsh", "-f", "-c", text, cwd=host.folder).split()
    return [word for word in found if word.startswith(words[-1])]


SHELLS = {"bash": complete_in_bash, "zsh": complete_in_zsh, "fish": complete_in_fish}


def shell_row(name):
    def add(function):
        for shell in SHELLS:
            def run(host, shell=shell):
                script = host.file(f"completion.{shell}", host.osvm("completion", tool(shell)).stdout)
                function(host, shell, script, lambda *words: sorted(SHELLS[shell](host, script, words)))

            row(f"completion: {shell}: {name}")(run)
        return function

    return add


@shell_row("the script is right, and knows every command")
def _(host, shell, script, complete):
    answer(shell, "-n", script)
    osvm = host.words()[0]
    check(complete(osvm, "st") == ["start", "stats", "stop"], str(complete(osvm, "st")))
    check(complete(osvm, "") == sorted(commands_of(host)), str(complete(osvm, "")))


@shell_row("names of components, where a name is wanted")
def _(host, shell, script, complete):
    host.start_daemon()
    for name in ("aa", "ab", "b"):
        host.create(name, RUNS)
    osvm = host.words()
    check(complete(*osvm, "start", "a") == ["aa", "ab"], str(complete(*osvm, "start", "a")))
    check(complete(*osvm, "start", "aa", "b") == ["b"], "the second name")
    check(complete(*osvm, "logs", "--since", "2026-01-31", "a") == ["aa", "ab"], "behind an option with a value")
    check(complete(*osvm, "exec", "-w", "/tmp", "b") == ["b"], "exec's name")
    check("b" not in complete(*osvm, "inspect", "aa", "b"), "inspect takes one name")


@shell_row("files, options and words, each where it is wanted")
def _(host, shell, script, complete):
    host.file("one.yaml", "")
    osvm = host.words()[0]
    check(complete(osvm, "check", "on") == ["one.yaml"], str(complete(osvm, "check", "on")))
    check(complete(osvm, "create", "one.yaml", "on") == ["one.yaml"], "the second file")
    check("--force" in complete(osvm, "rm", "--f"), str(complete(osvm, "rm", "--f")))
    check(complete(osvm, "completion", "") == ["bash", "fish", "zsh"], str(complete(osvm, "completion", "")))


@row("completion: a shell that is not known")
def _(host):
    check("bash, zsh or fish" in host.osvm("completion", "csh", status=2).stderr, "")


# --- the service manager ------------------------------------------------------------------------------


def unit_of(host):
    """The unit, with the program of this build in it."""
    text = (host.build / "supervisor/install/osvm.service").read_text(encoding="utf-8")
    lines = [f"ExecStart={host.words()[0]} daemon" if line.startswith("ExecStart=") else line
             for line in text.splitlines()]
    return host.file("osvm.service", "\n".join(lines) + "\n")


@row("unit: systemd takes it, and what runs survives the daemon")
def _(host):
    unit = unit_of(host)
    text = unit.read_text(encoding="utf-8")
    for line in ("Type=notify", "KillMode=process", "RuntimeDirectoryPreserve=yes", "Delegate=yes", "OOMPolicy=continue"):
        check(line in text.splitlines(), f"{line} is missing")
    done = subprocess.run([tool("systemd-analyze"), "verify", "--man=no", unit], capture_output=True, text=True,
                          check=False, timeout=LIMIT_S)
    check(done.returncode == 0 and "osvm.service" not in done.stderr, done.stdout + done.stderr)


@row("unit: READY=1 once the API answers, STOPPING=1 at the end; by a path and by an abstract name")
def _(host):
    for address in (f"{host.folder}/notify", f"\0osvm-test-{host.folder.name}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            manager.settimeout(LIMIT_S)
            with open(host.folder / "daemon.log", "a", encoding="utf-8") as log:
                host.daemon = subprocess.Popen(host.words("daemon"), stderr=log, stdout=log,
                                               env={**os.environ, "NOTIFY_SOCKET": address.replace("\0", "@")})
            said = manager.recv(4096).decode().splitlines()
            check("READY=1" in said, str(said))
            host.osvm("ps")
            host.kill_daemon(signal.SIGTERM)
            said = manager.recv(4096).decode().splitlines()
            check("STOPPING=1" in said and host.daemon.returncode == 0, f"{said} {host.daemon.returncode}")
