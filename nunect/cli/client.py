"""One client for REST, whether over the network or in this process."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

BASE = "/api/v1/"
READ_S, WRITE_S = 60.0, 900.0  # how long an answer may take, seconds; a document may name 100,000 users
Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came. headers: by their names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Transport(Protocol):
    """Carries one request. where: for sentences; remote: whether it leaves this process."""

    where: str
    remote: bool

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> Reply: ...


class Failure(Exception):
    """What keeps a command from going on, in sentences. problem: the server's own answer, when there was one."""

    def __init__(self, *sentences: str, problem: dict[str, Any] | None = None) -> None:
        super().__init__("\n".join(sentences))
        self.sentences, self.problem = sentences, problem


class Lost(Failure):
    """The connection broke before an answer came: what was asked for is done or not."""


_NUMBERED = re.compile(r"(job|revision)s/([0-9]+)/")  # what people ask for by its number


class Refused(Failure):
    """The API said no. places: the (field, sentence) pairs, field "" for the whole."""

    def __init__(self, status: int, problem: dict[str, Any], hint: str = "") -> None:
        self.status = status
        self.places = _places(problem)
        self.hint = hint
        if status == 409:
            self.places = [_as_option(place) for place in self.places]
        said = [f"{name}: {sentence}" if name else sentence for name, sentence in self.places]
        super().__init__(*said, *([hint] if hint else []), problem=problem)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer. data: its JSON, None when it is empty or no JSON."""

    status: int
    data: Any
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Client:
    """Calls REST and turns what it refuses into sentences. It never asks twice by itself."""

    def __init__(self, transport: Transport, version: str = "") -> None:
        self.transport = transport
        self.agent = f"nunect-cli/{version}" if version else "nunect-cli"

    def get(self, path: str, query: Query = (), **more: Any) -> Answer:
        return self.call("GET", path, query, **more)

    def call(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: Any = None,
        *,
        wait_s: int = 0,
        key: str = "",
        accept: str = "application/json",
        fine: Sequence[int] = (),
        timeout_s: float = 0,
        unless: str = "",
    ) -> Answer:
        """The answer of one request below /api/v1/. fine: statuses that are answers although they look like errors;
        unless: the ETag of what is known already (then 304 is fine).

        Raises Refused, Lost or Failure.
        """
        headers = {"Accept": accept, "User-Agent": self.agent}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False).encode()
        if wait_s:
            headers["Prefer"] = f"wait={wait_s}"
        if key:
            headers["Idempotency-Key"] = key
        if unless:
            headers["If-None-Match"], fine = unless, (*fine, 304)
        address = BASE + path + (f"?{urlencode(query)}" if query else "")
        limit = timeout_s or (READ_S if method == "GET" else WRITE_S) + wait_s
        reply = self.transport.send(method, address, headers, content, limit)
        if reply.status >= 300 and reply.status not in fine:
            raise self._refusal(reply, path)
        return Answer(reply.status, self._data(reply, accept), reply.headers, reply.body)

    def pages(self, path: str, query: Query = (), **more: Any) -> Iterator[Answer]:
        """The pages of a list, one request each, until its end."""
        asked = list(query)
        while True:
            answer = self.get(path, asked, **more)
            yield answer
            following = next_of(answer)
            if not following:
                return
            asked = following

    def _data(self, reply: Reply, accept: str) -> Any:
        if not reply.body.strip() or "json" not in accept:
            return None
        try:
            return json.loads(reply.body)
        except ValueError:
            raise Failure(
                f"{self.transport.where} answered something that is not nunect's API: is the address right?"
            ) from None

    def _refusal(self, reply: Reply, path: str) -> Failure:
        try:
            problem = json.loads(reply.body)
        except ValueError:
            problem = None
        if isinstance(problem, dict) and ("detail" in problem or "errors" in problem):
            missing = _NUMBERED.match(path) if reply.status == 404 else None
            if missing:
                told = f"There is no {missing[1]} {missing[2]}."
                problem = {**problem, "detail": told, "errors": [{"field": "", "detail": told}]}
            return Refused(reply.status, problem, self._hint(reply))
        if 300 <= reply.status < 400:
            to = reply.headers.get("location", "another address")
            return Failure(f"{self.transport.where} sends this on to {to}: use that address in NUNECT_URL or `login`.")
        if reply.status == 404:
            return Failure(f"{self.transport.where} has no such page: is it the address of nunect, and new enough?")
        if not self.transport.remote:
            return Failure(
                "nunect failed at this. NUNECT_LOG_LEVEL=ERROR shows why; if its database is new or older than this "
                "program, start `nunect up` once."
            )
        return Failure(f"{self.transport.where} failed at this (status {reply.status}): its log says why.")

    def _hint(self, reply: Reply) -> str:
        if reply.status == 401 and self.transport.remote:
            return "Log in again with `nunect login`, or set NUNECT_TOKEN."
        if reply.status == 429:
            seconds = reply.headers.get("retry-after", "")
            return f"Try again in {seconds} seconds." if seconds else "Try again in a minute."
        if reply.status == 503:
            return "`nunect doctor` says what is wrong."
        return ""


def _as_option(place: tuple[str, str]) -> tuple[str, str]:
    """Where the API asks for one of several systems: as the option that says it here."""
    name, sentence = place
    return ("", sentence.replace("by “system”", "with --system NAME")) if name == "system" else place


def next_of(answer: Answer) -> list[tuple[str, str]]:
    """The query of the next page, empty at the end. Only the query: a token goes to no other address."""
    address = ""
    if isinstance(answer.data, dict):
        address = answer.data.get("next") or ""
    elif 'rel="next"' in answer.headers.get("link", ""):
        address = answer.headers["link"].partition("<")[2].partition(">")[0]
    return parse_qsl(urlsplit(address).query, keep_blank_values=True)


def _places(problem: dict[str, Any]) -> list[tuple[str, str]]:
    errors = problem.get("errors")
    if isinstance(errors, list) and errors:
        found = [each for each in errors if isinstance(each, dict)]
        return [(str(each.get("field") or ""), str(each.get("detail") or "")) for each in found]
    return [("", str(problem.get("detail") or problem.get("title") or "It was refused without a word."))]
