use super::*;
use kafka::{Sasl, Scram};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";

fn parse(spec: &str) -> Result<KafkaSpec, ControlError> {
    let text = format!("apiVersion: millrace/v1\nkind: KafkaCluster\nmetadata: {{name: k}}\nspec: {spec}\n");
    match KafkaClusterSpec::parse(&text)?.1 {
        KafkaClusterSpec::Kafka(spec) => Ok(*spec),
        KafkaClusterSpec::Embedded => panic!("it is embedded"),
    }
}

/// A spec with this security.
fn secured(security: &str) -> Result<KafkaSpec, ControlError> {
    parse(&format!("{{type: kafka, bootstrap: ['a:1'], security: {security}}}"))
}

fn secrets() -> Secrets {
    let values =
        [("p", "open sesame\n"), ("k", KEY), ("c", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----")];
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_cluster_is_completed_shown_and_read_again() {
    for (written, protocol) in [
        ("{}".to_owned(), "PLAINTEXT"),
        (format!("{{ca: \"{CERTIFICATE}\"}}"), "SSL"),
        (
            format!(
                "{{protocol: SSL, certificate: \"{CERTIFICATE}\", key: {{secret: k}}, keyPassword: {{secret: p}}}}"
            ),
            "SSL",
        ),
        ("{mechanism: SCRAM-SHA-512, username: alice, password: {secret: p}}".to_owned(), "SASL_SSL"),
        (
            "{protocol: SASL_PLAINTEXT, mechanism: PLAIN, username: alice, password: {secret: p}}".to_owned(),
            "SASL_PLAINTEXT",
        ),
        (
            "{oauth: {tokenUrl: 'https://a/t', clientId: c, clientSecret: {secret: p}, scope: s}, ca: {secret: c}}"
                .to_owned(),
            "SASL_SSL",
        ),
    ] {
        let spec = secured(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
        let shown = KafkaClusterSpec::Kafka(Box::new(spec)).to_json();
        assert_eq!(shown["security"]["protocol"], protocol, "{written}");
        assert_eq!((&shown["type"], &shown["prefix"]), (&json!("kafka"), &json!("millrace-")));
        let again = KafkaClusterSpec::from_json(&shown).unwrap();
        assert_eq!(again.to_json(), shown);
    }
    let spec = parse(
        "{type: kafka, bootstrap: ['a:1'], properties: {fetch.max.bytes: 1000000, socket.keepalive.enable: true}}",
    );
    assert_eq!(spec.unwrap().properties["fetch.max.bytes"], "1000000");
}

#[test]
fn secrets_are_put_in_when_a_client_is_made_and_are_not_shown() {
    let spec = secured("{mechanism: SCRAM-SHA-256, username: alice, password: {secret: p}, ca: {secret: c}, certificate: {secret: c}, key: {secret: k}}").unwrap();
    assert_eq!(spec.secrets().into_iter().collect::<Vec<_>>(), ["c", "k", "p"]);
    let config = spec.config("kafka", &secrets()).unwrap();
    assert!(config.security.tls);
    assert!(matches!(&config.security.sasl, Some(Sasl::Scram { hash: Scram::Sha256, username, password })
        if username == "alice" && password == "open sesame"));
    assert_eq!(config.security.key.as_deref(), Some(KEY.trim_end()));
    for shown in [format!("{config:?}"), format!("{spec:?}"), spec.security.to_json().to_string()] {
        assert!(!shown.contains("sesame") && !shown.contains("PRIVATE"), "{shown}");
    }
    let missing = spec.config("kafka", &Secrets::new()).unwrap_err();
    assert_eq!(missing.code, "secret_not_found");
    // What a secret holds is judged, too.
    let swapped = [("p", "x"), ("c", KEY), ("k", KEY)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let error = spec.config("kafka", &Secrets::from(swapped)).unwrap_err();
    assert!(error.detail.starts_with("the secret `c` of `spec.security.ca` has a private key"), "{error}");
}

#[test]
fn what_cannot_be_is_said_with_its_place() {
    let password = "username: alice, password: {secret: p}";
    let check = |security: &str, place: &str, hint: &str| {
        let error = secured(security).expect_err(security);
        let text = error.to_string();
        assert!(error.detail.contains(place) && text.contains(hint), "{security}: {text}");
        assert!(!text.contains("sesame") && !text.contains("MIIB"), "{text}");
    };
    check("{protocol: SASL-SSL}", "`spec.security.protocol` is `SASL-SSL`", "did you mean `SASL_SSL`?");
    check("{protocol: sasl_ssl}", "`spec.security.protocol`", "did you mean `SASL_SSL`?");
    check(
        &format!("{{mechanism: SCRAM-SHA512, {password}}}"),
        "`spec.security.mechanism`",
        "did you mean `SCRAM-SHA-512`?",
    );
    check("{mechanism: GSSAPI}", "Kerberos", "the mechanisms are");
    check("{protocol: SASL_SSL}", "`spec.security.mechanism` is missing", "SCRAM-SHA-512");
    check("{mechanism: PLAIN, username: alice}", "`spec.security.password` is missing", "millrace secret set");
    check("{mechanism: PLAIN, password: {secret: p}}", "`spec.security.username` is missing", "");
    check(
        "{mechanism: PLAIN, username: alice, password: sesame}",
        "`spec.security.password` is written out",
        "{secret: NAME}",
    );
    check(
        "{mechanism: PLAIN, username: alice, password: {secert: p}}",
        "unknown key `secert`",
        "did you mean `secret`?",
    );
    check(&format!("{{protocol: SSL, {password}}}"), "`spec.security.username` has no use", "SASL_SSL");
    check(
        &format!("{{protocol: PLAINTEXT, ca: \"{CERTIFICATE}\"}}"),
        "`spec.security.ca` has no use",
        "SSL or SASL_SSL",
    );
    check("{mechanism: OAUTHBEARER}", "`spec.security.oauth` is missing", "tokenUrl");
    let oauth = "oauth: {tokenUrl: 'https://a/t', clientId: c, clientSecret: {secret: p}}";
    check(&format!("{{mechanism: PLAIN, {password}, {oauth}}}"), "`spec.security.oauth` has no use", "`username`");
    check(
        &format!("{{mechanism: OAUTHBEARER, {password}, {oauth}}}"),
        "`spec.security.username` has no use",
        "`oauth`",
    );
    check("{oauth: {tokenUrl: 'http://a/t', clientId: c, clientSecret: {secret: p}}}", "tokenUrl", "https://");
    check("{oauth: {tokenUrl: 'https://a/t', clientId: c, clientSecret: sesame}}", "clientSecret` is written out", "");
    check("{ca: /etc/ssl/ca.pem}", "`spec.security.ca` is no PEM text", "copy the whole file");
    check("{ca: '-----BEGIN CERTIFICATE-----MIIB'}", "`spec.security.ca` has a beginning without", "");
    check("{ca: '-----BEGIN CERTIFICATE-----MI*B-----END CERTIFICATE-----'}", "is no PEM", "");
    check(
        "{ca: '-----BEGIN PRIVATE KEY-----MIIB-----END PRIVATE KEY-----'}",
        "`spec.security.ca` has a private key",
        "make a new key",
    );
    check(&format!("{{certificate: \"{CERTIFICATE}\"}}"), "`spec.security.key` is missing", "");
    check("{key: {secret: k}}", "`spec.security.certificate` is missing", "");
    check(
        &format!("{{certificate: \"{CERTIFICATE}\", key: \"{CERTIFICATE}\"}}"),
        "`spec.security.key` is written out",
        "secret",
    );
    let certificate_for_key = secured("{certificate: {secret: c}, key: {secret: c}}").unwrap();
    let error = certificate_for_key.config("k", &secrets()).unwrap_err();
    assert!(error.detail.contains("`spec.security.key` is a certificate where"), "{error}");
}

#[test]
fn addresses_and_properties_are_checked() {
    let check = |spec: &str, place: &str, hint: &str| {
        let text = parse(spec).expect_err(spec).to_string();
        assert!(text.contains(place) && text.contains(hint), "{spec}: {text}");
    };
    check("{type: kafak, bootstrap: ['a:1']}", "`spec.type` is `kafak`", "did you mean `kafka`?");
    check("{type: kafka}", "`spec.bootstrap`: there is no address", "bootstrap: [");
    check("{type: kafka, bootstrap: [localhost]}", "`spec.bootstrap`: `localhost` is no address", "host:port");
    check("{type: kafka, bootstrap: ['a:1'], prefix: 'a b'}", "`spec.prefix`", "a-z");
    check("{type: kafka, bootstrap: ['a:1'], bootstraps: []}", "unknown key `bootstraps`", "did you mean `bootstrap`?");
    let property = |name: &str| format!("{{type: kafka, bootstrap: ['a:1'], properties: {{{name}: '1'}}}}");
    check(
        &property("isolation.level"),
        "`isolation.level` cannot be set here: Millrace's guarantees rest on it",
        "leave it out",
    );
    check(&property("ssl.ca.location"), "have fields of their own under `security`", "");
    check(&property("fetch.max.byte"), "fetch.max.byte", "did you mean `fetch.max.bytes`?");
    check("{type: kafka, bootstrap: ['a:1'], properties: {fetch.max.bytes: many}}", "fetch.max.bytes", "librdkafka");
}

#[test]
fn the_built_in_one_has_its_type_only() {
    let parse = |spec: &str| {
        KafkaClusterSpec::parse(&format!(
            "apiVersion: millrace/v1\nkind: KafkaCluster\nmetadata: {{name: k}}\nspec: {spec}\n"
        ))
    };
    assert_eq!(parse("{type: embedded}").unwrap().1.to_json(), json!({ "type": "embedded" }));
    let error = parse("{type: embedded, bootstrap: ['a:1']}").unwrap_err();
    assert!(error.detail.contains("`spec.bootstrap` is nothing that"), "{error}");
}
