//! Checks that a run's store item matches its result, so that no earlier attempt has overwritten it.

use serde_json::Value;

use super::steps::taken;
use super::{Evidence, Violation};

const STORE: &str = "the store holds the item of the successful attempt";

pub(super) fn check(evidence: &Evidence, found: &mut Vec<Violation>) {
    for entry in &evidence.entries {
        let Some(run_id) = entry.run_id.as_ref().filter(|run_id| evidence.items.contains_key(*run_id)) else {
            continue;
        };
        let values = evidence.values.get(&entry.thread_id).or(entry.answer.as_ref()).unwrap_or(&Value::Null);
        let Some((step, attempt)) = taken(values, run_id).last().copied() else { continue };
        let item = &evidence.items[run_id];
        if item["step"] != step || item["attempt"] != attempt {
            let lines = evidence.lines(run_id).iter().map(|line| format!("{}.{}", line.attempt, line.step));
            let lines = lines.collect::<Vec<_>>().join(" ");
            let evidence =
                format!("it returned step {step} of attempt {attempt}, the store has {item}; lines: {lines}");
            found.push(Violation { promise: STORE, of: run_id.clone(), evidence });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_step_names_its_attempt() {
        let values = json!({"log": ["a 1 1", "b 1 1", "a 2 3", "nonsense", "a x"]});
        assert_eq!(taken(&values, "a"), [(1, 1), (2, 3)]);
    }
}
