"""Programs in Hermit images: what osvm-vmm gives them, and what it keeps from them."""

import json
import os
import re
from pathlib import Path

from harness import Rows, check

ROWS = Rows()
INTERFACES = (1, 2, 3)


def image(bench, interface):
    return bench.build / f"tests/boot/hermit/hermit_program_{interface}"


def run(bench, interface, cmdline, *words, **options):
    return bench.run("--kernel", image(bench, interface), "--mem", "64", "--cmdline", cmdline,
                     *words, **options)


def strings(ended, what):
    return re.findall(rf"^{what} \[(.*)\]$", ended.out.decode().replace("\r", ""), re.MULTILINE)


@ROWS.row("no arguments, no environment")
def _(bench):
    for interface in INTERFACES:
        ended = run(bench, interface, "show=1", env={"SECRET": "of the caller"})
        check(ended.status == 0 and b"SECRET" not in ended.out, str(ended))
        bootargs, = strings(ended, "bootargs")
        check(bootargs.split(" -- ")[0].strip() == "show=1", str(ended))
        if interface == 1:
            check(strings(ended, "arg") == [str(image(bench, 1))], str(ended))
            check(strings(ended, "env") == [""] * 8, str(ended))


@ROWS.row("arguments and environment")
def _(bench):
    for interface in INTERFACES:
        ended = run(bench, interface, "show=1", "-e", "A=1", "--env=B=x=y", "-e", "OWN", "-e",
                    "NONE", "-e", "A=2", "--", "-v", "--mem", "last", env={"OWN": "caller's"})
        check(ended.status == 0, str(ended))
        bootargs, = strings(ended, "bootargs")
        check(bootargs.split(" -- ")[1].split() == ["-v", "--mem", "last"], str(ended))
        for variable in ("A=2", "B=x=y"):
            check(f"env={variable}" in bootargs, str(ended))
        check("A=1" not in bootargs and "NONE" not in bootargs, str(ended))
        if interface == 1:
            check(strings(ended, "arg")[1:] == ["-v", "--mem", "last"], str(ended))
            check(strings(ended, "env")[:3] == ["A=2", "B=x=y", "OWN=caller's"], str(ended))
            check(len(strings(ended, "env")) == 8, str(ended))


@ROWS.row("arguments and environment from the config file")
def _(bench):
    config = bench.folder / "vm.json"
    config.write_text(json.dumps({"kernel": str(image(bench, 1)), "cmdline": "show=1",
                                  "arg": ["one", "two words"], "env": ["A=1", "B=2"]}))
    ended = bench.run("--config", config)
    check(strings(ended, "arg")[1:] == ["one", "two words"], str(ended))
    check(strings(ended, "env")[:2] == ["A=1", "B=2"], str(ended))
    ended = bench.run("--config", config, "-e", "C=3", "--", "other")
    check(strings(ended, "arg")[1:] == ["other"], str(ended))
    check(strings(ended, "env")[:2] == ["C=3", ""], str(ended))
    ended = bench.run("--config", config, "--")
    check(strings(ended, "arg")[1:] == [], str(ended))


@ROWS.row("200 environment variables")
def _(bench):
    words = [f"--env=V{i}={i}" for i in range(200)]
    for interface in (2, 3):
        ended = run(bench, interface, "show=1", *words)
        bootargs, = strings(ended, "bootargs")
        found = re.findall(r"env=(V\d+=\d+)", bootargs)
        check(ended.status == 0 and found == [f"V{i}={i}" for i in range(200)], str(ended))
    ended = run(bench, 1, "show=1", *words[:128])
    check(strings(ended, "env") == [f"V{i}={i}" for i in range(128)], str(ended))
    ended = run(bench, 1, "show=1", *words)
    check(ended.status == 125 and "200 environment variables" in ended.err, str(ended))


@ROWS.row("a kernel that is no Hermit image has no program")
def _(bench):
    for words, says in ((["--", "x"], "'x': arguments"), (["-e", "A=1"], "--env is for"),
                        (["--map", "/tmp:/x"], "--share"), (["--keep-files", "x"], "--keep-files")):
        ended = bench.run(*words)
        check(ended.status == 125 and says in ended.err and not ended.out, str(ended))
    check(not os.listdir(bench.folder), "it made a folder")


@ROWS.row("files: mapped, kept, and gone")
def _(bench):
    data, temporary = bench.folder / "data", bench.folder / "tmp"
    data.mkdir()
    temporary.mkdir()
    env = {"TMPDIR": str(temporary)}
    for interface in INTERFACES:
        kept = bench.folder / f"kept{interface}"
        ended = run(bench, interface, "files=1", "--map", f"{data}:/data", env=env)
        check(ended.status == 0 and b"not ok" not in ended.out, str(ended))
        check((data / "out").read_text() == "written by a program\n", "the mapped file is wrong")
        ended = run(bench, interface, "files=1", "--map", f"{data}:/data", "--keep-files", kept,
                    env=env)
        check(ended.status == 0, str(ended))
        check(os.listdir(kept) == ["kept"], f"kept: {os.listdir(kept)}")
        check(not os.listdir(temporary), f"left: {os.listdir(temporary)}")


@ROWS.row("files: a mapping for reading alone")
def _(bench):
    (bench.folder / "data").mkdir()
    ended = run(bench, 3, "files=1", "--map", f"{bench.folder}/data:/data:ro")
    check(ended.status == 1 and b"not ok 1 - a file in the mapping is made" in ended.out,
          str(ended))
    check(b"it is 0xffffffffffffffe2" in ended.out, f"it is not -EROFS: {ended}")
    check(not os.listdir(bench.folder / "data"), "it was written all the same")


@ROWS.row("files: a link that leads out")
def _(bench):
    data = bench.folder / "data"
    data.mkdir()
    secret = Path(bench.folder, "secret")
    secret.write_text("of the host")
    (data / "out").symlink_to("../secret")
    ended = run(bench, 3, "files=1", "--map", f"{data}:/data")
    check(ended.status == 1 and b"not ok 1 -" in ended.out, str(ended))
    check(secret.read_text() == "of the host", "it was written")


@ROWS.row("files: mappings that are refused")
def _(bench):
    for mapping, says in (("/nonexistent:/x", "no such file or folder"),
                          ("/dev/null:/x", "neither a file nor a folder"),
                          (f"{bench.vmm}:/", "cannot be mapped to '/'")):
        for check_only in ([], ["--check"]):
            ended = run(bench, 3, "", "--map", mapping, *check_only)
            check(ended.status == 125 and says in ended.err, str(ended))
            check(f"cannot map '{mapping.split(':')[0]}'" in ended.err, str(ended))


@ROWS.row("files: --check leaves nothing")
def _(bench):
    temporary = bench.folder / "tmp"
    temporary.mkdir()
    env = {"TMPDIR": str(temporary)}
    for words in ([], ["--keep-files", bench.folder / "kept"]):
        ended = run(bench, 3, "files=1", "--check", *words, env=env)
        check(ended.status == 0 and not os.listdir(temporary), str(ended))
        check(os.listdir(bench.folder) == ["tmp"], f"it made {os.listdir(bench.folder)}")
    (temporary / "x").touch()
    ended = run(bench, 3, "files=1", "--check", "--keep-files", temporary, env=env)
    check(ended.status == 125 and "is not empty" in ended.err, str(ended))


@ROWS.row("--stats and the exit record count hypercalls")
def _(bench):
    (bench.folder / "data").mkdir()
    ended = run(bench, 3, "files=1", "--map", f"{bench.folder}/data:/data", "--stats",
                "--exit-record", bench.folder / "record")
    check(ended.status == 0, str(ended))
    for line in (r"loaded +\d+ +\d+", r"started +\d+ +\d+", r"io +\d+", r"open +7", r"unlink +1",
                 r"write +2"):
        check(re.search(rf"^{line}$", ended.err, re.MULTILINE), f"no '{line}': {ended.err}")
    record = json.loads((bench.folder / "record").read_text())
    check(record["hypercalls"]["open"] == 7, str(record))
    check("read" in record["hypercalls"] and "mkdir" not in record["hypercalls"], str(record))
