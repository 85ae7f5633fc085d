"""What is compared: Casefile, a bare PutItem of the message, also deflated, and those in use today.

Each lives in an environment of its own, whose requirements say the versions, and has an adapter in
`benchmarks/stores` that drives it as its own users do. Of some only a part is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dev import environments
from dev.environments import Environment

IN_AGENT = "the agent's process"
"""Where all of it runs but Casefile's function."""

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
    runs_in: str = IN_AGENT
    measured: frozenset[str] = frozenset({"appends", "start", "rest"})
    sdk: str = ""
    """The package that an adapter of Casefile's is for."""


def _peer(
    name: str, title: str, start: str, *, of: str | None = None, lives_in: str = "DynamoDB"
) -> Peer:
    return Peer(name, title, environments.of_peer(of or name), start, lives_in)


def _client(name: str, title: str, start: str, sdk: str = "") -> Peer:
    """What an agent loads that keeps its sessions in Casefile; what that does is Casefile's."""
    return Peer(
        name,
        title,
        environments.CLIENT,
        f"from casefile import Client; client = Client('http://localhost', token='t'); {start}",
        variables={"PYTHONPATH": "client"},
        measured=frozenset({"start"}),
        sdk=sdk,
    )


CASEFILE = Peer(
    "casefile",
    "Casefile",
    environments.DEVELOPMENT,
    "import functions.chat.handler",
    variables={"AWS_LAMBDA_FUNCTION_NAME": "bench", "PYDANTIC_DISABLE_PLUGINS": "__all__"},
    runs_in="its function, on Lambda",
)
IN_TURN = replace(
    CASEFILE,
    name="casefile_turns",
    title="Casefile, two instances in turn",
    measured=frozenset({"appends"}),
)
RAW = Peer("raw", "raw PutItem", environments.DEVELOPMENT, YARDSTICK)
DEFLATED = Peer(
    "deflated", "raw PutItem, deflated", environments.DEVELOPMENT, f"import zlib; {YARDSTICK}"
)

PEERS = (
    CASEFILE,
    IN_TURN,
    _client("casefile_client", "Casefile's client", "pass"),
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
    _client(
        "casefile_langchain",
        "Casefile's adapter for LangChain",
        "from casefile.adapters.langchain import CasefileChatMessageHistory as It; It('s', client)",
        sdk="langchain-core",
    ),
    _peer(
        "langgraph",
        "LangGraph DynamoDBSaver",
        "from langgraph.graph import StateGraph; "
        "from langgraph_checkpoint_aws import DynamoDBSaver as It; It('t')",
    ),
    _peer(
        "langgraph_delta",
        "LangGraph DynamoDBSaver, DeltaChannel (beta)",
        "from langgraph.graph import StateGraph; "
        "from langgraph.channels.delta import DeltaChannel; "
        "from langgraph_checkpoint_aws import DynamoDBSaver as It; It('t')",
        of="langgraph",
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
    _client(
        "casefile_strands",
        "Casefile's adapter for Strands",
        "from casefile.adapters.strands import CasefileSessionManager",
        sdk="strands-agents",
    ),
    _peer(
        "openai",
        "OpenAI Agents SQLiteSession",
        "from agents import SQLiteSession as It; It('s')",
        lives_in="a file",
    ),
    _client(
        "casefile_openai",
        "Casefile's adapter for OpenAI Agents",
        "from casefile.adapters.openai_agents import CasefileSession as It; It('s', client)",
        sdk="openai-agents",
    ),
    _client(
        "casefile_pydantic_ai",
        "Casefile's adapter for Pydantic AI",
        "from casefile.adapters.pydantic_ai import MessageHistory as It; It('s', client)",
        sdk="pydantic-ai-slim",
    ),
    _peer(
        "adk",
        "ADK DatabaseSessionService, SQLite",
        "from google.adk.sessions import DatabaseSessionService as It; "
        "It('sqlite+aiosqlite:///:memory:')",
        lives_in="a file",
    ),
)
