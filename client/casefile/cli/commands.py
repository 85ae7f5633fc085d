"""The commands."""

from __future__ import annotations

import io
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import httpx
import typer
from rich.markup import escape
from rich.progress import Progress

from pydantic_models.base import kind_of
from pydantic_models.canonical import ChatMessage, PermissionLevel, ToolRequest
from pydantic_models.export import BrokenExport
from pydantic_models.export import verify as verify_lines

from .. import errors, importing
from .._sync.chat_sessions import ChatSession
from .._sync.client import Client
from .._sync.tool_sessions import ToolSession
from ..buffer import CLOSE_SECONDS, Buffer, BufferedChatSession
from ..credentials import CognitoUser, Token
from ..doors import HttpDoor
from . import login as logins
from . import printing
from .printing import as_json, err, fact

EXIT_CODES = {
    errors.BadRequest: 2,
    errors.Unauthenticated: 3,
    errors.Forbidden: 3,
    errors.NotFound: 4,
    errors.Conflict: 5,
    errors.Unreachable: 6,
    errors.Unavailable: 6,
    errors.TooManyRequests: 6,
    errors.InternalError: 6,
    errors.CasefileError: 1,
    OSError: 1,
    UnicodeDecodeError: 2,
}
SEND_SECONDS = 20
"""How long `send` goes on while nothing gets through."""

BROKEN = 7
"""The exit code for an export that doesn't hold."""

app = typer.Typer(
    help="Record what AI agents do, and read it.",
    epilog="Exit codes: 0 done; 1 it failed; 2 the command or its input is wrong; 3 you may not, "
    "or are not logged in; 4 not found; 5 what is stored forbids it; 6 the service can't be "
    "reached or can't now; 7 an export doesn't hold.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

imports = typer.Typer(
    help="Import conversations of a framework's own store; again, only what is new.",
    no_args_is_help=True,
)
app.add_typer(imports, name="import")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs, one document a line.")]
SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="ts_… or cs_…")]
CasefileId = Annotated[str, typer.Argument(metavar="CASEFILE", help="cf_…")]
FiledIn = Annotated[str | None, typer.Option("--casefile", help="File the sessions there: cf_…")]
Limit = Annotated[int, typer.Option(help="How many at most.", min=1)]


class Kind(str, Enum):
    """What can be created."""

    TOOL = "tool"
    CHAT = "chat"
    CASEFILE = "casefile"


class Listed(str, Enum):
    """What can be listed."""

    TOOL = "tool"
    CHAT = "chat"
    CASEFILES = "casefiles"


class Order(str, Enum):
    """What comes first in a list: what was created last, or what was active last."""

    CREATION = "creation"
    ACTIVITY = "activity"


def main() -> None:
    """Run a command; an error is a line on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # Not each terminal has each character.
            stream.reconfigure(errors="backslashreplace")
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BytesIO())  # A closed one is empty.
    try:
        app()
    except (errors.CasefileError, OSError, UnicodeDecodeError) as error:
        err.print(f"casefile: {printing.harmless(str(error))}", style="red", markup=False)
        sys.exit(next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind)))


@app.command()
def login(
    url: Annotated[str, typer.Argument(help="The API's: the stack's output ApiUrl.")],
    token: Annotated[
        str | None, typer.Option(help="A token, such as `make token` prints; - to be asked.")
    ] = None,
    pool_id: Annotated[str | None, typer.Option(help="The stack's output UserPoolId.")] = None,
    client_id: Annotated[
        str | None, typer.Option(help="The stack's output UserPoolClientId.")
    ] = None,
    email: Annotated[str | None, typer.Option(help="Your address.")] = None,
    cognito_url: Annotated[str | None, typer.Option(help="Cognito's, if it is not AWS's.")] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="CASEFILE_API_KEY",
            help="An API key, if the stack requires one; - to be asked.",
        ),
    ] = None,
) -> None:
    """Log in, with a token or as a user of the stack's pool, and stay so."""
    if api_key == "-":
        api_key = str(typer.prompt("API key", hide_input=True))
    if pool_id is not None and client_id is not None:
        email = email or str(typer.prompt("E-mail"))
        password = str(typer.prompt("Password", hide_input=True))
        user = CognitoUser(pool_id, client_id, email=email, password=password, endpoint=cognito_url)
        _check_login(HttpDoor(url, user, api_key))
        said = {
            "refresh_token": user.refresh_token,
            "pool_id": pool_id,
            "client_id": client_id,
            "endpoint": cognito_url,
        }
    elif pool_id is None and client_id is None:
        if token in (None, "-"):
            token = str(typer.prompt("Token", hide_input=True))
        _check_login(HttpDoor(url, Token(str(token)), api_key))
        said = {"token": token}
    else:
        raise typer.BadParameter("give both --pool-id and --client-id, or neither")
    logins.keep({"url": url, "api_key": api_key, **said})
    fact(f"Logged in to {url}.")


@app.command()
def logout() -> None:
    """Forget the login."""
    fact("Logged out." if logins.forget() else "You were not logged in.")


@app.command()
def create(
    kind: Kind,
    title: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    casefile: Annotated[str | None, typer.Option(help="File the session there: cf_…")] = None,
    json_: Json = False,
) -> None:
    """Open a tool session, a chat session or a casefile; print its id."""
    with _client() as client:
        if kind is Kind.CASEFILE:
            if title is None or casefile is not None:
                raise typer.BadParameter("a casefile takes a --title, and is in no other")
            told = {"casefile_id": client.casefiles.create(title).casefile_id}
        else:
            sessions = client.tool_sessions if kind is Kind.TOOL else client.chat_sessions
            told = {"session_id": sessions.create(title, casefile_id=casefile).session_id}
    as_json(told) if json_ else fact(*told.values())


@app.command()
def record(
    session: SessionId,
    buffer: Annotated[
        Path | None,
        typer.Option(help="Go through this file, and keep there what can't be sent, all of it."),
    ] = None,
    json_: Json = False,
) -> None:
    """Record what is on standard input: JSON, a document a line.

    In a chat session each is a message, {"content": "Hello", "message_type": "user"}, or text
    alone, "Hello". In a tool session each is an execution, {"tool_name": "search", "parameters":
    {}, "result": {}}.

    By way of a buffer's file, it reads on whatever the service does: the file takes as much as the
    disk does. At the end it sends for ten seconds at most, and `casefile send` sends the rest. It
    tells how many entries wait in the file, and how many were refused for good meanwhile; if any
    were, it exits with 1.
    """
    count = waiting = refused = 0
    with _client() as client, ExitStack() as opened, _progress() as progress:
        task = progress.add_task("Recording", total=None)
        by: Client | Buffer = client
        if buffer is not None:
            most = sys.maxsize
            by = Buffer(client, buffer, max_records=most, max_bytes=most, close_seconds=0.0)
            opened.enter_context(by)
            refused = -len(by.refused())
        recorder = _recorder(by, session)
        try:
            for document in _documents(kind_of(session.lower())):
                recorder(document)
                count += 1
                progress.update(task, description=f"Recorded {count}")
        except errors.CasefileError:
            where = "" if buffer is None else f" in {printing.harmless(str(buffer))}"
            err.print(f"What came before was recorded{where}: {count}.", markup=False)
            raise
        finally:
            if isinstance(by, Buffer):
                by.flush(CLOSE_SECONDS)
                waiting, refused = len(by), refused + len(by.refused())
    if json_:
        kept = {} if buffer is None else {"waiting": waiting, "refused": refused}
        as_json({"recorded": count, **kept})
    elif waiting or refused:
        fact(f"Recorded {count} in {buffer}: {waiting} wait, {refused} were refused.")
    else:
        fact(f"Recorded {count}.")
    if refused:
        raise typer.Exit(1)


@app.command()
def show(
    session: SessionId,
    newest: Annotated[int | None, typer.Option(help="Only so many, the newest.", min=1)] = None,
    json_: Json = False,
) -> None:
    """Show a session as a timeline."""
    with _client() as client:
        opened = _session(client, session)
        if not json_:
            _introduce(opened)
        for each in _entries(opened, newest):
            as_json(each) if json_ else printing.entry(each)


@app.command()
def follow(
    session: SessionId,
    after: Annotated[int, typer.Option(help="Only records with a higher number.", min=0)] = 0,
    json_: Json = False,
) -> None:
    """Show what is recorded as it comes, until the session is closed."""
    with _client() as client:
        for each in _session(client, session).follow(after=after):
            as_json(each) if json_ else printing.entry(each)


@app.command("list")
def list_(
    what: Annotated[Listed, typer.Argument()] = Listed.TOOL,
    all_: Annotated[bool, typer.Option("--all", help="Closed sessions, too.")] = False,
    casefile: Annotated[str | None, typer.Option(help="Only what is filed there: cf_…")] = None,
    limit: Limit = 50,
    order: Annotated[Order, typer.Option(help="By activity, a long list may miss what moves.")] = (
        Order.CREATION
    ),
    json_: Json = False,
) -> None:
    """List sessions or casefiles, the last created first, or the last active."""
    with _client() as client:
        if what is Listed.CASEFILES:
            found: Any = client.casefiles.list(limit=limit, order=order.value)
        else:
            sessions = client.tool_sessions if what is Listed.TOOL else client.chat_sessions
            found = sessions.list(
                limit=limit, order=order.value, active_only=not all_, casefile_id=casefile
            )
        if json_:
            for each in found:
                as_json(each)
        elif what is Listed.CASEFILES:
            rows = [
                (e.casefile_id, e.title, e.session_count, printing.time(e.updated_at))
                for e in found
            ]
            printing.table(("casefile", "title", "sessions", "changed (UTC)"), rows)
        else:
            printing.table(
                ("session", "title", "records", "last active (UTC)", ""),
                [
                    (
                        each.session_id,
                        each.title,
                        each.request_count if what is Listed.TOOL else each.message_count,
                        printing.time(each.updated_at),
                        "" if each.active else "closed",
                    )
                    for each in found
                ],
            )


@app.command()
def close(
    session: SessionId,
    force: Annotated[bool, typer.Option(help="Fail what is pending in it.")] = False,
    json_: Json = False,
) -> None:
    """Close a session, and print its totals and its seal."""
    with _client() as client:
        opened = _session(client, session)
        if isinstance(opened, ToolSession):
            told: Any = opened.close(force=force)
        else:
            told = opened.close()
        seal = opened.read().seal
    if json_:
        as_json(told.model_dump(mode="json") | {"seal": seal})
    else:
        fact(f"Closed at {told.closed_at}. Keep its seal, to verify exports by: {seal}")


@app.command()
def export(
    session: SessionId,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file.")] = None,
) -> None:
    """Write a session as JSON Lines, which can be verified offline."""
    with _client() as client:
        opened = _session(client, session)
        if output is None:
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8")
            for line in opened.export():
                sys.stdout.write(f"{line}\n")
            return
        partial = output.with_name(f"{output.name}.part")
        try:
            with partial.open("w", encoding="utf-8") as file, _progress() as progress:
                task = progress.add_task("Exporting", total=None)
                for number, line in enumerate(opened.export()):
                    file.write(f"{line}\n")
                    progress.update(task, advance=1, description=f"Exported {number} records")
            partial.replace(output)
        finally:
            partial.unlink(missing_ok=True)
    fact(f"Exported to {output}.")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="An export; - is standard input.", allow_dash=True)],
    seal: Annotated[
        str | None,
        typer.Option(help="The one that closing told: it shows that nothing is missing."),
    ] = None,
    json_: Json = False,
) -> None:
    """Check an export, record by record. It needs no service."""
    lines = _opened(file)
    try:
        held = verify_lines(lines, seal)
    except BrokenExport as broken:
        if json_:
            as_json({"holds": False, "record": broken.number, "reason": str(broken)})
        else:
            err.print(f"It does not hold: {printing.harmless(str(broken))}", style="red")
        raise typer.Exit(BROKEN) from None
    finally:
        lines.close()
    if json_:
        as_json({"holds": True, **held._asdict()})
        return
    state = "closed" if held.is_closed else "open"
    fact(f"It holds: {held.session_id}, {held.records} records, {state}, seal {held.seal}.")
    if held.linked:
        fact(f"{len(held.linked)} large contents are not in it, but named by their SHA-256.")


@app.command()
def share(
    casefile: CasefileId,
    user: Annotated[str, typer.Argument(help="An address, or * for everybody signed in.")],
    level: Annotated[PermissionLevel, typer.Option(help="What they may do.")] = (
        PermissionLevel.VIEWER
    ),
    until: Annotated[str | None, typer.Option(help="When it ends: 2030-01-01T00:00:00Z")] = None,
    json_: Json = False,
) -> None:
    """Let somebody use a casefile; the level none takes it away."""
    with _client() as client:
        folder = client.casefile(casefile)
        told: Any
        if level is PermissionLevel.NONE:
            told = folder.unshare(user)
        else:
            told = folder.share(user, level, expires_at=until)
    if json_:
        as_json(told)
    elif level is PermissionLevel.NONE:
        fact(f"{user} may no longer use {casefile}.")
    else:
        fact(f"{user} is now {level.value} of {casefile}.")


@app.command()
def file(casefile: CasefileId, session: SessionId, json_: Json = False) -> None:
    """File a session in a casefile."""
    with _client() as client:
        told = client.casefile(casefile).add(session)
    as_json(told) if json_ else fact(f"Filed; sessions in {casefile}: {told.total_sessions}.")


@imports.command("openai-sqlite")
def import_openai_sqlite(
    file: Annotated[
        Path, typer.Argument(help="A file of SQLiteSession.", exists=True, dir_okay=False)
    ],
    sessions_table: Annotated[str, typer.Option(help="If it was named so.")] = "agent_sessions",
    messages_table: Annotated[str, typer.Option(help="If it was named so.")] = "agent_messages",
    casefile: FiledIn = None,
    json_: Json = False,
) -> None:
    """Import the OpenAI Agents SDK's SQLite sessions."""
    tables = {"sessions_table": sessions_table, "messages_table": messages_table}
    try:
        _import(importing.read_openai_sqlite(file, **tables), casefile, json_)
    except sqlite3.Error as error:
        _refuse(f"{file} is no file of SQLiteSession: {error}")


@imports.command("langchain-dynamodb")
def import_langchain_dynamodb(
    table: Annotated[str, typer.Argument(help="The table's name.")],
    key: Annotated[str, typer.Option(help="Its primary_key_name.")] = "SessionId",
    history: Annotated[str, typer.Option(help="Its history_messages_key.")] = "History",
    region: Annotated[str | None, typer.Option(help="If it isn't your AWS profile's.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="DynamoDB's, if not AWS's.")] = None,
    casefile: FiledIn = None,
    json_: Json = False,
) -> None:
    """Import LangChain's DynamoDBChatMessageHistory, by your AWS credentials."""
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ModuleNotFoundError:
        _refuse("This needs one more package: pip install 'casefile-client[import]'")
    try:
        database = boto3.resource("dynamodb", region_name=region, endpoint_url=endpoint_url)
        found = importing.read_langchain_table(database.Table(table), key=key, history=history)
        _import(found, casefile, json_)
    except (BotoCoreError, ClientError) as error:
        _refuse(f"The table {table} can't be read: {error}")


@app.command()
def send(
    buffer: Annotated[Path, typer.Argument(help="A buffer's file.", exists=True, dir_okay=False)],
    retry_refused: Annotated[
        bool, typer.Option(help="What was refused for good, too, once more.")
    ] = False,
    json_: Json = False,
) -> None:
    """Send what waits in a buffer's file, and tell what was refused."""
    with _client() as client, Buffer(client, buffer, close_seconds=0.0) as opened:
        if retry_refused:
            opened.retry_refused()
        left = total = len(opened)
        with _progress() as progress:
            task = progress.add_task("Sending", total=total)
            began = time.monotonic()
            while not opened.flush(0.2):
                if len(opened) < left:
                    left, began = len(opened), time.monotonic()
                progress.update(task, completed=total - left)
                if time.monotonic() - began > SEND_SECONDS:
                    raise errors.Unreachable(f"{left} entries wait: {opened.problem}")
        refused = opened.refused()
    for each in refused:
        as_json(each._asdict()) if json_ else fact(f"refused: {each.operation}: {each.reason}")
    if refused:
        raise typer.Exit(1)
    if not json_:
        fact("All is sent.")


def _import(
    conversations: Iterator[importing.Conversation], casefile: str | None, json_: bool
) -> None:
    """Import conversations, and tell what became of each; exit with 1 if any is not whole."""
    failed = recorded = 0
    with _client() as client, _progress() as progress:
        task = progress.add_task("Importing", total=None)

        def show(conversation: importing.Conversation, done: int) -> None:
            name, count = printing.harmless(conversation.name), len(conversation.messages)
            progress.update(task, description=escape(name), completed=done, total=count)

        for told in importing.import_conversations(
            client, conversations, casefile_id=casefile, progress=show
        ):
            failed += told.error is not None
            recorded += told.recorded
            error = None if told.error is None else str(told.error)
            if json_:
                as_json({**vars(told), "error": error})
                continue
            counts = f"{told.recorded} recorded, {told.already} already there"
            counts += f", {told.as_text} as texts that no framework reads" if told.as_text else ""
            fact(f"{told.session_id or '-'}  {told.name}: {counts}")
            if error is not None:
                err.print(printing.harmless(error), style="red", markup=False)
    if failed:
        raise typer.Exit(1)
    if not json_:
        fact(f"Imported {recorded} messages.")


def _client(door: HttpDoor | None = None) -> Client:
    door = door or logins.door()
    try:
        return Client(door)
    except ImportError as error:
        raise errors.BadRequest(f"The environment's proxy can't be used: {error}") from None
    except (ValueError, httpx.InvalidURL):  # It may quote a part of a password.
        raise errors.BadRequest(
            "The environment's proxy can't be used: write http://host:port, and percent-encode "
            "what is no letter or digit in a user's name or password."
        ) from None


def _check_login(door: HttpDoor) -> None:
    with _client(door) as client:
        next(client.casefiles.list(limit=1), None)


def _session(client: Client, session_id: str) -> ToolSession | ChatSession:
    if kind_of(session_id.lower()) == "tool":
        return client.tool_session(session_id)
    return client.chat_session(session_id)


def _introduce(session: ToolSession | ChatSession) -> None:
    told = session.read()
    state = "open" if told.active else f"closed at {told.closed_at}"
    where = f", in {told.casefile_id}" if told.casefile_id else ""
    fact(f"{told.title or told.session_id} ({told.user_id}{where}, {state})")


def _entries(
    session: ToolSession | ChatSession, newest: int | None
) -> Iterator[ChatMessage | ToolRequest]:
    read = session.requests if isinstance(session, ToolSession) else session.messages
    if newest is None:
        return iter(read())
    found: list[ChatMessage | ToolRequest] = [*read(order="newest", limit=newest)]
    return reversed(found)


def _documents(kind: str) -> Iterator[dict[str, Any]]:
    """What is on standard input, line by line, in UTF-8 whatever the locale says.

    Raises BadRequest, which names the line.
    """
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise errors.BadRequest(f"Line {number} is not JSON: {error}") from None
        if isinstance(document, str) and kind == "chat":
            document = {"content": document, "message_type": "user"}
        needed = "content" if kind == "chat" else "tool_name"
        if not isinstance(document, dict) or needed not in document:
            raise errors.BadRequest(f'Line {number} is no object with a "{needed}".')
        yield document


def _recorder(by: Client | Buffer, session_id: str) -> Callable[[dict[str, Any]], object]:
    """What records one document, at once or by way of a buffer's file."""
    is_chat = kind_of(session_id.lower()) == "chat"
    session = by.chat_session(session_id) if is_chat else by.tool_session(session_id)

    def record(document: dict[str, Any]) -> None:
        try:
            if isinstance(session, (ChatSession, BufferedChatSession)):
                session.record([document])
            else:
                session.record(**document)
        except errors.CasefileError:
            raise
        except (TypeError, ValueError) as error:
            raise errors.BadRequest(
                f"A field is not known, or not as it must be: {error}"
            ) from None

    return record


@contextmanager
def _progress() -> Iterator[Progress]:
    """A progress bar on stderr, for people only."""
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        yield progress


def _opened(path: Path) -> Any:
    """An export. What in it is no UTF-8 is then no JSON, either, so that its line doesn't hold."""
    if str(path) == "-":
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8", errors="backslashreplace")
        return sys.stdin
    try:
        return path.open(encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        _refuse(f"{path}: {error.strerror}")


def _refuse(message: str) -> NoReturn:
    raise errors.BadRequest(message)
