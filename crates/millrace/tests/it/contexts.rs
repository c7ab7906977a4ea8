//! Which server a command talks to, and with which token.

use crate::server::{Ran, TOKEN, TestServer, run, run_with};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

fn which(arguments: &[&str], home: &Path, variables: &[(&str, &str)]) -> Ran {
    run_with(&[arguments, &["context", "show", "-o", "json"]].concat(), home, variables, b"").ok()
}

/// `server from hasToken`
#[track_caller]
fn check(arguments: &[&str], home: &Path, variables: &[(&str, &str)], expected: (&str, &str, bool)) {
    let shown = which(arguments, home, variables).json();
    let found = (shown["server"].as_str().unwrap(), shown["from"].as_str().unwrap(), shown["hasToken"] == true);
    assert_eq!(found, expected, "{shown}");
}

#[test]
fn contexts_are_kept_where_only_their_owner_reads() {
    let home = TempDir::new().unwrap();
    let context = |arguments: &[&str]| run(&[&["context"], arguments].concat(), home.path());
    context(&["set", "prod"]).failed_with(2, "--server");
    context(&["use", "prod"]).failed_with(3, "there is no context `prod`");
    context(&["set", "prod", "--server", "https://prod.example/", "--token", "prod-token-0123456789"]).ok();
    let file = home.path().join("config/millrace/contexts.yaml");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    // What the environment has is not kept by accident.
    let variables = [("MILLRACE_TOKEN", "of-another-server"), ("MILLRACE_URL", "http://another")];
    run_with(&["context", "set", "local", "--server", "127.0.0.1:8080"], home.path(), &variables, b"").ok();
    let listed = context(&["list", "-o", "json"]).json();
    assert_eq!(
        listed,
        json!([
            { "name": "local", "server": "http://127.0.0.1:8080", "hasToken": false, "current": false },
            { "name": "prod", "server": "https://prod.example", "hasToken": true, "current": true },
        ])
    );
    assert!(!context(&["list"]).ok().stdout.contains("prod-token"));
    // A token goes with its server.
    run_with(&["context", "set", "local", "--token", "-"], home.path(), &[], b"local-token-0123456789\n").ok();
    context(&["set", "prod", "--server", "https://elsewhere.example"]).ok();
    let tokens = || context(&["list", "-o", "json"]).json();
    assert_eq!((&tokens()[0]["hasToken"], &tokens()[1]["hasToken"]), (&json!(true), &json!(false)));
    context(&["use", "prdo"]).failed_with(3, "did you mean `prod`?");
    context(&["use", "local"]).ok();
    context(&["delete", "local"]).ok();
    check(&[], home.path(), &[], ("http://127.0.0.1:8080", "default", false));
    std::fs::write(&file, "contexts: [\n").unwrap();
    context(&["list"]).failed_with(1, "contexts.yaml cannot be understood");
}

#[test]
fn the_nearest_word_on_the_server_counts() {
    let home = TempDir::new().unwrap();
    let server = TestServer::start();
    let (data, home) = (server.data_dir(), home.path());
    let data = data.to_str().unwrap();
    for (name, url) in [("one", "http://one"), ("two", "http://two")] {
        let token = format!("token-of-{name}-0123456789");
        run(&["context", "set", name, "--server", url, "--token", &token], home).ok();
    }
    let url = [("MILLRACE_URL", "http://env")];
    check(&[], home, &[], ("http://one", "context one", true));
    check(&["--context", "two"], home, &[], ("http://two", "context two", true));
    check(&[], home, &[("MILLRACE_CONTEXT", "two")], ("http://two", "context two", true));
    // The command line goes before the environment, and a server before a context.
    check(&[], home, &url, ("http://env", "--server or MILLRACE_URL", false));
    check(&["--context", "two"], home, &url, ("http://two", "context two", true));
    check(&["--server", "http://x"], home, &url, ("http://x", "--server or MILLRACE_URL", false));
    check(&["--server", "http://x", "--context", "two"], home, &[], ("http://x", "--server or MILLRACE_URL", false));
    // A data directory that is named goes before the context in use, not before one that is named, too.
    let from = format!("data directory {data}");
    check(&["--data-dir", data], home, &[], (&server.url, &from, true));
    check(&[], home, &[("MILLRACE_DATA_DIR", data)], (&server.url, &from, true));
    check(&["--data-dir", data, "--context", "two"], home, &[], ("http://two", "context two", true));
    // Tokens: nobody is sent one that is not theirs.
    check(&["--server", "http://one"], home, &[], ("http://one", "--server or MILLRACE_URL", true));
    check(
        &["--server", "http://one", "--context", "two"],
        home,
        &[],
        ("http://one", "--server or MILLRACE_URL", false),
    );
    run(&["--context", "three", "topic", "list"], home).failed_with(3, "there is no context `three`");
}

#[test]
fn tokens_come_from_the_nearest_place() {
    let home = TempDir::new().unwrap();
    let server = TestServer::start();
    let list = |arguments: &[&str], variables: &[(&str, &str)]| {
        run_with(&[arguments, &["topic", "list"]].concat(), home.path(), variables, b"")
    };
    let wrong = "wrong-token-0123456789";
    run(&["context", "set", "here", "--server", &server.url, "--token", TOKEN], home.path()).ok();
    list(&[], &[]).ok();
    list(&["--token", wrong], &[]).failed_with(1, "token is wrong");
    list(&[], &[("MILLRACE_TOKEN", wrong)]).failed_with(1, "token is wrong");
    list(&[], &[("MILLRACE_ADMIN_TOKEN", wrong)]).failed_with(1, "token is wrong");
    list(&[], &[("MILLRACE_ADMIN_TOKEN", wrong), ("MILLRACE_TOKEN", TOKEN)]).ok();
    run(&["context", "delete", "here"], home.path()).ok();
    list(&["--server", &server.url], &[]).failed_with(1, "log in first");
    list(&["--server", &server.url], &[("MILLRACE_ADMIN_TOKEN", TOKEN)]).ok();
}

#[test]
fn a_shell_is_told_how_to_complete() {
    let home = TempDir::new().unwrap();
    for (shell, sign) in
        [("bash", "complete -F _millrace"), ("zsh", "#compdef millrace"), ("fish", "complete -c millrace")]
    {
        let script = run(&["completion", shell], home.path()).ok().stdout;
        assert!(script.contains(sign) && script.contains("rollback"), "{shell}: {script}");
    }
    run(&["completion", "tcsh"], home.path()).failed_with(2, "bash, zsh, fish");
}
