//! A dagger as a graph of steps, for people: what each does, what it reads, how much goes through it, how long it takes.

use crate::dagger_spec::{DaggerSpec, SinkSpec};
use crate::state_identity::window_in_words;
use crate::window_words::windows_of;
use datafusion::physical_expr_common::physical_expr::fmt_sql;
use flow::{DaggerStatus, StepCounts, WindowStateSize};
use serde_json::{Value, json};
use sql::{BranchPlan, BranchTarget, DaggerPlan, OutputPlan, Step, WindowSource};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rates and busy shares are taken over at least this long.
const RATE_WINDOW: Duration = Duration::from_secs(2);

/// Which of the plan's steps an operator is.
#[derive(Debug, Clone, Copy)]
enum Place {
    Source(usize),
    Branch(usize),
    Window(usize),
    Output,
    Sink(usize),
}

impl Place {
    fn kind(self) -> &'static str {
        match self {
            Place::Source(_) => "source",
            Place::Branch(_) => "branch",
            Place::Window(_) => "window",
            Place::Output => "output",
            Place::Sink(_) => "sink",
        }
    }

    fn id(self) -> String {
        match self {
            Place::Source(index) | Place::Branch(index) | Place::Window(index) | Place::Sink(index) => {
                format!("{}:{index}", self.kind())
            }
            Place::Output => self.kind().to_owned(),
        }
    }

    fn counts(self, status: &DaggerStatus) -> StepCounts {
        let steps = &status.steps;
        let counts = match self {
            Place::Source(index) => steps.sources.get(index),
            Place::Branch(index) => steps.branches.get(index),
            Place::Window(index) => steps.windows.get(index),
            Place::Output => Some(&steps.output),
            Place::Sink(index) => steps.sinks.get(index),
        };
        counts.copied().unwrap_or_default()
    }

    fn state(self, status: &DaggerStatus) -> Option<WindowStateSize> {
        match self {
            Place::Window(index) => status.steps.states.get(index).copied(),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Operator {
    place: Place,
    name: String,
    inputs: Vec<String>,
    describes: String,
}

/// The steps of one plan, in the order in which records go through them.
#[derive(Debug)]
pub(crate) struct OperatorGraph(Vec<Operator>);

impl OperatorGraph {
    pub fn of(spec: &DaggerSpec, plan: &DaggerPlan) -> Arc<Self> {
        let mut operators = Vec::new();
        for (index, source) in plan.sources.iter().enumerate() {
            let stream = &spec.streams[source.stream];
            let fields = source.schema.fields().iter().map(|field| field.name().as_str());
            operators.push(Operator {
                place: Place::Source(index),
                name: stream.table.clone(),
                inputs: Vec::new(),
                describes: format!("decodes {}", fields.collect::<Vec<_>>().join(", ")),
            });
        }
        for (index, branch) in plan.branches.iter().enumerate().filter(|(_, branch)| is_shown(branch)) {
            operators.push(Operator {
                place: Place::Branch(index),
                name: branch_name(branch),
                inputs: vec![Place::Source(branch.source).id()],
                describes: describe_branch(branch),
            });
        }
        for (index, window) in plan.windows.iter().enumerate() {
            operators.push(Operator {
                place: Place::Window(index),
                name: windows_of(window.spec.kind()),
                inputs: inputs_of_window(plan, index),
                describes: window_in_words(&window.identity),
            });
        }
        let last = match &plan.output {
            OutputPlan::Rows => (0..plan.branches.len())
                .filter(|branch| is_rows(&plan.branches[*branch]))
                .map(|index| Place::Branch(index).id())
                .collect(),
            OutputPlan::Windows(fragment) => {
                operators.push(Operator {
                    place: Place::Output,
                    name: "result".to_owned(),
                    inputs: fragment.windows().map(|window| Place::Window(window).id()).collect(),
                    describes: plan
                        .schema
                        .fields()
                        .iter()
                        .map(|field| field.name().as_str())
                        .collect::<Vec<_>>()
                        .join(", "),
                });
                vec![Place::Output.id()]
            }
        };
        for (index, sink) in spec.sinks.iter().enumerate() {
            let (name, describes) = match sink {
                SinkSpec::Series { measurement, .. } => (measurement.clone(), "series"),
                SinkSpec::Topic { topic, .. } => (topic.clone(), "topic"),
                SinkSpec::Log => ("log".to_owned(), "log"),
                SinkSpec::External(external) => (external.measurement.clone(), external.system.kind()),
                SinkSpec::Kind(sink) => (sink.kind.description().title.to_owned(), sink.name()),
            };
            operators.push(Operator {
                place: Place::Sink(index),
                name,
                inputs: last.clone(),
                describes: describes.to_owned(),
            });
        }
        Arc::new(Self(operators))
    }
}

fn is_rows(branch: &BranchPlan) -> bool {
    matches!(branch.target, BranchTarget::Rows { .. })
}

/// Renaming columns on the way to a window is nothing that somebody looks for.
fn is_shown(branch: &BranchPlan) -> bool {
    is_rows(branch) || branch.steps.iter().any(|step| !matches!(step, Step::Project { .. }))
}

fn branch_name(branch: &BranchPlan) -> String {
    let has = |test: fn(&Step) -> bool| branch.steps.iter().any(test);
    let unnests = has(|step| matches!(step, Step::Unnest { .. }));
    match (has(|step| matches!(step, Step::Filter(_))), unnests) {
        (true, true) => "filter, unnest",
        (true, false) => "filter",
        (false, true) => "unnest",
        (false, false) => "columns",
    }
    .to_owned()
}

fn describe_branch(branch: &BranchPlan) -> String {
    let mut parts = Vec::new();
    for step in &branch.steps {
        match step {
            Step::Filter(condition) => parts.push(format!("WHERE {}", fmt_sql(condition.as_ref()))),
            Step::Unnest { column, schema, .. } => {
                parts.push(format!("UNNEST({})", schema.fields().get(*column).map_or("", |field| field.name())));
            }
            Step::Project { .. } => {}
        }
    }
    if let BranchTarget::Rows { expressions } = &branch.target {
        let columns: Vec<String> =
            expressions.iter().map(|expression| fmt_sql(expression.as_ref()).to_string()).collect();
        parts.push(format!("SELECT {}", columns.join(", ")));
    }
    parts.join("; ")
}

fn inputs_of_window(plan: &DaggerPlan, index: usize) -> Vec<String> {
    match &plan.windows[index].source {
        WindowSource::Results { fragment, .. } => fragment.windows().map(|window| Place::Window(window).id()).collect(),
        WindowSource::Branches => {
            let feeds =
                |branch: &BranchPlan| matches!(branch.target, BranchTarget::Window { window, .. } if window == index);
            let feeding = plan.branches.iter().enumerate().filter(|(_, branch)| feeds(branch));
            feeding
                .map(|(number, branch)| match is_shown(branch) {
                    true => Place::Branch(number).id(),
                    false => Place::Source(branch.source).id(),
                })
                .collect()
        }
    }
}

/// What a run's steps did of late.
#[derive(Clone, Default)]
pub(crate) struct OperatorRates {
    graph: Option<Arc<OperatorGraph>>,
    from: Option<(Instant, Arc<DaggerStatus>)>,
    /// What the last whole window added, per operator: rows in, time at work, and how long the window was.
    recent: Vec<(u64, Duration, Duration)>,
}

impl OperatorRates {
    /// Looks at a run again; a graph that is another one is another run.
    pub fn look(&mut self, graph: &Arc<OperatorGraph>, status: &Arc<DaggerStatus>) {
        if !self.graph.as_ref().is_some_and(|known| Arc::ptr_eq(known, graph)) {
            *self = Self { graph: Some(Arc::clone(graph)), ..Self::default() };
        }
        let now = Instant::now();
        let Some((from, before)) = &self.from else {
            self.from = Some((now, Arc::clone(status)));
            return;
        };
        let passed = now.duration_since(*from);
        if passed < RATE_WINDOW {
            return;
        }
        let added = graph.0.iter().map(|operator| {
            let (now, before) = (operator.place.counts(status), operator.place.counts(before));
            (now.rows_in.saturating_sub(before.rows_in), now.busy.saturating_sub(before.busy), passed)
        });
        self.recent = added.collect();
        self.from = Some((now, Arc::clone(status)));
    }

    /// A run that has ended does nothing more.
    pub fn rest(&mut self) {
        self.recent.clear();
        self.from = None;
    }

    pub fn to_json(&self, status: &DaggerStatus) -> Value {
        let Some(graph) = &self.graph else { return json!([]) };
        let rounded = |number: f64, by: f64| (number * by).round() / by;
        let operators = graph.0.iter().enumerate().map(|(index, operator)| {
            let counts = operator.place.counts(status);
            let state = operator.place.state(status);
            let (rows, busy, passed) = self.recent.get(index).copied().unwrap_or((0, Duration::ZERO, RATE_WINDOW));
            json!({
                "id": operator.place.id(), "kind": operator.place.kind(), "name": operator.name,
                "inputs": operator.inputs, "describes": operator.describes,
                "recordsIn": counts.rows_in, "rowsOut": counts.rows_out,
                "rowsPerSecond": rounded(rows as f64 / passed.as_secs_f64(), 10.0),
                "busyMs": counts.busy.as_millis() as u64,
                "busyShare": rounded(busy.as_secs_f64() / passed.as_secs_f64(), 10_000.0),
                "stateBytes": state.map(|state| state.bytes), "groups": state.map(|state| state.groups),
            })
        });
        operators.collect()
    }
}
