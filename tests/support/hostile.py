"""Requests that an enemy would send, as a fixed table: what goes over the wire, byte by byte, and good answers."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SPEC: dict[str, Any] = {
    "name": "small",
    "tasks": [{"kind": "adding", "length": 10, "train": 8, "valid": 4, "test": 4}],
    "networks": [{"kind": "elman", "units": 2}],
    "trainers": [{"kind": "snes", "population": 4}],
    "seeds": 1,
    "budget": {"steps": 20_000, "marks": 2},
}
LIMIT = 2**20
JSON = "application/json"
YAML = "application/yaml"
BAD = (400, 422)
NOWHERE = (400, 404, 405, 422)


@dataclass(frozen=True)
class Case:
    """`{TOKEN}`, `{HOST}` and `{COOKIE}` (of a session) are filled in. Status 0: the connection is closed without
    an answer."""

    name: str
    raw: bytes
    good: tuple[int, ...]


def request(
    name: str,
    method: str,
    path: str,
    good: tuple[int, ...],
    body: bytes | None = None,
    kind: str = JSON,
    headers: tuple[str, ...] = (),
    token: bool = True,
    host: bool = True,
) -> Case:
    lines = [f"{method} {path} HTTP/1.1"]
    lines += ["Host: {HOST}"] * host + ["Authorization: Bearer {TOKEN}"] * token
    if body is not None:
        lines += [f"Content-Type: {kind}"] * bool(kind) + [f"Content-Length: {len(body)}"]
    raw = "\r\n".join([*lines, *headers, "Connection: close", "", ""]).encode("utf-8") + (body or b"")
    return Case(f"{name}", raw, good)


def submitted(
    name: str, body: Any, good: tuple[int, ...] = BAD, kind: str = JSON, headers: tuple[str, ...] = ()
) -> Case:
    sent = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return request(name, "POST", "/api/v1/jobs", good, sent, kind, headers)


def cases(outside: str) -> list[Case]:
    """All of them; `outside` is a folder beside that of the data sets."""
    groups = (
        sql(),
        filters(),
        paths(),
        data_sets(outside),
        bodies(),
        yamls(),
        kinds(),
        code(),
        names(),
        sizes(),
        lengths(),
    )
    return [case for group in (*groups, heads(), numbers(), dashboard()) for case in group]


# ---- SQL -----------------------------------------------------------------------------------------------------------

SQL = """
DELETE FROM runs
DROP TABLE runs
UPDATE jobs SET owner = 'me'
INSERT INTO jobs SELECT * FROM jobs
CREATE TABLE x (a)
CREATE TEMP TABLE x AS SELECT 1
ATTACH DATABASE '/tmp/evil.db' AS evil
DETACH DATABASE main
PRAGMA journal_mode=DELETE
PRAGMA writable_schema=1
VACUUM INTO '/tmp/evil.db'
SELECT 1; DROP TABLE runs
SELECT 1; SELECT 2
SELECT load_extension('/tmp/evil.so')
SELECT readfile('/etc/passwd')
SELECT writefile('/tmp/evil', 'x')
SELECT edit('x')
SELECT fts3_tokenizer('simple')
SELECT randomblob(1000000000)
SELECT zeroblob(1000000000)
SELECT hex(zeroblob(1000000000))
SELECT * FROM tokens
SELECT * FROM main.tokens
SELECT * FROM "tokens"
SELECT * FROM checkpoints
SELECT * FROM champions
SELECT * FROM evornn_schema
SELECT * FROM pragma_table_info('tokens')
SELECT * FROM sqlite_dbpage
SELECT * FROM json_each(readfile('/etc/passwd'))
SELECT digest FROM (SELECT * FROM tokens)
WITH t AS (SELECT * FROM tokens) SELECT * FROM t
WITH x AS (DELETE FROM runs RETURNING id) SELECT * FROM x
EXPLAIN DELETE FROM runs
SELECT * FROM runs INTO OUTFILE '/tmp/evil'
COPY runs TO '/tmp/evil'
COPY runs TO PROGRAM 'id'
SELECT pg_read_file('/etc/passwd')
SELECT pg_sleep(100)
SELECT lo_import('/etc/passwd')
SET ROLE postgres
BEGIN
/* nothing */
;
""".strip().splitlines()


def sql() -> Iterator[Case]:
    for text in SQL:
        yield request(f"sql {text}", "POST", "/api/v1/query", BAD, json.dumps({"sql": text}).encode())
    for what, body in {
        "NUL": {"sql": "SELECT 1\0"},
        "empty": {"sql": ""},
        "no text": {"sql": 1},
        "too long": {"sql": "SELECT " + "1+" * 50_000 + "1"},
        "nested": {"sql": "SELECT " + "(" * 5000 + "1" + ")" * 5000},
        "limit": {"sql": "SELECT 1", "limit": 10**9},
        "limit below": {"sql": "SELECT 1", "limit": -1},
        "limit as text": {"sql": "SELECT 1", "limit": "1"},
        "for ever": {"sql": "SELECT 1", "timeout": 1e308},
        "never": {"sql": "SELECT 1", "timeout": 0},
        "more": {"sql": "SELECT 1", "path": "/etc/passwd"},
        "a list": ["SELECT 1"],
        "a text": "SELECT 1",
    }.items():
        yield request(f"query {what}", "POST", "/api/v1/query", BAD, json.dumps(body).encode())


INJECTIONS = (
    "'",
    "';DROP TABLE runs;--",
    "1 OR 1=1",
    "%00",
    "%27%20OR%20%271",
    "\\",
    "%",
    "_",
    "%ff%fe",
    "%F0%9F%92%A9",
)


def filters() -> Iterator[Case]:
    for text in INJECTIONS:
        text = text.replace(" ", "%20")
        yield request(f"filter {text}", "GET", f"/api/v1/runs?task={text}", (200, 422))
        yield request(f"order {text}", "GET", f"/api/v1/runs?order={text}", BAD)
    yield request("order of a secret", "GET", "/api/v1/runs?order=digest", BAD)
    yield request("order of an expression", "GET", "/api/v1/runs?order=(SELECT%201)", BAD)
    yield request("a filter that is too long", "GET", f"/api/v1/runs?task={'x' * 5000}", BAD)
    yield request("too many runs", "GET", f"/api/v1/compare?runs={'1,' * 2000}1", BAD)
    yield request("runs that are no numbers", "GET", "/api/v1/compare?runs=1,2,x", BAD)
    yield request("curves of injections", "GET", "/api/v1/curves?runs=1);DROP%20TABLE%20runs", BAD)


# ---- paths and files -----------------------------------------------------------------------------------------------

PATHS = """
/../../../../etc/passwd
/%2e%2e/%2e%2e/etc/passwd
/..%2f..%2fetc%2fpasswd
/%2e%2e%2f%2e%2e%2fetc%2fpasswd
/%252e%252e%252fetc%252fpasswd
/..%5c..%5cetc%5cpasswd
/....//....//etc/passwd
/static-offline-docs/../../../../etc/passwd
/static-offline-docs/%2e%2e/%2e%2e/core.py
/static-offline-docs/..%2fcore.py
/static-offline-docs/%2fetc%2fpasswd
/static-offline-docs/%00
/static-offline-docs//etc/passwd
/api/v1/jobs/..%2f..%2f..%2fetc%2fpasswd
/api/v1/jobs/1/spec/..%2f..%2fetc%2fpasswd
/api/v1/jobs/1/../../../etc/passwd
/api/v1/runs/1/model/%2e%2e
/api/v1/runs/%00/model
/api/v1/jobs/1%00/report
/api/v1//jobs//1
/.git/config
/.env
/evornn.db
/api/v2/jobs
/ui/../api/v1/jobs
/docs/../../etc/passwd
/%
/%zz
/\\etc\\passwd
""".strip().splitlines()


def paths() -> Iterator[Case]:
    for path in PATHS:
        login = path.startswith("/ui/")  # the dashboard knows no tokens in headers, and leads to its login
        yield request(f"path {path}", "GET", path, (302,) if login else NOWHERE)


DATA_SETS: tuple[Any, ...] = (
    "../secret.csv", "../../secret.csv", "link.csv", "linked/secret.csv", "loop.csv", "pipe.csv", ".", "..", "", "/",
    "/etc/passwd", "/proc/self/environ", "/proc/self/mem", "/dev/zero", "/dev/stdin",
    "file:///etc/passwd", "http://127.0.0.1:1/x.csv", "s3://bucket/x.csv", "zip://x.zip", "~/.ssh/id_rsa", "~root",
    "..%2fsecret.csv", "%2e%2e/secret.csv", "..\\secret.csv", "\\\\server\\share", "C:\\secret.csv",
    "series.csv/../../secret.csv", "./../data/../secret.csv", "x" * 300, "a/" * 3000, "$HOME/x.csv", "`id`.csv",
    "|id", "series.csv\n", 1, None, True, ["series.csv"], {"a": 1},
)  # fmt: skip


def data_sets(outside: str) -> Iterator[Case]:
    for name in (*DATA_SETS, f"{outside}/secret.csv", f"../{outside.rpartition('/')[2]}/secret.csv"):
        task = {"kind": "csv", "path": name, "targets": ["y"], "window": 4}
        yield submitted(f"data set {str(name)[:40]!r}", {**SPEC, "tasks": [task]})
    yield submitted("data set with NUL", {**SPEC, "tasks": [{"kind": "csv", "path": "series.csv\0", "targets": ["y"]}]})


# ---- bodies --------------------------------------------------------------------------------------------------------


def bodies() -> Iterator[Case]:
    good = json.dumps(SPEC)
    for text in ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9223372036854775808", "1" * 400, "1" * 6000):
        yield submitted(f"number {text[:30]} of {len(text)} digits", good.replace("20000", text))
    for text in ("-9223372036854775809", "0x10", "01", "1.", ".5", "+1", "1_000", "--1", "1e", "٣"):
        yield submitted(f"number {text}", f'{{"seeds": {text}}}')
    deep = {
        "lists": "[" * 100 + "]" * 100,
        "very deep lists": "[" * 100_000,
        "objects": '{"a":' * 100 + "1" + "}" * 100,
        "very deep objects": '{"a":' * 100_000,
        "in a spec": json.dumps({**SPEC, "resources": {}}).replace("{}", '{"a":' * 40 + "1" + "}" * 40),
    }
    for name, text in deep.items():
        yield submitted(f"nested {name}", text)
    yield submitted("key twice", good[:-1] + ', "name": "other"}')
    yield submitted("key twice, below", good.replace('"units": 2', '"units": 2, "units": 3'))
    yield submitted("__proto__", {**SPEC, "__proto__": {"admin": True}})
    yield submitted("__class__", {**SPEC, "__class__": "os"})
    yield submitted("lone surrogate", good.replace("small", "\\ud800"))
    yield submitted("NUL in a name", good.replace("small", "sm\\u0000all"))
    yield submitted("NUL in a key", good[:-1] + ', "a\\u0000": 1}')
    yield submitted("invalid UTF-8", good.encode().replace(b"small", b"\xff\xfe"))
    yield submitted("UTF-16", good.encode("utf-16"))
    yield submitted("UTF-32", good.encode("utf-32"))
    yield submitted("byte order mark", b"\xef\xbb\xbf" + good.encode())
    yield submitted("trailing garbage", good + "]")
    yield submitted("two values", good + good)
    yield submitted("comment", "/* x */" + good)
    yield submitted("single quotes", good.replace('"', "'"))
    yield submitted("trailing comma", good[:-1] + ",}")
    yield submitted("bare control character", good.replace("small", "sm\x01all"))
    for text in ("", " ", "null", "true", "1", '"x"', "[]", "{}", "[{}]", "\0", "}{"):
        yield submitted(f"body {text!r}", text)
    yield submitted("a long list", {**SPEC, "seeds": list(range(100_001))})
    yield submitted("many seeds", {**SPEC, "seeds": list(range(100_000)), "trainers": [{"kind": "adam"}] * 3})
    yield submitted(
        "many networks", {**SPEC, "networks": [{"kind": "elman", "units": k} for k in range(1, 2000)], "seeds": 100}
    )
    yield submitted("many keys", {**SPEC, "networks": [{"kind": "elman", **{f"k{i}": i for i in range(10_000)}}]})


def yamls() -> Iterator[Case]:
    good = json.dumps(SPEC)
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + k)}: &{chr(98 + k)} [*{chr(97 + k)}, *{chr(97 + k)}]\n" for k in range(20)
    )
    texts = {
        "bomb": bomb,
        "alias": "a: &x 1\nb: *x",
        "anchor": "name: &x small",
        "alias of itself": "a: &x [*x]",
        "merge": "a: &x {b: 1}\nc: {<<: *x}",
        "python name": "a: !!python/name:os.system",
        "python call": "a: !!python/object/apply:os.system ['id']",
        "python object": "a: !!python/object:os.environ {}",
        "python module": "a: !!python/module:os",
        "python new": "!!python/object/new:subprocess.Popen [['id']]",
        "own tag": "a: !x 1",
        "binary": "a: !!binary aGk=",
        "set": "a: !!set {b, c}",
        "float tag": "a: !!float 1",
        "date": "name: 2020-01-01",
        "infinite": "name: .inf",
        "not a number": "name: .nan",
        "huge": "name: " + "1" * 5000,
        "huge hex": "seeds: 0x" + "f" * 3000,
        "huge exponent": "seeds: 1e400",
        "number as key": "1: 2",
        "null as key": "~: 2",
        "list as key": "? [a, b]\n: 1",
        "key twice": "name: a\nname: b",
        "two documents": "name: a\n---\nname: b",
        "deep": "[" * 2000,
        "deep maps": "{a: " * 2000,
        "deep indentation": "".join(" " * k + "a:\n" for k in range(300)),
        "directive": "%YAML 9.9\n---\nname: a",
        "tag directive": "%TAG ! tag:x,2000:\n---\n!a 1",
        "control character": "name: \x07",
        "tab": "name:\n\t- a",
        "unclosed": "name: [",
        "text": "hello",
        "too long": "name: " + "x" * 70_000,
        "UTF-16": good.encode("utf-16"),
        "NUL": b"name: a\0b",
    }
    for name, text in texts.items():
        yield submitted(f"yaml {name}", text, (400, 413, 422), YAML)


def kinds() -> Iterator[Case]:
    good = json.dumps(SPEC).encode()
    xml = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
    sent = {
        "application/octet-stream": pickle.dumps({"name": "x"}),
        "application/x-python-pickle": pickle.dumps({"name": "x"}),
        "application/vnd.safetensors": b"\xff" * 8 + b"{}",
        "application/xml": xml,
        "text/xml": xml,
        "text/html": b"<script>alert(1)</script>",
        "text/plain": good,
        "application/x-www-form-urlencoded": b"name=x",
        "multipart/form-data; boundary=x": b'--x\r\nContent-Disposition: form-data; name="f"; filename="../x"\r\n\r\n1',
        "application/json; charset=utf-16": good.decode().encode("utf-16"),
        "application/json; charset=rot13": good,
        "application/jsonx": good,
        "*/*": good,
        "": good,
    }
    for kind, body in sent.items():
        yield submitted(f"content type {kind!r}", body, (415,), kind)
    yield submitted("gzip", gzip.compress(good), (415,), headers=("Content-Encoding: gzip",))
    yield submitted("gzip bomb", gzip.compress(b"0" * 10**8), (415,), headers=("Content-Encoding: gzip",))
    for kind in (JSON, YAML):  # what is no text is no spec, whatever it calls itself
        yield submitted(f"pickle as {kind}", pickle.dumps(SPEC), BAD, kind)
        yield submitted(f"safetensors as {kind}", (8).to_bytes(8, "little") + b"{" + b"\0" * 20, BAD, kind)


# ---- specs ---------------------------------------------------------------------------------------------------------


def code() -> Iterator[Case]:
    for place in (
        "os:system",
        "subprocess:Popen",
        "evil:Evil",
        "evornn.networks.architectures.elman:Elman",
        ":",
        "os:",
        ":x",
        "a:b:c",
    ):
        yield submitted(f"network {place}", {**SPEC, "networks": [{"kind": place}]})
        yield submitted(f"task {place}", {**SPEC, "tasks": [{"kind": place}]})
        yield submitted(f"trainer {place}", {**SPEC, "trainers": [{"kind": place}]})
        yield request(f"catalog {place}", "GET", f"/api/v1/catalog?name={place}", BAD)
    nested = {"kind": "bidirectional", "of": {"kind": "os:system"}}
    yield submitted("code in a part", {**SPEC, "networks": [nested]})
    yield submitted("code in a list", {**SPEC, "networks": [{"kind": "elman", "x": [{"kind": "os:system"}]}]})
    hybrid = {"kind": "memetic", "evolve": {"kind": "os:system"}, "refine": {"kind": "adam"}}
    yield submitted("code in a hybrid", {**SPEC, "trainers": [hybrid]})
    for kind in (1, None, [], {}, True, "", " ", "elman\n", "../elman", "x" * 10_000):
        yield submitted(f"kind {str(kind)[:20]!r}", {**SPEC, "networks": [{"kind": kind}]})


SCRIPTS = ("<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "{{7*7}}", "${7*7}", "'; DROP TABLE runs",
           "\x1b[2J\x1b[31m", "\u202eevil", "a\r\nSet-Cookie: x=1", "é" * 200, "\U0001f4a9")  # fmt: skip


def names() -> Iterator[Case]:
    for text in SCRIPTS:
        good = BAD if {"\x1b", "\u202e", "\n"} & set(text) else (201,)  # what writes over a terminal
        yield submitted(f"name {text[:20]!r}", {**SPEC, "name": text}, good)
        yield submitted(
            f"label {text[:20]!r}", {**SPEC, "networks": [{"kind": "elman", "units": 2, "label": text}]}, good
        )
    yield submitted("a long name", {**SPEC, "name": "x" * 201})
    yield submitted("a long label", {**SPEC, "networks": [{"kind": "elman", "units": 2, "label": "x" * 201}]})
    yield submitted("a name that is no text", {**SPEC, "name": {"a": 1}})


def sizes() -> Iterator[Case]:
    def changed(part: str, **settings: Any) -> dict[str, Any]:
        return {**SPEC, part: [{**SPEC[part][0], **settings}]}

    yield submitted("units", changed("networks", units=10**18))
    yield submitted("units, a billion", changed("networks", units=10**9))
    yield submitted("units below", changed("networks", units=-1))
    yield submitted("units as text", changed("networks", units="many"))
    yield submitted("units as fraction", changed("networks", units=1.5))
    yield submitted("population", changed("trainers", population=2**62))
    yield submitted("examples", changed("tasks", train=10**15))
    yield submitted("examples below", changed("tasks", train=-5))
    yield submitted("length", changed("tasks", length=10**17))
    yield submitted("rate", changed("trainers", kind="adam", learning_rate=-1))
    for name, value in {
        "seeds": 10**9,
        "seeds ": -1,
        "seeds  ": [-1],
        "seeds   ": [2**63 - 1, 2**63 - 1],
        "seeds    ": "five",
        "seeds     ": [1.5],
        "budget": 10**19 // 2,
        "budget ": {"steps": 0},
        "budget  ": {"steps": 1000, "marks": 10**9},
        "budget   ": {"steps": 1000, "targets": ["x"]},
        "budget    ": {"steps": 1000, "seconds": -1},
        "resources": {"cpus": 0},
        "resources ": {"gpus": -1},
        "resources  ": {"backend": "evil"},
        "resources   ": {"runtime_env": {"pip": ["evil"]}},
        "start_from": {"run": 10**9},
        "start_from ": {"run": 0},
        "loss": "os.system",
        "loss ": "x" * 10_000,
        "tasks": {},
        "networks": "elman",
        "entrypoint": "id",
    }.items():
        yield submitted(f"{name} {json.dumps(value)[:30]}", {**SPEC, name.strip(): value}, (*BAD, 404))


# ---- HTTP itself ---------------------------------------------------------------------------------------------------


def lengths() -> Iterator[Case]:
    yield submitted("a body over the limit", b" " * (LIMIT + 1), (413,))
    head = b"POST /api/v1/jobs HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: "
    head += b"application/json\r\n"
    chunk = b"10000\r\n" + b" " * 2**16 + b"\r\n"
    chunked = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    yield Case("chunks over the limit", head + chunked + chunk * 17 + b"0\r\n\r\n", (413,))
    yield Case("chunks of nonsense", head + chunked + b"zz\r\nabc\r\n0\r\n\r\n", (0, *BAD))
    yield Case("a chunk of negative size", head + chunked + b"-5\r\nabc\r\n0\r\n\r\n", (0, *BAD))
    yield Case("chunked and a length", head + b"Content-Length: 4\r\n" + chunked + b"0\r\n\r\n", (0, *BAD))
    for told in ("-1", "x", "1e3", "99999999999999999999", "0x10", "1, 2"):
        raw = head + f"Content-Length: {told}\r\nConnection: close\r\n\r\n{{}}".encode()
        yield Case(f"content length {told}", raw, (0, 400, 413, 422))
    yield Case(
        "two lengths", head + b"Content-Length: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{}", (0, *BAD)
    )
    large = head + b"Content-Length: 99999999\r\nConnection: close\r\n\r\n"
    yield Case("a length over the limit, without the body", large, (413,))


AUTHORIZATIONS = (
    "Basic YWRtaW46YWRtaW4=", "Bearer", "Bearer ", "Bearer  x", "Bearer " + "x" * 5000, "bearer null", "Bearer é" * 9,
    "Bearer undefined", "Bearer ' OR 1=1 --' OR 1=1 --", "{TOKEN}", "Token {TOKEN}",
)  # fmt: skip


def heads() -> Iterator[Case]:
    path = "/api/v1/jobs"
    for host in (
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example#@localhost",
        "",
        "[::1",
        "localhost:80:80",
    ):
        yield request(f"host {host!r}", "GET", path, (400, 421), headers=(f"Host: {host}",), host=False)
    yield request("two hosts", "GET", path, (0, 400), headers=("Host: localhost",))
    yield request("no host", "GET", path, (0, 400, 421), host=False)
    yield request("another host in the line", "GET", "http://evil.example/api/v1/jobs", NOWHERE)
    for value in AUTHORIZATIONS:
        yield request(
            f"authorization {value[:30]}", "GET", path, (0, 400, 401), headers=(f"Authorization: {value}",), token=False
        )
    yield request("token in the address", "GET", f"{path}?token={{TOKEN}}", (401,), token=False)
    yield request("token in a cookie", "GET", path, (401,), headers=("Cookie: token={TOKEN}",), token=False)
    yield request(
        "forwarded", "GET", path, (401,), headers=("X-Forwarded-For: 127.0.0.1", "X-Real-IP: ::1"), token=False
    )
    yield request(
        "another method by header", "GET", f"{path}/1", (200, 404), headers=("X-HTTP-Method-Override: DELETE",)
    )
    yield request(
        "another path by header", "GET", "/healthz", (200,), headers=("X-Original-URL: /api/v1/tokens",), token=False
    )
    for key in ("x" * 201, "é", "\x7f"):
        yield submitted(f"key {key[:10]!r}", SPEC, (0, *BAD), headers=(f"Idempotency-Key: {key}",))
    for last in ("-1", "x", "9" * 30, "1;DROP", "١"):
        yield request(
            f"last event {last[:10]}",
            "GET",
            f"{path}/99999/events",
            (0, 400, 404),
            headers=(f"Last-Event-ID: {last}", "Accept: text/event-stream"),
        )
    yield request("a fold", "GET", path, (0, 200, 400), headers=("X-A: b", " c"))
    yield request("a header of 2 MB", "GET", path, (0, 400, 431), headers=("X-A: " + "b" * 2_000_000,))
    yield request("many headers", "GET", path, (0, 400, 431), headers=tuple(f"X-{k}: {'b' * 100}" for k in range(2000)))
    yield request("a path of 100 kB", "GET", "/" + "a" * 100_000, (0, 400, 404, 414, 431))
    yield request(
        "upgrade",
        "GET",
        path,
        (200, 400),
        headers=("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x"),
    )
    yield request("ranges", "GET", path, (200,), headers=("Range: bytes=0-1,2-3,4-5",))
    yield request("encodings", "GET", path, (200,), headers=("Accept-Encoding: gzip;q=1e400, *, , br",))
    for method in ("PUT", "PATCH", "TRACE", "CONNECT", "PROPFIND", "OPTIONS", "get", "G\tET"):
        yield request(f"method {method!r}", method, path, (0, 400, 401, 404, 405))
    yield Case("HTTP/0.9", b"GET /\r\n\r\n", (0, 400))
    yield Case("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (0, 400, 404, 421))
    yield Case("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (0, 400))
    yield Case("line feed in the path", b"GET /a\nb HTTP/1.1\r\nHost: {HOST}\r\n\r\n", (0, 400))


NUMBERS = ("0", "-1", "9223372036854775808", "1e3", "1.5", "0x1", "%20", "%00", "%EF%BC%91", "NaN", "1;DROP", "true",
           "1%0d%0aX:y", "9" * 400)  # fmt: skip
PAGES = ("limit=0", "limit=-1", "limit=1001", "limit=x", "limit=1e3", "cursor=-1", "cursor=x",
         "cursor=9223372036854775808")  # fmt: skip


def numbers() -> Iterator[Case]:
    for number in NUMBERS:
        yield request(f"job {number[:20]}", "GET", f"/api/v1/jobs/{number}", NOWHERE)
        yield request(f"cancel {number[:20]}", "POST", f"/api/v1/runs/{number}/cancel", NOWHERE, b"")
    for query in PAGES:
        yield request(f"list {query}", "GET", f"/api/v1/jobs?{query}", BAD)


# ---- the dashboard -------------------------------------------------------------------------------------------------

TICK = {"id": "cluster-tick", "property": "n_intervals", "value": 1}
CALL = {"output": "cluster-now.children", "outputs": {"id": "cluster-now", "property": "children"}, "inputs": [TICK],
        "changedPropIds": ["cluster-tick.n_intervals"]}  # fmt: skip
CALLS: dict[str, Any] = {
    "nothing": None, "a list": [], "an empty object": {}, "a text": "x",
    "no output": {**CALL, "output": None}, "another output": {**CALL, "output": "os.system"},
    "an output as object": {**CALL, "output": {"$ref": "#"}},
    "no inputs": {**CALL, "inputs": None}, "inputs without names": {**CALL, "inputs": [{}]},
    "another input": {**CALL, "inputs": [{**TICK, "id": "__class__"}]},
    "inputs twice": {**CALL, "inputs": [TICK, TICK]},
    "a state too many": {**CALL, "state": [TICK]}, "changes that are none": {**CALL, "changedPropIds": [{}]},
}  # fmt: skip


def dashboard() -> Iterator[Case]:
    path, origin, cookie = "/ui/_dash-update-component", "Origin: http://{HOST}", "Cookie: evornn={COOKIE}"
    bodies = {name: json.dumps(call).encode() for name, call in CALLS.items()}
    bodies |= {"no JSON": b"{", "bytes": b"\xff\xfe\0", "very deep": b"[" * 100_000, "many digits": b"1" * 10_000}
    for name, body in bodies.items():
        yield request(f"callback {name}", "POST", path, (400,), body, headers=(origin, cookie))
    good = json.dumps(CALL).encode()
    yield request("callback of a page", "POST", path, (200,), good, headers=(origin, cookie))
    yield request("callback as text", "POST", path, (400,), good, "text/plain", headers=(origin, cookie))
    yield request(
        "callback from elsewhere", "POST", path, (403,), good, headers=("Origin: http://evil.example", cookie)
    )
    yield request("callback without a session", "POST", path, (401,), good, headers=(origin,))
    yield request(
        "callback with a cookie of one's own", "POST", path, (401,), good, headers=(origin, "Cookie: evornn=x")
    )
    for file in ("evil/x.js", "os/path.py", "dash/%2e%2e/%2e%2e/version.py", "dash/..%2fversion.py"):
        yield request(f"file of a page {file}", "GET", f"/ui/_dash-component-suites/{file}", NOWHERE)
