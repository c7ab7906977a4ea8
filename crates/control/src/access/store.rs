//! Where people, credentials and the audit log are kept; the modules beside this one say what their rows are.

use crate::database::Database;

#[derive(Clone)]
pub struct AccessDb {
    pub(super) database: Database,
}

impl AccessDb {
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::audit::{AuditFilter, Subject};
    use crate::access::{Caller, Permission, ProviderUser, Role, Via};
    use serde_json::json;

    async fn open(dir: &tempfile::TempDir) -> AccessDb {
        AccessDb::new(Database::open_for_test(dir.path()).await)
    }

    #[tokio::test]
    async fn a_session_is_its_user_until_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir).await;
        assert!(db.is_empty().await.unwrap());
        db.create_user(&Caller::server(), "rani", "Rani", Some("correct horse"), false).await.unwrap();
        db.put_member(&Caller::server(), "rides", "rani", Role::Editor).await.unwrap();
        assert_eq!(db.log_in("rani", "wrong horse!").await.unwrap_err().code, "login_failed");
        assert_eq!(db.log_in("nobody", "correct horse").await.unwrap_err().code, "login_failed");
        let session = db.log_in("rani", "correct horse").await.unwrap();
        let caller = db.caller(&session).await.unwrap().unwrap();
        assert_eq!((caller.user.as_str(), caller.via.clone()), ("rani", Via::Session));
        assert!(caller.may(Permission::WriteDaggers, "rides"));
        db.close_session(&session).await.unwrap();
        assert!(db.caller(&session).await.unwrap().is_none());
        assert!(db.caller("mlr_guess").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn tokens_are_limited_listed_and_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir).await;
        db.create_user(&Caller::server(), "ci", "", None, true).await.unwrap();
        let scopes = [Permission::ReadRecords];
        let (token, secret) = db.create_token(&Caller::server(), "ci", "nightly", Some(&scopes), None).await.unwrap();
        let caller = db.caller(&secret).await.unwrap().unwrap();
        assert!(caller.may(Permission::ReadRecords, "any") && !caller.may(Permission::WriteDaggers, "any"));
        assert_eq!(
            db.create_token(&Caller::server(), "ci", "nightly", None, None).await.unwrap_err().code,
            "token_exists"
        );
        assert_eq!(
            db.create_token(&Caller::server(), "ci", "old", None, Some(1)).await.unwrap_err().code,
            "token_invalid"
        );
        assert_eq!(db.tokens("ci").await.unwrap()[0].id, token.id);
        db.delete_token(&Caller::server(), "ci", &token.id).await.unwrap();
        assert!(db.caller(&secret).await.unwrap().is_none());
        db.adopt_token("ci", "admin", "chosen elsewhere").await.unwrap();
        db.adopt_token("ci", "admin", "chosen elsewhere").await.unwrap();
        assert!(db.caller("chosen elsewhere").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn an_invitation_works_once() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir).await;
        db.create_user(&Caller::server(), "admin", "", None, true).await.unwrap();
        let link = db.invite("admin").await.unwrap();
        assert!(db.caller(&link).await.unwrap().is_none(), "a link is no login");
        let (user, session) = db.accept_invitation(&link, "long enough it is").await.unwrap();
        assert_eq!(user, "admin");
        assert!(db.caller(&session).await.unwrap().is_some());
        assert_eq!(db.accept_invitation(&link, "another password").await.unwrap_err().code, "invitation_invalid");
        assert!(db.log_in("admin", "long enough it is").await.is_ok());
    }

    #[tokio::test]
    async fn the_last_admin_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (db, server) = (open(&dir).await, Caller::server());
        db.create_user(&server, "admin", "", None, true).await.unwrap();
        assert_eq!(db.delete_user(&server, "admin").await.unwrap_err().code, "last_admin");
        assert_eq!(db.set_admin(&server, "admin", false).await.unwrap_err().code, "last_admin");
        db.create_user(&server, "second", "", None, true).await.unwrap();
        db.delete_user(&server, "admin").await.unwrap();
        assert_eq!(db.first_admin().await.unwrap().as_deref(), Some("second"));
    }

    #[tokio::test]
    async fn an_admin_is_made_and_unmade_with_a_trace() {
        let dir = tempfile::tempdir().unwrap();
        let (db, server) = (open(&dir).await, Caller::server());
        db.create_user(&server, "admin", "", None, true).await.unwrap();
        db.create_user(&server, "rani", "", None, false).await.unwrap();
        assert!(db.set_admin(&server, "rani", true).await.unwrap().is_admin);
        // The same again is no change.
        db.set_admin(&server, "rani", true).await.unwrap();
        db.set_admin(&server, "admin", false).await.unwrap();
        assert_eq!(db.first_admin().await.unwrap().as_deref(), Some("rani"));
        assert_eq!(db.set_admin(&server, "rnai", true).await.unwrap_err().code, "user_not_found");
        let changes =
            db.audit(&AuditFilter { kind: Some("User".to_owned()), ..AuditFilter::default() }, 10).await.unwrap();
        let changes: Vec<_> = changes.iter().filter(|entry| entry.action == "update").collect();
        assert_eq!(changes.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["admin", "rani"]);
        let admin = |spec: &Option<serde_json::Value>| spec.as_ref().unwrap()["admin"].clone();
        assert_eq!((admin(&changes[1].before), admin(&changes[1].after)), (json!(false), json!(true)));
    }

    #[tokio::test]
    async fn a_member_is_there_since_they_came() {
        let dir = tempfile::tempdir().unwrap();
        let (db, server) = (open(&dir).await, Caller::server());
        let begin = crate::time_text::now_ms();
        db.create_user(&server, "rani", "", None, false).await.unwrap();
        db.put_member(&server, "rides", "rani", Role::Viewer).await.unwrap();
        let came = db.members("rides").await.unwrap()[0].since_ms.unwrap();
        assert!((begin..=crate::time_text::now_ms()).contains(&came));
        // Long ago, so that a new time would be another one.
        sqlx::query("UPDATE members SET since_ms = 5").execute(&db.database.pool).await.unwrap();
        db.put_member(&server, "rides", "rani", Role::Editor).await.unwrap();
        let member = &db.members("rides").await.unwrap()[0];
        assert_eq!((member.role, member.since_ms), (Role::Editor, Some(5)));
        assert_eq!(member.to_json()["since"], "1970-01-01T00:00:00.005Z");
        // Who was a member before it was kept.
        sqlx::query("UPDATE members SET since_ms = NULL").execute(&db.database.pool).await.unwrap();
        assert_eq!(db.members("rides").await.unwrap()[0].to_json()["since"], serde_json::Value::Null);
    }

    #[tokio::test]
    async fn who_stays_in_a_group_of_the_provider_is_there_since_the_first_login() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir).await;
        let roles = |groups: &[&str]| groups.iter().map(|group| ((*group).to_owned(), Role::Editor)).collect();
        let mut user = ProviderUser {
            subject: "provider 1".to_owned(),
            name: "rani".to_owned(),
            display_name: String::new(),
            roles: roles(&["rides"]),
            is_admin: false,
        };
        db.upsert_from_provider(&user).await.unwrap();
        sqlx::query("UPDATE members SET since_ms = 5").execute(&db.database.pool).await.unwrap();
        user.roles = roles(&["food", "rides"]);
        db.upsert_from_provider(&user).await.unwrap();
        assert_eq!(db.members("rides").await.unwrap()[0].since_ms, Some(5));
        assert!(db.members("food").await.unwrap()[0].since_ms.unwrap() > 5);
    }

    #[tokio::test]
    async fn the_audit_log_is_read_by_group() {
        let dir = tempfile::tempdir().unwrap();
        let (db, server) = (open(&dir).await, Caller::server());
        let spec = json!({"a": 1});
        let subject = |kind, name, group| Subject { kind, name, group };
        db.record(&server, "create", subject("Topic", "t", "rides"), None, Some(&spec)).await.unwrap();
        db.record(&server, "delete", subject("Dagger", "d", "food"), Some(&spec), None).await.unwrap();
        let all = db.audit(&AuditFilter::default(), 10).await.unwrap();
        assert_eq!(all.iter().map(|entry| entry.id).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(all[1].after, Some(spec));
        let rides = AuditFilter { groups: Some(vec!["rides".to_owned()]), ..AuditFilter::default() };
        assert_eq!(db.audit(&rides, 10).await.unwrap().len(), 1);
        let daggers = AuditFilter { kind: Some("Dagger".to_owned()), ..AuditFilter::default() };
        assert_eq!(db.audit(&daggers, 10).await.unwrap()[0].name, "d");
        let older = AuditFilter { before: Some(2), ..AuditFilter::default() };
        assert_eq!(db.audit(&older, 10).await.unwrap()[0].id, 1);
    }
}
