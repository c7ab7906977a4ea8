use millrace_log::{EmbeddedLog, LogError, TopicConfig, TopicLog};
use tempfile::tempdir;

use crate::fixture::*;

#[tokio::test]
async fn a_second_open_is_refused_and_names_the_process() {
    let dir = tempdir().unwrap();
    let log = with_topic(&dir, TopicConfig::default()).await;
    let refused = EmbeddedLog::open(dir.path(), Default::default()).err().unwrap();
    let pid = std::process::id().to_string();
    assert!(matches!(&refused, LogError::Locked { pid: found, .. } if *found == pid), "{refused:?}");
    assert!(refused.to_string().contains(&format!("in use by process {pid}")), "{refused}");
    log.produce(TOPIC, vec![record("the first goes on")]).await.unwrap();
    log.close().await;
    let next = open(dir.path()); // closing frees the directory although the closed log is still there
    assert_eq!(read_from(&next, 0).await.unwrap().len(), 1);
}
