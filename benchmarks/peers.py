"""What is compared: Casefile, a bare PutItem of the message, also deflated, and those in use today.

Each lives in an environment of its own, whose requirements say the versions, and has an adapter in
`benchmarks/stores` that drives it as its own users do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dev import environments
from dev.environments import Environment

YARDSTICK = "import boto3; boto3.client('dynamodb')"


@dataclass(frozen=True)
class Peer:
    """One store: its adapter, what people call it, and what a program does that starts with it."""

    name: str
    title: str
    environment: Environment
    start: str
    lives_in: str = "DynamoDB"
    variables: Mapping[str, str] = field(default_factory=dict)
    """What its processes are told beside where things are."""


def _peer(
    name: str, title: str, start: str, *, of: str | None = None, lives_in: str = "DynamoDB"
) -> Peer:
    return Peer(name, title, environments.of_peer(of or name), start, lives_in)


CASEFILE = Peer(
    "casefile",
    "Casefile",
    environments.DEVELOPMENT,
    "import functions.chat.handler",
    variables={"AWS_LAMBDA_FUNCTION_NAME": "bench", "PYDANTIC_DISABLE_PLUGINS": "__all__"},
)
RAW = Peer("raw", "raw PutItem", environments.DEVELOPMENT, YARDSTICK)
DEFLATED = Peer(
    "deflated", "raw PutItem, deflated", environments.DEVELOPMENT, f"import zlib; {YARDSTICK}"
)

PEERS = (
    CASEFILE,
    RAW,
    DEFLATED,
    _peer(
        "chainlit",
        "Chainlit DynamoDBDataLayer",
        "from chainlit.data.dynamodb import DynamoDBDataLayer as It; It('t')",
    ),
    _peer(
        "strands_repository",
        "Strands repository on DynamoDB",
        "from strands_session_dynamodb import DynamoDBSessionManager",
        of="strands",
    ),
    _peer(
        "agno",
        "agno DynamoDb",
        "from agno.db.dynamo import DynamoDb; DynamoDb(region_name='us-east-1')",
    ),
    _peer(
        "langchain",
        "LangChain DynamoDBChatMessageHistory",
        "from langchain_community.chat_message_histories import DynamoDBChatMessageHistory as It; "
        "It('t', 's')",
    ),
    _peer(
        "langgraph",
        "LangGraph DynamoDBSaver",
        "from langgraph.graph import StateGraph; "
        "from langgraph_checkpoint_aws import DynamoDBSaver as It; It('t')",
    ),
    _peer(
        "strands_snapshots",
        "Strands snapshots on DynamoDB",
        "from strands_dynamodb_storage import DynamoDBStorage as It; "
        "from strands.session.snapshot_session_manager import SnapshotSessionManager; It('t')",
        of="strands",
    ),
    _peer(
        "strands_s3",
        "Strands S3SessionManager",
        "from strands.session import S3SessionManager",
        of="strands",
        lives_in="S3",
    ),
    _peer(
        "openai",
        "OpenAI Agents SQLiteSession",
        "from agents import SQLiteSession as It; It('s')",
        lives_in="a file",
    ),
    _peer(
        "adk",
        "ADK DatabaseSessionService, SQLite",
        "from google.adk.sessions import DatabaseSessionService as It; "
        "It('sqlite+aiosqlite:///:memory:')",
        lives_in="a file",
    ),
)
