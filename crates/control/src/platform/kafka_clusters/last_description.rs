//! What a cluster last said of itself. Nothing is asked before somebody wants to know, one question is under way at a time,
//! and its answer is everybody's for a while.

use crate::error::ControlError;
use kafka::{ClusterDescription, KafkaLog, ProblemKind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// For how long an answer is waited for although the client knows why there is none: it may be the reason of a while ago.
const KNOWN_PROBLEM_WAIT: Duration = Duration::from_millis(500);
/// How often somebody who waits looks whether the client knows meanwhile why there is no answer.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

pub(super) struct LastDescription {
    log: KafkaLog,
    question: Mutex<Option<Question>>,
}

#[derive(Clone)]
struct Question {
    asked: Instant,
    answer: watch::Receiver<Option<Answer>>,
}

#[derive(Clone)]
struct Answer {
    came: Instant,
    what: Result<Arc<ClusterDescription>, String>,
}

/// What is known of a cluster.
pub(super) enum Asked {
    Answered(Arc<ClusterDescription>),
    /// It may work later by itself.
    Unreachable {
        problem: String,
        hint: Option<String>,
    },
    /// Somebody has to change something, here or there.
    Misconfigured {
        problem: String,
        hint: Option<String>,
    },
    /// It has not answered, and nothing says why.
    Unknown,
}

impl LastDescription {
    pub fn new(log: KafkaLog) -> Self {
        Self { log, question: Mutex::default() }
    }

    pub fn log(&self) -> &KafkaLog {
        &self.log
    }

    /// The answer, if it comes in time: at most `wait_max` after the question was asked, whoever asked it.
    pub async fn get(&self, age_max: Duration, wait_max: Duration) -> Asked {
        let mut question = self.ask(age_max);
        loop {
            let known = question.answer.borrow().clone();
            if let Some(answer) = known {
                return match answer.what {
                    Ok(description) => Asked::Answered(description),
                    Err(reason) => self.problem().unwrap_or(Asked::Unreachable { problem: reason, hint: None }),
                };
            }
            let waited = question.asked.elapsed();
            match self.problem() {
                // It does not go away while somebody waits.
                Some(problem @ Asked::Misconfigured { .. }) if waited >= KNOWN_PROBLEM_WAIT => return problem,
                problem if waited >= wait_max => return problem.unwrap_or(Asked::Unknown),
                _ => {}
            }
            let left = wait_max.saturating_sub(question.asked.elapsed());
            let _ = tokio::time::timeout(left.min(LOOK_INTERVAL), question.answer.changed()).await;
        }
    }

    /// As [`Self::get`], for what is of no use without the answer.
    pub async fn require(
        &self,
        age_max: Duration,
        wait_max: Duration,
    ) -> Result<Arc<ClusterDescription>, ControlError> {
        let name = &self.log.config().name;
        let unavailable = |problem: &str| {
            let detail = format!("the Kafka cluster `{name}` does not answer: {problem}");
            ControlError::unavailable("kafka_cluster_unavailable", detail)
        };
        match self.get(age_max, wait_max).await {
            Asked::Answered(description) => Ok(description),
            Asked::Unreachable { problem, hint } | Asked::Misconfigured { problem, hint } => {
                Err(unavailable(&problem).maybe_hint(hint))
            }
            Asked::Unknown => Err(unavailable(&format!("nothing came within {} s", wait_max.as_secs()))),
        }
    }

    /// The question that is under way, or whose answer is young enough; else a new one.
    fn ask(&self, age_max: Duration) -> Question {
        let mut last = self.question.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(question) = &*last {
            let known = question.answer.borrow();
            // A question without an answer whose asker is gone would never get one.
            let is_asked = question.answer.has_changed().is_ok();
            if known.as_ref().map_or(is_asked, |answer| answer.came.elapsed() < age_max) {
                drop(known);
                return question.clone();
            }
        }
        let (answer, answered) = watch::channel(None);
        let log = self.log.clone();
        tokio::spawn(async move {
            let what = log.describe().await.map(Arc::new).map_err(|error| error.to_string());
            answer.send_replace(Some(Answer { came: Instant::now(), what }));
        });
        let question = Question { asked: Instant::now(), answer: answered };
        *last = Some(question.clone());
        question
    }

    fn problem(&self) -> Option<Asked> {
        let problem = self.log.connection_problem()?;
        let hint = Some(problem.kind.hint().to_owned());
        let is_lasting = problem.kind.is_lasting() && problem.kind != ProblemKind::Right;
        let problem = problem.to_string();
        Some(match is_lasting {
            true => Asked::Misconfigured { problem, hint },
            false => Asked::Unreachable { problem, hint },
        })
    }
}
