"""Shows forms as dialogs: the first step after a press, further steps, and a step again after an error."""

from dataclasses import replace
from typing import Any

from core.calls import Kind, Reply, ShowForm, Values
from core.errors import AppError, NotVerified, StillWorking, TurnedOff
from core.fields import Form
from core.signing import Signer
from core.times import Clock, Deadline
from core.upstream_errors import MattermostRefused
from mattermost.client import MattermostClient
from mattermost.markdown import plain_text
from mattermost.paths import api
from mattermost.plain import DialogRequest, PressRequest, write_dialog_again, write_dialog_error
from mattermost.plain_forms import filled, write_dialog
from mattermost.plain_shapes import Abilities, clearable, elements_of, shape_of
from mattermost.plain_values import held
from mattermost.server import MattermostServer
from mattermost.triggers import ExpiredTrigger
from web.plain_memory import OfferedOptions, OpenForms
from web.plain_states import SECONDS, DialogState, DialogStates

_OPEN_SECONDS = 10.0


class Dialogs:
    """
    Args:
        url: Where dialogs send what was entered.
        offered: For the labels of the person's choices.
    """

    def __init__(
        self,
        client: MattermostClient,
        server: MattermostServer,
        signer: Signer,
        url: str,
        offered: OfferedOptions,
        clock: Clock,
    ) -> None:
        self.states = DialogStates(signer, clock)
        self._client = client
        self._server = server
        self._url = url
        self._offered = offered
        self._forms = OpenForms(clock, SECONDS)

    @property
    def abilities(self) -> Abilities:
        """What dialogs of this server can do."""
        return Abilities.of(self._server.facts().version)

    def open(self, form: Form, pressed: PressRequest, *, direct: bool) -> None:
        """
        Open a form as a dialog in answer to a press.

        Args:
            direct: See `DialogState`.

        Raises:
            ExpiredTrigger: Mattermost rejected it, usually because the press is too old.
        """
        abilities = self.abilities
        opened = DialogState(
            path=form.path,
            state=form.state,
            shape=shape_of(form, abilities),
            channel_id=pressed.channel_id,
            post_id=pressed.post_id,
            direct=direct,
        )
        state = self._sign(opened, form, pressed.user_id)
        dialog = write_dialog(form, abilities, state=state, url=self._url)
        body = {"trigger_id": pressed.trigger_id, "url": self._url, "dialog": dialog}
        try:
            path = api("actions", "dialogs", "open")
            self._client.request("POST", path, token="", deadline=Deadline(_OPEN_SECONDS), json=body)
        except MattermostRefused as error:
            raise ExpiredTrigger(f"dialog not opened: {error}") from error

    def next_step(self, reply: Reply, opened: DialogState, sent: DialogRequest) -> dict[str, Any]:
        """The answer that shows the next form, or the same one again."""
        if not isinstance(reply, ShowForm):
            raise TypeError(f"no form in {type(reply).__name__}")
        form, abilities = reply.form, self.abilities
        if not abilities.steps:
            # An old server can't show it, so the form's header is shown above the fields that are open.
            words = form.header or "More is needed than this Mattermost version can ask for here."
            return {"error": plain_text(f"{words} Use `/servicenow` instead.")}
        taken = held(sent.submission, opened.shape)
        then = replace(opened, path=form.path, state=form.state, shape=shape_of(form, abilities, taken))
        state = self._sign(then, form, sent.user_id)
        return {"type": "form", "form": write_dialog(form, abilities, state=state, url=self._url, taken=taken)}

    def error(
        self, error: AppError, reference: str, opened: DialogState, sent: DialogRequest, values: Values | None
    ) -> dict[str, Any]:
        """
        The answer that shows an error in the dialog.

        If a field that can be emptied has a value, the form is drawn again with other element names: the web client
        would send the old value of a field that is emptied now.
        """
        abilities = self.abilities
        form = self._forms.get(sent.state) if abilities.steps and sent.kind is Kind.SUBMIT else None
        stays = isinstance(error, NotVerified | StillWorking | TurnedOff)
        if form is None or values is None or stays or not clearable(form, values):
            return write_dialog_error(error, reference, elements_of(opened.shape), markdown=abilities.steps)
        form = filled(form, self._offered.labelled(sent.user_id, values))
        elements = elements_of(shape_of(form, abilities, held(sent.submission, opened.shape)))
        drawn = self.next_step(ShowForm(form), opened, sent)["form"]
        return write_dialog_again(drawn, write_dialog_error(error, reference, elements))

    def _sign(self, content: DialogState, form: Form, person_id: str) -> str:
        state = self.states.sign(content, person_id)
        self._forms.keep(state, form)
        return state
