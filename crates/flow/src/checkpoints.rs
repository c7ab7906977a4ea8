//! An engine's state as a checkpoint's header and parts, and back.
//!
//! Parts that did not change since the last checkpoint are named again, not written again: closed slices never change, and
//! of the open ones only those that took records.

use std::collections::{BTreeMap, HashSet};

use checkpoint::{Part, PartRef, Restored};
use delivery::Ledger;
use serde::{Deserialize, Serialize};

use crate::FlowError;
use crate::carry_over::{CarryOver, Layout, WrittenBy};
use crate::engine::{Engine, WindowOperator};
use crate::lane::WindowLane;
use crate::state_batches::{decode, decode_sessions, encode, encode_sessions};
use crate::stored_window::StoredWindow;

/// The small part of the state.
#[derive(Serialize, Deserialize)]
struct Header {
    /// What the state of each window belongs to: where it is another, the state does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    windows: Option<Vec<StoredWindow>>,
    /// The plan's text, in checkpoints that do not tell their windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    lanes: Vec<LaneHeader>,
    /// Per window: what is closed.
    closed_up_to: Vec<i64>,
}

#[derive(Serialize, Deserialize)]
struct LaneHeader {
    table: String,
    topic: String,
    partition: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic_id: Option<String>,
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
    /// such as partitions that were added, start where they were told to. The checkpoint may be of another query, as long as
    /// it holds all that the windows of this one need.
    pub fn restore(&mut self, engine: &mut Engine, restored: Restored) -> Result<(), FlowError> {
        let header: Header = serde_json::from_value(restored.header)
            .map_err(|error| FlowError::StateMismatch(format!("its header cannot be read: {error}")))?;
        let written_by = match (&header.windows, &header.query) {
            (Some(windows), _) => WrittenBy::Windows(windows),
            (None, Some(query)) => WrittenBy::Plan(query),
            (None, None) => return Err(FlowError::StateMismatch("it does not say which query wrote it".into())),
        };
        let carried = CarryOver::new(&engine.plan, written_by, header.closed_up_to.len())?;
        let mut parts =
            RestoredParts { sealed: Vec::new(), waiting: Vec::new(), carried: &carried, lanes: &header.lanes };
        parts.sealed.resize_with(engine.windows.len(), Vec::new);
        parts.waiting.resize_with(engine.windows.len(), Vec::new);
        for lane in &header.lanes {
            engine.restore_lane(lane, &carried)?;
        }
        let closed_up_to = carried.by_window(&header.closed_up_to);
        engine.restore_closed(&closed_up_to);
        for (id, bytes) in restored.parts {
            parts.put(engine, &id, &bytes)?;
            if carried.is_same {
                self.written.insert(id);
            }
        }
        // Parts that lie otherwise than this plan writes them are not named again.
        self.all_anew |= !carried.is_same;
        let RestoredParts { sealed, waiting, .. } = parts;
        for (index, (sealed, waiting)) in sealed.into_iter().zip(waiting).enumerate() {
            match &mut engine.windows[index].operator {
                WindowOperator::Sliced(operator) => operator.restore(closed_up_to[index], sealed),
                WindowOperator::Session(operator) => operator.restore(closed_up_to[index], waiting),
            }
        }
        Ok(())
    }
}

/// The parts of a checkpoint on their way into an engine: those of lanes go there at once, the others are collected.
struct RestoredParts<'a> {
    sealed: Vec<Vec<(i64, i64, operators::Partial)>>,
    waiting: Vec<Vec<(u32, operators::SessionPartial)>>,
    carried: &'a CarryOver,
    lanes: &'a [LaneHeader],
}

impl RestoredParts<'_> {
    fn put(&mut self, engine: &mut Engine, id: &str, bytes: &[u8]) -> Result<(), FlowError> {
        let mut path = id.splitn(3, '/');
        let window = path.next().and_then(|window| window.strip_prefix('w')?.parse().ok());
        let (Some(window), Some(kind), Some(rest)) = (window, path.next(), path.next()) else {
            return Err(unknown(id));
        };
        if window >= self.carried.windows_before() {
            return Err(unknown(id));
        }
        let carried = self.carried;
        // The state of a window that the query no longer has goes with it.
        for (heir, layout) in carried.heirs(window) {
            self.put_into(engine, window, heir, layout, kind, rest, bytes)?.ok_or_else(|| unknown(id))?;
        }
        Ok(())
    }

    /// `None` when the part's name makes no sense.
    #[expect(clippy::too_many_arguments, reason = "a part's name, taken apart")]
    fn put_into(
        &mut self,
        engine: &mut Engine,
        window: usize,
        heir: usize,
        layout: &Layout,
        kind: &str,
        rest: &str,
        bytes: &[u8],
    ) -> Result<Option<()>, FlowError> {
        let spec = engine.plan.windows[heir].aggregate.clone();
        match kind {
            "open" => {
                let mut rest = rest.splitn(3, '/');
                let mut number = || rest.next()?.parse::<i64>().ok();
                let (Some(first_end), Some(slice)) = (number(), number()) else { return Ok(None) };
                let lane = rest.next().and_then(|name| engine.window_lane(heir, name));
                let Some(WindowLane::Sliced(lane)) = lane else { return Ok(None) };
                lane.restore(first_end, slice, &decode(&spec, layout, bytes)?)?;
            }
            "sealed" => {
                let numbers = rest.split_once('/').map(|(first_end, slice)| (first_end.parse(), slice.parse()));
                let Some((Ok(first_end), Ok(slice))) = numbers else { return Ok(None) };
                self.sealed[heir].push((slice, first_end, decode(&spec, layout, bytes)?));
            }
            "sessions" => {
                let Some(WindowLane::Session(lane)) = engine.window_lane(heir, rest) else { return Ok(None) };
                lane.restore(&decode_sessions(&spec, layout, bytes)?)?;
            }
            "waiting" => {
                let number = rest.split('/').next().and_then(|number| number.parse().ok());
                let Some(lane) = number.and_then(|number| self.session_lane(engine, window, heir, number)) else {
                    return Ok(None);
                };
                self.waiting[heir].push((lane, decode_sessions(&spec, layout, bytes)?));
            }
            _ => return Ok(None),
        }
        Ok(Some(()))
    }

    /// The number that a lane has now among those of a session window; lanes that were added may stand before it.
    fn session_lane(&self, engine: &Engine, window: usize, heir: usize, number: u32) -> Option<u32> {
        if engine.windows[heir].results_lane.is_some() {
            return Some(number);
        }
        let mut before = self.lanes.iter().filter(|lane| self.carried.reads(window, &lane.table));
        let name = before.nth(number as usize)?.name();
        let mut now = engine.lanes.iter().filter(|lane| lane.windows[heir].is_some());
        now.position(|lane| lane_name(lane) == name).and_then(|position| u32::try_from(position).ok())
    }
}

fn unknown(id: &str) -> FlowError {
    FlowError::StateMismatch(format!("part `{id}` is not of this query"))
}

impl LaneHeader {
    fn name(&self) -> String {
        format!("{}/{}/{}", self.table, self.topic, self.partition)
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
            topic_id: lane.topic_id.clone(),
            next_offset: lane.next_offset,
            greatest_ms: lane.watermark.greatest_ms,
            ledger: lane.ledger,
            held_until: lane.held_until.clone(),
            held_sessions: lane.held_sessions.clone(),
        });
        Header {
            windows: Some(self.plan.windows.iter().map(|window| StoredWindow::from(&window.identity)).collect()),
            query: None,
            lanes: lanes.collect(),
            closed_up_to: closed_up_to.collect(),
        }
    }

    fn restore_lane(&mut self, header: &LaneHeader, carried: &CarryOver) -> Result<(), FlowError> {
        let lane = self.lanes.iter_mut().find(|lane| {
            lane.table() == header.table && *lane.topic == *header.topic && lane.partition == header.partition
        });
        let Some(lane) = lane else {
            return Err(FlowError::StateMismatch(format!(
                "topic {} has no partition {} any more",
                header.topic, header.partition
            )));
        };
        lane.start_at(header.next_offset);
        lane.was_restored = true;
        lane.restored_topic_id = header.topic_id.clone();
        lane.watermark.greatest_ms = header.greatest_ms;
        lane.ledger = header.ledger;
        lane.held_until = header.held_until.clone();
        for (window, records) in header.held_sessions.iter().enumerate().take(carried.windows_before()) {
            match carried.holder(window, &self.plan) {
                Some(holder) => lane.held_sessions[holder] += records,
                // The query no longer has these sessions, so it has no use for their records.
                None => lane.ledger.filtered += records,
            }
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
