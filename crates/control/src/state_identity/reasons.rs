//! Why the windows of a new query cannot go on with those of the former one, in words.

use crate::window_words::window_of;
use sql::{HeldIdentity, InputIdentity, InputSource, WindowIdentity};

/// More differences than this are not told one by one.
const REASONS_MAX: usize = 3;

/// `without` are the windows of `after` that found none to go on with; if there are none, the query has no windows at all.
pub(super) fn misfit(before: &[WindowIdentity], after: &[WindowIdentity], without: &[usize]) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for window in without.iter().filter_map(|index| after.get(*index)) {
        for reason in differences(before, after, window) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    if reasons.is_empty() {
        return "the query no longer groups by a window".to_owned();
    }
    let more = reasons.len().saturating_sub(REASONS_MAX);
    reasons.truncate(REASONS_MAX);
    if more > 0 {
        reasons.push(format!("and {more} more changes of its windows"));
    }
    reasons.join("; ")
}

fn differences(before: &[WindowIdentity], after: &[WindowIdentity], window: &WindowIdentity) -> Vec<String> {
    let name = window_of(window.spec.kind());
    // It is told as a change of the window that is most like it and that is nobody else's.
    let free = before.iter().filter(|candidate| !after.iter().any(|other| other.goes_on_from(candidate)));
    let likeness = |candidate: &&WindowIdentity| {
        let keys = same_texts(&candidate.keys, &window.keys);
        8 * u8::from(candidate.groups_like(window))
            + 4 * u8::from(candidate.spec == window.spec)
            + 2 * u8::from(sources(candidate) == sources(window))
            + u8::from(keys)
    };
    match free.max_by_key(likeness) {
        None if before.is_empty() => vec![format!("the query now groups by a {name}")],
        None => vec![format!("the {name} is new")],
        Some(candidate) if likeness(&candidate) == 0 => vec![format!("the {name} is new")],
        Some(candidate) => changes(candidate, window),
    }
}

fn same_texts(one: &[HeldIdentity], other: &[HeldIdentity]) -> bool {
    let is_in = |held: &HeldIdentity, all: &[HeldIdentity]| all.iter().any(|known| known.text == held.text);
    one.iter().all(|held| is_in(held, other)) && other.iter().all(|held| is_in(held, one))
}

fn sources(window: &WindowIdentity) -> Vec<&InputSource> {
    window.inputs.iter().map(|input| &input.source).collect()
}

fn changes(before: &WindowIdentity, after: &WindowIdentity) -> Vec<String> {
    let mut changes = Vec::new();
    let name = window_of(after.spec.kind());
    if before.spec != after.spec {
        let former = window_of(before.spec.kind());
        changes.push(match former == name {
            true => format!("the {name} begins at another time"),
            false => format!("the {former} has become a {name}"),
        });
    }
    changes.extend(input_changes(&name, &before.inputs, &after.inputs));
    held_changes(&name, "key", &before.keys, &after.keys, &mut changes);
    for held in before.keys.iter().filter(|held| !after.keys.iter().any(|known| known.text == held.text)) {
        changes.push(format!("the {name} no longer has the key {}", held.text));
    }
    held_changes(&name, "aggregate", &before.aggregates, &after.aggregates, &mut changes);
    if changes.is_empty() && before.lag_ms != after.lag_ms {
        changes.push(format!("the {name} closes at another time than before, together with what is read beside it"));
    }
    if changes.is_empty() {
        changes.push(format!("the {name} has changed"));
    }
    changes
}

fn held_changes(name: &str, what: &str, before: &[HeldIdentity], after: &[HeldIdentity], changes: &mut Vec<String>) {
    for held in after {
        match before.iter().find(|known| known.text == held.text) {
            None => changes.push(format!("the {name} has a new {what} {}", held.text)),
            Some(known) if known.types != held.types => {
                changes.push(format!("the types of what the {name} holds for {} have changed", held.text));
            }
            Some(_) => {}
        }
    }
}

fn input_changes(name: &str, before: &[InputIdentity], after: &[InputIdentity]) -> Option<String> {
    if before == after {
        return None;
    }
    let differ = |part: &dyn Fn(&InputIdentity, &InputIdentity) -> bool| {
        before.iter().zip(after).any(|(before, after)| !part(before, after))
    };
    Some(if before.len() != after.len() {
        format!("the {name} takes the rows of {} SELECTs, which were {}", after.len(), before.len())
    } else if differ(&|before, after| before.source == after.source) {
        let of_windows =
            |inputs: &[InputIdentity]| inputs.iter().any(|input| matches!(input.source, InputSource::Windows(_)));
        match of_windows(before) || of_windows(after) {
            true => format!("what the {name} takes from the windows before it has changed"),
            false => format!("the {name} reads {}, which was {}", tables(after), tables(before)),
        }
    } else if differ(&|before, after| before.unnested == after.unnested) {
        format!("the lists that are taken apart before the {name} have changed")
    } else if differ(&|before, after| before.filters == after.filters) {
        format!("the filter before the {name} has changed")
    } else {
        format!("what the {name} takes for the time has changed")
    })
}

fn tables(inputs: &[InputIdentity]) -> String {
    let names = inputs.iter().map(|input| match &input.source {
        InputSource::Table(table) => format!("`{table}`"),
        InputSource::Windows(_) => "windows".to_owned(),
    });
    names.collect::<Vec<_>>().join(", ")
}
