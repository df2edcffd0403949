"""Messages that follow no call of their own: to the administrator who installed the app."""

from core.storage_ports import Installations
from core.times import Deadline
from handlers.reminders import client_suspect_text
from mattermost.bot_tokens import BotTokens, NoBotToken
from mattermost.client import MattermostClient
from mattermost.paths import api
from web.background import Background


class AdministratorMessages:
    """
    Direct messages by the bot.

    Args:
        tokens: Where a live token of the bot comes from.
    """

    def __init__(
        self, client: MattermostClient, installations: Installations, background: Background, tokens: BotTokens
    ) -> None:
        self._client = client
        self._installations = installations
        self._background = background
        self._tokens = tokens

    def client_suspect(self) -> None:
        """Tell that the OAuth client should be checked; after the answer, never instead of it."""
        self._background.submit(lambda: self._tell(client_suspect_text()))

    def bot_session(self) -> str:
        """A token of the bot that should be alive now; "" where there is none."""
        try:
            return self._tokens.current()
        except NoBotToken:
            return ""

    def _tell(self, text: str) -> None:
        installation = self._installations.get()
        if installation is None:
            return
        token = self.bot_session()
        deadline = Deadline(20.0)
        people = [installation.bot_user_id, installation.installed_by]
        channel = self._client.request("POST", api("channels", "direct"), token=token, deadline=deadline, json=people)
        post = {"channel_id": channel["id"], "message": text}
        self._client.request("POST", api("posts"), token=token, deadline=deadline, json=post)
