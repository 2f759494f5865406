"""`limin run` on a raw server: what is sent, what is written, how it ends."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from loopback import completion, echo, http
from programs import bodies, lines_of, serving

from limin.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback import Loopback, Request

USAGE = {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}


async def respond(request: Request) -> bytes:
    """Refuse prompts that begin with `bad`, and answer others by their own text."""
    if request.prompt.startswith("bad"):
        return http(b'{"error": {"message": "no such thing"}}', "400 Bad Request")
    return http(completion(request.prompt, model="served", usage=USAGE))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Loopback]:
    """Run a server that the environment names, and work in a folder of the test."""
    monkeypatch.chdir(tmp_path)
    with serving(respond) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        yield server


def test_lines_are_answered(
    server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line that is not blank is a prompt; the output has its answer."""
    (tmp_path / "in.txt").write_text("one\n\ntwo\n")
    assert main(["run", "in.txt", "-o", "out.jsonl", "-m", "m", "-s", "Be short."]) == 0
    one, two = lines_of(tmp_path / "out.jsonl")
    assert (one["prompt"], one["answer"], one["limin"]["line"]) == ("one", "one", 1)
    assert (two["answer"], two["served_model"], two["limin"]["line"]) == (
        "two",
        "served",
        3,
    )
    assert two["usage"]["total_tokens"] == 10
    assert bodies(server)[0]["messages"][0] == {"role": "system", "content": "Be short."}
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("limin: 2 done in ")
    assert "14 tokens (" in shown.err


def test_options_are_sent(server: Loopback, tmp_path: Path) -> None:
    """What a request holds is what the arguments say."""
    (tmp_path / "in.txt").write_text("one\n")
    arguments = ["--temperature", "0", "--max-tokens", "9", "--seed", "4"]
    arguments += ["--extra-body", '{"top_k": 3}', "--log-probs", "2", "-m", "m"]
    arguments += ["--rpm", "60000", "--tpm", "1e6", "--timeout", "9", "--max-retries", "0"]
    assert main(["run", "in.txt", "-n", "auto", *arguments]) == 0
    assert bodies(server) == [
        {
            "model": "m",
            "temperature": 0.0,
            "max_tokens": 9,
            "seed": 4,
            "logprobs": True,
            "top_logprobs": 2,
            "top_k": 3,
            "messages": [{"role": "user", "content": "one"}],
        }
    ]


@pytest.mark.parametrize(
    ("given", "variable", "model"),
    [([], "", "gpt-4o"), ([], " named", "named"), (["-m", "given"], "named", "given")],
)
def test_model(
    server: Loopback,
    monkeypatch: pytest.MonkeyPatch,
    *,
    given: list[str],
    variable: str,
    model: str,
) -> None:
    """The argument wins over the variable; `none` leaves the temperature out."""
    Path("in.txt").write_text("one\n")
    monkeypatch.setenv("LIMIN_MODEL", variable)
    assert main(["run", "in.txt", "--temperature", "none", *given]) == 0
    (body,) = bodies(server)
    assert body["model"] == model
    assert "temperature" not in body


def test_table_with_commas_and_newlines(server: Loopback, tmp_path: Path) -> None:
    """Fields of CSV may hold commas, quotes and newlines; all are kept."""
    texts = ['a, "b"', "two\nlines", "plain"]
    with (tmp_path / "in.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows(enumerate(texts))
    arguments = ["--template", "Say: {text}", "-o", "out.jsonl"]
    assert main(["run", "in.csv", *arguments]) == 0
    lines = lines_of(tmp_path / "out.jsonl")
    assert [line["text"] for line in lines] == texts
    assert [line["answer"] for line in lines] == [f"Say: {text}" for text in texts]
    assert [line["limin"]["line"] for line in lines] == [2, 3, 5]
    assert {request.prompt for request in server.requests} == {
        f"Say: {text}" for text in texts
    }


@pytest.mark.usefixtures("server")
def test_parquet(tmp_path: Path) -> None:
    """Rows of parquet are lines; their numbers stay numbers."""
    table = pl.DataFrame({"id": [7, 8], "prompt": ["a", "b"]})
    table.write_parquet(tmp_path / "in.parquet")
    assert main(["run", "in.parquet", "-o", "out.jsonl"]) == 0
    lines = lines_of(tmp_path / "out.jsonl")
    assert [(line["id"], line["answer"]) for line in lines] == [(7, "a"), (8, "b")]


def test_parquet_with_a_template(server: Loopback, tmp_path: Path) -> None:
    """A template takes the columns of parquet, whatever the file is called."""
    table = pl.DataFrame({"n": [7, 8], "tags": [["a", "b"], []]})
    table.write_parquet(tmp_path / "in")
    arguments = ["--format", "parquet", "--template", "{n}: {tags}", "-o", "out.jsonl"]
    assert main(["run", "in", *arguments]) == 0
    lines = lines_of(tmp_path / "out.jsonl")
    assert [line["answer"] for line in lines] == ['7: ["a", "b"]', "8: []"]
    assert [(line["n"], line["tags"]) for line in lines] == [(7, ["a", "b"]), (8, [])]
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"n": [1, None]}, "line 2: expected a value in the column 'n', found null"),
        ({"m": [1]}, "line 1: expected a column 'n', as the template has it, found none"),
    ],
)
def test_parquet_that_the_template_does_not_fit(
    server: Loopback,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    table: dict[str, list[int | None]],
    problem: str,
) -> None:
    """A row that makes no prompt is told before anything is sent."""
    pl.DataFrame(table).write_parquet(tmp_path / "in.parquet")
    assert main(["run", "in.parquet", "--template", "{n}"]) == 2
    assert capsys.readouterr().err == f"limin: {problem}\n"
    assert server.requests == []


def batch_line(custom_id: str, prompt: str, **fields: object) -> str:
    """Return a line of OpenAI's Batch API."""
    messages = [{"role": "user", "content": prompt}]
    line = {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": messages, **fields},
    }
    return json.dumps(line) + "\n"


def test_lines_of_openai(server: Loopback, tmp_path: Path) -> None:
    """Lines of the Batch API are sent as they are, and answered in its output's shape."""
    text = batch_line("a", "hi", temperature=0.5) + batch_line("b", "bad", n=1)
    (tmp_path / "in.jsonl").write_text(text)
    assert main(["run", "in.jsonl", "-o", "out.jsonl"]) == 1
    good, bad = lines_of(tmp_path / "out.jsonl")
    assert set(good) == {"id", "custom_id", "response", "error", "limin"}
    assert good["custom_id"] == "a"
    assert good["error"] is None
    assert good["response"]["status_code"] == 200
    assert good["response"]["body"] == json.loads(
        completion("hi", model="served", usage=USAGE)
    )
    assert bad["response"]["status_code"] == 400
    assert bad["response"]["body"] == {"error": {"message": "no such thing"}}
    sent = sorted(bodies(server), key=lambda body: "n" in body)
    assert sent == [json.loads(line)["body"] for line in text.splitlines()]


def test_refused_line_of_openai_holds_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that echoes the key does not bring it into the output, which is shared."""
    key = "sk-live-0123456789abcdefghij"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    (tmp_path / "in.jsonl").write_text(batch_line("a", "hi"))

    async def echo(_request: Request) -> bytes:
        body = {"error": {"message": f'bad key "{key}"', "code": 7, "param": None}}
        return http(json.dumps(body).encode(), "400 Bad Request")

    with serving(echo) as server:
        arguments = ["-o", "out.jsonl", "--base-url", server.base_url]
        assert main(["run", "in.jsonl", *arguments]) == 1
    assert key not in (tmp_path / "out.jsonl").read_text()
    (line,) = lines_of(tmp_path / "out.jsonl")
    assert line["response"]["status_code"] == 400
    assert line["response"]["body"] == {
        "error": {"message": 'bad key "***"', "code": 7, "param": None}
    }


def test_unanswered_line_of_openai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What never got an answer is an error, and no response."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text(batch_line("a", "hi"))

    async def hang_up(_request: Request) -> None:
        """Close the connection."""

    with serving(hang_up) as server:
        arguments = ["--base-url", server.base_url, "--max-retries", "0"]
        assert main(["run", "in.jsonl", "-o", "out.jsonl", *arguments]) == 1
    (line,) = lines_of(tmp_path / "out.jsonl")
    assert line["response"] is None
    assert line["error"]["code"] == "ProtocolError"


@pytest.mark.parametrize(
    "given",
    [["-s", "x"], ["--temperature", "0"], ["--log-probs", "1"], ["--template", "x"]],
)
def test_line_of_openai_has_its_own_parameters(
    server: Loopback, tmp_path: Path, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Arguments that would change each request are refused."""
    (tmp_path / "in.jsonl").write_text(batch_line("a", "hi"))
    assert main(["run", "in.jsonl", *given]) == 2
    assert "which have their own parameters" in capsys.readouterr().err
    assert server.requests == []


def test_model_of_lines_of_openai(server: Loopback, tmp_path: Path) -> None:
    """A file for one endpoint can be answered by a model of another."""
    (tmp_path / "in.jsonl").write_text(batch_line("a", "hi"))
    assert main(["run", "in.jsonl", "-m", "other"]) == 0
    assert bodies(server)[0]["model"] == "other"


def test_wrong_lines_are_told_before_anything_is_sent(
    server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All wrong lines are told at once, with their numbers; no output is made."""
    (tmp_path / "in.jsonl").write_text('{"prompt":"a"}\nx\n{"prompt":1}\nx\n')
    assert main(["run", "in.jsonl", "-o", "out.jsonl"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "limin: lines 2, 4: expected a JSON object, found none",
        "limin: line 3: expected a text in prompt, found another value",
    ]
    assert server.requests == []
    assert not (tmp_path / "out.jsonl").exists()


def test_equal_ids_are_refused(
    server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two lines with one id are refused before anything is sent."""
    (tmp_path / "in.jsonl").write_text(batch_line("a", "hi") + batch_line("a", "ho"))
    assert main(["run", "in.jsonl"]) == 2
    assert "line 2: expected a custom_id of its own" in capsys.readouterr().err
    assert server.requests == []


def test_overwritten_field(
    server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An output can be the input of the next run, with another prefix."""
    (tmp_path / "in.jsonl").write_text('{"prompt":"a"}\n')
    assert main(["run", "in.jsonl", "-o", "one.jsonl"]) == 0
    assert main(["run", "one.jsonl", "-o", "two.jsonl"]) == 2
    assert "--prefix out_ renames its fields" in capsys.readouterr().err
    again = ["run", "one.jsonl", "-o", "two.jsonl", "--prefix", "out_", "--resume"]
    assert main(again) == 0
    assert main(again) == 0
    (line,) = lines_of(tmp_path / "two.jsonl")
    assert (line["answer"], line["out_answer"], line["out_limin"]["line"]) == ("a", "a", 1)
    assert len(server.requests) == 2


def test_prefix_is_a_name(tmp_path: Path) -> None:
    """A prefix that would break the JSON is refused."""
    (tmp_path / "in.txt").write_text("a\n")
    assert main(["run", str(tmp_path / "in.txt"), "--prefix", '"']) == 2


def test_resumed_run_asks_the_rest(
    server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What has an answer is not sent again; failures are, and the newer line counts."""
    (tmp_path / "in.txt").write_text("one\nbad\ntwo\n")
    command = ["run", "in.txt", "-o", "out.jsonl"]
    assert main([*command, "--resume"]) == 1
    assert main(command) == 2
    assert "out.jsonl exists; --resume goes on with it" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 1
    assert [request.prompt for request in server.requests[3:]] == ["bad"]
    assert "limin: 2 of 3 lines have an answer already" in capsys.readouterr().err
    (tmp_path / "in.txt").write_text("one\ngood\ntwo\n")
    assert main([*command, "--resume"]) == 0
    assert main([*command, "--resume"]) == 0
    assert [request.prompt for request in server.requests[4:]] == ["good"]


@pytest.fixture
def served_models(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[list[str | None]]:
    """Run a server that calls its model by the last name in the list."""
    names: list[str | None] = ["first"]

    async def respond(request: Request) -> bytes:
        fields = {} if names[-1] is None else {"model": names[-1]}
        return http(completion(request.prompt, **fields))

    monkeypatch.chdir(tmp_path)
    with serving(respond) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        yield names


def warnings_after(path: Path, text: str, *arguments: str) -> list[list[str]]:
    """Answer *text*, or go on with it; return the warnings of all lines of the output."""
    (path / "in.txt").write_text(text)
    command = ["run", "in.txt", "-o", "out.jsonl", "-n", "1", "--resume"]
    assert main([*command, *arguments]) == 0
    lines = (path / "out.jsonl").read_bytes().splitlines()
    return [json.loads(line).get("warnings", []) for line in lines]


CHANGED = ["served-model-changed"]


@pytest.mark.parametrize("text", ["one\ntwo\nthree\n", "three\none\ntwo\n"])
def test_resumed_run_that_meets_another_model(
    served_models: list[str | None], tmp_path: Path, text: str
) -> None:
    """Its answers have a warning, also if all lines have other numbers by now."""
    assert warnings_after(tmp_path, "one\ntwo\n") == [[], []]
    served_models.append("second")
    assert warnings_after(tmp_path, text) == [[], [], CHANGED]
    served_models.append("first")
    assert warnings_after(tmp_path, text + "four\n") == [[], [], CHANGED, []]


def test_resumed_run_that_asks_another_model(
    served_models: list[str | None], tmp_path: Path
) -> None:
    """Answers of the model that was asked before say nothing about the new one."""
    assert warnings_after(tmp_path, "one\n", "-m", "a") == [[]]
    served_models.append("second")
    assert warnings_after(tmp_path, "one\n", "-m", "b") == [[], []]
    assert warnings_after(tmp_path, "one\ntwo\n", "-m", "b") == [[], [], []]
    served_models.append("first")
    assert warnings_after(tmp_path, "one\ntwo\nsix\n", "-m", "b")[3:] == [CHANGED]


def test_resumed_run_of_a_model_without_a_name(
    served_models: list[str | None], tmp_path: Path
) -> None:
    """Where the first answer does not tell its model, the next one may have any."""
    served_models.append(None)
    assert warnings_after(tmp_path, "one\n") == [[]]
    served_models.append("second")
    assert warnings_after(tmp_path, "one\ntwo\n") == [[], []]


def test_resumed_run_of_lines_of_openai(
    served_models: list[str | None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each model of the lines has a name of its own, and a change is counted."""
    command = ["run", "in.jsonl", "-o", "out.jsonl", "-n", "1", "--resume"]
    small, large = batch_line("a", "hi"), batch_line("b", "hi", model="large")
    (tmp_path / "in.jsonl").write_text(small)
    assert main(command) == 0
    served_models.append("second")
    (tmp_path / "in.jsonl").write_text(small + large)
    assert main(command) == 0
    assert "served-model-changed" not in capsys.readouterr().err
    (tmp_path / "in.jsonl").write_text(small + large + batch_line("c", "hi"))
    assert main(command) == 0
    assert "served-model-changed" in capsys.readouterr().err


def test_damaged_line_of_the_output(
    server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged line is told as one of a checkpoint is; nothing is sent or changed."""
    (tmp_path / "in.txt").write_text("one\ntwo\n")
    command = ["run", "in.txt", "-o", "out.jsonl", "--resume"]
    assert main(command) == 0
    damaged = (
        (tmp_path / "out.jsonl").read_bytes().replace(b'"answer":"', b'"answer":"x', 1)
    )
    (tmp_path / "out.jsonl").write_bytes(damaged)
    capsys.readouterr()
    assert main(command) == 2
    assert capsys.readouterr().err == (
        "limin: checkpoint out.jsonl: line 1: expected a line as it was written, found a "
        "damaged one\n"
    )
    assert (tmp_path / "out.jsonl").read_bytes() == damaged
    assert len(server.requests) == 2


def test_output_is_not_the_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run never writes into its own input."""
    path = tmp_path / "in.txt"
    path.write_text("a\n")
    assert main(["run", str(path), "-o", str(path), "--resume"]) == 2
    assert "expected an output that is not the input" in capsys.readouterr().err
    assert path.read_text() == "a\n"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("count", [1, 3])
def test_parts_cover_each_line_once(tmp_path: Path, count: int) -> None:
    """Parts 1/n to n/n together answer each line once, and can be concatenated."""
    prompts = [str(n) for n in range(10)]
    (tmp_path / "in.txt").write_text("".join(f"{prompt}\n" for prompt in prompts))
    for index in range(1, count + 1):
        arguments = ["-o", f"out-{index}.jsonl", "--shard", f"{index}/{count}"]
        assert main(["run", "in.txt", *arguments]) == 0
    parts = [tmp_path / f"out-{index}.jsonl" for index in range(1, count + 1)]
    (tmp_path / "all.jsonl").write_bytes(b"".join(part.read_bytes() for part in parts))
    assert [line["prompt"] for line in lines_of(tmp_path / "all.jsonl")] == prompts
    assert main(["run", "in.txt", "-o", "all.jsonl", "--resume"]) == 0


def test_stop_at_the_first_failure(
    server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --on-error stop nothing is sent after a failure, which is kept."""
    (tmp_path / "in.txt").write_text("one\nbad\ntwo\n")
    arguments = ["-o", "out.jsonl", "-n", "1", "--on-error", "stop"]
    assert main(["run", "in.txt", *arguments]) == 3
    assert [request.prompt for request in server.requests] == ["one", "bad"]
    assert len(lines_of(tmp_path / "out.jsonl")) == 2
    assert capsys.readouterr().err.endswith(
        "limin: stopped early: a line has no answer; all answers are in out.jsonl; "
        "the same command with --resume goes on\n"
    )


def test_budget_of_tokens(
    server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is sent once the answers have used the tokens; --resume goes on."""
    (tmp_path / "in.txt").write_text("1\n2\n3\n4\n")
    command = ["run", "in.txt", "-o", "out.jsonl", "-n", "1", "--max-total-tokens", "20"]
    assert main(command) == 3
    assert len(server.requests) == 2
    assert "20 tokens" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert [line["answer"] for line in lines_of(tmp_path / "out.jsonl")] == list("1234")


@pytest.mark.parametrize("output", [[], ["-o", "out.jsonl"]])
def test_wrong_key_stops_the_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    output: list[str],
) -> None:
    """A wrong key ends the run with its own status, and the reason is harmless."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("one\n" * 50)

    async def refuse(_request: Request) -> bytes:
        body = json.dumps({"error": {"message": "wrong key \x1b[31m"}}).encode()
        return http(body, "401 Unauthorized")

    with serving(refuse) as server:
        arguments = ["--base-url", server.base_url, "-n", "2", *output]
        assert main(["run", "in.txt", *arguments]) == 3
        assert len(server.requests) == 2
    shown = capsys.readouterr().err
    assert "stopped early: the server answered 401: wrong key ␛[31m" in shown
    assert "\x1b" not in shown
    assert ("the same command with --resume" in shown) == bool(output)


def test_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are JSON of the schema; one that is none is a failure, and kept."""
    monkeypatch.chdir(tmp_path)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    (tmp_path / "in.txt").write_text('{"n": 3}\nthree\n')
    with serving(echo) as server:
        arguments = ["--base-url", server.base_url, "--format", "lines", "-o", "out.jsonl"]
        assert main(["run", "in.txt", "--schema", "schema.json", *arguments]) == 1
    three, text = lines_of(tmp_path / "out.jsonl")
    assert three["value"] == {"n": 3}
    assert text["error"]["type"] == "StructuredOutputError"
    assert text["answer"] == "three"
    assert (
        bodies(server)[0]["response_format"]["json_schema"]["schema"]["properties"]
        == {"n": {"type": "integer"}}
        or bodies(server)[0]["response_format"]
    )


@pytest.mark.parametrize("text", ["[]", "{", None])
def test_wrong_schema(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    """A file without a schema is refused by its name."""
    path = tmp_path / "schema.json"
    if text is not None:
        path.write_text(text)
    (tmp_path / "in.txt").write_text("a\n")
    assert main(["run", str(tmp_path / "in.txt"), "--schema", str(path)]) == 2
    assert "expected a file with a JSON object, found none" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "x", "-1", "1.5"])
@pytest.mark.parametrize("name", ["-n", "--max-total-tokens="])
def test_wrong_number(name: str, value: str) -> None:
    """Numbers are at least 1."""
    with pytest.raises(SystemExit) as ended:
        main(["run", "in", name + value])
    assert ended.value.code == 2


@pytest.mark.parametrize("value", ["[]", "{", "3"])
def test_wrong_extra_body(value: str) -> None:
    """More fields are an object."""
    with pytest.raises(SystemExit) as ended:
        main(["run", "in", "--extra-body", value])
    assert ended.value.code == 2


def test_dry_run(
    server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run shows the counts and the first request, and sends nothing."""
    (tmp_path / "in.txt").write_text("one\n\x1b[31m two\nthree\n")
    command = ["run", "in.txt", "-o", "out.jsonl", "-m", "m", "--dry-run"]
    assert main([*command, "--shard", "2/2"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("1 lines (lines) in part 2/2, 0 answered, 1 to ask\n\nline 2: ")
    assert f"POST {server.base_url}/chat/completions\n{{\n" in shown
    assert '"content": "\\u001b[31m two"' in shown
    assert not (tmp_path / "out.jsonl").exists()
    assert main(command[:-1]) == 0
    assert main([*command, "--resume"]) == 0
    assert capsys.readouterr().out == "3 lines (lines), 3 answered, 0 to ask\n"
    assert len(server.requests) == 3


def test_dry_run_needs_no_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever has no key yet can see what would be sent."""
    (tmp_path / "in.txt").write_text("one\n")
    assert main(["run", str(tmp_path / "in.txt"), "--dry-run"]) == 0
    assert "POST https://api.openai.com/v1/chat/completions" in capsys.readouterr().out
    output = tmp_path / "out.jsonl"
    assert main(["run", str(tmp_path / "in.txt"), "-o", str(output)]) == 2
    assert "set OPENAI_API_KEY" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.usefixtures("server")
def test_full_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full stops the run; what was written stays."""
    (tmp_path / "in.txt").write_text("one\ntwo\n")

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("limin.checkpoint.open_file.OpenFile.add", refuse)
    assert main(["run", "in.txt", "-o", "out.jsonl"]) == 3
    shown = capsys.readouterr().err
    assert "stopped early: checkpoint out.jsonl: No space left on device; all" in shown


def test_input_that_changes_during_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is none any more stops the run, and is never sent."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in.jsonl"
    long = "a" * 300_000  # Longer than what is read at once.
    path.write_text(f'{{"prompt":"{long}"}}\n' * 3)

    async def change(request: Request) -> bytes:
        path.write_text('{"prompt":3}\n' * 99_999)
        return http(completion("an answer to " + request.prompt[:1]))

    with serving(change) as server:
        arguments = ["-n", "1", "--base-url", server.base_url, "-o", "out.jsonl"]
        assert main(["run", "in.jsonl", *arguments]) == 3
    assert "stopped early: the input has changed; all" in capsys.readouterr().err


@pytest.mark.usefixtures("server")
def test_device(tmp_path: Path) -> None:
    """A device takes answers, and exists already."""
    (tmp_path / "in.txt").write_text("one\n")
    assert main(["run", "in.txt", "-o", "/dev/null"]) == 0


def test_nothing_to_ask(
    server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty input is answered."""
    (tmp_path / "in.txt").write_text("\n")
    assert main(["run", "in.txt"]) == 0
    assert server.requests == []
    assert capsys.readouterr() == ("", "")
