"""Web origins that tests allow, and others that look like them."""

from collections.abc import Callable

Allow = Callable[..., None]

ALLOWED = ["https://app.example.com", "http://localhost:3000", "capacitor://localhost"]
OTHERS = [
    "https://evil.example.com",
    "https://app.example.com.evil.example",
    "https://app.example.com:8443",
    "http://app.example.com",
    "https://app.example.com/",
    "HTTPS://APP.EXAMPLE.COM",
    "https://app.example.com,http://localhost:3000",
    "http://localhost",
    "*",
    "null",
    "",
]
