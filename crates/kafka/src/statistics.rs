//! The client's statistics, as much of them as tells whether the end of a partition that it knows is still the end.
//! (STATISTICS.md of librdkafka.)

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// How often a client tells them.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// A fetch that finds nothing is answered within this time (`fetch.wait.max.ms` is 200; a cluster's properties cannot
/// change it).
const FETCH_TIME_MAX: Duration = Duration::from_millis(500);
/// A broker that was not heard for so long does not count as there.
const SILENCE_MAX: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct Statistics {
    taken: Instant,
    /// Of the brokers that are connected, by id: since when nothing has come from them, when this was taken.
    silent: HashMap<i32, Duration>,
    /// Of all brokers, by id: `host:port/id`.
    names: HashMap<i32, String>,
    leaders: HashMap<String, HashMap<i32, PartitionStatistics>>,
    /// By topic and partition: since when the last stable offset has stood before the end.
    held: HashMap<(String, i32), Instant>,
    /// Partitions whose leader is another one than in the statistics before.
    moved: Vec<(String, i32)>,
}

/// A partition whose records wait for the end of somebody's transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldBack {
    pub partition: i32,
    /// The first that waits.
    pub offset: i64,
    pub waits: Duration,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct PartitionStatistics {
    #[serde(default = "none")]
    leader: i32,
    #[serde(default)]
    fetch_state: FetchState,
    /// The end of the partition, and the last stable offset.
    #[serde(default = "no_offset")]
    pub hi_offset: i64,
    #[serde(default = "no_offset")]
    pub ls_offset: i64,
}

/// Whether the client reads a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FetchState {
    Active,
    #[default]
    #[serde(other)]
    Other,
}

impl PartitionStatistics {
    /// Behind the last stable offset records wait for the end of a transaction.
    pub(crate) fn is_held_back(&self) -> bool {
        0 <= self.ls_offset && self.ls_offset < self.hi_offset
    }
}

fn none() -> i32 {
    -1
}

fn no_offset() -> i64 {
    -1
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    brokers: HashMap<String, Broker>,
    #[serde(default)]
    topics: HashMap<String, Topic>,
}

#[derive(Deserialize)]
struct Broker {
    nodeid: i32,
    #[serde(default)]
    state: String,
    /// Microseconds since something came; -1 if nothing has.
    #[serde(default)]
    rxidle: i64,
}

#[derive(Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: HashMap<String, PartitionStatistics>,
}

impl Statistics {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let document: Document = serde_json::from_slice(json)?;
        let connected = document.brokers.values().filter(|broker| broker.nodeid >= 0 && broker.state == "UP");
        let silent = connected
            .filter_map(|broker| Some((broker.nodeid, Duration::from_micros(u64::try_from(broker.rxidle).ok()?))))
            .collect();
        let partitions = |topic: Topic| {
            topic.partitions.into_iter().filter_map(|(id, partition)| Some((id.parse().ok()?, partition))).collect()
        };
        Ok(Self {
            taken: Instant::now(),
            silent,
            names: document.brokers.into_iter().map(|(name, broker)| (broker.nodeid, name)).collect(),
            leaders: document.topics.into_iter().map(|(name, topic)| (name, partitions(topic))).collect(),
            held: HashMap::new(),
            moved: Vec::new(),
        })
    }

    /// With what the former ones tell of how long records have waited, and of leaders.
    pub(crate) fn following(mut self, former: Option<&Statistics>) -> Self {
        let leader_before = |topic: &str, id: i32| former?.leaders.get(topic)?.get(&id).map(|one| one.leader);
        for (topic, partitions) in &self.leaders {
            let others = partitions.iter().filter(|(id, one)| {
                one.fetch_state == FetchState::Active
                    && leader_before(topic, **id).is_some_and(|before| before >= 0 && before != one.leader)
            });
            self.moved.extend(others.map(|(id, _)| (topic.clone(), *id)));
        }
        for (topic, partitions) in &self.leaders {
            for (id, partition) in partitions.iter().filter(|(_, partition)| partition.is_held_back()) {
                let key = (topic.clone(), *id);
                let since = former.and_then(|former| {
                    let is_same = former.leaders.get(topic)?.get(id)?.ls_offset == partition.ls_offset;
                    if is_same { former.held.get(&key).copied() } else { None }
                });
                self.held.insert(key, since.unwrap_or(self.taken));
            }
        }
        self
    }

    /// The partition of a topic that has waited longest.
    pub(crate) fn held_back(&self, topic: &str) -> Option<HeldBack> {
        let of_topic = self.held.iter().filter(|((name, _), _)| name == topic);
        let ((_, partition), since) = of_topic.min_by_key(|(_, since)| **since)?;
        let offset = self.leaders.get(topic)?.get(partition)?.ls_offset;
        Some(HeldBack { partition: *partition, offset, waits: self.taken.duration_since(*since) })
    }

    pub(crate) fn partition(&self, topic: &str, partition: u32) -> Option<&PartitionStatistics> {
        self.leaders.get(topic)?.get(&i32::try_from(partition).ok()?)
    }

    /// When the leader of a partition last said that there is nothing new, at the latest; `None` if it has not been heard
    /// lately.
    pub(crate) fn leader_heard(&self, topic: &str, partition: u32) -> Option<Instant> {
        let leader = self.partition(topic, partition)?.leader;
        let silent = self.silent.get(&leader).filter(|_| self.answers(leader))?;
        self.taken.checked_sub(*silent + FETCH_TIME_MAX)
    }

    /// Partitions that the client reads and that have another leader than a moment ago, or none.
    pub(crate) fn moved(&self) -> impl Iterator<Item = (&str, i32)> {
        self.moved.iter().map(|(topic, partition)| (topic.as_str(), *partition))
    }

    /// Partitions that the client reads and whose leader has not been heard lately: topic, partition, leader.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = (&str, i32, &str)> {
        self.leaders.iter().flat_map(|(topic, partitions)| {
            let read = partitions.iter().filter(|(_, one)| one.fetch_state == FetchState::Active && one.leader >= 0);
            let unanswered = read.filter(|(_, one)| !self.answers(one.leader));
            unanswered.map(|(id, one)| (topic.as_str(), *id, self.names.get(&one.leader).map_or("", String::as_str)))
        })
    }

    pub(crate) fn some_broker_answers(&self) -> bool {
        self.silent.values().any(|silent| *silent < SILENCE_MAX)
    }

    fn answers(&self, broker: i32) -> bool {
        self.silent.get(&broker).is_some_and(|silent| *silent + self.taken.elapsed() < SILENCE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_leader_does_not_answer() {
        let json = br#"{"brokers":{"a:1/1":{"nodeid":1,"state":"UP","rxidle":400000},"b:1/2":{"nodeid":2,"state":"UP",
            "rxidle":9000000},"c:1/3":{"nodeid":3,"state":"CONNECT","rxidle":1}},"topics":{"t":{"partitions":{
            "0":{"leader":1,"hi_offset":5,"ls_offset":4,"fetch_state":"active"},"1":{"leader":2,"fetch_state":"active"},
            "2":{"leader":3,"fetch_state":"none"},"-1":{"leader":-1,"fetch_state":"active"}}}}}"#;
        let statistics = Statistics::parse(json).unwrap();
        assert_eq!(
            [0, 1, 2, 3].map(|partition| statistics.leader_heard("t", partition).is_some()),
            [true, false, false, false]
        );
        assert!(statistics.some_broker_answers());
        assert_eq!(statistics.unanswered().collect::<Vec<_>>(), [("t", 1, "b:1/2")]);
        assert_eq!(
            statistics.partition("t", 0).map(|partition| (partition.hi_offset, partition.ls_offset)),
            Some((5, 4))
        );
    }

    #[test]
    fn a_partition_that_is_read_has_another_leader() {
        let at = |leaders: [i32; 3]| {
            let [read, other, new] = leaders;
            let json = format!(
                r#"{{"topics":{{"t":{{"partitions":{{"0":{{"leader":{read},"fetch_state":"active"}},
                "1":{{"leader":{other},"fetch_state":"none"}},"2":{{"leader":{new},"fetch_state":"active"}}}}}}}}}}"#
            );
            Statistics::parse(json.as_bytes()).unwrap()
        };
        let first = at([1, 1, -1]).following(None);
        let second = at([2, 2, 1]).following(Some(&first));
        let third = at([-1, 2, 1]).following(Some(&second));
        let fourth = at([2, 2, 1]).following(Some(&third));
        assert_eq!(
            [first, second, third, fourth].map(|one| one.moved().map(|(_, partition)| partition).collect::<Vec<_>>()),
            [vec![], vec![0], vec![0], vec![]]
        );
    }

    #[test]
    fn records_wait_for_as_long_as_the_last_stable_offset_stands() {
        let at = |ls_offset: i64, seconds: u64| {
            let json = format!(
                r#"{{"topics":{{"t":{{"partitions":{{"0":{{"leader":1,"hi_offset":9,"ls_offset":{ls_offset}}}}}}}}}}}"#
            );
            let mut statistics = Statistics::parse(json.as_bytes()).unwrap();
            statistics.taken += Duration::from_secs(seconds);
            statistics
        };
        let first = at(4, 0).following(None);
        let second = at(4, 70).following(Some(&first));
        let waits = second.held_back("t").unwrap();
        assert_eq!((waits.partition, waits.offset, waits.waits.as_secs()), (0, 4, 70));
        let third = at(6, 80).following(Some(&second));
        assert_eq!(third.held_back("t").map(|waits| waits.waits.as_secs()), Some(0));
        assert_eq!(at(9, 90).following(Some(&third)).held_back("t"), None);
        assert_eq!(second.held_back("other"), None);
    }
}
