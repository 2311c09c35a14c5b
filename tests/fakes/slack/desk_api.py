"""What an app that has a desk asks of Slack: people, files, reactions, modals and Home tabs."""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.fakes.slack import limits
from tests.fakes.slack.answers import Refused, is_true, message_at, page, readable, thread_of
from tests.fakes.slack.team import FakeFile, FakePerson, FakeTeam

UPLOADS_BYTES = 20_000_000


class DeskApi:
    """A part of the Web API; a method's name is Slack's, with underscores."""

    def __init__(self, tell: Callable[[FakeTeam, str, dict[str, Any]], None]) -> None:
        self.tell = tell
        self.url = ""
        # Views by id, Home tabs by user, and what may open one.
        self.views: dict[str, dict[str, Any]] = {}
        self.homes: dict[str, dict[str, Any]] = {}
        self.triggers: set[str] = set()
        self.lengths: dict[str, int] = {}

    def users_info(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        user = str(args.get("user"))
        person = team.people.get(user) or FakePerson(locale=team.locales.get(user, "en-US"))
        about = {
            "id": user,
            "team_id": person.team or team.id,
            "is_bot": user == team.bot_user,
            "is_restricted": person.guest,
            "profile": {"display_name": person.name, "real_name": person.name},
            "real_name": person.name,
        }
        if is_true(args.get("include_locale")):
            about["locale"] = person.locale
        return {"user": about}

    def conversations_info(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        channel = team.channels.get(str(args.get("channel")))
        if channel is None or (channel.kind == "group" and not channel.member):
            raise Refused("channel_not_found")
        return {
            "channel": {
                "id": channel.id,
                "name": channel.id.lower(),
                "is_im": channel.kind == "im",
                "is_member": channel.member,
                "is_archived": channel.archived,
                "is_ext_shared": channel.shared,
            }
        }

    def conversations_members(self, team: FakeTeam, args: dict[str, Any]) -> Any:
        channel = readable(team, args)
        return page([*channel.people, team.bot_user], args, "members")

    def reactions_add(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        who = message_at(team, args).reactions.setdefault(str(args.get("name")), set())
        if team.bot_user in who:
            raise Refused("already_reacted")
        who.add(team.bot_user)
        return {}

    def reactions_remove(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        message, name = message_at(team, args), str(args.get("name"))
        if team.bot_user not in message.reactions.get(name, ()):
            raise Refused("no_reaction")
        message.reactions[name].discard(team.bot_user)
        return {}

    def views_open(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        if args.get("trigger_id") not in self.triggers:
            raise Refused("expired_trigger_id")
        self.triggers.discard(args["trigger_id"])
        error = limits.view_refusal(args.get("view"))
        if error:
            raise Refused(error)
        view = {**args["view"], "id": f"V{len(self.views) + 1}"}
        self.views[view["id"]] = view
        return {"view": view}

    def views_publish(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        error = limits.view_refusal(args.get("view"))
        if error or args["view"]["type"] != "home":
            raise Refused(error or "invalid_arguments")
        self.homes[str(args["user_id"])] = args["view"]
        return {"view": args["view"]}

    def chat_getPermalink(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        message_at(team, args, "message_ts")
        where = f"{args['channel']}/p{str(args['message_ts']).replace('.', '')}"
        return {"channel": args["channel"], "permalink": f"https://fake.slack.com/archives/{where}"}

    def files_info(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        return {"file": _file(team, args).shown(self.url)}

    def files_delete(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        """Delete a file of the app's; what it was shared in stays, without it."""
        file = _file(team, args)
        if file.user != team.bot_user:
            raise Refused("cant_delete_file")
        file.deleted = True
        for channel in team.channels.values():
            for message in channel.messages.values():
                message.files = [
                    file.shown(self.url) if shown["id"] == file.id else shown
                    for shown in message.files
                ]
        return {}

    def files_getUploadURLExternal(self, team: FakeTeam, args: dict[str, Any]) -> dict[str, Any]:
        name, length = str(args.get("filename") or ""), int(args.get("length") or 0)
        if not name or length <= 0:
            raise Refused("invalid_arguments")
        if length > UPLOADS_BYTES:
            raise Refused("file_upload_size_restricted")
        number = len(team.files) + 1
        file = FakeFile(f"FAPP{number}", name, b"", complete=False, user=team.bot_user)
        team.files[file.id] = file
        self.lengths[file.id] = length
        return {"upload_url": f"{self.url}/upload/{file.id}", "file_id": file.id}

    def files_completeUploadExternal(self, team: FakeTeam, args: dict[str, Any]) -> Any:
        channel = team.channels.get(str(args.get("channel_id")))
        if channel is None or not channel.member:
            raise Refused("channel_not_found")
        files = []
        for wanted in json.loads(args["files"]):
            file = team.files.get(wanted["id"])
            if file is None or file.complete or len(file.content) != self.lengths[file.id]:
                raise Refused("file_not_found")
            file.complete, file.name = True, wanted.get("title") or file.name
            files.append(file.shown(self.url))
        # The message comes a little later, and the answer does not tell its ts.
        message = team.write(
            channel.id,
            text=str(args.get("initial_comment") or ""),
            user=team.bot_user,
            bot_id=team.bot_id,
            app_id=team.app_id,
            thread_ts=thread_of(channel, args),
            files=files,
        )
        self.tell(team, channel.id, message.shown())
        return {"files": files}

    def uploaded(self, file: FakeFile | None, content: bytes) -> web.Response:
        """Take the bytes of a file, once."""
        if file is None or file.complete:
            return web.Response(status=404)
        file.content = content
        return web.Response(text=f"OK - {len(content)}")


def _file(team: FakeTeam, args: dict[str, Any]) -> FakeFile:
    file = team.files.get(str(args.get("file")))
    if file is None or not file.complete:
        raise Refused("file_not_found")
    if file.deleted:
        raise Refused("file_deleted")
    return file
