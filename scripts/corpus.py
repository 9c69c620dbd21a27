"""Hold our parser against the server's on every *.conf below a folder: same verdict, same digest?

    .venv/bin/python scripts/corpus.py DIR

Each file is included by a conf that needs nothing else of it, so that the server judges syntax
alone, whether or not it knows the options. Exits with 1 on any difference.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from accounts_app.natsconf.digest import digest
from accounts_app.natsconf.errors import ConfSyntaxError
from accounts_app.natsconf.parse import parse

SAME = ("both accept, same digest", "both refuse")
VALID = re.compile(r"is valid \((sha256:[0-9a-f]{64})\)")


def main(folder: Path) -> int:
    server = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if server is None:
        sys.exit("There is no nats-server to ask.")
    confs = sorted(path for path in folder.rglob("*.conf") if path.is_file())
    if not confs:
        sys.exit(f"There is no *.conf below {folder}.")
    counts: Counter[str] = Counter()
    for conf in confs:
        verdict, detail = compare(server, conf.resolve())
        counts[verdict] += 1
        if verdict not in SAME:
            say(f"{conf}: {verdict}\n  {detail}")
    for verdict, count in counts.most_common():
        say(f"{count:6} {verdict}")
    return 0 if set(counts) <= set(SAME) else 1


def compare(server: str, conf: Path) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        outer = Path(folder).resolve() / "outer.conf"
        # A variable may hold anything, a port that is set again is what was set last.
        text = f'x {{\ninclude "{os.path.relpath(conf, outer.parent)}"\n}}\nport: $x\nport: 4222\n'
        outer.write_text(text, encoding="utf-8", errors="surrogateescape")
        theirs, their_words = ask(server, outer)
        ours, our_words = read(outer)
    if ours and theirs:
        return ("both accept, same digest", "") if ours == theirs else ("digests differ", f"{ours}, server {theirs}")
    if ours:
        return "we accept, the server refuses", their_words
    return ("we refuse, the server accepts", our_words) if theirs else ("both refuse", "")


def ask(server: str, conf: Path) -> tuple[str, str]:
    run = subprocess.run(
        [server, "-t", "-c", conf], cwd=conf.parent, capture_output=True, text=True, errors="replace", timeout=60
    )
    found = VALID.search(run.stderr)
    return (found[1], "") if run.returncode == 0 and found else ("", run.stderr[:300].strip())


def read(conf: Path) -> tuple[str, str]:
    try:
        return digest(parse(load(str(conf)), file=str(conf), read=load, environ=os.environ).tree), ""
    except ConfSyntaxError as error:
        return "", str(error)


def load(path: str) -> str:
    return Path(path).read_bytes().decode("utf-8", "surrogateescape")


def say(line: str) -> None:
    sys.stdout.write(line.encode("utf-8", "replace").decode() + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: corpus.py DIR")
    sys.exit(main(Path(sys.argv[1])))
