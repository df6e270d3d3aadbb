//! The command line: what may be asked, and who answers it.

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{call::Call, exit::Exit, failure::Failure, verbs};

/// Find, back up, replace and prove everything BuildKit on this machine
///
/// Verbs that look change nothing. Verbs that change show their plan and ask first; every change is journalled and can be taken back.
///
/// Exit codes: 0 done or healthy, 1 failed (where things stand is printed), 2 wrong use or bad input, 3 something needs care,
/// 4 refused for safety, 5 failed and rolled back by itself, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "rekit", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) manner: Manner,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// How a call talks; the same for every verb.
#[derive(Debug, Args)]
pub(crate) struct Manner {
    /// Write a table for people, or one JSON document
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "table",
        value_name = "FORMAT",
        help_heading = "Manner"
    )]
    pub(crate) format: Format,
    /// Colour the text; `auto` does on a terminal, unless `NO_COLOR` is set
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN",
        help_heading = "Manner"
    )]
    pub(crate) color: Color,
    /// Change without asking
    #[arg(long, short = 'y', global = true, help_heading = "Manner")]
    pub(crate) yes: bool,
    /// Leave out the plan and the progress
    #[arg(long, short, global = true, help_heading = "Manner")]
    pub(crate) quiet: bool,
}

/// The form of what is written to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people
    Table,
    /// One JSON document
    Json,
}

/// When text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List everything BuildKit that is found here
    Inventory,
    /// Say what is wrong, why, and how to mend it
    Doctor(verbs::doctor::Arguments),
    /// Say what is behind a finding or a pasted error, and what to do
    Explain(verbs::explain::Arguments),
    /// Show what a reinstall would do
    Plan(verbs::plan::Arguments),
    /// Put every builder on a fresh, proven node
    Reinstall(verbs::plan::Aims),
    /// Make the builder that the goal names, where it is not there
    Install(verbs::install::Arguments),
    /// Remove builders and remnants, each cache after its archive was read back
    Clean(verbs::clean::Arguments),
    /// Carry out a plan that was written before
    Apply(verbs::apply::Arguments),
    /// Prove every builder with real builds
    Validate,
    /// Say where things stand
    Status,
    /// List the generations, or say what differs between two
    Generations(verbs::generations::Arguments),
    /// Take back the open run, or go back to an earlier generation
    Rollback(verbs::rollback::Arguments),
    /// Go on with a run that broke off
    Resume,
    /// End the probation: remove what is parked, keep its archives
    Finalize,
    /// Make, check, rehearse, list, bring back and prune archives
    #[command(subcommand)]
    Backup(verbs::backup::Verb),
}

impl Verb {
    /// Does what was asked.
    pub(crate) async fn run(self, call: &Call<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Inventory => verbs::inventory::run(call).await,
            Self::Doctor(arguments) => verbs::doctor::run(call, &arguments).await,
            Self::Explain(arguments) => verbs::explain::run(call, &arguments).await,
            Self::Plan(arguments) => verbs::plan::run(call, arguments).await,
            Self::Reinstall(arguments) => verbs::reinstall::run(call, arguments).await,
            Self::Install(arguments) => verbs::install::run(call, &arguments).await,
            Self::Clean(arguments) => verbs::clean::run(call, &arguments).await,
            Self::Apply(arguments) => verbs::apply::run(call, arguments).await,
            Self::Validate => verbs::validate::run(call).await,
            Self::Status => verbs::status::run(call).await,
            Self::Generations(arguments) => verbs::generations::run(call, &arguments),
            Self::Rollback(arguments) => verbs::rollback::run(call, arguments).await,
            Self::Resume => verbs::resume::run(call).await,
            Self::Finalize => verbs::finalize::run(call).await,
            Self::Backup(verb) => verbs::backup::run(call, verb).await,
        }
    }
}
