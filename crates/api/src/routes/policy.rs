//! Every route with every role, against a real server; and the page that tells it (`docs/reference/permissions.md`).

use super::{Route, table};
use crate::access::Needs;
use crate::{Reached, Server, ServerOptions};
use axum::http::{Method, StatusCode};
use control::access::{Actor, Caller, Permission, Role};
use control::{GroupSpec, Metadata, Platform, PlatformOptions, TopicSpec};
use std::sync::Arc;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/permissions.md");
const GROUP: &str = "rides";
/// From nobody to everything; each may what the one before may.
const ROLES: [&str; 6] = ["nobody", "stranger", "viewer", "editor", "admin", "platform admin"];

/// The least role that may, from what the route needs.
fn least(needs: Needs) -> &'static str {
    let of = |permission: Permission| match Role::ALL.into_iter().find(|role| role.has(permission)) {
        Some(Role::Viewer) => "viewer",
        Some(Role::Editor) => "editor",
        Some(Role::Admin) => "admin",
        None => "platform admin",
    };
    match needs {
        Needs::Nothing => "nobody",
        Needs::Login | Needs::Find => "stranger",
        Needs::Of(_, permission) | Needs::InGroup(permission) | Needs::Somewhere(permission) => of(permission),
        Needs::Platform => "platform admin",
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Who may do what\n\nMade from the table of routes; a test sends every request with every role.\n\n\
         - *stranger*: somebody who is logged in and has no role in the group that owns the resource. A stranger finds \
         everything (names, owners, schemas, queries, states).\n\
         - *viewer*, *editor*, *admin*: roles in that group; each may what the one before may. A group with `openRecords` \
         makes every stranger its viewer.\n\
         - *platform admin*: may everything everywhere.\n\n| request | permission | least role |\n|---|---|---|\n",
    );
    for route in table() {
        page.push_str(&format!(
            "| `{} {}` | {} | {} |\n",
            route.method,
            route.path,
            route.needs.to_text(),
            least(route.needs)
        ));
    }
    page
}

#[test]
fn the_page_is_as_the_routes_are() {
    let is = std::fs::read_to_string(PAGE).unwrap_or_default();
    if is != page() && std::env::var_os("UPDATE").is_some() {
        std::fs::write(PAGE, page()).unwrap();
        return;
    }
    assert!(is == page(), "docs/reference/permissions.md is old: run the tests with UPDATE=1 and look at what changed");
}

/// A platform with one closed group, its topic, and a caller of every role; their secrets.
async fn cast(platform: &Arc<Platform>) -> Vec<Option<String>> {
    let (actor, server) = (Actor::server(), Caller::server());
    let closed = GroupSpec { description: None, open_records: false };
    platform.update_group(&actor, control::GROUP_DEFAULT, &closed).await.unwrap();
    platform.create_group(&actor, GROUP, &closed).await.unwrap();
    let metadata = Metadata { group: GROUP.to_owned(), ..Metadata::named("thing") };
    platform.create_topic(&actor, &metadata, &TopicSpec::new(1, None)).await.unwrap();
    let dagger = r#"{"apiVersion": "millrace/v1", "kind": "Dagger", "metadata": {"name": "thing", "group": "rides"},
        "spec": {"streams": [{"topics": ["typed"], "table": "t"}], "sql": "SELECT a, rowtime FROM t", "state": "suspended"}}"#;
    let file = control::SourceFile {
        path: "t.proto".to_owned(),
        text: "syntax = \"proto3\"; package t; message T { int64 a = 1; }".to_owned(),
    };
    platform.push_schemas(&actor, control::SchemaPush::Sources(vec![file])).await.unwrap();
    let typed = Metadata { group: GROUP.to_owned(), ..Metadata::named("typed") };
    platform.create_topic(&actor, &typed, &TopicSpec::new(1, Some("t.T".to_owned()))).await.unwrap();
    platform.apply_dagger(&actor, dagger).await.unwrap();
    let firehose = r#"{"apiVersion": "millrace/v1", "kind": "Firehose", "metadata": {"name": "thing", "group": "rides"},
        "spec": {"topic": "typed", "sink": {"kind": "log"}, "state": "paused"}}"#;
    platform.apply_firehose(&actor, firehose).await.unwrap();
    let mut secrets = vec![None];
    for role in &ROLES[1..] {
        let name = format!("the-{}", role.replace(' ', "-"));
        platform.create_user(&server, &name, "", *role == "platform admin").await.unwrap();
        if let Some(role) = Role::parse(role) {
            platform.put_member(&server, GROUP, &name, role).await.unwrap();
        }
        let (_, secret) = platform.access().create_token(&server, &name, "t", None, None).await.unwrap();
        secrets.push(Some(secret));
    }
    secrets
}

fn address(base: &str, route: &Route) -> String {
    let path = match route.path.contains("/groups/") {
        true => route.path.replace("{name}", GROUP),
        false => route.path.replace("{name}", "thing"),
    };
    format!(
        "{base}{}",
        path.replace("{user}", "not-there")
            .replace("{topic}", "not-there")
            .replace("{provider}", "not-there")
            .replace("{secret}", "not-there")
            .replace("{id}", "not-there")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_every_role_as_the_page_says() {
    let directory = tempfile::tempdir().unwrap();
    let platform = Platform::open(PlatformOptions::in_directory(directory.path())).await.unwrap();
    let secrets = cast(&platform).await;
    let options = ServerOptions { listen: "127.0.0.1:0".parse().unwrap(), reached: Reached::Directly, oidc: None };
    let server = Server::start(Arc::clone(&platform), options).await.unwrap();
    let base = format!("http://{}", server.address());
    // The provider of TLS is the binary's choice; here nothing is encrypted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut wrong = Vec::new();
    for route in table() {
        for (role, secret) in ROLES.iter().zip(&secrets) {
            let mut request = client
                .request(route.method.clone(), address(&base, &route))
                // So that nothing is changed by those who may: the next role finds all as it was.
                .header("If-Match", "\"999999\"");
            if route.method != Method::GET {
                request = request.body("{}");
            }
            if let Some(secret) = secret {
                request = request.bearer_auth(secret);
            }
            let status = request.send().await.unwrap().status();
            let position = |role: &str| ROLES.iter().position(|known| *known == role);
            let may = position(role) >= position(least(route.needs));
            let is_right = match (may, *role) {
                // A login that is wrong is 401, too; whoever may log in is not refused for who they are.
                (true, _) => {
                    status != StatusCode::FORBIDDEN
                        && (route.needs == Needs::Nothing || status != StatusCode::UNAUTHORIZED)
                }
                (false, "nobody") => status == StatusCode::UNAUTHORIZED,
                (false, _) => status == StatusCode::FORBIDDEN,
            };
            if !is_right {
                wrong.push(format!("{} {} as {role}: {status}", route.method, route.path));
            }
        }
    }
    server.stop().await.unwrap();
    platform.close().await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
