//! An engine's state as a checkpoint's header and parts, and back.
//!
//! Parts that did not change since the last checkpoint are named again, not written again: closed slices never change, and
//! of the open ones only those that took records.

use std::collections::{BTreeMap, HashSet};

use checkpoint::{Part, PartRef, Restored};
use delivery::Ledger;
use serde::{Deserialize, Serialize};

use crate::FlowError;
use crate::engine::{Engine, WindowOperator};
use crate::lane::WindowLane;
use crate::state_batches::{decode, decode_sessions, encode, encode_sessions};

/// The small part of the state.
#[derive(Serialize, Deserialize)]
struct Header {
    /// What the query computes; state of another query does not fit.
    query: String,
    lanes: Vec<LaneHeader>,
    /// Per window: what is closed.
    closed_up_to: Vec<i64>,
}

#[derive(Serialize, Deserialize)]
struct LaneHeader {
    table: String,
    topic: String,
    partition: u32,
    next_offset: i64,
    greatest_ms: i64,
    ledger: Ledger,
    held_until: BTreeMap<i64, u64>,
    held_sessions: Vec<u64>,
}

/// Remembers which parts the last checkpoint holds.
#[derive(Default)]
pub struct Snapshots {
    written: HashSet<String>,
    /// The last try failed, so nothing counts as written.
    all_anew: bool,
}

impl Snapshots {
    /// Takes the state out; the engine goes on unchanged.
    pub fn take(&mut self, engine: &mut Engine) -> Result<(serde_json::Value, Vec<Part>), FlowError> {
        let dirty_only = !self.all_anew;
        let mut parts = Vec::new();
        for index in 0..engine.windows.len() {
            self.window_parts(engine, index, dirty_only, &mut parts)?;
        }
        let header = serde_json::to_value(engine.header())
            .map_err(|error| FlowError::StateMismatch(format!("the header cannot be written: {error}")))?;
        Ok((header, parts))
    }

    /// Notes how the write of what [`Self::take`] gave went.
    pub fn settle(&mut self, ids: Vec<String>, written: bool) {
        self.all_anew = !written;
        if written {
            self.written = ids.into_iter().collect();
        }
    }

    fn window_parts(
        &self,
        engine: &mut Engine,
        index: usize,
        dirty_only: bool,
        parts: &mut Vec<Part>,
    ) -> Result<(), FlowError> {
        let spec = engine.plan.windows[index].aggregate.clone();
        let names: Vec<String> = engine.lanes.iter().map(lane_name).collect();
        let state = &mut engine.windows[index];
        let lanes = engine
            .lanes
            .iter_mut()
            .zip(names)
            .filter_map(|(lane, name)| lane.windows[index].as_mut().map(|lane| (name, lane)));
        let own = state.results_lane.iter_mut().map(|lane| ("results".to_string(), lane));
        for (name, lane) in lanes.chain(own) {
            match lane {
                WindowLane::Sliced(lane) => {
                    for (first_end, slice, partial) in lane.snapshot(dirty_only)? {
                        let id = format!("w{index}/open/{first_end}/{slice}/{name}");
                        let content = match partial {
                            Some(partial) => PartRef::New(encode(&spec, &partial)?),
                            None => PartRef::Unchanged,
                        };
                        parts.push(Part { id, content });
                    }
                }
                WindowLane::Session(lane) => {
                    let sessions = lane.snapshot()?;
                    let content = PartRef::New(encode_sessions(&spec, &sessions)?);
                    parts.push(Part { id: format!("w{index}/sessions/{name}"), content });
                }
            }
        }
        match &state.operator {
            WindowOperator::Sliced(operator) => {
                for (slice, first_end, partial) in operator.snapshot().1 {
                    let id = format!("w{index}/sealed/{first_end}/{slice}");
                    let known = dirty_only && self.written.contains(&id);
                    let content = if known { PartRef::Unchanged } else { PartRef::New(encode(&spec, &partial)?) };
                    parts.push(Part { id, content });
                }
            }
            WindowOperator::Session(operator) => {
                for (number, (lane, sessions)) in operator.snapshot().1.into_iter().enumerate() {
                    let content = PartRef::New(encode_sessions(&spec, &sessions)?);
                    parts.push(Part { id: format!("w{index}/waiting/{lane}/{number}"), content });
                }
            }
        }
        Ok(())
    }

    /// Puts a checkpoint into an engine that has its lanes and has taken nothing. Lanes that the checkpoint does not know,
    /// such as partitions that were added, start where they were told to.
    pub fn restore(&mut self, engine: &mut Engine, restored: Restored) -> Result<(), FlowError> {
        let mismatch = |what: String| FlowError::StateMismatch(what);
        let header: Header = serde_json::from_value(restored.header)
            .map_err(|error| mismatch(format!("its header cannot be read: {error}")))?;
        if header.query != engine.plan.explain || header.closed_up_to.len() != engine.windows.len() {
            return Err(mismatch("it was written by another query".into()));
        }
        for lane in header.lanes {
            engine.restore_lane(lane)?;
        }
        engine.restore_closed(&header.closed_up_to);
        let mut sealed: Vec<Vec<(i64, i64, operators::Partial)>> = engine.windows.iter().map(|_| Vec::new()).collect();
        let mut waiting: Vec<Vec<(u32, operators::SessionPartial)>> =
            engine.windows.iter().map(|_| Vec::new()).collect();
        for (id, bytes) in restored.parts {
            let unknown = || mismatch(format!("part `{id}` is not of this query"));
            let mut path = id.splitn(3, '/');
            let index: usize = path.next().and_then(|w| w.strip_prefix('w')?.parse().ok()).ok_or_else(unknown)?;
            let spec = engine.plan.windows.get(index).ok_or_else(unknown)?.aggregate.clone();
            let kind = path.next().ok_or_else(unknown)?;
            let rest = path.next().ok_or_else(unknown)?;
            match kind {
                "open" => {
                    let mut rest = rest.splitn(3, '/');
                    let mut number = || rest.next().and_then(|text| text.parse::<i64>().ok()).ok_or_else(unknown);
                    let (first_end, slice) = (number()?, number()?);
                    let lane = engine.window_lane(index, rest.next().ok_or_else(unknown)?).ok_or_else(unknown)?;
                    if let WindowLane::Sliced(lane) = lane {
                        lane.restore(first_end, slice, &decode(&spec, &bytes)?)?;
                    }
                }
                "sealed" => {
                    let (first_end, slice) = rest.split_once('/').ok_or_else(unknown)?;
                    let number = |text: &str| text.parse::<i64>().map_err(|_| unknown());
                    sealed[index].push((number(slice)?, number(first_end)?, decode(&spec, &bytes)?));
                }
                "sessions" => {
                    let lane = engine.window_lane(index, rest).ok_or_else(unknown)?;
                    if let WindowLane::Session(lane) = lane {
                        lane.restore(&decode_sessions(&spec, &bytes)?)?;
                    }
                }
                "waiting" => {
                    let lane = rest.split('/').next().and_then(|lane| lane.parse().ok()).ok_or_else(unknown)?;
                    waiting[index].push((lane, decode_sessions(&spec, &bytes)?));
                }
                _ => return Err(unknown()),
            }
            self.written.insert(id);
        }
        for (index, (sealed, waiting)) in sealed.into_iter().zip(waiting).enumerate() {
            match &mut engine.windows[index].operator {
                WindowOperator::Sliced(operator) => operator.restore(header.closed_up_to[index], sealed),
                WindowOperator::Session(operator) => operator.restore(header.closed_up_to[index], waiting),
            }
        }
        Ok(())
    }
}

fn lane_name(lane: &crate::lane::Lane) -> String {
    format!("{}/{}/{}", lane.table(), lane.topic, lane.partition)
}

impl Engine {
    fn header(&self) -> Header {
        let closed_up_to = self.windows.iter().map(|window| match &window.operator {
            WindowOperator::Sliced(operator) => operator.closed_up_to(),
            WindowOperator::Session(operator) => operator.closed_up_to(),
        });
        let lanes = self.lanes.iter().map(|lane| LaneHeader {
            table: lane.table().to_string(),
            topic: lane.topic.to_string(),
            partition: lane.partition,
            next_offset: lane.next_offset,
            greatest_ms: lane.watermark.greatest_ms,
            ledger: lane.ledger,
            held_until: lane.held_until.clone(),
            held_sessions: lane.held_sessions.clone(),
        });
        Header { query: self.plan.explain.clone(), lanes: lanes.collect(), closed_up_to: closed_up_to.collect() }
    }

    fn restore_lane(&mut self, header: LaneHeader) -> Result<(), FlowError> {
        let lane = self.lanes.iter_mut().find(|lane| {
            lane.table() == header.table && *lane.topic == *header.topic && lane.partition == header.partition
        });
        let Some(lane) = lane else {
            return Err(FlowError::StateMismatch(format!(
                "topic {} has no partition {} any more",
                header.topic, header.partition
            )));
        };
        lane.next_offset = header.next_offset;
        lane.end_offset = header.next_offset;
        lane.watermark.greatest_ms = header.greatest_ms;
        lane.ledger = header.ledger;
        lane.held_until = header.held_until;
        if header.held_sessions.len() == lane.held_sessions.len() {
            lane.held_sessions = header.held_sessions;
        }
        Ok(())
    }

    fn window_lane(&mut self, index: usize, name: &str) -> Option<&mut WindowLane> {
        if name == "results" {
            return self.windows[index].results_lane.as_mut();
        }
        self.lanes.iter_mut().find(|lane| lane_name(lane) == name)?.windows[index].as_mut()
    }
}
