"""`nemoguardrails chat` as a user runs it: with pipes, at a terminal, and against a server."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .loopback import Answer, chunk, finish, serving
from .running import RAILS, REPLIES, Terminal, at_a_terminal, run, run_here, write_config

BLOCKED_NAME = '[blocked by output rail "regex check output": matches patterns[0]]'


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("bot"))


@pytest.fixture
def terminal(config: Path) -> Iterator[Terminal]:
    with at_a_terminal(["chat", f"--config={config}", "--streaming"]) as terminal:
        terminal.wait_for("> ")
        yield terminal


class TestPiped:
    def test_each_line_is_a_message_and_the_output_reads_as_a_transcript(self, config: Path) -> None:
        lines = (
            "Hi\n\nHow is the weather?\nWhat is its name?\nAn escape\n!history\n!stream off\nAnd its name?\n"
        )
        done = run(["chat", f"--config={config}", "--streaming"], lines=lines)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [
            f"Chatting with {config}. !help lists the commands, Ctrl+C leaves.",
            "> Hi",
            "Hello there.",
            "> ",
            "> How is the weather?",
            '[input rail "no weather" answers instead of the model]',
            "I don't talk about the weather.",
            "> What is its name?",
            "It is called ",
            BLOCKED_NAME,
            "I'm sorry, I can't respond to that.",
            "> An escape",
            "a␛[2Jb [/bold]",
            "> !history",
            "user: Hi",
            "assistant: Hello there.",
            "user: How is the weather?",
            "assistant: I don't talk about the weather.",
            "user: What is its name?",
            "assistant: It is called ",
            "I'm sorry, I can't respond to that.",
            "user: An escape",
            "assistant: a␛[2Jb [/bold]",
            "> !stream off",
            "Answers come whole.",
            "> And its name?",
            '[blocked by output rail "regex check output"]',
            "I'm sorry, I can't respond to that.",
            "> ",
        ]

    def test_commands_explain_reset_reload_and_leave(self, config: Path) -> None:
        lines = (
            "Hi\n!explain\n!explain full\n!reset\n!history\n!reload\n!stream maybe\n!nonsense\n!\n!quit\nHi\n"
        )
        done = run_here(["chat", f"--config={config}"], lines=lines)
        assert (done.exit_code, done.stderr) == (0, "")
        said = done.stdout
        assert "1. general: parrot, " in said
        assert "   answered:\n     Hello there.\n" in said
        assert "> !history\nNothing has been said yet.\n" in said
        assert f"> !reload\nLoaded {config} again.\n" in said
        assert "Say !stream on or !stream off." in said
        assert "There is no command !nonsense; !help lists them." in said
        assert "> !\n!help            this list\n" in said
        assert said.endswith("> !quit\n")

    def test_a_configuration_that_breaks_is_not_reloaded(self, tmp_path: Path) -> None:
        folder = write_config(tmp_path / "bot")
        with at_a_terminal(["chat", f"--config={folder}"]) as terminal:
            terminal.wait_for("> ")
            (folder / "config.yml").write_text("models: 3", encoding="utf-8")
            terminal.type("!reload\n")
            terminal.wait_for("The old configuration stays: ")
            terminal.type("Hi\n")
            terminal.wait_for("there.")

    def test_configurations_are_joined(self, tmp_path: Path) -> None:
        bot, rails = write_config(tmp_path / "bot", REPLIES, ""), write_config(tmp_path / "rails", RAILS)
        done = run_here(
            ["chat", f"--config={bot}", f"--config={rails}", "--once", "its name?", "--streaming"]
        )
        assert done.stdout == "It is called \nI'm sorry, I can't respond to that.\n"
        assert done.exit_code == 3

    def test_verbose_narrates_on_standard_error(self, config: Path) -> None:
        done = run_here(["chat", f"--config={config}", "--verbose", "--once", "Hi"])
        assert done.stdout == "Hello there.\n"
        assert "no weather" in done.stderr
        assert "parrot" in done.stderr
        quiet = run_here(["chat", f"--config={config}", "--verbose-no-llm", "--once", "Hi"])
        assert "Hello there." not in quiet.stderr
        assert "parrot" in quiet.stderr


class TestOnce:
    @pytest.mark.parametrize("streaming", ["--streaming", "--no-streaming"])
    def test_prints_the_answer_alone(self, config: Path, streaming: str) -> None:
        done = run_here(["chat", f"--config={config}", streaming, "--once", "Hi"])
        assert (done.exit_code, done.stdout, done.stderr) == (0, "Hello there.\n", "")

    def test_a_block_has_an_exit_code_of_its_own_and_is_told_apart(self, config: Path) -> None:
        done = run(["chat", f"--config={config}", "--once", "How is the weather?"])
        assert done.returncode == 3
        assert done.stdout == "I don't talk about the weather.\n"
        assert done.stderr == '[input rail "no weather" answers instead of the model]\n'


class TestTerminal:
    def test_ctrl_c_stops_an_answer_and_the_chat_goes_on(self, terminal: Terminal) -> None:
        terminal.type("Talk for ever\n")
        terminal.wait_for("It began ")
        terminal.type("\x03")
        terminal.wait_for("[stopped]")
        terminal.wait_for("> ")
        terminal.type("!history\n")
        assert "assistant: It began" in terminal.wait_for("> ")
        terminal.type("Hi\n")
        terminal.wait_for("there.")

    def test_ctrl_c_at_the_prompt_leaves(self, terminal: Terminal) -> None:
        assert terminal.interrupt() == 130
        assert "Traceback" not in terminal.seen

    def test_the_end_of_input_leaves(self, terminal: Terminal) -> None:
        terminal.type("\x04")
        assert terminal.exit_code() == 0

    def test_a_block_is_red_and_a_failure_does_not_end_the_chat(self, terminal: Terminal) -> None:
        terminal.type("What is its name?\n")
        assert "\x1b[31m[blocked by" in terminal.wait_for("> ")
        assert "Nightjar" not in terminal.seen
        terminal.type("Please fail\n")
        came = terminal.wait_for("> ")
        assert "Error: The model parrot of scripted did not answer (401): no such key sk-***" in came
        terminal.type("Hi\n")
        terminal.wait_for("there.")

    def test_narration_begins_lines_of_its_own(self, config: Path) -> None:
        with at_a_terminal(["chat", f"--config={config}", "--streaming", "--verbose-no-llm"]) as terminal:
            terminal.wait_for("> ")
            terminal.type("Hi\n")
            came = terminal.wait_for("> ")
        assert "Hello " in came
        assert not [line for line in came.splitlines() if " | " in line and "ello" in line]


class TestErrors:
    """One sentence on standard error, exit code 1, no traceback."""

    def assert_one_sentence(self, arguments: list[str], said: str, *, lines: str = "") -> None:
        done = run_here(["chat", *arguments], lines=lines)
        assert done.exit_code == 1
        assert said in done.stderr
        assert done.stderr.startswith("Error: ")
        assert len(done.stderr.splitlines()) == 1

    def test_no_such_folder(self, tmp_path: Path) -> None:
        self.assert_one_sentence([f"--config={tmp_path / 'none'}"], "none")
        done = run(["chat", f"--config={tmp_path / 'none'}"])
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ")
        assert "Traceback" not in done.stderr

    def test_yaml_that_cannot_be_read(self, tmp_path: Path) -> None:
        folder = write_config(tmp_path, "models: [\n")
        self.assert_one_sentence([f"--config={folder}"], "config.yml")

    def test_colang_that_cannot_be_read(self, tmp_path: Path) -> None:
        folder = write_config(tmp_path, flows="define nonsense\n  what\n")
        self.assert_one_sentence([f"--config={folder}"], "line 1")

    def test_rails_that_do_not_exist(self, tmp_path: Path) -> None:
        folder = write_config(tmp_path, REPLIES + "rails: {output: {flows: [no such rail]}}\n")
        self.assert_one_sentence([f"--config={folder}"], "no such rail")

    def test_streaming_that_the_rails_are_not_enabled_for(self, tmp_path: Path) -> None:
        folder = write_config(tmp_path, REPLIES + RAILS.replace("enabled: true", "enabled: false"))
        self.assert_one_sentence([f"--config={folder}", "--streaming"], "rails.output.streaming.enabled")

    @pytest.mark.parametrize("streaming", ["--streaming", "--no-streaming"])
    def test_a_model_that_refuses_ends_piped_input(self, config: Path, streaming: str) -> None:
        self.assert_one_sentence([f"--config={config}", streaming], "no such key sk-***", lines="fail\nHi\n")

    def test_a_model_that_is_not_there(self, tmp_path: Path) -> None:
        with serving([]) as server:
            url = server.url
        yaml = f"models: [{{type: main, engine: openai, model: m, parameters: {{base_url: '{url}/v1'}}}}]\n"
        folder = write_config(tmp_path, yaml, "")
        self.assert_one_sentence([f"--config={folder}"], url, lines="Hi\n")

    def test_a_key_of_the_server_that_is_not_set(self) -> None:
        arguments = ["--server-url=http://127.0.0.1:1", "--api-key-env=NO_SUCH_KEY_HERE"]
        self.assert_one_sentence(arguments, "NO_SUCH_KEY_HERE")

    def test_the_traceback_is_there_for_who_asks(self, tmp_path: Path) -> None:
        done = run(["chat", f"--config={tmp_path / 'none'}", "--debug"])
        assert done.returncode == 1
        assert "Traceback" in done.stderr

    def test_an_option_of_a_server_needs_one(self, config: Path) -> None:
        done = run_here(["chat", f"--config={config}", "--config-id=x"])
        assert done.exit_code == 2
        assert "--config-id is about a server" in done.stderr


class TestServer:
    def test_chats_with_a_server_and_keeps_cleared_text_alone(self) -> None:
        error = {"message": "Blocked by r rails.", "type": "guardrails_violation", "param": "r"}
        error |= {"code": "content_blocked", "stage": "output", "retract_from": 5}
        answers = [
            Answer(frames=[chunk("Hello"), chunk(" you"), finish("stop"), "[DONE]"]),
            Answer(frames=[chunk("Fine "), chunk("badly"), {"error": error}, "[DONE]"]),
            Answer(frames=[chunk("Bye"), finish("stop"), "[DONE]"]),
        ]
        with serving(answers) as server:
            arguments = ["chat", f"--server-url={server.url}/v1/", "--config-id=c", "--streaming"]
            done = run_here(arguments, lines="one\ntwo\nthree\n!explain\n!reload\n")
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.splitlines()[1:9] == [
            "> one",
            "Hello you",
            "> two",
            "Fine badly",
            "[taken back: the last 5 characters of the answer above]",
            '[blocked by output rail "r"]',
            "> three",
            "Bye",
        ]
        assert [message["content"] for message in server.asked[2]["messages"]] == [
            "one",
            "Hello you",
            "two",
            "Fine ",
            "three",
        ]
        assert server.asked[0]["guardrails"] == {"config_id": "c"}

    def test_once_tells_failure_and_block_by_exit_codes(self) -> None:
        guardrails = {"status": "blocked", "rail": "r", "stage": "input"}
        refusal = {
            "choices": [{"finish_reason": "stop", "message": {"content": "No."}}],
            "guardrails": guardrails,
        }
        with serving(
            [Answer(body=refusal), Answer(body={"error": {"message": "gone"}}, status=503)]
        ) as server:
            blocked = run_here(["chat", f"--server-url={server.url}", "--once", "Hi"])
            failed = run_here(["chat", f"--server-url={server.url}", "--once", "Hi"])
        assert (blocked.exit_code, blocked.stdout) == (3, "No.\n")
        assert (failed.exit_code, failed.stderr) == (1, "Error: The server answered 503: gone\n")

    def test_ctrl_c_stops_an_answer_of_a_server(self) -> None:
        answers = [Answer(frames=[chunk("It began")], hangs=True), Answer(frames=[chunk("Hi"), "[DONE]"])]
        with (
            serving(answers) as server,
            at_a_terminal(["chat", f"--server-url={server.url}", "--streaming"]) as terminal,
        ):
            terminal.wait_for("> ")
            terminal.type("Talk\n")
            terminal.wait_for("It began")
            terminal.type("\x03")
            terminal.wait_for("[stopped]")
            assert server.left.wait(20)
            terminal.wait_for("> ")
            terminal.type("Again\n")
            terminal.wait_for("Hi")
            assert server.asked[1]["messages"] == [{"role": "user", "content": "Again"}]
