//! What a window's state belongs to: which records it takes, into which windows and groups, and what it adds up.
//!
//! Two windows with equal identities hold the same sums of the same records, whatever their queries do with them afterwards.
//! So the state of an edited query goes on where the identity of a window stayed, and only there. The identity is made from
//! the plan above the scan and below the window: names that the query gives, the order of columns, and everything that
//! follows the window leave no trace in it.

use operators::{WindowKind, WindowSpec};

/// One window aggregation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowIdentity {
    pub spec: WindowSpec,
    /// How far the watermark has to be past an end, in milliseconds, until the window closes.
    pub lag_ms: i64,
    /// Where its rows come from: one, or the parts of a UNION ALL.
    pub inputs: Vec<InputIdentity>,
    pub keys: Vec<HeldIdentity>,
    pub aggregates: Vec<HeldIdentity>,
}

/// Rows on their way into a window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InputIdentity {
    pub source: InputSource,
    /// The lists that are taken apart, in this order.
    pub unnested: Vec<String>,
    /// What must hold for a row.
    pub filters: Vec<String>,
    /// What the window takes for the time of a row.
    pub time: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputSource {
    /// The table of a stream.
    Table(String),
    /// What the query does with the results of other windows, and which those are.
    Windows(String),
}

/// A key or an aggregate of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldIdentity {
    /// The expression.
    pub text: String,
    /// The types of the columns that the state keeps for it.
    pub types: Vec<String>,
}

impl WindowIdentity {
    /// Whether both take the same records into the same windows and groups.
    pub fn groups_like(&self, other: &WindowIdentity) -> bool {
        let all_in = |these: &[HeldIdentity], those: &[HeldIdentity]| these.iter().all(|key| those.contains(key));
        self.spec == other.spec
            && self.inputs == other.inputs
            && all_in(&self.keys, &other.keys)
            && all_in(&other.keys, &self.keys)
    }

    /// Whether the state of `before` holds all that this one needs. What is read together closes together, so a window that
    /// closes at another time than it did could meet windows that have been handed over already.
    pub fn goes_on_from(&self, before: &WindowIdentity) -> bool {
        self.groups_like(before)
            && self.lag_ms == before.lag_ms
            && self.aggregates.iter().all(|aggregate| before.aggregates.contains(aggregate))
    }
}

/// For each window of a new plan the window of the old one whose state it goes on with; else the new windows that have
/// none. A plan without windows does not go on from one with windows: what those hold would be neither handed over nor
/// read again, and the answer is an empty list.
pub fn carry_over(before: &[WindowIdentity], after: &[WindowIdentity]) -> Result<Vec<usize>, Vec<usize>> {
    if after.is_empty() && !before.is_empty() {
        return Err(Vec::new());
    }
    let mut taken = vec![false; before.len()];
    let (mut found, mut without) = (Vec::with_capacity(after.len()), Vec::new());
    for (index, window) in after.iter().enumerate() {
        let fits = |candidate: &usize| window.goes_on_from(&before[*candidate]);
        let candidates: Vec<usize> = (0..before.len()).filter(fits).collect();
        // Windows that are the same hold the same, so one may go on as two.
        match candidates.iter().find(|candidate| !taken[**candidate]).or(candidates.first()) {
            Some(candidate) => {
                taken[*candidate] = true;
                found.push(*candidate);
            }
            None => without.push(index),
        }
    }
    if without.is_empty() { Ok(found) } else { Err(without) }
}

/// The rows of a window's result, for the identity of what reads them.
pub(crate) fn rows_text(window: &WindowIdentity) -> String {
    let spec = match window.spec.kind() {
        WindowKind::Tumble { size_ms } => format!("TUMBLE {size_ms}"),
        WindowKind::Hop { size_ms, slide_ms } => format!("HOP {slide_ms} {size_ms}"),
        WindowKind::Cumulate { size_ms, step_ms } => format!("CUMULATE {step_ms} {size_ms}"),
        WindowKind::Session { gap_ms } => format!("SESSION {gap_ms}"),
    };
    let inputs: Vec<String> = window.inputs.iter().map(InputIdentity::text).collect();
    let mut keys: Vec<&str> = window.keys.iter().map(|key| key.text.as_str()).collect();
    keys.sort_unstable();
    format!("{spec} OFFSET {} BY [{}] OF [{}]", window.spec.offset_ms(), keys.join(", "), inputs.join("; "))
}

impl InputIdentity {
    fn text(&self) -> String {
        let (InputSource::Table(from) | InputSource::Windows(from)) = &self.source;
        let mut out = from.clone();
        for list in &self.unnested {
            out.push_str(&format!(" UNNEST {list}"));
        }
        if !self.filters.is_empty() {
            out.push_str(&format!(" WHERE {}", self.filters.join(" AND ")));
        }
        out + " AT " + &self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(text: &str) -> HeldIdentity {
        HeldIdentity { text: text.into(), types: vec!["Int64".into()] }
    }

    fn window(aggregates: &[&str]) -> WindowIdentity {
        WindowIdentity {
            spec: WindowSpec::new(WindowKind::Tumble { size_ms: 60_000 }, 0).unwrap(),
            lag_ms: 0,
            inputs: vec![InputIdentity {
                source: InputSource::Table("t".into()),
                unnested: Vec::new(),
                filters: Vec::new(),
                time: "rowtime".into(),
            }],
            keys: vec![held("a"), held("b")],
            aggregates: aggregates.iter().map(|text| held(text)).collect(),
        }
    }

    #[test]
    fn fewer_and_reordered_aggregates_go_on_and_new_ones_do_not() {
        let before = [window(&["count(1)", "max(x)"])];
        let mut reordered = window(&["max(x)", "count(1)"]);
        reordered.keys.reverse();
        assert_eq!(carry_over(&before, &[reordered]), Ok(vec![0]));
        assert_eq!(carry_over(&before, &[window(&[])]), Ok(vec![0]));
        assert_eq!(carry_over(&before, &[window(&["min(x)"])]), Err(vec![0]));
    }

    #[test]
    fn each_window_finds_its_own_and_the_same_one_serves_two() {
        let mut wider = window(&["count(1)"]);
        wider.spec = WindowSpec::new(WindowKind::Tumble { size_ms: 120_000 }, 0).unwrap();
        let before = [window(&["count(1)"]), wider.clone()];
        assert_eq!(carry_over(&before, &[wider.clone(), window(&["count(1)"])]), Ok(vec![1, 0]));
        assert_eq!(carry_over(&before, &[wider.clone(), wider.clone()]), Ok(vec![1, 1]));
        assert_eq!(carry_over(&before[..1], &[window(&["count(1)"]), wider]), Err(vec![1]));
        assert_eq!(carry_over(&before, &[]), Err(Vec::new()));
        assert_eq!(carry_over(&[], &[]), Ok(Vec::new()));
    }

    #[test]
    fn other_keys_types_times_of_closing_and_inputs_do_not_go_on() {
        let before = window(&["count(1)"]);
        let edits: [fn(&mut WindowIdentity); 6] = [
            |window| drop(window.keys.pop()),
            |window| window.keys.push(held("c")),
            |window| window.keys[0].types = vec!["Utf8".into()],
            |window| window.aggregates[0].types = vec!["Float64".into()],
            |window| window.lag_ms = 1,
            |window| window.inputs[0].filters.push("x > 1".into()),
        ];
        for edit in edits {
            let mut after = before.clone();
            edit(&mut after);
            assert_eq!(carry_over(std::slice::from_ref(&before), &[after.clone()]), Err(vec![0]), "{after:?}");
        }
    }
}
