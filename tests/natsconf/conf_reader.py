"""A real nats-server that reads any conf text, whether or not it knows the options in it."""

import re
import shutil
import subprocess
import sysconfig

from accounts_app.natsconf.digest import digest
from accounts_app.natsconf.parse import parse

ENVIRON = {
    "NUMBER": "5",
    "WORD": "abc",
    "LIST": "[1 , $NUMBER]",
    "MAP": "{a: $WORD}",
    "EMPTY": "",
    "QUOTED": "'x y'",
    "TWO": "1\npk: 2",
    "SELF": "$SELF",
    "ROUND": "$TRIP",
    "TRIP": "$ROUND",
    "NOTHING": "1kbb",
    "BLANK": "x y",
    "OPEN": "[1",
}
FILES = {
    "a.conf": "x: 1\ny { z: on }\n",
    "sub/b.conf": 'include "c.conf"\nb: $c',
    "sub/c.conf": "c = 5m",
    "up.conf": "include ./sub/../a.conf",
}


def included(path):
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory")
    return FILES[path]


class Reader:
    """The texts are values of a port, which is then set again: the server minds their syntax only."""

    def __init__(self, folder):
        self.binary = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
        self.folder = folder
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))

    def theirs(self, *texts):
        """The server's digest of a conf that holds all texts, or its words."""
        for number, text in enumerate(texts):
            self.write(f"case{number}", text)
        self.write("outer", self.outer(texts))
        run = subprocess.run(
            [self.binary, "-t", "-c", self.folder / "outer"], env=ENVIRON, capture_output=True, errors="replace"
        )
        found = re.search(r"is valid \((sha256:[0-9a-f]{64})\)", run.stderr)
        return found[1] if found else run.stderr

    def ours(self, *texts):
        """Our digest of the same conf."""

        def read(path):
            return texts[int(path[4:])] if path.startswith("case") else included(path)

        return digest(parse(self.outer(texts), read=read, environ=ENVIRON).tree)

    def outer(self, texts):
        names = [f'x{number} {{\ninclude "case{number}"\n}}\nport: $x{number}\n' for number in range(len(texts))]
        return "".join(names) + "port: 4222\n"
