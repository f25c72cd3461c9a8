"""A lexer for PostgreSQL queries: is it a SELECT, which functions does it call, does it name the server's catalog?

PostgreSQL lets every role call most functions and read most of its catalog, so both are checked before it sees the
query. A query that slips through still runs as a role that can only read (reader.py).
"""

from __future__ import annotations

import re
from itertools import pairwise

NAMES = (
    "abs acos acosh array_agg array_length array_to_string asin asinh atan atan2 atanh avg bool_and bool_or cbrt ceil "
    "ceiling char_length chr coalesce concat concat_ws corr cos cosh count covar_pop covar_samp cume_dist date "
    "date_bin date_part date_trunc degrees dense_rank div every exp extract first_value float4 float8 floor format "
    "generate_series greatest initcap int2 int4 int8 interval json_agg json_array_elements json_array_elements_text "
    "json_array_length json_build_array json_build_object json_each json_each_text json_extract_path "
    "json_extract_path_text json_object_agg json_object_keys json_typeof jsonb_agg jsonb_array_elements "
    "jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text "
    "jsonb_extract_path jsonb_extract_path_text jsonb_object_agg jsonb_object_keys jsonb_typeof lag last_value lead "
    "least left length ln log log10 lower lpad ltrim make_interval max min mod mode now nth_value ntile nullif "
    "numeric overlay percent_rank percentile_cont percentile_disc pi position power radians rank regexp_match "
    "regexp_replace regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope replace reverse right round "
    "row_number rpad rtrim sign sin sinh split_part sqrt stddev stddev_pop stddev_samp string_agg string_to_array "
    "strpos substr substring sum tan tanh text time timestamp timestamptz to_char to_date to_json to_jsonb to_number "
    "to_timestamp translate trim trunc unnest upper var_pop var_samp varchar variance width_bucket"
)
FUNCTIONS = frozenset(NAMES.split())
MAX_SQL = 100_000  # characters, as for SQLite
READS = ("select", "with", "values", "table")
# As in PostgreSQL's scan.l: what is not ASCII is a letter, never a space or a digit; a comment also ends with \r; and a
# text that a line break divides keeps the escapes of its first part.
LETTER = r"[A-Za-z_\x80-\U0010ffff]"
WORD = rf"{LETTER}[\w$\x80-\U0010ffff]*"
SPACE = r"[ \t\n\r\f\v]"
LINE_COMMENT = r"--[^\n\r]*"
BREAK = rf"(?:[ \t\f\v]|{LINE_COMMENT})*+[\n\r](?:{SPACE}|{LINE_COMMENT}[\n\r])*+"
TOKEN = re.compile(
    rf"""(?P<space>{SPACE}+|{LINE_COMMENT})
      | (?P<comment>/\*)
      | (?P<odd>[uU]&['"])
      | (?P<text>[eE]'(?:[^'\\]|\\.|''|'{BREAK}')*+('|\Z)|'(?:[^']|'')*+('|\Z))
      | \$(?P<tag>{LETTER}[\w\x80-\U0010ffff]*|)\$.*?(\$(?P=tag)\$|\Z)
      | "(?P<quoted>(?:[^"]|"")*+)("|\Z)
      | (?P<word>{WORD})
      | (?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)


def rejection_reason(sql: str) -> str | None:
    """Why a query is refused; None if PostgreSQL may see it."""
    if len(sql) > MAX_SQL:
        return f"the query is too large: at most {MAX_SQL} characters"
    lexemes = tokenize(sql)
    words = [token for token in lexemes if token not in "(;"]
    if not words:
        return "empty query: write one SELECT"
    if words[0] not in READS:
        return "only SELECT is allowed here: nothing that writes, attaches, or changes settings"
    if "u&" in lexemes:
        return "U&'' and U&\"\" are not allowed in queries: write the characters themselves"
    return None


def function_names(sql: str) -> list[str]:
    """Names before an opening bracket, or after a closing one and a dot: functions, but also types and aliases.

    >>> function_names("SELECT max(best), (x).f FROM t AS a (x)")
    ['a', 'f', 'max']
    """
    lexemes = tokenize(sql)
    before = {name for name, bracket in pairwise(lexemes) if bracket == "(" and re.match(LETTER, name)}
    behind = {
        name for bracket, dot, name in zip(lexemes, lexemes[1:], lexemes[2:], strict=False) if bracket + dot == ")."
    }
    return sorted(before | behind)


def system_name(sql: str) -> str | None:
    """The first name of the server's own catalog: these begin with pg_, which no other name may."""
    named = (token for token in tokenize(sql) if token.startswith("pg_") or token == "information_schema")
    return next(named, None)


def tokenize(sql: str) -> list[str]:
    """Words (in lower case, as PostgreSQL reads them), quoted names and single characters, without white space,
    comments and string literals.

    >>> tokenize("SELECT 'text', \\"Name\\" FROM t -- comment")
    ['select', ',', 'Name', 'from', 't']
    """
    lexemes, at = [], 0
    while at < len(sql):
        match = TOKEN.match(sql, at)
        assert match is not None  # `other` takes any character
        at = match.end()
        if match["comment"]:
            at = _end_of_comment(sql, at)
        elif match["odd"]:
            lexemes.append("u&")
        elif match["quoted"] is not None:
            lexemes.append(match["quoted"].replace('""', '"'))
        elif match["word"] or match["other"]:
            lexemes.append((match["word"] or match["other"]).lower())
    return lexemes


def _end_of_comment(sql: str, at: int) -> int:
    """Position after the comment that was opened before `at`; comments nest."""
    depth = 1
    while depth and (edge := re.compile(r"/\*|\*/").search(sql, at)):
        depth, at = depth + (1 if edge[0] == "/*" else -1), edge.end()
    return len(sql) if depth else at
