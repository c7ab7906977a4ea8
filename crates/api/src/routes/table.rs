//! The table: every route with what it needs, what answers it, and what the OpenAPI document says of it.

use super::{
    Route, alive, apply, backups, clusters, dagger_diff, daggers, dead_letters, events, firehoses, functions, grafana,
    kafka_clusters, oidc, openapi, people, ready, records, schemas, secrets, session, sql, tail, topics, version,
};
use crate::AppState;
use crate::access::Needs;
use crate::influx;
use crate::listing::ListQuery;
use crate::openapi::Description;
use crate::shapes;
use axum::http::Method;
use axum::routing::{MethodRouter, delete, get, post, put};
use control::Kind;
use control::access::Permission;
use serde_json::Value;

fn route(
    method: Method,
    path: &'static str,
    needs: Needs,
    handler: MethodRouter<AppState>,
    says: Description,
) -> Route {
    Route { method, path, needs, handler, description: says }
}

/// Every route. What it needs is asked before its handler runs; handlers ask more where a body names the group.
pub(crate) fn table() -> Vec<Route> {
    let says = Description::new;
    use Needs::{Find, InGroup, Login, Nothing, Of, Platform, Somewhere};
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const PUT: Method = Method::PUT;
    const DELETE: Method = Method::DELETE;
    const READ_DAGGER: Needs = Of(Kind::Dagger, Permission::ReadRecords);
    const WRITE_DAGGER: Needs = Of(Kind::Dagger, Permission::WriteDaggers);
    const WRITE_DAGGERS: Needs = Somewhere(Permission::WriteDaggers);
    const WRITE_FIREHOSE: Needs = Of(Kind::Firehose, Permission::WriteDaggers);
    const READ_TOPIC: Needs = Of(Kind::Topic, Permission::ReadRecords);
    const READ_RECORDS: Needs = Somewhere(Permission::ReadRecords);
    const WRITE_MEMBERS: Needs = InGroup(Permission::WriteMembers);
    vec![
        route(GET, "/healthz", Nothing, get(alive), says("server", "Whether the process lives").answers_text()),
        route(GET, "/readyz", Nothing, get(ready), says("server", "Whether requests can be served").answers_text()),
        route(
            GET,
            "/ping",
            Nothing,
            get(influx::ping),
            says("influxdb", "Whether the server answers").answers_nothing().errors_as_influxdb(),
        ),
        route(
            GET,
            "/query",
            Login,
            get(influx::query),
            says("influxdb", "Asks in InfluxQL, as of InfluxDB 1")
                .query::<influx::QueryQuery>()
                .answers_media(&["application/json", "text/csv"])
                .errors_as_influxdb(),
        ),
        route(
            POST,
            "/query",
            Login,
            post(influx::query),
            says("influxdb", "The same; the parameters may be a form, and statements may change something")
                .query::<influx::QueryQuery>()
                .takes_media(&["application/x-www-form-urlencoded"])
                .answers_media(&["application/json", "text/csv"])
                .errors_as_influxdb(),
        ),
        route(
            POST,
            "/write",
            Login,
            post(influx::write),
            says("influxdb", "Writes points in line protocol, as InfluxDB 1 takes them")
                .query::<influx::WriteQuery>()
                .takes_media(&["text/plain"])
                .answers_nothing()
                .errors_as_influxdb(),
        ),
        route(
            POST,
            "/api/v2/write",
            Login,
            post(influx::write_v2),
            says("influxdb", "The same for client libraries of InfluxDB 2")
                .query::<influx::WriteV2Query>()
                .takes_media(&["text/plain"])
                .answers_nothing()
                .errors_as_influxdb(),
        ),
        route(
            GET,
            "/api/v1/version",
            Nothing,
            get(version),
            says("server", "Which version this is").answers::<shapes::Version>(200),
        ),
        route(
            GET,
            "/api/v1/openapi.json",
            Nothing,
            get(openapi),
            says("server", "This document").answers::<Value>(200),
        ),
        route(
            GET,
            "/api/v1/session",
            Nothing,
            get(session::show),
            says("session", "Who is logged in, and what they may do").answers::<shapes::Session>(200),
        ),
        route(
            POST,
            "/api/v1/session",
            Nothing,
            post(session::log_in),
            says("session", "Logs in by name and password").takes::<session::Login>().answers_nothing(),
        ),
        route(
            DELETE,
            "/api/v1/session",
            Nothing,
            delete(session::log_out),
            says("session", "Logs out").answers_nothing(),
        ),
        route(
            POST,
            "/api/v1/session/invitation",
            Nothing,
            post(session::accept_invitation),
            says("session", "Sets the password of the one who holds the link")
                .takes::<session::Invitation>()
                .answers_nothing(),
        ),
        route(
            POST,
            "/api/v1/session/password",
            Login,
            post(session::set_password),
            says("session", "Changes one's own password").takes::<session::Change>().answers_nothing(),
        ),
        route(
            GET,
            "/api/v1/session/oidc/{provider}",
            Nothing,
            get(oidc::begin),
            says("session", "Goes to the identity provider").query::<oidc::BeginQuery>().redirects(),
        ),
        route(
            GET,
            "/api/v1/session/oidc/{provider}/callback",
            Nothing,
            get(oidc::callback),
            says("session", "Comes back from the identity provider").query::<oidc::CallbackQuery>().redirects(),
        ),
        route(
            POST,
            "/api/v1/apply",
            Login,
            post(apply::apply),
            says("resources", "Makes documents of any kind so").takes_text().answers::<shapes::Applied>(200),
        ),
        route(
            GET,
            "/api/v1/schemas",
            Find,
            get(schemas::list),
            says("schemas", "Message types").query::<ListQuery>().answers::<shapes::SchemaList>(200),
        ),
        route(
            POST,
            "/api/v1/schemas",
            Somewhere(Permission::WriteSchemas),
            post(schemas::push),
            says("schemas", "Registers .proto files or a descriptor set")
                .takes::<schemas::PushDocument>()
                .answers::<shapes::SchemaList>(200),
        ),
        route(
            GET,
            "/api/v1/schemas/{name}",
            Find,
            get(schemas::show),
            says("schemas", "One message type with its fields").answers::<shapes::Schema>(200),
        ),
        route(
            GET,
            "/api/v1/topics",
            Find,
            get(topics::list),
            says("topics", "Topics").query::<ListQuery>().answers::<shapes::TopicList>(200),
        ),
        route(
            POST,
            "/api/v1/topics",
            Somewhere(Permission::WriteTopics),
            post(topics::create),
            says("topics", "Makes a topic").takes_document::<shapes::Topic>().answers::<shapes::Topic>(201),
        ),
        route(
            GET,
            "/api/v1/topics/{name}",
            Find,
            get(topics::show),
            says("topics", "One topic with its partitions").answers::<shapes::Topic>(200),
        ),
        route(
            DELETE,
            "/api/v1/topics/{name}",
            Of(Kind::Topic, Permission::WriteTopics),
            delete(topics::delete),
            says("topics", "Deletes a topic and its records").answers_nothing(),
        ),
        route(
            GET,
            "/api/v1/topics/{name}/records",
            READ_TOPIC,
            get(tail::tail),
            says("topics", "Records, those that are there or those that come")
                .query::<tail::TailQuery>()
                .answers_lines(),
        ),
        route(
            GET,
            "/api/v1/topics/{name}/rate",
            READ_TOPIC,
            get(tail::rate),
            says("topics", "How many records there are over time")
                .query::<tail::RateQuery>()
                .answers::<shapes::RecordRate>(200),
        ),
        route(
            POST,
            "/api/v1/topics/{name}/records",
            Of(Kind::Topic, Permission::WriteRecords),
            post(records::publish),
            says("topics", "Publishes records; 207 when some were refused, 422 when all were")
                .query::<records::PublishQuery>()
                .takes_records()
                .answers::<shapes::Published>(200),
        ),
        route(
            GET,
            "/api/v1/daggers",
            Find,
            get(daggers::list),
            says("daggers", "Daggers").query::<ListQuery>().answers::<shapes::DaggerList>(200),
        ),
        route(
            POST,
            "/api/v1/daggers",
            WRITE_DAGGERS,
            post(apply::apply_dagger),
            says("daggers", "Makes or changes a dagger")
                .takes_document::<shapes::Dagger>()
                .answers::<shapes::AppliedDagger>(200),
        ),
        route(
            POST,
            "/api/v1/daggers/preview",
            READ_RECORDS,
            post(daggers::preview),
            says("daggers", "Runs a dagger over the records that are there; writes nothing")
                .takes_document::<shapes::Dagger>()
                .answers::<shapes::Preview>(200),
        ),
        route(
            POST,
            "/api/v1/daggers/validate",
            Find,
            post(daggers::validate),
            says("daggers", "Judges a dagger; one that is wrong is an answer, too")
                .takes_document::<shapes::Dagger>()
                .answers::<shapes::Validation>(200),
        ),
        route(
            GET,
            "/api/v1/daggers/{name}",
            Find,
            get(daggers::show),
            says("daggers", "One dagger with its status").answers::<shapes::Dagger>(200),
        ),
        route(
            DELETE,
            "/api/v1/daggers/{name}",
            WRITE_DAGGER,
            delete(daggers::delete),
            says("daggers", "Deletes a dagger and its state; its results stay").answers_nothing(),
        ),
        route(
            POST,
            "/api/v1/daggers/{name}/stop",
            WRITE_DAGGER,
            post(daggers::stop),
            says("daggers", "Suspends a dagger; it keeps its state").answers::<shapes::Dagger>(200),
        ),
        route(
            POST,
            "/api/v1/daggers/{name}/start",
            WRITE_DAGGER,
            post(daggers::start),
            says("daggers", "Lets a dagger run from where it stopped")
                .query::<daggers::StartQuery>()
                .answers::<shapes::Dagger>(200),
        ),
        route(
            POST,
            "/api/v1/daggers/{name}/publish",
            WRITE_DAGGER,
            post(daggers::publish),
            says("daggers", "Adds a topic as a sink").takes::<daggers::Publish>().answers::<shapes::AppliedDagger>(200),
        ),
        route(
            POST,
            "/api/v1/daggers/{name}/fork",
            WRITE_DAGGERS,
            post(daggers::fork),
            says("daggers", "Makes a suspended copy in a group of one's own")
                .takes::<daggers::Fork>()
                .answers::<shapes::AppliedDagger>(201),
        ),
        route(
            POST,
            "/api/v1/daggers/{name}/diff",
            Find,
            post(dagger_diff::diff),
            says("daggers", "What applying a draft would change, and what becomes of the state")
                .takes_document::<shapes::Dagger>()
                .answers::<shapes::DaggerDiff>(200),
        ),
        route(
            GET,
            "/api/v1/daggers/{name}/results",
            READ_DAGGER,
            get(daggers::results),
            says("daggers", "What a dagger has written to its measurement")
                .query::<daggers::ResultsQuery>()
                .answers_lines(),
        ),
        route(
            GET,
            "/api/v1/daggers/{name}/revisions",
            Find,
            get(daggers::revisions),
            says("daggers", "What became of a dagger, the latest first").answers::<shapes::RevisionList>(200),
        ),
        route(
            GET,
            "/api/v1/daggers/{name}/history",
            Find,
            get(daggers::history),
            says("daggers", "The states a dagger went through, the latest first").answers::<shapes::StateList>(200),
        ),
        route(
            POST,
            "/api/v1/daggers/{name}/rollback",
            WRITE_DAGGER,
            post(daggers::roll_back),
            says("daggers", "Applies a former revision anew")
                .takes::<daggers::RollBack>()
                .answers::<shapes::AppliedDagger>(200),
        ),
        route(
            GET,
            "/api/v1/firehoses",
            Find,
            get(firehoses::list),
            says("firehoses", "Firehoses").query::<ListQuery>().answers::<shapes::FirehoseList>(200),
        ),
        route(
            POST,
            "/api/v1/firehoses",
            WRITE_DAGGERS,
            post(firehoses::apply),
            says("firehoses", "Makes or changes a firehose")
                .takes_document::<shapes::Firehose>()
                .answers::<shapes::AppliedFirehose>(200),
        ),
        route(
            POST,
            "/api/v1/firehoses/validate",
            Find,
            post(firehoses::validate),
            says("firehoses", "Judges a firehose; one that is wrong is an answer, too")
                .takes_document::<shapes::Firehose>()
                .answers::<shapes::FirehoseValidation>(200),
        ),
        route(
            POST,
            "/api/v1/firehoses/preview",
            READ_RECORDS,
            post(firehoses::preview),
            says("firehoses", "What becomes of the first records of the topic; sends nothing")
                .query::<firehoses::PreviewQuery>()
                .takes_document::<shapes::Firehose>()
                .answers::<shapes::FirehosePreview>(200),
        ),
        route(
            POST,
            "/api/v1/firehoses/send-one",
            WRITE_DAGGERS,
            post(firehoses::send_one),
            says("firehoses", "Really sends one record; the positions stay")
                .takes::<firehoses::SendOne>()
                .answers::<shapes::SentRecord>(200),
        ),
        route(
            GET,
            "/api/v1/firehoses/{name}",
            Find,
            get(firehoses::show),
            says("firehoses", "One firehose with its status").answers::<shapes::Firehose>(200),
        ),
        route(
            DELETE,
            "/api/v1/firehoses/{name}",
            WRITE_FIREHOSE,
            delete(firehoses::delete),
            says("firehoses", "Deletes a firehose with its positions and dead letters; what it has sent stays")
                .answers_nothing(),
        ),
        route(
            POST,
            "/api/v1/firehoses/{name}/pause",
            WRITE_FIREHOSE,
            post(firehoses::pause),
            says("firehoses", "Reads no more until it is resumed").answers::<shapes::Firehose>(200),
        ),
        route(
            POST,
            "/api/v1/firehoses/{name}/resume",
            WRITE_FIREHOSE,
            post(firehoses::resume),
            says("firehoses", "Goes on from where it is; one that has failed is tried again")
                .answers::<shapes::Firehose>(200),
        ),
        route(
            POST,
            "/api/v1/firehoses/{name}/seek",
            WRITE_FIREHOSE,
            post(firehoses::seek),
            says("firehoses", "Goes on elsewhere in its topic")
                .takes::<firehoses::Seek>()
                .answers::<shapes::Firehose>(200),
        ),
        route(
            POST,
            "/api/v1/firehoses/{name}/scale",
            WRITE_FIREHOSE,
            post(firehoses::scale),
            says("firehoses", "Sets how many calls there are at a time")
                .takes::<firehoses::Scale>()
                .answers::<shapes::Firehose>(200),
        ),
        route(
            GET,
            "/api/v1/firehoses/{name}/revisions",
            Find,
            get(firehoses::revisions),
            says("firehoses", "What became of a firehose, the latest first")
                .answers::<shapes::FirehoseRevisionList>(200),
        ),
        route(
            GET,
            "/api/v1/firehoses/{name}/history",
            Find,
            get(firehoses::history),
            says("firehoses", "The states a firehose went through, the latest first").answers::<shapes::StateList>(200),
        ),
        route(
            POST,
            "/api/v1/firehoses/{name}/rollback",
            WRITE_FIREHOSE,
            post(firehoses::roll_back),
            says("firehoses", "Applies a former revision anew")
                .takes::<daggers::RollBack>()
                .answers::<shapes::AppliedFirehose>(200),
        ),
        route(
            GET,
            "/api/v1/sinks",
            Find,
            get(firehoses::sinks),
            says("firehoses", "The kinds of sinks with their settings").answers::<shapes::SinkKindList>(200),
        ),
        route(
            GET,
            "/api/v1/daggers/{name}/grafana",
            Find,
            get(grafana::dashboard),
            says("grafana", "A dashboard of a dagger, in Grafana's JSON model")
                .query::<grafana::DashboardQuery>()
                .answers::<Value>(200),
        ),
        route(
            GET,
            "/api/v1/grafana",
            Find,
            get(grafana::export),
            says("grafana", "Data sources and dashboards of all daggers as files of Grafana's provisioning")
                .query::<grafana::ExportQuery>()
                .answers_archive::<shapes::GrafanaExport>(),
        ),
        route(
            GET,
            "/api/v1/dead-letters",
            READ_RECORDS,
            get(dead_letters::list),
            says("dead letters", "Records that could not be processed")
                .query::<dead_letters::ListQuery>()
                .answers::<shapes::DeadLetterPage>(200),
        ),
        route(
            POST,
            "/api/v1/dead-letters/replay",
            Somewhere(Permission::ReplayDeadLetters),
            post(dead_letters::replay),
            says("dead letters", "Gives dead letters to their daggers and firehoses once more")
                .takes::<dead_letters::ReplayDocument>()
                .answers::<shapes::Replayed>(200),
        ),
        route(
            GET,
            "/api/v1/dead-letters/{id}",
            READ_RECORDS,
            get(dead_letters::show),
            says("dead letters", "One dead letter, decoded as far as it goes").answers::<shapes::DeadLetter>(200),
        ),
        route(
            POST,
            "/api/v1/sql",
            READ_RECORDS,
            post(sql::query),
            says("sql", "One SELECT over the measurements")
                .takes::<sql::SqlDocument>()
                .answers::<shapes::QueryResult>(200),
        ),
        route(
            GET,
            "/api/v1/sql/functions",
            Find,
            get(functions::list),
            says("sql", "The functions of the dialect").answers::<shapes::FunctionList>(200),
        ),
        route(
            GET,
            "/api/v1/dagger-clusters",
            Find,
            get(clusters::list),
            says("dagger clusters", "Where daggers run").answers::<shapes::DaggerClusterList>(200),
        ),
        route(
            POST,
            "/api/v1/dagger-clusters",
            Platform,
            post(clusters::apply),
            says("dagger clusters", "Makes or changes a dagger cluster")
                .takes_document::<shapes::DaggerCluster>()
                .answers::<shapes::AppliedDaggerCluster>(200),
        ),
        route(
            GET,
            "/api/v1/dagger-clusters/{name}",
            Find,
            get(clusters::show),
            says("dagger clusters", "One dagger cluster with its daggers").answers::<shapes::DaggerCluster>(200),
        ),
        route(
            DELETE,
            "/api/v1/dagger-clusters/{name}",
            Platform,
            delete(clusters::delete),
            says("dagger clusters", "Deletes a dagger cluster without daggers").answers_nothing(),
        ),
        route(
            GET,
            "/api/v1/kafka-clusters",
            Find,
            get(kafka_clusters::list),
            says("kafka clusters", "Where topics are kept")
                .query::<ListQuery>()
                .answers::<shapes::KafkaClusterList>(200),
        ),
        route(
            GET,
            "/api/v1/kafka-clusters/{name}",
            Find,
            get(kafka_clusters::show),
            says("kafka clusters", "One Kafka cluster with what it holds").answers::<shapes::KafkaCluster>(200),
        ),
        route(
            DELETE,
            "/api/v1/kafka-clusters/{name}",
            Platform,
            delete(kafka_clusters::delete),
            says("kafka clusters", "Deletes a Kafka cluster that is not built in").answers_nothing(),
        ),
        route(
            POST,
            "/api/v1/kafka-clusters/{name}",
            Platform,
            post(kafka_clusters::test_document),
            says("kafka clusters", "Tries to connect as a document says, which is not saved; the name is `test`")
                .takes_document::<shapes::KafkaCluster>()
                .answers::<shapes::ConnectionTest>(200),
        ),
        route(
            POST,
            "/api/v1/kafka-clusters/{name}/test",
            Platform,
            post(kafka_clusters::test),
            says("kafka clusters", "Tries to connect to a Kafka cluster, step by step")
                .answers::<shapes::ConnectionTest>(200),
        ),
        route(
            GET,
            "/api/v1/kafka-clusters/{name}/topics",
            Find,
            get(kafka_clusters::topics),
            says("kafka clusters", "The topics on a Kafka cluster, attached or not")
                .query::<kafka_clusters::TopicsQuery>()
                .answers::<shapes::ClusterTopicList>(200),
        ),
        route(
            GET,
            "/api/v1/kafka-clusters/{name}/topics/{topic}",
            Find,
            get(kafka_clusters::topic),
            says("kafka clusters", "One topic on a Kafka cluster").answers::<shapes::ClusterTopic>(200),
        ),
        route(
            GET,
            "/api/v1/groups",
            Find,
            get(people::groups),
            says("people", "Groups").answers::<shapes::GroupList>(200),
        ),
        route(
            POST,
            "/api/v1/groups",
            Platform,
            post(people::create_group),
            says("people", "Makes a group").takes::<people::GroupDocument>().answers::<shapes::Group>(201),
        ),
        route(
            GET,
            "/api/v1/groups/{name}",
            Find,
            get(people::show_group),
            says("people", "One group").answers::<shapes::Group>(200),
        ),
        route(
            PUT,
            "/api/v1/groups/{name}",
            WRITE_MEMBERS,
            put(people::update_group),
            says("people", "Changes what a group says of itself")
                .takes::<shapes::GroupSpec>()
                .answers::<shapes::Group>(200),
        ),
        route(
            DELETE,
            "/api/v1/groups/{name}",
            Platform,
            delete(people::delete_group),
            says("people", "Deletes a group that owns nothing").answers_nothing(),
        ),
        route(
            GET,
            "/api/v1/groups/{name}/members",
            Find,
            get(people::members),
            says("people", "The members of a group").answers::<shapes::MemberList>(200),
        ),
        route(
            POST,
            "/api/v1/groups/{name}/members",
            WRITE_MEMBERS,
            post(people::put_member),
            says("people", "Gives somebody a role in a group").takes::<people::MemberDocument>().answers_nothing(),
        ),
        route(
            DELETE,
            "/api/v1/groups/{name}/members/{user}",
            WRITE_MEMBERS,
            delete(people::delete_member),
            says("people", "Takes somebody out of a group").answers_nothing(),
        ),
        route(
            GET,
            "/api/v1/users",
            Somewhere(Permission::WriteMembers),
            get(people::users),
            says("people", "Everybody").answers::<shapes::UserList>(200),
        ),
        route(
            POST,
            "/api/v1/users",
            Platform,
            post(people::create_user),
            says("people", "Makes a person; the answer has their one-time link")
                .takes::<people::UserDocument>()
                .answers::<shapes::Invited>(201),
        ),
        route(
            PUT,
            "/api/v1/users/{user}",
            Platform,
            put(people::update_user),
            says("people", "Makes somebody an admin of the platform, or takes that away")
                .takes::<people::UserChange>()
                .answers::<shapes::User>(200),
        ),
        route(
            DELETE,
            "/api/v1/users/{user}",
            Platform,
            delete(people::delete_user),
            says("people", "Deletes a person with all that lets them in").answers_nothing(),
        ),
        route(
            POST,
            "/api/v1/users/{user}/invitation",
            Platform,
            post(people::invite_user),
            says("people", "A new one-time link").answers::<shapes::Invited>(201),
        ),
        route(
            GET,
            "/api/v1/tokens",
            Login,
            get(people::tokens),
            says("people", "One's own tokens").answers::<shapes::TokenList>(200),
        ),
        route(
            POST,
            "/api/v1/tokens",
            Login,
            post(people::create_token),
            says("people", "Makes a token; its secret is shown this once")
                .takes::<people::TokenDocument>()
                .answers::<shapes::NewToken>(201),
        ),
        route(
            DELETE,
            "/api/v1/tokens/{id}",
            Login,
            delete(people::delete_token),
            says("people", "Ends a token").answers_nothing(),
        ),
        route(
            GET,
            "/api/v1/events",
            Find,
            get(events::listen),
            says("resources", "Changes of resources, states of daggers and firehoses, as they happen").answers_lines(),
        ),
        route(
            GET,
            "/api/v1/secrets",
            Find,
            get(secrets::list),
            says("secrets", "Names and owners of secrets").answers::<shapes::SecretList>(200),
        ),
        route(
            PUT,
            "/api/v1/secrets/{secret}",
            Somewhere(Permission::WriteSecrets),
            put(secrets::put),
            says("secrets", "Writes a secret; nobody can read it back")
                .takes::<secrets::SecretDocument>()
                .answers_nothing(),
        ),
        route(
            DELETE,
            "/api/v1/secrets/{secret}",
            Somewhere(Permission::WriteSecrets),
            delete(secrets::delete),
            says("secrets", "Deletes a secret").answers_nothing(),
        ),
        route(
            POST,
            "/api/v1/backups",
            Platform,
            post(backups::create),
            says("platform", "Copies the series into a directory of its own while they are written")
                .answers::<shapes::Backup>(201),
        ),
        route(
            GET,
            "/api/v1/audit",
            Somewhere(Permission::ReadAudit),
            get(people::audit),
            says("audit", "Who did what, the latest first")
                .query::<people::AuditQuery>()
                .answers::<shapes::AuditPage>(200),
        ),
    ]
}
