//! One call of the program: its surroundings, its output, and how Ctrl-C, SIGTERM and a closed terminal reach what it does.
//!
//! Invariant: what only looks ends at once; a change is told and ends between two steps, so that no effect is dropped half-way.

use std::{cell::Cell, future::Future, io, pin::pin};

use rekit_core::{event::Event, inventory::Inventory};
use rekit_run::{
    executor::KillPoint,
    inventory::Limits,
    journal::{HomeError, StoredRun},
    session::{Session, SessionError},
    world::{environment::Surroundings, host},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    command_line::Manner,
    exit::Exit,
    failure::{Failure, OPEN_RUN_NEXT},
    output::{self, Output},
    ui,
};

/// The variable that names the point at which the lab wants the program to die.
const KILL_VARIABLE: &str = "REKIT_LAB_KILL";

/// One call of the program.
pub(crate) struct Call<'a> {
    /// The environment.
    pub(crate) surroundings: &'a Surroundings,
    /// Where it talks to.
    pub(crate) output: &'a Output,
    /// Whether changes are made without asking.
    pub(crate) yes: bool,
    stop: &'a Cell<bool>,
    interrupt: &'a dyn Fn() -> bool,
    kill: Option<KillPoint>,
}

impl<'a> Call<'a> {
    /// Begins a call. `interrupt` reads `stop`.
    pub(crate) fn new(
        surroundings: &'a Surroundings,
        output: &'a Output,
        manner: &Manner,
        stop: &'a Cell<bool>,
        interrupt: &'a dyn Fn() -> bool,
    ) -> Result<Self, Failure> {
        let kill = surroundings
            .variable(KILL_VARIABLE)
            .map(str::parse)
            .transpose()
            .map_err(|wrong| {
                Failure::new(Exit::Misuse, "usage", format!("{KILL_VARIABLE}: {wrong}"))
            })?;
        Ok(Self {
            surroundings,
            output,
            yes: manner.yes,
            stop,
            interrupt,
            kill,
        })
    }

    /// Returns the door to the world, with somebody who listens to what happens.
    pub(crate) fn session<'s>(&'s self, listener: &'s dyn Fn(Event)) -> Session<'s> {
        Session {
            surroundings: self.surroundings,
            listener,
            interrupt: self.interrupt,
            kill: self.kill,
        }
    }

    /// Returns the door to the world for looks, of which nothing is told.
    pub(crate) fn silent(&self) -> Session<'_> {
        self.session(&nobody)
    }

    /// Returns everything found, for what is done upon it.
    pub(crate) async fn look(&self) -> Result<Inventory, Failure> {
        self.look_within(Limits::patient()).await
    }

    /// Returns everything found, for somebody who waits.
    pub(crate) async fn look_quickly(&self) -> Result<Inventory, Failure> {
        self.look_within(Limits::default()).await
    }

    async fn look_within(&self, limits: Limits) -> Result<Inventory, Failure> {
        self.looking(Box::pin(self.silent().look(limits))).await
    }

    /// Does what changes nothing; the first signal ends it.
    pub(crate) async fn looking<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let mut signals = Signals::listen()?;
        tokio::select! {
            result = work => Ok(result),
            () = signals.next() => Err(Failure::new(Exit::Interrupted, "interrupted", "interrupted")),
        }
    }

    /// Does what changes the world; a signal asks it to stop after the current step.
    pub(crate) async fn changing<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let mut signals = Signals::listen()?;
        let mut work = pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return Ok(result),
                () = signals.next() => self.ask_to_stop(),
            }
        }
    }

    fn ask_to_stop(&self) {
        let text = if self.stop.replace(true) {
            "\nStill finishing the current step: leaving it half done would be worse. Nothing after it begins.\n"
        } else {
            "\nStopping after the current step …\n"
        };
        output::alarm(text);
    }

    /// Returns the run that broke off, if there is one; refuses to go on beside another rekit.
    pub(crate) fn open_run(&self) -> Result<Option<StoredRun>, Failure> {
        if self.has_locked_home() {
            let path = self.silent().home_path().display().to_string();
            return Err(SessionError::Home(HomeError::Locked { path }).into());
        }
        self.silent().refuse_beside_another()?;
        Ok(self.silent().open_run()?)
    }

    /// Returns whether another rekit changes something at this moment.
    pub(crate) fn is_at_work(&self) -> bool {
        self.has_locked_home() || self.silent().refuse_beside_another().is_err()
    }

    fn has_locked_home(&self) -> bool {
        host::is_flocked(&self.silent().home_path().join("lock")).unwrap_or(false)
    }

    /// Refuses to go on while an earlier run is open.
    pub(crate) fn refuse_open_run(&self) -> Result<(), Failure> {
        match self.open_run()? {
            None => Ok(()),
            Some(open) => Err(SessionError::OpenRun {
                run: open.plan.run,
                purpose: open.plan.purpose,
            }
            .into()),
        }
    }

    /// Reminds of a probation that is over, behind what was asked for.
    pub(crate) fn remind(&self) {
        let history = self.silent().history().unwrap_or_default();
        let style = &self.output.note_style;
        let over = history.probation().filter(|it| it.ends <= style.now);
        if let Some(probation) = over {
            let text = ui::status::over(&probation, style);
            self.output.note(&format!("\n{text}\n"));
        }
    }

    /// Asks a question that is answered with yes or no; anything but yes is no.
    pub(crate) async fn agrees(&self, question: &str) -> Result<bool, Failure> {
        output::alarm(&format!("{question} [y/N] "));
        let read = self
            .looking(tokio::task::spawn_blocking(output::answer))
            .await?;
        let answer = read
            .map_err(io::Error::other)
            .and_then(|answer| answer)
            .map_err(|error| Failure::of(Exit::Failed, "terminal", &error))?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}

/// What a person can do about a run that was interrupted.
pub(crate) fn interrupted_next() -> impl Iterator<Item = String> {
    OPEN_RUN_NEXT.into_iter().map(str::to_owned)
}

fn nobody(_: Event) {}

/// Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None`: whoever started this wants it to outlive the terminal.
    hangup: Option<Signal>,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::of(Exit::Failed, "signals", &error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: (!host::ignores_hangup())
                .then(|| listen(SignalKind::hangup()))
                .transpose()?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = hung_up(self.hangup.as_mut()) => {}
        }
    }
}

async fn hung_up(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
