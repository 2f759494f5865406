import json
import math
import re
from base64 import b64encode
from html import escape
from html.parser import HTMLParser
from typing import Any

import attrs
import pytest
from builders import TIMING
from hypothesis import example, given
from hypothesis import strategies as st
from samples import decision, json_answer, parts, png, score, tool_run

from limin.errors import ConfigurationError
from limin.rendering import html
from limin.schemas.json_schema import JsonSchema
from limin.values.choice import Choice
from limin.values.completion import TextCompletion
from limin.values.content import Image
from limin.values.conversation import Conversation
from limin.values.decisions import Decision
from limin.values.log_probs import Entry, LogProbs, Position
from limin.values.messages import Message
from limin.values.timing import Attempt
from limin.values.tool_runs import ToolResult, ToolRun
from limin.values.tools import ToolCall
from limin.values.usage import Usage
from limin.values.warnings import ResponseWarning, WarningCode

# All kinds of text that a model may write: markup, quotes, controls, half characters.
TEXT = st.text(
    st.one_of(
        st.sampled_from("<>&\"'`/=!-;#\n\r\t\0\x0c \u2028\u202e\ud83e\ufffe"),
        st.characters(),
    ),
    max_size=12,
)
PNG = png(4, 3, 40)
MARKUP = "</style></title>--><script>x</script><b a=\"'>&amp;"


class Structure(HTMLParser):
    """The tags, attributes and comments of a page, apart from its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.items: list[object] = []
        self.text = ""
        self.descriptions: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        assert len(named) == len(attrs)
        if "aria-description" in named:
            self.descriptions.append(named.pop("aria-description") or "")
            named["aria-description"] = "any"
        self.items.append((tag, sorted(named.items(), key=str)))

    def handle_endtag(self, tag: str) -> None:
        self.items.append(("end", tag))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.items.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.items.append(("declaration", decl))

    def handle_pi(self, data: str) -> None:
        self.items.append(("instruction", data))


def make_log_probs(*positions: Position) -> LogProbs:
    """Return log probabilities of *positions*."""
    return LogProbs(lambda: (positions, ()))


def make_completion(*choices: Choice, **fields: Any) -> TextCompletion:
    """Return a completion of *choices* to the prompt `hi`, by the model `m`."""
    settings = {"conversation": Conversation.from_prompts("hi"), "model": "m"} | fields
    return TextCompletion(choices=choices, timing=TIMING, **settings)


def read_descriptions(*positions: Position) -> list[str]:
    """Return the description of each piece of text, which is shown on hover."""
    return Structure(make_log_probs(*positions).to_html()).descriptions


def read_text(completion: TextCompletion) -> str:
    """Return the text of the fragment of *completion*, without its stylesheet."""
    _, _, body = completion._repr_html_().partition("</style>")
    return Structure(body).text


def fill_with(text: str) -> TextCompletion:
    """Return a completion with *text* in every field that a model or a server fills."""
    entry = Entry(text, -1.0)
    call = ToolCall(text, f"{text}.", f"[{text}.")
    long_call = ToolCall("", f"{text}.", f"[{text}{'x' * 200}")
    tokens = make_log_probs(
        Position(f"{text}y", -0.1, None, None, [entry]), Position(f"{text}x", None)
    )
    choice = Choice(
        message=f"{text}z{text}",  # The tokens never spell this.
        finish_reason=text,
        raw_finish_reason=f"{text}.",
        refusal=f"{text}.",
        reasoning=f"{text}.",
        log_probs=tokens,
        tool_calls=(call, long_call),
    )
    warning = ResponseWarning(WarningCode.BODY_MENDED, text, text)
    message = json.dumps({text: [text, ""], f"{text}.": f"{text}."}, ensure_ascii=False)
    json_choice = Choice(
        message=message,
        log_probs=make_log_probs(Position(message, -0.5, None, None, [entry])),
    )
    messages = [
        Message("system", f"{text}.", name=text),
        Message("user", [f"{text}.", {"type": text}, Image(PNG)], name=text),
        Message("assistant", None, tool_calls=(call, long_call)),
        Message("tool", f"{text}.", tool_call_id=text),
        Message("function", f"{text}.", name=text, extra={"refusal": f"{text}."}),
    ]
    return make_completion(
        choice,
        json_choice,
        conversation=Conversation(messages),
        model=text,
        served_model=f"{text}.",
        body_warnings=(warning,),
    )


def make_decision(text: str) -> Decision[str]:
    """Return a decision about labels with *text*, which has a warning."""
    low = {f"{text}.": 0.25, f".{text}.": 0.5}
    return Decision(
        low=low,
        high=low,
        unfinished=0.0,
        ambiguous=0.0,
        unlisted=0.25,
        other=0.0,
        warnings=(ResponseWarning(WarningCode.LABEL_MASS_LOW, text, text),),
    )


def make_run(completion: TextCompletion, text: str) -> ToolRun:
    """Return a run that ended in *completion*, with a failure of this name."""
    name = text.replace("\0", "").encode("utf-8", "replace").decode()
    error = type(f"{name}.", (Exception,), {})()
    messages = completion.conversation.messages
    call = completion.tool_calls[0]
    return ToolRun(
        conversation=completion.conversation,
        completions=(completion,),
        calls=(ToolResult(call=call, message=messages[-1], error=error),),
        ended_by="answer",
    )


@given(text=TEXT)
@example(text=MARKUP)
@example(text="\ud83e\n\x00")
def test_text_is_never_markup(text: str) -> None:
    """A page has limin's own elements and no others, whatever text its fields hold."""
    # Newlines stay, since each has a mark; the length stays, since empty text is left out.
    harmless = re.sub(r"[^\n]", "a", text)
    hostile = fill_with(text)
    pairs = (
        (hostile.to_html(), fill_with(harmless).to_html()),
        (hostile._repr_html_(), fill_with(harmless)._repr_html_()),
        (
            hostile.conversation.to_html(images=True),
            fill_with(harmless).conversation.to_html(images=True),
        ),
        (
            make_run(hostile, text)._repr_html_(),
            make_run(fill_with(harmless), harmless)._repr_html_(),
        ),
        (make_decision(text).to_html(), make_decision(harmless).to_html()),
    )
    for page, expected in pairs:
        assert Structure(page).items == Structure(expected).items
        assert page.encode()


def test_page_needs_and_runs_nothing() -> None:
    """A page holds no script, no style attribute, no address and no id."""
    page = fill_with("text").to_html() + make_decision("text").to_html()
    tags = [item for item in Structure(page).items if isinstance(item, tuple)]
    names = {name for _, attrs in tags if isinstance(attrs, list) for name, _ in attrs}
    assert names & {"style", "id", "href", "src", "srcset", "name"} <= {"name"}
    assert not any(name.startswith("on") for name in names)
    assert {"script", "link", "img", "iframe", "a"} & {tag for tag, _ in tags} == set()
    assert "url(" not in page
    assert "@import" not in page


def test_fragment_names_only_its_own() -> None:
    """The stylesheet of a fragment changes nothing else in a notebook."""
    style, _, _ = Conversation()._repr_html_().partition("</style>")
    style = re.sub(r"/\*.*?\*/", "", style.removeprefix("<style>"), flags=re.DOTALL)
    rules = re.findall(r"([^{};]+)\{", style)
    names = [rule.strip() for rule in rules]
    assert len(names) > 90
    for name in names:
        assert name.startswith("@") or all(".limin" in part for part in name.split(",")), (
            name
        )


def test_conversation() -> None:
    """Each message stands under its role and keeps its white space."""
    page = Conversation.from_prompts("  two\n\tlines ", "Be brief.").to_html()
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert '<section class="limin-message limin-user" aria-label="user message">' in page
    assert ">System</p>" in page
    assert ">  two\n\tlines </div>" in page
    assert "pre-wrap" in page


def test_completion_shows_all_facts() -> None:
    """Question, reasoning, answer and facts are shown."""
    text = read_text(
        make_completion(
            Choice(
                message="four",
                reasoning="2 + 2",
                finish_reason="stop",
                raw_finish_reason="eos",
            ),
            conversation=Conversation.from_prompts("What is\n2 + 2?"),
            served_model="m-2",
            usage=Usage(
                prompt_tokens=1200,
                cached_tokens=0,
                completion_tokens=7,
                reasoning_tokens=5,
                total_tokens=1207,
            ),
        )
    )
    assert text == (
        "QuestionWhat is 2 + 2?UserWhat is\n2 + 2?AnswerReasoning2 + 2four"
        "Modelmserved bym-2Finish reasonstop (eos)Prompt tokens1,200Cached0"
        "Answer tokens7Reasoning5Total1,207Time2.25 sSpeed3.1 tokens/s"
    ).replace("served by", "Served by")


def test_completion_leaves_out_unknown_facts() -> None:
    """Facts that the server did not send are left out, never shown as zero."""
    bare = make_completion(
        Choice(), conversation=Conversation(), served_model="m", usage=Usage()
    )
    assert read_text(bare) == "AnswerNo text.ModelmTime2.25 s"
    streamed = attrs.evolve(bare, timing=attrs.evolve(TIMING, time_to_first_token=0.5))
    assert read_text(streamed) == "AnswerNo text.ModelmTime2.25 sFirst token0.50 s"


def test_several_choices() -> None:
    """Each answer has its number, its finish reason and its refusal."""
    first = Choice(refusal="I will not.", finish_reason="stop")
    text = read_text(make_completion(first, Choice(message="I will.", index=1)))
    assert text == (
        "QuestionhiUserhiAnswer 1RefusalI will not.Finish reasonstop"
        "Answer 2I will.ModelmTime2.25 s"
    )


def test_answer_is_its_tokens() -> None:
    """Tokens that spell the answer are shown instead of it."""
    tokens = make_log_probs(Position("fo", -0.5), Position("ur", -0.5))
    text = read_text(make_completion(Choice(message="four", log_probs=tokens)))
    assert (
        "2 tokensperplexity 1.649log probability \N{MINUS SIGN}1.000improbablecertainfour"
        in text
    )
    assert text.count("four") == 1


def test_tokens_beside_the_answer_are_folded() -> None:
    """Reasoning and end tokens are folded; white space that the server stripped is not."""
    texts = ("<think>", "4", "</think>", " ", "fo", "ur ", "<|4|>")
    tokens = make_log_probs(*(Position(text, -0.5) for text in texts))
    text = read_text(make_completion(Choice(message="four", log_probs=tokens)))
    assert "certainfour Tokens beside the answer<think>4</think> <|4|>" in text


def test_empty_refusal_and_reasoning_are_not_shown() -> None:
    """An empty refusal and blank reasoning are not shown; some servers always send them."""
    text = read_text(make_completion(Choice(message="4", refusal="", reasoning=" \n")))
    assert "Refusal" not in text
    assert "Reasoning" not in text


def test_attempts_are_counted() -> None:
    """The speed is the speed of the last attempt."""
    tried = (Attempt(start_time=0.0, duration=60.0), Attempt(start_time=61.0, duration=2))
    retried = make_completion(Choice(), usage=Usage(completion_tokens=50))
    retried = attrs.evolve(retried, timing=attrs.evolve(TIMING, attempts=tried))
    assert read_text(retried).endswith("Time2.25 sSpeed25 tokens/sAttempts2")


def test_long_name_of_a_token_is_cut() -> None:
    """A name that is too long for its box ends in an ellipsis."""
    (description,) = read_descriptions(Position("x" * 100, -0.5))
    assert description.startswith("x" * 59 + "…\n")


def test_answer_of_json_is_its_scalars() -> None:
    """Each scalar has its tint and its facts; the tokens are folded."""
    page = json_answer()._repr_html_().partition("</style>")[2]
    assert '&quot;country&quot;: &quot;<span class="limin-p38" tabindex="0"' in page
    assert ">China</span>&quot;, &quot;motto&quot;" in page
    assert '<span class="limin-unknown" tabindex="0"' in page
    assert '&quot;other key&quot;: <span class="limin-p19"' in page
    assert "<summary><b>Tokens</b></summary>" in page
    assert page.count(">```json") == 2  # In the answer, and among the tokens.


def test_hover_shows_a_field() -> None:
    """The description has path, probability, tokens, and the values that were possible."""
    name, country, motto, _, unknown, other, *_ = Structure(
        json_answer().to_html()
    ).descriptions
    assert name.splitlines() == [
        "$.name",
        "probability        80.51 %",
        "log probability   \N{MINUS SIGN}0.217",
        "",
        "  83.00 %  北",
        "  97.00 %  京",
    ]
    assert country.splitlines()[4:] == [
        "  61.00 %  China",
        "",
        "▸ 61.00 % to  74.00 %  China",
        "  22.00 % to  30.00 %  Japan",
        "   0.00 % to  12.00 %  Korea",
        "   8.00 % unlisted",
    ]
    assert "⟨U+202E⟩" in motto
    assert unknown.splitlines()[:2] == ["$.districts[1]", "probability        unknown"]
    assert other.splitlines()[0] == '$["other␣key"]'
    assert "together with text beside it" in other


def test_hover_of_a_long_field_is_cut() -> None:
    """The box shows a dozen tokens, ten of the allowed values, and the start of a path."""
    key, numbers = "k" * 100, list(range(30))
    schema = JsonSchema({"type": "object", "properties": {key: {"enum": numbers}}})
    entries = [Entry(str(number), -4.0) for number in numbers]
    tokens = make_log_probs(
        Position(f'{{"{key}": ', -0.5),
        Position("1", -4.0, None, None, entries),
        *[Position("1", -0.5)] * 13,
        Position("}", -0.5),
    )
    choice = Choice(message=tokens.text(), log_probs=tokens)
    page = make_completion(choice, schema=schema).to_html()
    description = Structure(page).descriptions[0]
    lines = description.splitlines()
    assert lines[0] == f"$.{'k' * 57}…"
    assert "  … 2 more tokens" in lines
    # 18 of them; 1 and 2 may become 10 and 20.
    assert lines[-2] == "  … 20 more labels, together 0.33"


@pytest.mark.parametrize(("label", "is_marked"), [("1", [False, True]), (1, [True, False])])
def test_values_of_two_types_have_quotes(label: object, is_marked: list[bool]) -> None:
    """A text that looks like a number is told from it, and marked if it stands there."""
    schema = JsonSchema({"type": "object", "properties": {"a": {"enum": [1, "1"]}}})
    entries = [Entry("1", -0.5), Entry('"', -1.0)]
    parts = ('{"a":', *(('"', '1"') if label == "1" else ("1",)), "}")
    tokens = make_log_probs(*(Position(p, -0.5, None, None, entries) for p in parts))
    choice = Choice(message=tokens.text(), log_probs=tokens)
    page = make_completion(choice, schema=schema).to_html()
    description = Structure(page).descriptions[0]
    number, text, _ = description.splitlines()[-3:]
    assert number.endswith("  1")
    assert text.endswith('  "1"')
    assert [line.startswith("▸") for line in (number, text)] == is_marked


def test_possible_values_of_many_fields_are_cut() -> None:
    """So a page takes no more time than its size; the page says where they are cut."""
    values = [str(number) for number in range(1000)]
    schema = JsonSchema({"type": "array", "items": {"enum": values}})
    listed = [Entry("7", -0.5)]
    quoted = [Position(text, -0.5, None, None, listed) for text in ('"', "7", '",')] * 21
    tokens = make_log_probs(
        Position('{"value":[', -0.5), *quoted, Position("0]}", -0.5, None, None, listed)
    )
    choice = Choice(message=tokens.text(), log_probs=tokens)
    structure = Structure(make_completion(choice, schema=schema).to_html())
    fields = [text for text in structure.descriptions if text.startswith("$")]
    assert [text.endswith("unlisted") for text in fields] == [True] * 20 + [False] * 2
    assert "The possible values of later fields are not shown." in structure.text
    assert "not shown" not in json_answer().to_html()


def test_decision() -> None:
    """Each label has its bounds, and a bar of what is sure and what is possible."""
    page = decision()._repr_html_().partition("</style>")[2]
    text = Structure(page).text
    assert text.startswith("LabelProbabilityyes0.31\N{EN DASH}0.52no<.01\N{EN DASH}0.20")
    assert "␛[2J0.00\N{EN DASH}0.20" in text
    assert text.endswith("Unfinished0.01Unlisted0.20Other0.38Likeliest labelcertain")
    assert '<rect width="31.00%" height="100%"></rect>' in page
    assert '<rect class="limin-possible" x="31.00%" width="21.00%"' in page
    assert "<b>yes</b>" in page


def test_decision_of_many_labels_is_cut() -> None:
    """The likeliest hundred labels have a row."""
    text = Structure(score()._repr_html_().partition("</style>")[2]).text
    assert "… 1 more label, together <.01" in text
    assert "Expected60.00 (" in text


@pytest.mark.parametrize("log_prob", [None, math.nan])
def test_unknown_probability(log_prob: float | None) -> None:
    """An unknown probability has its own look, and no number."""
    page = make_log_probs(Position("x", log_prob)).to_html()
    assert 'class="limin-unknown"' in page
    assert "nan" not in Structure(page).descriptions[0].replace("nats", "").split("log")[0]


def test_tokens_that_do_not_join_to_the_answer() -> None:
    """If the tokens do not spell the answer, both are shown."""
    tokens = make_log_probs(Position("five", None))
    text = read_text(make_completion(Choice(message="four", log_probs=tokens)))
    assert "fourTokens, which do not join to the answer1 tokenimprobablecertainfive" in text


def test_no_tokens() -> None:
    """An empty list of tokens hides no answer."""
    assert "AnswerfourModel" in read_text(
        make_completion(Choice(message="four", log_probs=make_log_probs()))
    )


def test_warnings_are_shown() -> None:
    """The warnings stand under the answer."""
    warning = ResponseWarning(WarningCode.BODY_MENDED, "$.x", "expected a, found b", 3)
    text = read_text(make_completion(Choice(message="four"), body_warnings=(warning,)))
    assert "Warningsexpected a, found b (at `$.x` and 2 more; body-mended)" in text


def test_hover_shows_the_alternatives() -> None:
    """The description has the token, its numbers and its alternatives."""
    entries = [Entry(" Paris", -0.25), Entry("\n\t", -2.0), Entry("x", -20.0), Entry("y")]
    (description,) = read_descriptions(Position(" Paris", -0.25, None, None, entries[:3]))
    assert description.splitlines() == [
        "␣Paris",
        "probability        77.88 %",
        "log probability   \N{MINUS SIGN}0.250",
        "rank                   1",
        "entropy            0.465 nats",
        "",
        "▸ 77.88 %  ␣Paris",
        "  13.53 %  ⏎⇥",
        "  <0.01 %  x",
    ]
    (description,) = read_descriptions(Position("z", None, None, None, entries[3:]))
    assert description.splitlines() == [
        "z",
        "probability        unknown",
        "",
        "      ?    y",
    ]


def test_hover_takes_any_number() -> None:
    """Raw logits instead of logarithms are shown too."""
    (description,) = read_descriptions(Position("z", 5.0))
    assert "1.48e+04 %" in description


def test_piece_of_several_tokens_is_shown_once() -> None:
    """A character that is split over tokens is shown once, and describes each of them."""
    first, second = list("🗼".encode()[:2]), list("🗼".encode()[2:])
    page = make_log_probs(
        Position("", -0.5, first), Position("\ufffd", -0.25, second), Position("", None, [])
    ).to_html()
    structure = Structure(page)
    assert structure.text.count("🗼") == 1
    joined, empty = structure.descriptions
    assert joined.startswith("🗼\n2 tokens, together 47.24 %\n\n⟨F0 9F⟩\nprobability")
    assert "\n\n⟨97 BC⟩\n" in joined
    assert empty.startswith("∅\n")
    assert 'class="limin-unknown"' in page


def test_lines_are_marked_and_kept() -> None:
    """A newline breaks the line, and its mark is not part of the text."""
    page = make_log_probs(Position("a\n", -0.1)).to_html()
    assert ">a<i></i>\n</span>" in page
    assert "a\n" in Structure(page).text


def test_blocks_end_where_lines_do() -> None:
    """Long answers are divided into blocks, only at the ends of lines."""
    lines = [Position("line\n", -0.1)] * 120
    endless = [Position("word ", -0.1)] * 120
    assert make_log_probs(*lines).to_html().count('"limin-block"') == 3
    assert make_log_probs(*lines[:100]).to_html().count('"limin-block"') == 2
    assert make_log_probs(*endless).to_html().count('"limin-block"') == 1


@pytest.mark.parametrize(
    "value", [Conversation(), make_log_probs(), make_completion(Choice()), decision()]
)
def test_page_and_fragment(value: Any) -> None:
    """A page is a whole document, and a fragment is not."""
    assert "Content-Security-Policy" in value.to_html()
    assert value._repr_html_().startswith("<style>")
    assert "<html" not in value._repr_html_()


def test_palette() -> None:
    """Each palette has its own tints, and an unknown palette is refused."""
    tokens = make_log_probs(Position("x", -0.1))
    assert tokens.to_html() != tokens.to_html(palette="viridis")
    completion = make_completion(Choice(message="x", log_probs=tokens))
    assert completion.to_html() != completion.to_html(palette="viridis")
    with pytest.raises(ConfigurationError, match="red-green or viridis, found another str"):
        html.page("", title="", palette="blue")  # type: ignore[arg-type]  # that is the test


def read_conversation(*messages: Message, images: bool = False) -> Structure:
    """Return the page of *messages*, without its head."""
    page = Conversation(messages).to_html(images=images)
    return Structure(page.partition("<main>")[2])


def test_parts_are_described() -> None:
    """A part is its kind and size; the address of a picture is nowhere on the page."""
    page = parts().to_html()
    for description in ("image/png 640x480, 83 kB", "image by URL", "audio/wav, 1.2 kB"):
        assert f'<p class="limin-part">&lt;{description}&gt;</p>' in page
    assert "User <bdi>&quot;alice&quot;</bdi>" in page
    assert "<img" not in page
    assert "img-src" not in page
    assert "example.com" not in page


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xd9", "image/jpeg"),
        (b"GIF89a\1\0\1\0", "image/gif"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
    ],
)
def test_pictures_are_shown_if_asked_for(data: bytes, media_type: str) -> None:
    """The picture is in the page, and the policy of the page allows no other."""
    image = Image(data, media_type="image/svg+xml")  # Not what the bytes say.
    page = Conversation([Message("user", [image])]).to_html(images=True)
    ((_, attributes),) = [item for item in Structure(page).items if item[0] == "img"]  # type: ignore[index]  # a tuple
    named = dict(attributes)
    assert named["src"] == f"data:{media_type};base64,{b64encode(data).decode()}"
    assert named["alt"] == repr(image)
    assert "; img-src data:; base-uri" in page


@pytest.mark.parametrize(
    "image",
    [
        Image("https://example.com/a.png"),
        Image("data:image/svg+xml,<svg/>"),
        Image(b"<svg xmlns='http://www.w3.org/2000/svg'/>", media_type="image/svg+xml"),
        Image(b"<svg/>", media_type="image/png"),
        Image(b"%PDF-1.7", media_type="image/png"),
    ],
)
def test_other_pictures_are_never_shown(image: Image) -> None:
    """Nothing is fetched, and no document passes for a picture."""
    page = Conversation([Message("user", [image])]).to_html(images=True)
    assert "<img" not in page
    assert f'<p class="limin-part">{escape(repr(image))}</p>' in page


def test_pictures_of_every_value() -> None:
    """Completions and runs show the pictures of their conversations, too."""
    conversation = Conversation([Message("user", [Image(PNG)])])
    completion = make_completion(Choice(message="x"), conversation=conversation)
    run = ToolRun(conversation=conversation, completions=(completion,), ended_by="answer")
    for value in (conversation, completion, run):
        assert "<img" in value.to_html(images=True)
        assert "<img" not in value.to_html() + value._repr_html_()
        with pytest.raises(ConfigurationError, match="images: expected True or False"):
            value.to_html(images="yes")  # type: ignore[arg-type]  # that is the test


def test_calls_and_results() -> None:
    """Calls stand under the assistant, and results under the names of their tools."""
    call = ToolCall("1", "get_weather", '{"city": "Paris", "days": 3}')
    shown = read_conversation(
        Message("assistant", "Let me see.", tool_calls=[call]),
        Message("tool", "sunny", tool_call_id="1"),
    )
    assert shown.text.strip() == (
        'AssistantLet me see.get_weather(city="Paris", days=3)Tool get_weathersunny'
    )


def test_long_arguments_are_folded() -> None:
    """All of them are there, one on each line."""
    call = ToolCall("1", "f", f'{{"a": "{"x" * 1200}", "b": "\\n"}}')
    shown = read_conversation(Message("assistant", None, tool_calls=[call]))
    start, whole = f'a="{"x" * 197}', f'a="{"x" * 1200}",b="\\n"'
    assert shown.text.strip() == f"Assistantf (1,210 characters){start}{whole}"
    assert ("details", [("class", "limin-call"), ("dir", "ltr")]) in shown.items


def test_completion_shows_its_calls() -> None:
    """An answer of calls alone is not empty."""
    call = ToolCall("1", "f", "{}")
    text = read_text(make_completion(Choice(tool_calls=(call, call))))
    assert "Answerf()f()Model" in text


def test_question_starts_with_its_parts() -> None:
    """The folded question is told by its last message, whatever that is."""
    parts = [Image(PNG), "What is it?", {"type": "refusal", "refusal": "no"}]
    conversation = Conversation([Message("user", parts)])
    text = read_text(make_completion(Choice(message="x"), conversation=conversation))
    assert text.startswith("Question<image/png 4x3, 40 bytes> What is it?User")


def test_run() -> None:
    """A run is its conversation, failures marked, and its facts."""
    run = tool_run()
    text = Structure(run._repr_html_().partition("</style>")[2]).text
    assert "Tool write_file failed (ValueError)error: ValueError" in text
    assert text.endswith(
        "Sunny.Requests2Calls4Failed calls2Prompt tokens80Answer tokens180Total260"
        "Asking4.50 sIn tools0.50 sEnded byanswer"
    )
    first = attrs.evolve(run.completions[0], usage=None)
    bare = attrs.evolve(run, completions=(first,), calls=())
    text = Structure(bare._repr_html_()).text
    assert text.endswith("Requests1Calls0Asking2.25 sEnded byanswer")
