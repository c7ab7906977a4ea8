//! Differences of two texts by lines, in the unified form.

use std::ops::Range;

const CONTEXT_LINES: usize = 3;
/// The table of a comparison has one cell for each pair of lines that differ; beyond so many, all lines count as changed.
const CELLS_MAX: usize = 16_000_000;

/// One step from the old text to the new one, over lines of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Keep,
    Remove,
    Add,
}

/// Empty if the texts are the same. Every line of the answer ends with a line break.
pub fn unified(old_title: &str, new_title: &str, old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let steps = steps(&old, &new);
    let mut text = String::new();
    for hunk in hunks(&steps) {
        if text.is_empty() {
            text = format!("--- {old_title}\n+++ {new_title}\n");
        }
        push_hunk(&mut text, &steps, hunk, &old, &new);
    }
    text
}

/// The shortest way, by the longest common subsequence of what is between the common beginning and end.
fn steps(old: &[&str], new: &[&str]) -> Vec<Step> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let mut steps = vec![Step::Keep; head];
    if old.len().saturating_mul(new.len()) > CELLS_MAX {
        steps.extend(std::iter::repeat_n(Step::Remove, old.len()));
        steps.extend(std::iter::repeat_n(Step::Add, new.len()));
    } else {
        // common[i][j]: how many lines old[i..] and new[j..] have in common.
        let width = new.len() + 1;
        let mut common = vec![0_u32; (old.len() + 1) * width];
        for i in (0..old.len()).rev() {
            for j in (0..new.len()).rev() {
                common[i * width + j] = match old[i] == new[j] {
                    true => common[(i + 1) * width + j + 1] + 1,
                    false => common[(i + 1) * width + j].max(common[i * width + j + 1]),
                };
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < old.len() || j < new.len() {
            let step = match (i < old.len(), j < new.len()) {
                (true, true) if old[i] == new[j] => Step::Keep,
                (true, true) if common[(i + 1) * width + j] >= common[i * width + j + 1] => Step::Remove,
                (true, false) => Step::Remove,
                _ => Step::Add,
            };
            i += usize::from(step != Step::Add);
            j += usize::from(step != Step::Remove);
            steps.push(step);
        }
    }
    steps.extend(std::iter::repeat_n(Step::Keep, tail));
    steps
}

/// Changes with the lines around them; those that touch are one.
fn hunks(steps: &[Step]) -> Vec<Range<usize>> {
    let mut hunks: Vec<Range<usize>> = Vec::new();
    for at in (0..steps.len()).filter(|at| steps[*at] != Step::Keep) {
        let (start, end) = (at.saturating_sub(CONTEXT_LINES), (at + CONTEXT_LINES + 1).min(steps.len()));
        match hunks.last_mut() {
            Some(last) if last.end >= start => last.end = end,
            _ => hunks.push(start..end),
        }
    }
    hunks
}

fn push_hunk(text: &mut String, steps: &[Step], hunk: Range<usize>, old: &[&str], new: &[&str]) {
    let lines_of = |steps: &[Step], without: Step| steps.iter().filter(|step| **step != without).count();
    let (old_start, new_start) =
        (lines_of(&steps[..hunk.start], Step::Add), lines_of(&steps[..hunk.start], Step::Remove));
    let of_hunk = &steps[hunk];
    let (old_lines, new_lines) = (lines_of(of_hunk, Step::Add), lines_of(of_hunk, Step::Remove));
    // An empty side is named by the line before it.
    let first = |start: usize, lines: usize| start + usize::from(lines > 0);
    text.push_str(&format!(
        "@@ -{},{old_lines} +{},{new_lines} @@\n",
        first(old_start, old_lines),
        first(new_start, new_lines)
    ));
    let (mut i, mut j) = (old_start, new_start);
    for step in of_hunk {
        let (sign, line) = match step {
            Step::Keep => (' ', old[i]),
            Step::Remove => ('-', old[i]),
            Step::Add => ('+', new[j]),
        };
        i += usize::from(*step != Step::Add);
        j += usize::from(*step != Step::Remove);
        text.push(sign);
        text.push_str(line);
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::unified;

    fn check(old: &str, new: &str, expected: &str) {
        assert_eq!(unified("old", "new", old, new), expected);
    }

    #[test]
    fn the_same_has_no_difference() {
        check("a\nb\n", "a\nb\n", "");
        check("", "", "");
    }

    #[test]
    fn changes_stand_between_their_neighbours() {
        check(
            "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
            "1\n2\n3\n4\nfive\n6\n7\n8\n9\n",
            "--- old\n+++ new\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n",
        );
    }

    #[test]
    fn what_is_far_apart_is_apart() {
        let old: String = (1..=20).map(|line| format!("{line}\n")).collect();
        let new = old.replacen("2\n3\n", "2\n", 1).replace("18\n", "eighteen\n18\n");
        check(
            &old,
            &new,
            "--- old\n+++ new\n@@ -1,6 +1,5 @@\n 1\n 2\n-3\n 4\n 5\n 6\n@@ -15,6 +14,7 @@\n 15\n 16\n 17\n+eighteen\n 18\n 19\n 20\n",
        );
    }

    #[test]
    fn from_nothing_all_is_new() {
        check("", "a\nb\n", "--- old\n+++ new\n@@ -0,0 +1,2 @@\n+a\n+b\n");
        check("a\n", "", "--- old\n+++ new\n@@ -1,1 +0,0 @@\n-a\n");
    }
}
