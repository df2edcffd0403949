"""
Trigger IDs: signed by the server, and valid for thirty seconds to open a dialog for one user.

A trigger ID is the Base64 of ``client id:user id:milliseconds:`` followed by the Base64 of an ECDSA P-256 signature of
that text (recorded in dialogs). Clients get only the client ID; the integration gets all of it.
"""

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.mattermost.server.rest import ApiError
from sandbox.mattermost.server.state import State, new_id

SECONDS = 30
_DIALOG = "interactive dialog"
_ALGORITHM = ec.ECDSA(hashes.SHA256())


class TriggerIds:
    """Holds the server's key. A reset keeps it, as a restart does."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key()
        encoded = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.public_key = base64.b64encode(encoded).decode()

    def create(self, user_id: str) -> tuple[str, str]:
        """Create a client ID and its trigger ID."""
        client_id = new_id()
        text = f"{client_id}:{user_id}:{self._state.now()}:"
        signature = base64.b64encode(self._key.sign(text.encode(), _ALGORITHM)).decode()
        return client_id, base64.b64encode((text + signature).encode()).decode()

    def verify(self, trigger_id: str) -> tuple[str, str]:
        """Verify a trigger ID and return its client ID and user ID. Raises ApiError 400 with the server's texts."""
        try:
            parts = base64.b64decode(trigger_id, validate=True).decode("utf-8", "replace").split(":")
        except (binascii.Error, ValueError):
            raise _refused("base64_decode_failed", f"Failed to decode base64 for trigger ID for {_DIALOG}.") from None
        if len(parts) != 4:
            raise _refused("missing_data", f"Trigger ID missing required data for {_DIALOG}.")
        client_id, user_id, made, signature = parts
        if self._state.now() - (int(made) if made.isdigit() else 0) > SECONDS * 1000:
            text = f"Trigger ID for {_DIALOG} is expired. Trigger IDs live for a maximum of {SECONDS}s."
            raise _refused("expired", text)
        try:
            signed = f"{client_id}:{user_id}:{made}:".encode()
            self._key.public_key().verify(base64.b64decode(signature), signed, _ALGORITHM)
        except (InvalidSignature, ValueError):
            text = f"Signature verification failed of trigger ID for {_DIALOG}."
            raise _refused("verify_signature_failed", text) from None
        return client_id, user_id


def _refused(what: str, text: str) -> ApiError:
    return ApiError(400, f"interactive_message.decode_trigger_id.{what}", text)
