//! `rekit validate`: every builder proven with real builds that leave no trace.

use crate::{
    call::Call,
    document::{Validation, document},
    exit::Exit,
    failure::Failure,
    output,
    ui::{self, plan::section, style::Tone},
};

pub(crate) async fn run(call: &Call<'_>) -> Result<Exit, Failure> {
    let inventory = call.look().await?;
    call.output
        .note("Proving every builder with real builds …\n");
    // A probe that is cut would leave its trace, so that this is not cut like other looks.
    let proven = call
        .changing(Box::pin(async { call.silent().validate(&inventory).await }))
        .await?;
    let (proofs, error) = match proven {
        Ok(proofs) => (proofs, None),
        Err(error) => (Vec::new(), Some(failure(error.into()))),
    };
    let exit = error.as_ref().map_or(Exit::Done, |failure| failure.exit);
    let validation = Validation {
        passed: error.is_none(),
        proofs,
        error,
    };
    match &validation.error {
        Some(failure) if !call.output.is_json() => {
            output::alarm(&ui::failure::blocks(failure, &call.output.note_style));
        }
        _ => call
            .output
            .give(&document("rekit/validation", &validation), |style| {
                if validation.proofs.is_empty() {
                    return "There is no builder to prove.\n".to_owned();
                }
                let good = style.paint(Tone::Good, "Every builder builds");
                let proofs = validation.proofs.iter().cloned();
                format!(
                    "{good}.\n{}",
                    section("Proven", Tone::Heading, proofs, style)
                )
            }),
    }
    Ok(exit)
}

/// A builder that does not build needs care; an interruption stays one.
fn failure(failure: Failure) -> Failure {
    if failure.exit == Exit::Interrupted {
        return failure;
    }
    Failure {
        exit: Exit::Care,
        code: "not-proven",
        ..failure
    }
    .then("`rekit doctor` says what is wrong")
}
