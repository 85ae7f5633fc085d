"""Signing in to Cognito without sending the password.

It is the secure remote password protocol (RFC 5054), with a padding, names and a derivation of the
key that are Cognito's own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime

# The 3072-bit group of RFC 3526, chapter 4.
_N = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05"
    "98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB"
    "9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718"
    "3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33"
    "A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7"
    "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864"
    "D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2"
    "08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    16,
)
_G = 2
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Handshake:
    """One sign-in: tell `public`, and answer the challenge that comes back."""

    def __init__(self, pool_id: str, password: str) -> None:
        self._pool_name = pool_id.partition("_")[2]
        self._password = password
        self._secret = secrets.randbelow(_N - 1) + 1
        self._public = pow(_G, self._secret, _N)

    @property
    def public(self) -> str:
        """What is told first."""
        return f"{self._public:x}"

    def answer(self, challenge: Mapping[str, str], now: datetime) -> dict[str, str]:
        """What shows that we know the password. `now` is in UTC."""
        user_id = challenge["USER_ID_FOR_SRP"]
        day = f"{_DAYS[now.weekday()]} {_MONTHS[now.month - 1]} {now.day}"
        timestamp = f"{day} {now:%H:%M:%S} UTC {now.year}"
        key = self._key(int(challenge["SRP_B"], 16), int(challenge["SALT"], 16), user_id)
        said = f"{self._pool_name}{user_id}".encode()
        said += base64.b64decode(challenge["SECRET_BLOCK"]) + timestamp.encode()
        signature = hmac.new(key, said, hashlib.sha256).digest()
        return {
            "USERNAME": user_id,
            "TIMESTAMP": timestamp,
            "PASSWORD_CLAIM_SECRET_BLOCK": challenge["SECRET_BLOCK"],
            "PASSWORD_CLAIM_SIGNATURE": base64.b64encode(signature).decode(),
        }

    def _key(self, theirs: int, salt: int, user_id: str) -> bytes:
        mixed = _hash(_padded(self._public) + _padded(theirs))
        if theirs % _N == 0 or mixed == 0:
            raise ValueError("what Cognito told is no challenge")
        identity = hashlib.sha256(f"{self._pool_name}{user_id}:{self._password}".encode()).digest()
        private = _hash(_padded(salt) + identity)
        multiplier = _hash(_padded(_N) + _padded(_G))
        shared = pow(theirs - multiplier * pow(_G, private, _N), self._secret + mixed * private, _N)
        extracted = hmac.new(_padded(mixed), _padded(shared), hashlib.sha256).digest()
        return hmac.new(extracted, b"Caldera Derived Key\x01", hashlib.sha256).digest()[:16]


def _padded(number: int) -> bytes:
    """A number's bytes, with a zero before a first bit that would be taken for a sign."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest(), "big")
