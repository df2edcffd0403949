"""
REST API v4: files, which are uploaded to a channel and attached to one post.

Before a file is attached, only its uploader can read it. After that, everyone who can read the channel can.
"""

import mimetypes
from pathlib import PurePosixPath

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.server.rest import ApiError, forbidden, invalid_body, me
from sandbox.mattermost.server.state import Json, State, new_id

LARGEST = 100 * 1024 * 1024  # bytes; the server's default limit
_MISSING = ApiError(404, "app.file_info.get.app_error", "Unable to get the file info.")


def files_blueprint(state: State) -> Blueprint:
    """Routes to upload files and to read their content and metadata."""
    blueprint = Blueprint("files", __name__, url_prefix="/api/v4")

    @blueprint.post("/files")
    def upload() -> ResponseReturnValue:
        person = me(state)
        channel_id = request.form.get("channel_id") or request.args.get("channel_id", "")
        if channel_id not in state.channels:
            raise invalid_body("channel_id")
        if not state.may_post(person, channel_id):
            raise forbidden()
        given = [(one.filename or "", one.read()) for one in request.files.getlist("files")]
        if not given and request.args.get("filename"):
            given = [(request.args["filename"], request.get_data())]
        if not given:
            raise ApiError(400, "api.file.upload_file.read_request.app_error", "Unable to upload file(s).")
        if any(len(content) > LARGEST for _, content in given):
            text = "Unable to upload file {{.Filename}}. File is too large."
            raise ApiError(413, "api.file.upload_file.too_large_detailed.app_error", text)
        made = [_stored(state, person, channel_id, name, content) for name, content in given]
        return jsonify({"file_infos": made, "client_ids": request.form.getlist("client_ids")}), 201

    @blueprint.get("/files/<file_id>")
    def content(file_id: str) -> ResponseReturnValue:
        info, data = _readable(state, me(state), file_id)
        shown = info["mime_type"] if info["mime_type"].startswith("image/") else "application/octet-stream"
        inline = info["mime_type"].startswith("image/") and not request.args.get("download")
        response = Response(data, mimetype=shown if inline else info["mime_type"])
        response.headers.set("Content-Disposition", "inline" if inline else "attachment", filename=info["name"])
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @blueprint.get("/files/<file_id>/info")
    def facts(file_id: str) -> ResponseReturnValue:
        return jsonify(_readable(state, me(state), file_id)[0])

    @blueprint.get("/posts/<post_id>/files/info")
    def of_post(post_id: str) -> ResponseReturnValue:
        person, post = me(state), state.posts.get(post_id)
        if post is None or not state.may_read(person, post["channel_id"]):
            raise forbidden()
        return jsonify(infos(state, post.get("file_ids", [])))

    return blueprint


def infos(state: State, file_ids: list[str]) -> list[Json]:
    """The metadata of files, in order."""
    return [dict(state.files[one][0]) for one in file_ids if one in state.files]


def _stored(state: State, person: str, channel_id: str, name: str, content: bytes) -> Json:
    now = state.now()
    info: Json = {
        "id": new_id(),
        "user_id": person,
        "channel_id": channel_id,
        "create_at": now,
        "update_at": now,
        "delete_at": 0,
        "name": PurePosixPath(name.replace("\\", "/")).name,
        "extension": PurePosixPath(name).suffix.lstrip(".").lower(),
        "size": len(content),
        "mime_type": mimetypes.guess_type(name)[0] or "application/octet-stream",
        "mini_preview": None,
        "remote_id": "",
        "archived": False,
    }
    state.files[info["id"]] = (info, content)
    return info


def _readable(state: State, person: str, file_id: str) -> tuple[Json, bytes]:
    if file_id not in state.files:
        raise _MISSING
    info, data = state.files[file_id]
    if info["user_id"] != person and not (info.get("post_id") and state.may_read(person, info["channel_id"])):
        raise forbidden()
    if info.get("post_id") and state.posts[info["post_id"]]["delete_at"]:
        raise _MISSING
    return info, data
