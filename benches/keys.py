"""Secrets: keys drawn from another scanner's rules, and what libraries make.

Formats of keys are those of CredSweeper's rules of strong confidence; the detectors' come from other lists.
"""

from __future__ import annotations

import base64
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import jwt
import rstr
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from faker import Faker

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

# Rules for what is no vendor's key, or has a row of its own.
NOT_KEYS = {
    "UUID",
    "JSON Web Token",
    "JSON Web Key",
    "BASE64 encoded PEM Private Key",
    "BASE64 Private Key",
    "Azure Access Token",
    "Grafana Provisioned API Key",
    "NTLM Token",
    "Basic Authorization",
}
# No key is longer than this beyond its least length; rules that say 8,000 say "any".
SPREAD = 60

KEYS = [
    "export API_KEY={}",
    'client = Client("{}")',
    "the key is {} now",
    "curl -H 'X-Api-Key: {}' https://api.test/v1",
    "const key = '{}';",
    '{"key": "{}"}',
]
PASSWORDS = [
    'password = "{}"',
    "DB_PASSWORD={}",
    'const dbPassword = "{}";',
    '{"password": "{}"}',
    "  password: '{}'",
    'os.environ["SECRET_KEY"] = "{}"',
    "My password is {} and it does not work.",
    "the admin password: {}",
    "mysql -u root --password={} main",
    'private static final String PASSWORD = "{}";',
]
CONNECTIONS = [
    "postgresql://{user}:{password}@{host}:5432/main",
    "mysql+pymysql://{user}:{password}@{host}/shop",
    "mongodb+srv://{user}:{password}@{host}/?retryWrites=true",
    "redis://:{password}@{host}:6379/0",
    "amqps://{user}:{password}@{host}/vhost",
    "Server={host};Database=main;User Id={user};Password={password};",
    "jdbc:postgresql://{host}/main?user={user}&password={password}",
    "ftp://{user}:{password}@{host}/files",
]


def formats() -> dict[str, str]:
    """Return the pattern of each rule's value."""
    # Read without importing the package, whose models need much more.
    path = distribution("credsweeper").locate_file("credsweeper/rules/config.yaml")
    text = Path(str(path)).read_text(encoding="utf-8")
    found = {}
    for rule in yaml.safe_load(text):
        if rule["type"] == "pattern" and rule["confidence"] == "strong" and rule["name"] not in NOT_KEYS:
            found[rule["name"]] = bounded(value_of(rule["values"][0]))
    return found


def value_of(pattern: str) -> str:
    """Return the group named `value` of a pattern, with what a webhook's address begins with."""
    before, _, rest = pattern.partition("(?P<value>")
    depth, inside = 1, False
    for index, char in enumerate(rest):
        if rest[index - 1 : index] == "\\":
            continue
        inside = (inside or char == "[") and char != "]"
        depth += (char == "(") - (char == ")") if not inside else 0
        if depth == 0:
            host = before.removeprefix("(?P<variable>").removesuffix(")") if "hooks" in before else ""
            return host + rest[:index]
    raise ValueError(pattern)


def bounded(pattern: str) -> str:
    """Keep repetitions near their least length, in pieces that rstr can draw: it stops at a hundred."""

    def near_least(match: re.Match[str]) -> str:
        atom, least, most = match[1], int(match[2]), int(match[3])
        spread = min(most - least, SPREAD)
        whole, rest = divmod(least, 100)
        return f"{atom}{{100}}" * whole + f"{atom}{{{rest}}}{atom}{{0,{spread}}}"

    return re.sub(r"(\[[^\]]*\])\{(\d+),(\d+)\}", near_least, pattern)


class Secrets:
    """Whoever draws secrets."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.faker = Faker("en_US")
        self.strings = rstr.Rstr(rng)
        self.formats = formats()

    def api_key(self) -> tuple[str, str]:
        return self.strings.xeger(self.rng.choice(list(self.formats.values()))), self.rng.choice(KEYS)

    def private_key(self) -> tuple[str, str]:
        key = self.rng.choice(
            [
                lambda: rsa.generate_private_key(65537, 2048),
                lambda: ec.generate_private_key(ec.SECP256R1()),
                ed25519.Ed25519PrivateKey.generate,
            ]
        )()
        form, sealed = self.rng.choice(
            [
                (serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
                (serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"long enough")),
                (serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()),
            ]
        )
        text = key.private_bytes(serialization.Encoding.PEM, form, sealed).decode().strip()
        escaped = self.rng.random() < 0.3
        return (text.replace("\n", "\\n"), '{"private_key": "{}"}') if escaped else (text, "Use this:\n{}\n")

    def jwt(self) -> tuple[str, str]:
        claims = {"sub": self.faker.uuid4(), "name": self.faker.name(), "iat": self.rng.randrange(10**9)}
        key = self.faker.password(64)
        token = jwt.encode(claims, key, self.rng.choice(["HS256", "HS384", "HS512"]))
        return token, self.rng.choice(["token={}", "Authorization: Bearer {}", '"{}"', "It says {} here."])

    def chosen(self) -> str:
        """Return a password as a generator or a careful person makes it."""
        return self.rng.choice(
            [
                lambda: self.faker.password(self.rng.randrange(10, 20)),
                lambda: self.faker.password(16, special_chars=False),
                lambda: f"{self.faker.word().title()}-{self.faker.word()}-{self.rng.randrange(100)}!",
            ]
        )()

    def connection_string(self) -> tuple[str, str]:
        form = self.rng.choice(CONNECTIONS)
        password = self.chosen().replace(";", "_")
        if "://" in form:
            password = quote(password, safe="")
        value = form.format(user=self.faker.user_name(), password=password, host=self.faker.domain_name(2))
        return value, self.rng.choice(['url = "{}"', "DATABASE_URL={}", "Connect to {} first"])

    def password(self) -> tuple[str, str]:
        form = self.rng.choice(PASSWORDS)
        # Where nothing quotes it, a sign would end it.
        plain = '"' not in form and "'" not in form
        value = self.faker.password(16, special_chars=False) if plain else self.chosen()
        return value, form

    def basic(self) -> tuple[str, str]:
        pair = f"{self.faker.user_name()}:{self.chosen()}"
        return base64.b64encode(pair.encode()).decode(), "Authorization: Basic {}"


def secret(rng: random.Random, count: int) -> Iterator[tuple[str, str, str]]:
    """Yield an entity, a value of it and a text with a place for that."""
    secrets = Secrets(rng)
    draws: dict[str, list[Callable[[], tuple[str, str]]]] = {
        "API_KEY": [secrets.api_key],
        "PRIVATE_KEY": [secrets.private_key],
        "JWT": [secrets.jwt],
        "CONNECTION_STRING": [secrets.connection_string],
        "PASSWORD": [secrets.password, secrets.password, secrets.password, secrets.basic],
    }
    for entity, ways in draws.items():
        for _ in range(4 * count if entity == "API_KEY" else count):
            yield entity, *rng.choice(ways)()
