"""The settings of one broker of a test cluster, as Kafka's server.properties. Pure: opens no file and no port."""

# Listener -> (protocol, advertised host). Brokers among themselves use INTERNAL, so that what stands between clients and a
# broker (proxy.py) does not stand between brokers.
CLIENT_LISTENERS = {
    "PLAINTEXT": ("PLAINTEXT", "127.0.0.1"),
    "SASLSSL": ("SASL_SSL", "localhost"),
    "MTLS": ("SSL", "localhost"),
    "SASLPLAIN": ("SASL_PLAINTEXT", "localhost"),
}
BROKER_LISTENERS = {"INTERNAL": ("PLAINTEXT", "127.0.0.1"), "CONTROLLER": ("PLAINTEXT", "127.0.0.1")}
USERS = {"alice": "alice-secret", "bob": "bob-secret"}
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")


def client_listeners(secure: bool) -> list[str]:
    return [name for name in CLIENT_LISTENERS if secure or name == "PLAINTEXT"]


def server_properties(cluster: dict, node: dict, data: str, certificates: str) -> dict[str, str]:
    settings = {
        "process.roles": "broker,controller",
        "node.id": str(node["id"]),
        "controller.quorum.bootstrap.servers": ",".join(controllers(cluster)),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "INTERNAL",
        "log.dirs": data,
    }
    settings |= listeners(cluster, node) | sizes(len(cluster["nodes"]))
    if cluster["secure"]:
        settings |= security(certificates)
    if cluster["acl"]:
        settings |= access()
    return settings | cluster["properties"]


def controllers(cluster: dict) -> list[str]:
    return [f"127.0.0.1:{node['ports']['CONTROLLER']}" for node in cluster["nodes"]]


def listeners(cluster: dict, node: dict) -> dict[str, str]:
    reached = node["ports"] | node["proxy_ports"]
    clients = client_listeners(cluster["secure"])
    return {
        "listeners": ",".join(f"{name}://127.0.0.1:{node['ports'][name]}" for name in [*clients, *BROKER_LISTENERS]),
        "advertised.listeners": ",".join(
            [f"{name}://{CLIENT_LISTENERS[name][1]}:{reached[name]}" for name in clients]
            + [f"INTERNAL://127.0.0.1:{node['ports']['INTERNAL']}"]
        ),
        "listener.security.protocol.map": ",".join(
            f"{name}:{protocol}" for name, (protocol, _) in (CLIENT_LISTENERS | BROKER_LISTENERS).items()
        ),
    }


def sizes(nodes: int) -> dict[str, str]:
    """Replicas as in production where there are three nodes; few partitions of Kafka's own topics, so that they are ready soon."""
    settings = {
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.partitions": "1",
        "default.replication.factor": str(min(nodes, 3)),
        "min.insync.replicas": "2" if nodes >= 3 else "1",
        # A broker that is merely slow is not taken for dead, also where tests shorten its session to a few seconds.
        "broker.heartbeat.interval.ms": "500",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "auto.create.topics.enable": "false",
        # Replayed records have old timestamps; by default they would be deleted within minutes.
        "log.retention.ms": "-1",
        "log.segment.bytes": str(256 << 20),
        "log.cleaner.dedupe.buffer.size": str(16 << 20),
    }
    for topic, in_sync in (
        ("offsets.topic", None),
        ("transaction.state.log", "min.isr"),
        ("share.coordinator.state.topic", "min.isr"),
    ):
        settings[f"{topic}.num.partitions"] = "5"
        settings[f"{topic}.replication.factor"] = settings["default.replication.factor"]
        if in_sync:
            settings[f"{topic}.{in_sync}"] = settings["min.insync.replicas"]
    return settings


def security(certificates: str) -> dict[str, str]:
    security_package = "org.apache.kafka.common.security"
    settings = {
        "sasl.enabled.mechanisms": ",".join([*SCRAM, "PLAIN", "OAUTHBEARER"]),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": f"{certificates}/broker.pem",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": f"{certificates}/ca.crt",
        "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
        "listener.name.mtls.ssl.client.auth": "required",
        # Not all, so that a client can ask for one that is not there.
        "listener.name.saslplain.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
    }
    passwords = " ".join(f'user_{name}="{password}"' for name, password in USERS.items())
    for listener in ("saslssl", "saslplain"):
        of = f"listener.name.{listener}"
        for mechanism in SCRAM:
            settings[f"{of}.{mechanism.lower()}.sasl.jaas.config"] = (
                f"{security_package}.scram.ScramLoginModule required;"
            )
        settings[f"{of}.plain.sasl.jaas.config"] = f"{security_package}.plain.PlainLoginModule required {passwords};"
        # A connection is cut when its token has expired and no other one has come.
        settings[f"{of}.oauthbearer.connections.max.reauth.ms"] = "3600000"
        # Tokens without a signature: who writes "sub": "alice" into one is alice.
        oauth = f"{security_package}.oauthbearer"
        settings[f"{of}.oauthbearer.sasl.jaas.config"] = f"{oauth}.OAuthBearerLoginModule required;"
        settings[f"{of}.oauthbearer.sasl.server.callback.handler.class"] = (
            f"{oauth}.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"
        )
    return settings


def access() -> dict[str, str]:
    """Brokers, the plaintext listener and alice may do everything; bob only what ACLs give him."""
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS;User:alice",
        "allow.everyone.if.no.acl.found": "false",
    }


def as_text(settings: dict[str, str]) -> str:
    return "".join(f"{name}={value.replace(chr(92), chr(92) * 2)}\n" for name, value in settings.items())
