"""A node with the Security plugin: https, users, roles, and access control of models and connectors.

The plugin fills its index from the files below config/opensearch-security at the first start, and never reads them
again: afterwards users and roles are changed over its REST API
(https://docs.opensearch.org/latest/security/configuration/yaml/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
import yaml
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from stack.opensearch.node import Node

VERSION = "2.19.1"


@dataclass(frozen=True)
class User:
    """``hash`` is the password's bcrypt. ``roles`` are the plugin's, by name; ``backend_roles`` are the groups of
    people that models and connectors are shared with.
    """

    name: str
    password: str
    hash: str
    roles: tuple[str, ...] = ()
    backend_roles: tuple[str, ...] = ()

    @property
    def login(self) -> tuple[str, str]:
        return self.name, self.password


ADMIN = User(
    "admin",
    "Admin-not-a-secret-1",
    "$2b$04$IFWsVmIwQTbD8F3IQ0y03Os0P8by27n0u1uwe.oBGe68AM6sWAkGm",
    roles=("all_access",),
)
SETTINGS: dict[str, Any] = {
    "plugins.security.ssl.transport.pemcert_filepath": "certificates/node.pem",
    "plugins.security.ssl.transport.pemkey_filepath": "certificates/node-key.pem",
    "plugins.security.ssl.transport.pemtrustedcas_filepath": "certificates/ca.pem",
    "plugins.security.ssl.http.enabled": True,
    "plugins.security.ssl.http.pemcert_filepath": "certificates/node.pem",
    "plugins.security.ssl.http.pemkey_filepath": "certificates/node-key.pem",
    "plugins.security.ssl.http.pemtrustedcas_filepath": "certificates/ca.pem",
    "plugins.security.nodes_dn": ["CN=node,*"],
    "plugins.security.allow_default_init_securityindex": True,
    "plugins.security.restapi.roles_enabled": ["all_access"],
    "plugins.security.audit.type": "noop",
    # As the distribution's demo configuration: what ML Commons stores is reached through ML Commons only.
    "plugins.security.system_indices.enabled": True,
    "plugins.security.system_indices.indices": [".plugins-ml-*"],
    "plugins.ml_commons.model_access_control_enabled": True,
    "plugins.ml_commons.connector_access_control_enabled": True,
}
LOGIN_BY_PASSWORD = {
    "dynamic": {
        "http": {"anonymous_auth_enabled": False},
        "authc": {
            "password": {
                "http_enabled": True,
                "transport_enabled": True,
                "order": 0,
                "http_authenticator": {"type": "basic", "challenge": True},
                "authentication_backend": {"type": "intern"},
            }
        },
    }
}


def secured_node(
    home: Path, http_port: int, transport_port: int, users: Sequence[User], roles: Mapping[str, Any]
) -> Node:
    """Not started, on a new ``home``; ``admin`` is one of its users. ``roles`` as in a roles.yml, without its `_meta`.

    Its authority is new, and the only one that vouches for it: ``ca`` of the node is the authority's certificate.
    """
    address = "127.0.0.1"
    ca = _write_certificates(home / "config" / "certificates", address)
    _write_configuration(home / "config" / "opensearch-security", [ADMIN, *users], roles)
    return Node(VERSION, home, http_port, transport_port, address, settings=SETTINGS, login=ADMIN.login, ca=ca)


def _write_certificates(folder: Path, address: str) -> Path:
    """The authority's; the key as PKCS#8, which the plugin wants."""
    folder.mkdir(parents=True, mode=0o700)
    authority = trustme.CA()
    node = authority.issue_cert(address, common_name="node")
    key = load_pem_private_key(node.private_key_pem.bytes(), password=None)
    (folder / "node-key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "node-key.pem").chmod(0o600)
    node.cert_chain_pems[0].write_to_path(str(folder / "node.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder / "ca.pem"


def _write_configuration(folder: Path, users: Sequence[User], roles: Mapping[str, Any]) -> None:
    """Every file the plugin knows must be there."""
    folder.mkdir(mode=0o700)
    accounts = {
        user.name: {"hash": user.hash, "backend_roles": list(user.backend_roles), "reserved": user is ADMIN}
        for user in users
    }
    mapping = {
        role: {"users": [user.name for user in users if role in user.roles]} for user in users for role in user.roles
    }
    files: dict[tuple[str, str], Mapping[str, Any]] = {
        ("config.yml", "config"): {"config": LOGIN_BY_PASSWORD},
        ("internal_users.yml", "internalusers"): accounts,
        ("roles.yml", "roles"): roles,
        ("roles_mapping.yml", "rolesmapping"): mapping,
        ("action_groups.yml", "actiongroups"): {},
        ("tenants.yml", "tenants"): {},
        ("nodes_dn.yml", "nodesdn"): {},
        ("allowlist.yml", "allowlist"): {"config": {"enabled": False}},
        ("audit.yml", "audit"): {"config": {"enabled": False}},
    }
    for (name, kind), content in files.items():
        path = folder / name
        path.write_text(yaml.safe_dump({"_meta": {"type": kind, "config_version": 2}, **content}))
        path.chmod(0o600)
