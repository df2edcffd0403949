"""The `/_sandbox/update-sets` control."""

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.servicenow.update_sets import BadFile, UpdateSets


class UpdateSetRoutes:
    """The route."""

    def __init__(self, update_sets: UpdateSets) -> None:
        self._update_sets = update_sets

    def blueprint(self) -> Blueprint:
        """The route."""
        blueprint = Blueprint("update_sets", __name__)
        blueprint.add_url_rule("/_sandbox/update-sets", "import", self.import_whole, methods=["POST"])
        return blueprint

    def import_whole(self) -> ResponseReturnValue:
        """Import the XML in the body. ``?commit=no`` stops after the preview."""
        try:
            outcome = self._update_sets.import_whole(request.get_data(), request.args.get("commit") != "no")
        except BadFile as problem:
            return jsonify({"error": str(problem)}), 400
        answer: Response = jsonify(
            {
                "loaded": outcome.loaded,
                "problems": outcome.problems,
                "committed": outcome.committed,
                "log": outcome.log,
                "sys_id": outcome.set_id,
            }
        )
        return answer
