//! A run while it runs: one line a step, on a terminal with a line below that lives.

use std::{cell::RefCell, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rekit_core::{
    event::Event,
    inventory::ActiveBuild,
    next::Turn,
    plan::Plan,
    step::{Step, StepId},
    undo::Outcome,
};

use super::{
    style::{Style, Tone, bytes, clean, counted},
    words,
};
use crate::output::{self, Output};

/// Seconds between two lines about the same wait where no line lives.
const WAIT_TOLD: u64 = 30;

/// Tells what happens.
pub(crate) struct Progress<'a> {
    plan: &'a Plan,
    style: &'a Style,
    way: Way,
    position: RefCell<Position>,
}

enum Way {
    Quiet,
    Plain,
    Live(ProgressBar),
}

#[derive(Default)]
struct Position {
    /// The step that is under way.
    step: Option<StepId>,
    /// Whether its line lacks its end.
    open: bool,
    /// The second of the wait that was told last.
    told: u64,
    /// The builds that were told last.
    awaited: String,
    last_error: Option<String>,
}

impl<'a> Progress<'a> {
    /// Begins to tell of a plan's run.
    pub(crate) fn new(plan: &'a Plan, output: &'a Output) -> Self {
        let way = if output.is_quiet() {
            Way::Quiet
        } else if Output::is_live() {
            Way::Live(bar())
        } else {
            Way::Plain
        };
        Self {
            plan,
            style: &output.note_style,
            way,
            position: RefCell::default(),
        }
    }

    /// Ends the line that lives.
    pub(crate) fn end(&self) {
        if let Way::Live(bar) = &self.way {
            bar.finish_and_clear();
        }
    }

    /// Returns why the last undo failed.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.position.borrow().last_error.clone()
    }

    /// Tells one event.
    pub(crate) fn tell(&self, event: &Event) {
        match event {
            Event::RunBegan {
                finished, steps, ..
            } => {
                if *finished > 0 {
                    self.line(&format!("{finished} of {steps} steps were done before"));
                }
            }
            Event::StepBegan { step, .. } => self.begin(*step),
            Event::Progress {
                bytes,
                total,
                files,
            } => self.detail(&moved(*bytes, *total, *files)),
            Event::Waiting {
                what,
                seconds,
                limit,
            } => self.wait(what, *seconds, *limit),
            Event::BuildsAwaited {
                on,
                builds,
                seconds,
                limit,
            } => self.await_builds(on, builds, *seconds, *limit),
            Event::StepFinished {
                step,
                outcome,
                milliseconds,
            } => self.done(*step, outcome, *milliseconds),
            Event::StepAdopted { step } => self.finish(*step, "already so"),
            Event::Held { step, failed } => {
                let held = self.style.paint(Tone::Care, "a person decides");
                self.finish(*step, &format!("{held}: {}", clean(&failed.to_string())));
            }
            Event::Turned { why } => self.turn(why),
            Event::StepUndone { step } => {
                let kept = self
                    .step(*step)
                    .is_some_and(|step| words::leaves_no_trace(&step.action));
                if !kept {
                    self.line(&format!("{} taken back", self.named(*step)));
                }
            }
            Event::UndoFailed { step, error } => {
                let bad = self.style.paint(Tone::Bad, "cannot be taken back");
                self.line(&format!("{} {bad}: {}", self.named(*step), clean(error)));
                self.position.borrow_mut().last_error = Some(error.clone());
            }
            Event::RunEnded { .. } => self.close(),
        }
    }

    fn done(&self, step: StepId, outcome: &Outcome, milliseconds: u64) {
        let told = words::outcome(outcome);
        let told = if told.is_empty() {
            told
        } else {
            format!("{told}, ")
        };
        let ok = self.style.paint(Tone::Good, "ok");
        let took = words::seconds(milliseconds);
        self.finish(step, &format!("{ok} ({told}{took})"));
    }

    fn begin(&self, step: StepId) {
        self.close();
        let name = self.named(step);
        match &self.way {
            Way::Quiet => {}
            Way::Plain => output::alarm(&format!("{name} … ")),
            Way::Live(bar) => {
                bar.set_prefix(name);
                bar.set_message("");
                bar.reset_elapsed();
            }
        }
        let mut position = self.position.borrow_mut();
        position.step = Some(step);
        position.open = true;
        position.told = 0;
        position.awaited.clear();
    }

    fn finish(&self, step: StepId, end: &str) {
        let open = {
            let mut position = self.position.borrow_mut();
            position.step == Some(step) && std::mem::take(&mut position.open)
        };
        match &self.way {
            Way::Plain if open => output::alarm(&format!("{end}\n")),
            _ => self.line(&format!("{} … {end}", self.named(step))),
        }
    }

    fn turn(&self, why: &Turn) {
        let told;
        let (word, step, reason) = match why {
            Turn::Failed { step, error } => ("failed", Some(*step), error.as_str()),
            Turn::Refused { step, reason } => ("refused", Some(*step), reason.as_str()),
            Turn::Moved { step, found } => ("the world has moved", Some(*step), found.as_str()),
            Turn::Criterion { step, failed } => {
                told = failed.to_string();
                ("failed", Some(*step), told.as_str())
            }
            Turn::Asked {} => ("", None, ""),
        };
        if let Some(step) = step {
            let end = self.style.paint(Tone::Bad, word);
            self.finish(step, &format!("{end}: {}", clean(reason)));
            self.line("Taking back what was done, last step first");
            if let Way::Live(bar) = &self.way {
                bar.set_prefix("taking back");
                bar.set_message("");
            }
        }
    }

    fn wait(&self, what: &str, seconds: u64, limit: u64) {
        let text = format!("waiting {seconds} of {limit} s for {}", clean(what));
        self.detail(&text);
        if matches!(self.way, Way::Plain) {
            let due = {
                let mut position = self.position.borrow_mut();
                let due = seconds >= position.told + WAIT_TOLD;
                if due {
                    position.told = seconds;
                }
                due
            };
            if due {
                output::alarm(&format!("\n        {text} … "));
            }
        }
    }

    /// Tells which builds are waited for: at once, when others run, and now and then.
    fn await_builds(&self, on: &str, builds: &[ActiveBuild], seconds: u64, limit: u64) {
        let count = counted(builds.len(), "build");
        let told = clean(&ActiveBuild::all_told(builds));
        let text = format!("waiting {seconds} of {limit} s for {count} on {on}: {told}");
        self.detail(&text);
        let due = {
            let mut position = self.position.borrow_mut();
            let due = position.awaited != told || seconds >= position.told + WAIT_TOLD;
            if due {
                position.told = seconds;
                position.awaited = told;
            }
            due
        };
        if due && matches!(self.way, Way::Plain) {
            output::alarm(&format!("\n        {text} … "));
        }
    }

    fn detail(&self, text: &str) {
        if let Way::Live(bar) = &self.way {
            bar.set_message(text.to_owned());
        }
    }

    /// Ends a line that was begun and got no end.
    fn close(&self) {
        if std::mem::take(&mut self.position.borrow_mut().open) && matches!(self.way, Way::Plain) {
            output::alarm("\n");
        }
    }

    fn line(&self, text: &str) {
        match &self.way {
            Way::Quiet => {}
            Way::Plain => {
                self.close();
                output::alarm(&format!("{text}\n"));
            }
            Way::Live(bar) => bar.println(text),
        }
    }

    fn step(&self, step: StepId) -> Option<&Step> {
        self.plan.steps.iter().find(|known| known.id == step)
    }

    fn named(&self, step: StepId) -> String {
        let steps = self.plan.steps.len();
        let width = steps.to_string().len();
        let found = self.step(step);
        format!(
            "[{:>width$}/{steps}] {}",
            step.0,
            found.map(words::step).unwrap_or_default()
        )
    }
}

/// Tells how far an archive is read, where a line can live.
pub(crate) struct Reading(Option<ProgressBar>);

impl Reading {
    /// Begins to tell.
    pub(crate) fn new(output: &Output) -> Self {
        let live = Output::is_live() && !output.is_quiet();
        Self(live.then(bar))
    }

    /// Tells one event.
    pub(crate) fn tell(&self, event: &Event) {
        let Some(bar) = &self.0 else { return };
        match event {
            Event::Progress {
                bytes,
                total,
                files,
            } => bar.set_message(moved(*bytes, *total, *files)),
            Event::Waiting { what, .. } => bar.set_message(clean(what)),
            _ => {}
        }
    }

    /// Ends the line that lives.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg}");
    let style = match style {
        Ok(style) => style,
        Err(error) => unreachable!("BUG: {error}"),
    };
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn moved(count: u64, total: u64, files: u64) -> String {
    let all = if total > 0 {
        format!(" of {}", bytes(total))
    } else {
        String::new()
    };
    // What is read besides the content counts too, so that the sum may be passed at the end.
    let count = if total > 0 { count.min(total) } else { count };
    format!("{}{all}, {files} files", bytes(count))
}
