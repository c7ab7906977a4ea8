//! Which log has a topic.

use kafka::KafkaLog;
use std::collections::HashMap;
use std::sync::RwLock;

#[derive(Default)]
pub(crate) struct TopicRouter {
    clusters: RwLock<HashMap<String, KafkaLog>>,
}

impl TopicRouter {
    pub fn set_cluster(&self, name: &str, log: KafkaLog) {
        self.clusters.write().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(name.to_owned(), log);
    }

    pub fn remove_cluster(&self, name: &str) {
        self.clusters.write().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(name);
    }
}
