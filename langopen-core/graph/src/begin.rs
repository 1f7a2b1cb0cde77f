//! The start of a graph: with an input, with a command, or where it stopped.

use langopen_core::json::JsonMap;
use serde_json::Value;

use super::apply::Applied;
use super::command::{Command, START};
use super::error::NodeError;
use super::plan::{INTERRUPT, NO_TASK, RESUME, Task, Write, index_of};
use super::run::is_by_id;
use super::steps::{Given, Level};

impl Level {
    pub(super) async fn begin(&mut self, given: Given, resumes: Option<bool>) -> Result<(), NodeError> {
        let stands = !self.saved.checkpoint.versions.is_empty();
        self.resumes = stands && resumes.unwrap_or(!matches!(given, Given::Input(_)));
        let commands = matches!(given, Given::Command(_));
        if matches!(&given, Given::Command(command) if command.get("resume").is_some_and(|resume| !resume.is_null())) {
            self.replays = false;
        }
        if self.replays && self.resumes && !matches!(self.saved.source(), Some("update" | "fork")) {
            // A replay continues on a branch of its own.
            self.saved.pending.clear();
            self.put("fork").await?;
        }
        if let Given::Command(command) = &given {
            self.take_command(command).await?;
        } else if self.is_root() && self.shared.run.attempt > 1 {
            let stored = self.saved.pending.iter().rfind(|p| p.task_id == NO_TASK && p.write.channel == RESUME);
            *self.shared.answer.lock() = stored.map(|pending| pending.write.value.clone());
        }
        let outside =
            self.saved.pending.iter().filter(|p| p.task_id == NO_TASK && index_of(&p.write.channel).is_none());
        let writes: Vec<_> = outside.map(|pending| pending.write.clone()).collect();
        if !writes.is_empty() {
            self.apply(&[Applied { name: "__input__", path: "", triggers: &[], writes: &writes }])?;
        }
        match given {
            _ if self.resumes || (commands && !writes.is_empty()) => {
                let versions = self.saved.checkpoint.versions.clone();
                self.saved.checkpoint.seen.insert(INTERRUPT.to_owned(), versions);
                self.send_values().await?;
                Ok(())
            }
            Given::Input(input) if !input.is_null() => {
                // A new input drops the tasks that were next.
                let dropped = self.graph.0.next_tasks(&self.saved.checkpoint, &self.namespace, self.step);
                let writes = [Write::new(START, input)];
                let mut applied: Vec<_> = dropped.iter().map(Task::applied).collect();
                applied.push(Applied { name: "__input__", path: "", triggers: &[], writes: &writes });
                self.apply(&applied)?;
                self.saved.pending.clear();
                self.put("input").await?;
                Ok(())
            }
            _ => Err(NodeError::new("EmptyInputError", "Received no input for __start__")),
        }
    }

    /// Applies a command: stores its answers, its update and its targets as writes.
    async fn take_command(&mut self, command: &JsonMap) -> Result<(), NodeError> {
        let resume = command.get("resume").filter(|resume| !resume.is_null());
        let mut writes = Vec::new();
        if let Some(resume) = resume.filter(|resume| !is_by_id(resume)) {
            if self.open_questions() > 1 {
                let why =
                    "When there are multiple pending interrupts, you must specify the interrupt id when resuming.";
                return Err(NodeError::new("RuntimeError", why));
            }
            *self.shared.answer.lock() = Some(resume.clone());
            writes.push(Write::new(RESUME, resume.clone()));
        }
        let Command { update, goto } = Command::read(command);
        match update {
            Value::Object(update) => writes.extend(self.graph.public_writes(update)?),
            Value::Null => {}
            other => {
                return Err(NodeError::invalid_update(format!(
                    "Expected an object as a command's update, got {other}"
                )));
            }
        }
        for target in goto {
            writes.extend(self.graph.arrow(target)?);
        }
        if writes.is_empty() && resume.is_none() {
            return Err(NodeError::new("EmptyInputError", "Received empty Command input"));
        }
        if !writes.is_empty() {
            self.put_writes(NO_TASK, "", &writes).await?;
        }
        Ok(())
    }

    fn open_questions(&self) -> usize {
        let asks = |task: &Task| {
            let own = || self.saved.pending.iter().filter(|pending| pending.task_id == task.id);
            let ended = own().any(|pending| index_of(&pending.write.channel).is_none());
            if ended { 0 } else { own().filter(|pending| pending.write.channel == INTERRUPT).count() }
        };
        let tasks = self.graph.0.next_tasks(&self.saved.checkpoint, &self.namespace, self.step);
        tasks.iter().map(asks).sum()
    }
}
