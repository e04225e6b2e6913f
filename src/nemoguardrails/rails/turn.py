"""One turn: from the messages of a request to the events of its guarded answer."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ..colang.interpreter import Event
from ..context import (
    explain_info_var,
    generation_options_var,
    llm_call_info_var,
    raw_llm_request,
    streaming_handler_var,
    turn_record_var,
)
from ..logging.explain import ExplainInfo
from ..logging.record import RailRecord, TurnRecord
from ..runtime.generation import INTERNAL_ERROR, REFUSE, Talk
from ..runtime.history import new_event, text_of
from ..runtime.runner import Said
from ..runtime.utterance import Utterance
from ..streaming.channel import ReadAhead
from ..streaming.events import Blocked, Failed, Finished, StreamEvent, TextDelta
from ..streaming.gate import Observer, gate
from ..streaming.verdict import Block
from .answer import Answer
from .chunks import ChunkStage
from .failure import failed_event
from .input import InputResult, InputStage, Refusal
from .options import Switchable
from .output import OutputStages, policy
from .rail import Judged, Rail, Setting
from .request import Request
from .sources import GenerationStep, close_generator, external_events, fixed_events, model_events
from .spoken import Spoken
from .thread import Thread
from .tools import ToolRails
from .variables import first_variables

if TYPE_CHECKING:
    from ..runtime.dialog import DialogTurn
    from ..streaming.handler import StreamingHandler
    from .assembly import Parts

NO_MODEL = "No main LLM specified in the config and no LLM provided via constructor."
_log = logging.getLogger(__name__)


Events: TypeAlias = AsyncGenerator[StreamEvent, None]


@dataclass(slots=True)
class _Plan:
    """What is left to do once the user's message is judged."""

    source: Events | ReadAhead[StreamEvent] | None = None
    """Where the answer comes from."""
    rails: Sequence[Rail] = ()
    """The output rails that judge it."""
    talks: bool = False
    """The dialog answers."""
    over: bool = False
    """There is nothing left to do."""


class Turn:
    """One turn of one conversation; its events are iterated once.

    Args:
        parts: the assembled configuration.
        request: what is asked for.
        record: where everything that happens is noted.
        streaming: the model streams and rails judge windows; otherwise rails judge whole texts.
        generator: the caller's own source of tokens instead of the model.

    Attributes:
        variables: the context variables.
        conversation: the events of the conversation up to now, for prompts and actions.
        messages: the caller's messages as the model is given them.
        observer: is told what the output rails do; `nemoguardrails bench stream` measures with it.
        when_settled: is called when no step of the events needs the turn's context any more.
    """

    def __init__(
        self,
        parts: Parts,
        request: Request,
        record: TurnRecord,
        *,
        streaming: bool,
        generator: AsyncIterator[Any] | None = None,
    ) -> None:
        self.parts = parts
        self.request = request
        self.record = record
        self.thread = Thread(parts, request)
        self.variables = first_variables(request, parts.config, self.thread.variables)
        self.conversation: list[Event] = self.thread.events
        self.messages = [dict(message) for message in request.messages]
        self.observer: Observer | None = None
        self.when_settled: Callable[[], None] | None = None
        self._setting = self._what_rails_see()
        self._streaming = streaming
        self._windows = streaming and parts.config.rails.output.streaming.enabled
        self._generator = generator
        self._step = GenerationStep(record, self.variables)
        self._left_behind: dict[str, Judged] = {}
        """Rail -> its latest judgement of a window."""
        self._asides: list[str] = []
        """What output rails said about a whole message that they let pass."""
        self._answer: Answer | None = None if parts.talks is None else Answer()
        """What came of the turn, where the conversation is remembered."""
        self._talk: DialogTurn | None = None
        self._stopped_by: Refusal | None = None
        """A retrieval rail ended the turn."""
        self._heard: list[str] | None = None if record.listener is None else []
        """What was said, where somebody listens."""

    async def events(self, handler: StreamingHandler | None = None) -> AsyncGenerator[StreamEvent, None]:
        """The answer as it may be seen, ending with one of Finished, Blocked (of an output rail) and Failed.

        An error of the engine, a model or the caller's generator is a `Failed` that carries the exception.
        To be iterated in a context of its own: the context variables it sets are not put back.

        Args:
            handler: what rails and actions find as the streaming handler of the call.
        """
        self._set_context(handler)
        plan, stages = _Plan(), None
        try:
            async with aclosing(self._opening(plan)) as opening:
                async for event in opening:
                    yield self._noted(event)
            if plan.talks:
                async with aclosing(self._dialog()) as talk:
                    async for event in talk:
                        yield self._noted(event)
            if plan.over or plan.source is None:
                return
            source, stages = self._gated(plan.source, plan.rails)
            if self.when_settled is not None and stages is not None and self._is_settled(stages):
                self.when_settled()
            async with aclosing(source):
                async for event in source:
                    if type(event) is TextDelta and not self._asides and not self._is_noted:
                        yield event
                        continue
                    for shown in self._shown(event, stages):
                        yield self._noted(shown)
        except Exception as error:  # noqa: BLE001  # the border of a turn: errors become events
            yield self._noted(failed_event(error))
        finally:
            await self._end(plan, stages)

    def conclude(self, text: str) -> None:
        """Notes what was really said as part of the conversation."""
        answer = self._answer
        if answer is not None:
            text = answer.text
        if text and self._talk is None:
            self.conversation.append({"type": "StartUtteranceBotAction", "script": text})
            self.variables["last_bot_message"] = text
        if answer is not None:
            self.thread.keep(answer, self.variables)

    @property
    def has_talked(self) -> bool:
        """The dialog has answered."""
        return self._talk is not None

    def colang_history(self) -> str:
        """The conversation as Colang text."""
        from ..llm.filters import colang

        return colang(self.conversation)

    async def _opening(self, plan: _Plan) -> AsyncGenerator[StreamEvent, None]:
        """Judges what the caller brings; yields what comes before the answer, and plans the answer."""
        self._warn_without_model()
        plan.source = ahead = self._begun_ahead()
        result = await self._judge_input()
        refusal = result.refusal or await self._judge_tool_results()
        if ahead is not None and (refusal is not None or result.rewritten):
            await ahead.aclose()
            self._step.discard()
            self._step, plan.source = GenerationStep(self.record, self.variables), None
        for said in result.said:
            async for event in self._remark(said):
                yield event
                plan.over = isinstance(event, Blocked | Failed)
            if plan.over:
                return
            yield TextDelta("\n")
        if refusal is not None:
            yield _blocked_event(refusal)
            reply = "" if refusal.block.exception is not None else refusal.block.reply
            plan.source, plan.rails = fixed_events(reply or ""), self._judging(trusted=refusal.trusted)
            self._forget_flows()
        elif self._talks:
            plan.talks = True
        elif plan.source is None:
            plan.source, plan.rails = await self._source()
            async for event in self._stopped():
                yield event
        else:
            plan.rails = self._chosen("output")

    def _begun_ahead(self) -> ReadAhead[StreamEvent] | None:
        """The answer to the message as it came, being made beside the input rails, where that is wanted."""
        config, request = self.parts.config, self.request
        if not config.rails.input.speculative_generation or not self._input_rails():
            return None
        if self.parts.talks is not None or self.parts.retrieval.is_wanted:
            return None
        made_here = self._generator is None and request.bot_message is None and request.options.rails.dialog
        if not made_here or self.parts.generation.passthrough_fn is not None or self._tool_input_rails():
            return None
        heard = {"type": "UserMessage", "text": self.variables["user_message"]}
        return ReadAhead(self._generated(self.variables.copy(), [*self.conversation, heard]))

    @property
    def _talks(self) -> bool:
        """Whether the dialog answers."""
        request = self.request
        made_here = self._generator is None and request.bot_message is None and request.options.rails.dialog
        return self.thread.state is not None and made_here

    async def _source(self) -> tuple[Events | None, Sequence[Rail]]:
        """Where the answer comes from, and the rails that judge it."""
        request = self.request
        rails = self._chosen("output")
        if self._generator is not None:
            generator, self._generator = self._generator, None
            return external_events(generator), rails
        if request.bot_message is not None:
            return fixed_events(request.bot_message), rails
        if not request.options.rails.dialog or request.event is not None:
            return fixed_events(text_of(self.variables["user_message"])), ()
        self._step.open()
        if self.parts.retrieval.is_wanted and not await self._retrieve(self._step.rail):
            return None, ()
        return self._generated(self.variables, self.conversation), rails

    def _generated(self, variables: dict[str, Any], events: list[Event]) -> Events:
        generation = self.parts.generation
        talk = self._made_from(variables, events)
        shape = generation.answer_shape(streaming=self._streaming)
        return model_events(lambda: generation.answer(talk), shape, self._step)

    def _made_from(self, variables: dict[str, Any], events: list[Event]) -> Talk:
        return Talk(
            messages=self.messages,
            events=events,
            variables=variables,
            llm_params=self.request.options.llm_params,
            streaming=self._streaming,
        )

    async def _dialog(self) -> AsyncGenerator[StreamEvent, None]:
        """The dialog's messages, each as far as rails let it through."""
        from ..runtime.dialog import DialogTurn

        state, talks = self.thread.state, self.parts.talks
        assert state is not None
        assert talks is not None
        state.context = self.variables
        self._talk = talk = DialogTurn(
            talks.dialog,
            state,
            self._made_from(self.variables, self.conversation),
            self.record,
            keywords=self.parts.action_params,
            retrieve=self._retrieve,
        )
        spoken = Spoken(adds_up=not self._windows, holds=talks.dialog.takes_back)
        async with aclosing(self._utterances(talk, spoken)) as events:
            async for event in events:
                yield event
        for event in spoken.released():
            yield event
        if self._stopped_by is not None:
            async for event in self._stopped(after_text=bool(spoken.texts)):
                yield event
            return
        if talk.exception is not None and spoken.terminal is None:
            yield Blocked(talk.source, stage="dialog", exception=talk.exception)
        for event in spoken.end():
            yield event

    async def _utterances(self, talk: DialogTurn, spoken: Spoken) -> AsyncGenerator[StreamEvent, None]:
        async with aclosing(talk.utterances(self.request.event, self.thread.unheard)) as utterances:
            async for utterance in utterances:
                if utterance.takes_back:
                    utterance.outcome = spoken.take_back()
                    continue
                for event in spoken.released():
                    yield event
                async with aclosing(self._uttered(utterance, spoken)) as events:
                    async for event in events:
                        yield event
                if spoken.has_failed:
                    return

    async def _uttered(self, utterance: Utterance, spoken: Spoken) -> AsyncGenerator[StreamEvent, None]:
        """One message of the dialog through the output rails; tells it what became of the message."""
        source, stages = self._gated(self._words(utterance), self._judging(trusted=utterance.trusted))
        try:
            async with aclosing(source):
                async for event in source:
                    for shown in self._shown(event, stages):
                        for passed in spoken.passed(shown):
                            yield passed
        finally:
            if stages is not None:
                stages.close()
        for judged in self._left_behind.values():
            self._keep(judged)
        self._left_behind.clear()
        utterance.outcome = spoken.outcome()

    def _words(self, utterance: Utterance) -> Events:
        words = utterance.words
        if words is None:
            return fixed_events(utterance.text)
        self._step = step = GenerationStep(
            self.record, self.variables, rail=utterance.rail, action=words.action
        )
        return model_events(words.ask, words.shape, step)

    async def _retrieve(self, entry: RailRecord | None) -> bool:
        """Looks up what the answer may rely on; false if a retrieval rail has ended the turn."""
        stage = ChunkStage(self.parts, self._setting, self.record, self.variables)
        self._stopped_by = await stage.run(self._chosen("retrieval"), entry)
        return self._stopped_by is None

    async def _stopped(self, *, after_text: bool = False) -> AsyncGenerator[StreamEvent, None]:
        """How a retrieval rail ends the turn, if one has."""
        refusal = self._stopped_by
        if refusal is None:
            return
        async for event in self._refuse(refusal, after_text):
            yield event
        yield Finished("stop")

    def _forget_flows(self) -> None:
        """A turn that ends before the dialog begins ends half-finished flows too, as `stop` does."""
        if self.thread.state is not None and self.parts.talks is not None:
            self.parts.talks.dialog.machine.reset(self.thread.state)

    def _is_settled(self, stages: OutputStages) -> bool:
        """Whether all that is not ours runs in tasks of the gate from now on, and no more in the steps."""
        return stages.have_tasks and not self._chosen("tool_output")

    def _gated(
        self, source: Events | ReadAhead[StreamEvent], rails: Sequence[Rail]
    ) -> tuple[Events | ReadAhead[StreamEvent], OutputStages | None]:
        """The events of an answer as far as rails let them through."""
        stages: OutputStages | None = None
        if rails:
            stages = OutputStages(
                rails,
                self.parts.judge,
                self.record,
                setting=self._settled() if self._windows else self._setting,
                note=self._note,
                streaming=self._windows,
            )
            limits = policy(self.parts.config.rails.output, streaming=self._streaming)
            source = gate(source, stages.stages(), limits, observer=self.observer)
        tool_rails = self._chosen("tool_output")
        if tool_rails:
            strict = self.request.options.rails.strict_tools
            source = self._tools().guarded_calls(source, tool_rails, self._refuse, keep_refused=not strict)
        return source, stages

    async def _remark(self, said: Said) -> AsyncGenerator[StreamEvent, None]:
        """A message of a rail besides the answer, or the block of an output rail that judged it."""
        source, stages = self._gated(fixed_events(said.text), self._judging(trusted=said.trusted))
        try:
            async with aclosing(source):
                async for event in source:
                    for shown in self._shown(event, stages):
                        if not isinstance(shown, Finished):
                            yield shown
        finally:
            if stages is not None:
                stages.close()

    async def _refuse(self, refusal: Refusal, after_text: bool) -> AsyncGenerator[StreamEvent, None]:
        """What a rail says instead of an answer or of tool calls, after what was said before."""
        yield _blocked_event(refusal)
        reply = refusal.block.reply
        if refusal.block.exception is not None or not reply:
            return
        if after_text:
            yield TextDelta("\n")
        async for event in self._remark(Said(reply, refusal.trusted)):
            yield event

    async def _judge_input(self) -> InputResult:
        """Runs the input rails on the user's message, which they may rewrite."""
        result = InputResult()
        if self.request.user_content is None:
            return result
        rails = self._input_rails()
        if rails:
            stage = InputStage(
                rails,
                self.parts.judge,
                self.record,
                variables=self.variables,
                setting=self._setting,
                together=self.parts.config.rails.input.parallel,
            )
            result = await stage.run()
        if result.refusal is None:
            heard = self.variables["user_message"]
            self.conversation.append({"type": "UserMessage", "text": heard})
            self.variables["last_user_message"] = text_of(heard)
        return result

    async def _judge_tool_results(self) -> Refusal | None:
        rails = self._tool_input_rails()
        return await self._tools().judge_results(rails, self.messages) if rails else None

    def _note(self, rail: Rail, judged: Judged) -> None:
        """Keeps what an output rail leaves behind.

        Between rails of a whole text variables are shared as they always were; windows of a stream
        never see each other's, so there they are kept for the end.
        """
        if self._windows:
            self._left_behind[rail.reference] = judged
            return
        self._keep(judged)
        if not isinstance(judged.verdict, Block):
            self._asides.extend(said.text for said in judged.ran.said)

    def _keep(self, judged: Judged) -> None:
        """Takes over what a rail changed; the text that it judged is its own."""
        changes = judged.changes
        changes.pop("bot_message", None)
        self.variables.update(changes)

    def _shown(self, event: StreamEvent, stages: OutputStages | None) -> Iterator[StreamEvent]:
        """An event with all that belongs to it, after what output rails said besides."""
        event = self._completed(event, stages)
        blocked = isinstance(event, Blocked) and event.stage == "output"
        if not self._asides or not (blocked or isinstance(event, TextDelta | Finished)):
            yield event
            return
        before, self._asides = "\n".join(self._asides), []
        if isinstance(event, Blocked):
            yield event if event.reply is None else replace(event, reply=f"{before}\n{event.reply}")
            return
        yield TextDelta(f"{before}\n" if isinstance(event, TextDelta) else before)
        yield event

    def _completed(self, event: StreamEvent, stages: OutputStages | None) -> StreamEvent:
        if isinstance(event, Failed):
            return event if event.error is None else failed_event(event.error)
        if not isinstance(event, Blocked) or event.stage != "output" or stages is None:
            return event
        if stages.raised is not None:
            return failed_event(stages.raised)
        parts = self.parts
        return stages.completed(
            event,
            parts.refusal_of(event.rail),
            intent=parts.refusals.get(event.rail, REFUSE),
            exceptions=parts.config.enable_rails_exceptions,
        )

    @property
    def _is_noted(self) -> bool:
        """Whether anybody wants to know what was said."""
        return self._heard is not None or self._answer is not None

    def _noted(self, event: StreamEvent) -> StreamEvent:
        if self._answer is not None:
            self._answer.add(event)
        heard = self._heard
        if heard is not None:
            if isinstance(event, TextDelta):
                heard.append(event.text)
            elif isinstance(event, Blocked) and event.stage == "output" and not self._windows:
                heard[:] = [event.reply or ""]
        return event

    async def _end(self, plan: _Plan, stages: OutputStages | None) -> None:
        """Closes what was begun and never used, and the record."""
        if isinstance(plan.source, ReadAhead):
            await plan.source.aclose()
        if self._generator is not None:
            await close_generator(self._generator)
        if stages is not None:
            stages.close()
        for judged in self._left_behind.values():
            self._keep(judged)
        if self._heard:
            self.record.events.append(new_event("StartUtteranceBotAction", script="".join(self._heard)))
        self.record.finish()

    def _chosen(self, kind: Switchable) -> Sequence[Rail]:
        """The rails that the options of the call leave on, in configured order."""
        rails = self.parts.rails[kind]
        names = self.request.options.rails.selected(kind, [rail.reference for rail in rails])
        return rails if len(names) == len(rails) else [rail for rail in rails if rail.reference in names]

    def _input_rails(self) -> Sequence[Rail]:
        """A caller's generator is answered to already; there input rails run if they are asked for."""
        asked_for = self._generator is None or "input" in self.request.options.rails.model_fields_set
        return self._chosen("input") if asked_for and self.request.user_content is not None else ()

    def _tool_input_rails(self) -> Sequence[Rail]:
        messages = self.request.messages
        return self._chosen("tool_input") if messages and messages[-1]["role"] == "tool" else ()

    def _judging(self, *, trusted: bool) -> Sequence[Rail]:
        """The output rails for a message of a rail: its author's own words need none."""
        if trusted and not self.parts.config.rails.output.check_predefined:
            return ()
        return self._chosen("output")

    def _tools(self) -> ToolRails:
        return ToolRails(self.parts.judge, self.record, variables=self.variables, setting=self._setting)

    def _warn_without_model(self) -> None:
        parts = self.parts
        asked = self._generator is None and self.request.options.rails.dialog
        asked = asked and self.request.event is None
        if asked and parts.models.main is None and parts.generation.passthrough_fn is None:
            _log.warning(NO_MODEL)

    def _what_rails_see(self) -> Setting:
        parts = self.parts
        return Setting(
            variables=self.variables,
            events=self.conversation,
            keywords=parts.action_params,
            exceptions=parts.config.enable_rails_exceptions,
            failure_text=parts.generation.predefined(INTERNAL_ERROR) or "",
        )

    def _settled(self) -> Setting:
        """What windows see: the variables as they are now, whatever other windows leave behind."""
        variables = self.variables.copy()
        self._step.seen_by(variables)
        return replace(self._setting, variables=variables, settled=True)

    def _set_context(self, handler: StreamingHandler | None) -> None:
        request, record = self.request, self.record
        turn_record_var.set(record)
        explain_info_var.set(ExplainInfo.model_construct(llm_calls=record.llm_calls, colang_history=None))
        generation_options_var.set(request.options if request.wants_response else None)
        raw_llm_request.set([dict(message) for message in request.messages])
        llm_call_info_var.set(None)
        streaming_handler_var.set(handler)


def _blocked_event(refusal: Refusal) -> Blocked:
    block = refusal.block
    return Blocked(
        block.rail,
        block.reason,
        stage=refusal.stage,
        reply=block.reply,
        exception=block.exception,
        failed=block.failed,
        error=block.error,
    )
