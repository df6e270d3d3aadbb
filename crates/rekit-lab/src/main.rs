//! The lab as a program.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is the program's way to answer"
)]

use anyhow::Result;
use clap::{Parser, Subcommand, builder::PossibleValuesParser};
use rekit_lab::{
    ImageStore, Lab, LabOptions,
    modes::{self, CacheSize},
    setup, versions,
};
use std::process::ExitCode;

/// Private real Docker Engines and BuildKit daemons, to try and to break
///
/// Nothing here touches the machine's own Docker: each lab has its own engine, home and network namespace under /tmp/rekit-lab (or
/// `$REKIT_LAB_ROOT`). Needs root on Debian 12 or later. Start with `rekit-lab setup`.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 120)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Install, unpack and build what is missing
    ///
    /// Quick when nothing is missing; about six minutes on two cores the first time. What it makes lies in `$REKIT_LAB_CACHE`, else
    /// `$XDG_CACHE_HOME/rekit-lab`, else ~/.cache/rekit-lab.
    Setup {
        /// The part to set up
        #[arg(long, value_enum, default_value = "all")]
        what: setup::What,
    },
    /// Start a private engine and print the `export` lines that lead to it
    ///
    /// Use it as: eval "$(rekit-lab up NAME)"
    Up {
        /// Up to 40 of a-z, 0-9 and -
        name: String,
        /// The engine's version
        #[arg(long, default_value = versions::ENGINE_DEFAULT, value_parser = engines())]
        engine: String,
        /// The version of buildx
        #[arg(long, default_value = versions::BUILDX_DEFAULT, value_parser = versions_of("buildx"))]
        buildx: String,
        /// Where the engine keeps its images
        #[arg(long, value_enum, default_value = "graphdriver")]
        image_store: ImageStore,
        /// Start a second engine that stands in for Docker Desktop
        #[arg(long)]
        desktop: bool,
    },
    /// Print the `export` lines of a running lab again
    Env {
        /// The lab
        name: String,
    },
    /// Remove a lab: processes, namespaces, mounts, files
    Down {
        /// The lab
        #[arg(required_unless_present = "all")]
        name: Option<String>,
        /// Remove every lab
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// Put the BuildKit image into a lab's engine
    ///
    /// It is made from the parts that setup built; with `REKIT_LAB_PULL=1` the published image is tried first.
    BuilderImage {
        /// The lab
        name: String,
        /// The version of BuildKit
        #[arg(long, default_value = versions::BUILDKIT_DEFAULT, value_parser = versions_of("buildkit"))]
        buildkit: String,
        /// The image's name
        #[arg(long, default_value = versions::BUILDER_TAG)]
        tag: String,
    },
    /// Plant a failure mode into a lab, or list them
    ///
    /// Prints the `export` and `unset` lines that are part of it, where there are any.
    Break {
        /// The lab
        #[arg(required_unless_present = "list")]
        name: Option<String>,
        /// The failure mode, as `--list` names it
        #[arg(required_unless_present = "list")]
        mode: Option<String>,
        /// Print every mode with what is wrong then
        #[arg(long)]
        list: bool,
        /// The size of the warm cache of `first-user`
        #[arg(long, value_enum, default_value = "small")]
        cache: CacheSize,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Setup { what } => setup::setup(what, &|work| eprintln!("rekit-lab: {work}")),
        Verb::Up {
            name,
            engine,
            buildx,
            image_store,
            desktop,
        } => {
            print_environment(&Lab::up_named(
                &name,
                LabOptions {
                    engine,
                    buildx,
                    image_store,
                    desktop,
                },
            )?);
            Ok(())
        }
        Verb::Env { name } => {
            print_environment(&Lab::open(&name)?);
            Ok(())
        }
        Verb::Down {
            name: Some(name), ..
        } => rekit_lab::down(&name),
        Verb::Down { name: None, .. } => {
            for name in rekit_lab::down_all()? {
                println!("removed {name}");
            }
            Ok(())
        }
        Verb::Break {
            name: Some(name),
            mode: Some(mode),
            cache,
            ..
        } => plant(&Lab::open(&name)?, &mode, cache),
        Verb::Break { .. } => {
            for mode in modes::list() {
                println!("{:44}{}", mode.slug, mode.summary);
            }
            Ok(())
        }
        Verb::BuilderImage {
            name,
            buildkit,
            tag,
        } => Lab::open(&name)?.buildkit_image_as(&buildkit, &tag),
    }
}

fn plant(lab: &Lab, mode: &str, cache: CacheSize) -> Result<()> {
    if mode == "first-user" {
        return modes::first_user::plant(lab, cache).map(drop);
    }
    modes::plant(lab, mode)?;
    // What is wrong with a shell cannot lie in a folder: whoever planted it sets it.
    let mode = modes::named(mode);
    for (name, value) in mode.into_iter().flat_map(|mode| mode.variables(lab)) {
        match value {
            Some(value) => println!("export {name}='{value}'"),
            None => println!("unset {name}"),
        }
    }
    Ok(())
}

fn print_environment(lab: &Lab) {
    for (name, value) in lab.env() {
        // The user's own programs stay within reach, behind the lab's.
        let rest = if name == "PATH" { ":\"$PATH\"" } else { "" };
        println!("export {name}='{value}'{rest}");
    }
}

fn engines() -> PossibleValuesParser {
    PossibleValuesParser::new(versions::ENGINES.iter().map(|engine| engine.version))
}

fn versions_of(tool: &'static str) -> PossibleValuesParser {
    PossibleValuesParser::new(versions::versions_of(tool))
}
