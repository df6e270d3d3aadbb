//! The program: reads the command line and the environment once, does what one verb asks, and ends with its exit code.

mod call;
mod change;
mod command_line;
mod document;
mod exit;
mod failure;
mod goal_file;
mod misuse;
mod output;
mod ui;
mod verbs;

use std::{cell::Cell, ffi::OsString, process::ExitCode};

use clap::Parser;
use rekit_run::world::environment::Surroundings;

use call::Call;
use command_line::Arguments;
use exit::Exit;
use failure::Failure;
use output::Output;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let surroundings = Surroundings::of_this_process();
    let exit = match Arguments::try_parse_from(&words) {
        Ok(arguments) => serve(arguments, &surroundings),
        Err(error) => misuse::answer(&error, &words, &surroundings),
    };
    exit.into()
}

fn serve(arguments: Arguments, surroundings: &Surroundings) -> Exit {
    let output = Output::new(&arguments.manner, surroundings);
    let stop = Cell::new(false);
    let interrupt = || stop.get();
    let exit = Call::new(surroundings, &output, &arguments.manner, &stop, &interrupt)
        .and_then(|call| run(arguments, &call))
        .map_err(Failure::with_a_next)
        .unwrap_or_else(|failure| {
            ui::failure::tell(&failure, &output);
            failure.exit
        });
    if output.is_broken() && exit == Exit::Done {
        Exit::Failed
    } else {
        exit
    }
}

fn run(arguments: Arguments, call: &Call<'_>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Failed, "runtime", &error))?;
    let exit = runtime.block_on(arguments.verb.run(call));
    // A thread that still waits for an answer on stdin must not hold up the end.
    runtime.shutdown_background();
    exit
}
