//! `rekit explain CODE`: why a finding happens, what it does, and how to get rid of it.

use rekit_core::doctor::explain;

use crate::{
    call::Call,
    document::{Explanation, document},
    exit::Exit,
    failure::Failure,
    ui::style::Tone,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The code of a finding, for example RK401
    code: String,
}

pub(crate) fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    let check = explain(&arguments.code).ok_or_else(|| {
        let message = format!("there is no finding with the code `{}`", arguments.code);
        Failure::new(Exit::Misuse, "unknown-code", message)
            .then("`rekit doctor` prints the code in front of each finding")
    })?;
    let explanation = Explanation {
        code: check.code,
        title: check.title,
        severity: check.severity,
        text: check.explain,
    };
    call.output
        .give(&document("rekit/explanation", explanation), |style| {
            let head = style.paint(Tone::Heading, &format!("{}: {}", check.code, check.title));
            let paragraphs = check.explain.split("\n\n");
            let body: Vec<_> = paragraphs
                .map(|paragraph| style.wrapped(0, paragraph).join("\n"))
                .collect();
            format!("{head}\n\n{}\n", body.join("\n\n"))
        });
    Ok(Exit::Done)
}
